//! A connection to the chosen endpoint: one that rests in the pool, or a new one.

use crate::view::Link;
use headgate_model::address::Target;
use headgate_model::fault::{Fault, FaultKind};
use headgate_net::deadline::{Deadline, DueAt};
use headgate_net::pool::Connection;
use headgate_net::stream::Stream;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};

/// A connection ready for a request. `fresh` refuses to use the pool.
#[inline]
pub(crate) async fn dial(
    link: &Link,
    fresh: bool,
    timeout: Duration,
    until: DueAt,
    deadline: &Deadline,
) -> Result<Connection, Fault> {
    if !fresh && let Some(connection) = link.pool.take().await {
        return Ok(connection);
    }
    deadline.set_at(deadline.at(timeout).min(until));
    let stream = connect(&link.endpoint.address.target, deadline).await?;
    link.metrics.connections_opened.inc();
    Ok(Connection { stream, served: 0 })
}

async fn connect(target: &Target, deadline: &Deadline) -> Result<Stream, Fault> {
    let connecting = async {
        match target {
            Target::Ip(address) => tcp(TcpStream::connect(address).await),
            Target::Name { host, port } => tcp(TcpStream::connect((host.as_str(), *port)).await),
            Target::Unix(path) => UnixStream::connect(path).await.map(Stream::from),
        }
    };
    let mut connecting = pin!(connecting);
    poll_fn(|cx| match connecting.as_mut().poll(cx) {
        Poll::Ready(result) => {
            Poll::Ready(result.map_err(|_| {
                Fault::new(FaultKind::ConnectFailed, "the upstream does not accept connections")
            }))
        }
        Poll::Pending => deadline.poll_due(cx).map(|()| {
            Err(Fault::new(FaultKind::ConnectTimeout, "the upstream did not accept a connection in time"))
        }),
    })
    .await
}

fn tcp(connected: io::Result<TcpStream>) -> io::Result<Stream> {
    let stream = connected?;
    stream.set_nodelay(true)?;
    Ok(Stream::from(stream))
}
