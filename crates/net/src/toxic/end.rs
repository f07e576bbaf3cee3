//! Toxics that end the connection: late, early, or not as a close.

use super::lane::{Fate, Pipe};
use std::time::Duration;
use tokio::time::sleep;

/// The end arrives `delay` after it was sent.
pub(super) async fn slow_close(mut pipe: Pipe, delay: Duration) {
    while let Some(chunk) = pipe.from.recv().await {
        if !pipe.send(chunk.bytes).await {
            return;
        }
    }
    sleep(delay).await;
}

/// Nothing arrives; after `timeout`, unless it is zero, the connection closes.
pub(super) async fn timeout(mut pipe: Pipe, timeout: Duration) {
    let swallow = async { while pipe.from.recv().await.is_some() {} };
    let closes = async {
        if timeout.is_zero() {
            return std::future::pending().await;
        }
        sleep(timeout).await;
    };
    tokio::select! {
        () = closes => {}
        // The end does not arrive either.
        () = async { swallow.await; std::future::pending().await } => {}
    }
    pipe.shared.end(Fate::Closed);
}

/// The first bytes are lost, and `timeout` after they came the connection is reset.
pub(super) async fn reset_peer(mut pipe: Pipe, timeout: Duration) {
    if pipe.from.recv().await.is_some() {
        sleep(timeout).await;
        pipe.shared.end(Fate::Reset);
    }
}

/// The connection closes after so many bytes.
pub(super) async fn limit_data(mut pipe: Pipe, bytes: u64) {
    let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
    while left > 0 {
        let Some(mut chunk) = pipe.from.recv().await else { return };
        chunk.bytes.truncate(left);
        left -= chunk.bytes.len();
        if !pipe.send(chunk.bytes).await {
            return;
        }
    }
    pipe.is_last.set(true);
}
