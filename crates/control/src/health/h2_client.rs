//! One request over HTTP/2 on a connection of its own, for probes. It keeps no connection.

use super::probe::ProbeError;
use bytes::Bytes;
use h2::RecvStream;
use http::{Request, Response};
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes of header fields that are accepted.
const HEAD_BYTES: u32 = 16 * 1024;
/// Bytes of body that may be on their way: the flow-control window.
const BODY_BYTES: u32 = 64 * 1024;

/// Sends `request` with `body`, which may be empty, and gives the response to `read`.
///
/// # Errors
/// What went wrong on the connection, or what `read` says.
pub(super) async fn exchange<T>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<()>,
    body: Bytes,
    read: impl AsyncFnOnce(Response<RecvStream>) -> Result<T, ProbeError>,
) -> Result<T, ProbeError> {
    let mut builder = h2::client::Builder::new();
    builder.enable_push(false).max_header_list_size(HEAD_BYTES).initial_window_size(BODY_BYTES);
    let (sender, connection) = builder.handshake::<_, Bytes>(stream).await?;
    let mut connection = pin!(connection);
    let mut exchange = pin!(async {
        let mut sender = sender.ready().await?;
        let (response, mut upload) = sender.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            upload.send_data(body, true)?;
        }
        read(response.await?).await
    });
    tokio::select! {
        biased;
        result = &mut exchange => result,
        ended = &mut connection => {
            ended?;
            // What arrived before the end is still there to be read.
            exchange.await
        }
    }
}
