//! Accepts admin connections within limits and stops without breaking an answer. It knows nothing of what
//! is answered. A connection carries one request: that keeps every limit a limit on the connection.

use crate::Admin;
use crate::answer::{Desk, answer};
use crate::sample;
use headgate_observe::log::{Level, PeerEvent, peer_event};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::error::Elapsed;
use tokio::time::{sleep, timeout};

/// Connections at once; further ones wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 64;
/// How long a client may take to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may last: time for a reload, and for a slow client to read a large answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// What one connection may hold of what was sent and not yet read.
const BUFFER_BYTES: usize = 64 * 1_024;
/// How long open connections may take to end after a stop.
const GRACE: Duration = Duration::from_secs(5);
/// How long the request of one who has just connected may take to come after a stop.
const LAST_REQUEST: Duration = Duration::from_millis(250);
/// Connections that are still taken from the queue after a stop; most systems let none grow longer.
const LAST: usize = 4_096;
/// Pause after an accept that failed, most often for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

static ACCEPT_FAILED: PeerEvent = PeerEvent::new("admin_accept_failed");

/// Serves until `stop` resolves and the answers that were begun are sent, five seconds at most.
///
/// Stop it last, unless a successor has taken over: while the rest drains, `/readyz` has to say so.
pub async fn serve(listener: TcpListener, admin: Admin, stop: impl Future<Output = ()>) {
    let (sampler, looks) = sample::sampler(admin.registry.clone());
    let mut sampling = JoinSet::new();
    sampling.spawn(sampler.run());
    let desk = Arc::new(Desk::new(admin, looks));
    let (stopping, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => serve_one(&mut connections, stream, &desk, &stopped),
                Err(error) => {
                    peer_event(&ACCEPT_FAILED, Level::Warn, "admin cannot accept", &[("error", &error)]);
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    // Who waits in the queue has connected: without an answer it would be reset.
    for _ in 0..LAST {
        let Some(Ok((stream, _))) = waiting(&listener).await else { break };
        if connections.len() < CONNECTIONS_MAX {
            serve_one(&mut connections, stream, &desk, &stopped);
        }
    }
    drop(listener);
    drop(stopping);
    let ended = async { while connections.join_next().await.is_some() {} };
    // What has not ended by then is cut with the set.
    let _ = timeout(GRACE, ended).await;
}

/// A connection that need not be waited for.
async fn waiting(listener: &TcpListener) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    poll_fn(|cx| match listener.poll_accept(cx) {
        Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn serve_one(
    connections: &mut JoinSet<Result<(), Elapsed>>,
    stream: TcpStream,
    desk: &Arc<Desk>,
    stopped: &watch::Receiver<()>,
) {
    connections.spawn(timeout(CONNECTION_TIMEOUT, connection(stream, Arc::clone(desk), stopped.clone())));
}

async fn connection(stream: TcpStream, desk: Arc<Desk>, mut stopped: watch::Receiver<()>) {
    let answer = service_fn(|request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(answer(&desk, request).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(BUFFER_BYTES)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), answer)
    );
    // An error here is a client that went away, was too slow, or does not speak HTTP: nobody to tell.
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stopped.changed() => {
            if timeout(LAST_REQUEST, connection.as_mut()).await.is_err() {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
}
