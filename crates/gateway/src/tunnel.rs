//! Two connections joined after a switch of protocols: bytes both ways, no meaning. Holds buffers only
//! while bytes are in them.

use headgate_net::buffer::{Buffers, SMALL};
use headgate_net::deadline::Deadline;
use headgate_net::stream::{IoFault, Stream};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// The upstream half of a tunnel, until it is joined to its client.
pub(crate) struct Tunnel {
    pub upstream: Stream,
    /// What the upstream sent right behind its 101.
    pub to_client: Vec<u8>,
}

impl Tunnel {
    /// Carries bytes until both sides have closed, one fails, or nothing moves for `idle`.
    /// `to_upstream` is what the client sent right behind its request.
    pub(crate) async fn run(
        self,
        client: &Stream,
        to_upstream: &[u8],
        buffers: &Rc<Buffers>,
        deadline: &Deadline,
        idle: Duration,
    ) {
        deadline.set(idle);
        let sent = client.write(&self.to_client, &[], deadline).await;
        if sent.is_err() || self.upstream.write(to_upstream, &[], deadline).await.is_err() {
            return;
        }
        let mut down = pin!(copy(&self.upstream, client, buffers, deadline, idle));
        let mut up = pin!(copy(client, &self.upstream, buffers, deadline, idle));
        let (mut down_done, mut up_done) = (false, false);
        poll_fn(|cx| {
            // An end of one direction leaves the other open (half-close); a failure ends both.
            if !down_done && let Poll::Ready(result) = down.as_mut().poll(cx) {
                if result.is_err() {
                    return Poll::Ready(());
                }
                down_done = true;
            }
            if !up_done && let Poll::Ready(result) = up.as_mut().poll(cx) {
                if result.is_err() {
                    return Poll::Ready(());
                }
                up_done = true;
            }
            if down_done && up_done { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Carries one direction; both share the deadline, so traffic in either keeps the tunnel open.
async fn copy(
    from: &Stream,
    to: &Stream,
    buffers: &Rc<Buffers>,
    deadline: &Deadline,
    idle: Duration,
) -> Result<(), IoFault> {
    let mut long = false;
    loop {
        from.readable(deadline).await?;
        let mut buffer = if long { buffers.large() } else { buffers.small() };
        match from.read(buffer.room(), deadline).await {
            Ok(count) => {
                long = count >= SMALL;
                buffer.advance(count);
                deadline.set(idle);
                to.write(buffer.filled(), &[], deadline).await?;
            }
            Err(IoFault::Closed) => {
                to.shutdown(deadline).await;
                return Ok(());
            }
            Err(fault) => return Err(fault),
        }
    }
}
