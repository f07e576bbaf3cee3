//! A byte relay: one upstream connection per client connection, nothing parsed. It is the floor that any
//! proxy on the same runtime and kernel pays, so it must stay lean: no limits, no timeouts, no statistics.

use crate::Outcome;
use std::net::SocketAddr;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};

/// Bytes of each direction's buffer.
const BUFFER: usize = 64 * 1024;

/// Relays every connection of `listen` to `to` until the process is stopped.
pub(crate) fn run(listen: &str, to: &str) -> Outcome {
    let listen: SocketAddr = listen.parse().map_err(|error| format!("{listen}: {error}"))?;
    let to: SocketAddr = to.parse().map_err(|error| format!("{to}: {error}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(|error| format!("runtime: {error}"))?;
    runtime.block_on(serve(listen, to)).map_err(|error| format!("relay {listen}: {error}"))
}

async fn serve(listen: SocketAddr, to: SocketAddr) -> std::io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(async move {
            // A failure of either side ends the pair; there is nobody to tell.
            let _ = pair(client, to).await;
        });
    }
}

async fn pair(mut client: TcpStream, to: SocketAddr) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut upstream = TcpStream::connect(to).await?;
    upstream.set_nodelay(true)?;
    copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER).await?;
    Ok(())
}
