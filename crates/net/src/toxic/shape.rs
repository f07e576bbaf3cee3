//! Toxics that shape the flow: nothing is lost or changed, it only arrives later or in smaller pieces.

use super::lane::Pipe;
use headgate_model::dice::Dice;
use std::time::Duration;
use tokio::time::{sleep, sleep_until};

/// How much time's worth of bytes goes on at once.
const BURST: Duration = Duration::from_millis(100);

/// Each chunk arrives `latency` after it was sent, give or take up to `jitter`; none overtakes another.
pub(super) async fn latency(mut pipe: Pipe, latency: Duration, jitter: Duration, mut dice: Dice) {
    while let Some(chunk) = pipe.from.recv().await {
        // From `latency - jitter` to `latency + jitter`.
        let delay = latency.saturating_add(jitter.mul_f64(2.0 * dice.unit())).saturating_sub(jitter);
        sleep_until(chunk.at + delay).await;
        if !pipe.send(chunk.bytes).await {
            return;
        }
    }
}

/// No more than so many bytes per second.
pub(super) async fn bandwidth(mut pipe: Pipe, bytes_per_second: u64) {
    let burst = bytes_per_second.saturating_mul(BURST.as_millis() as u64) / 1_000;
    let burst = usize::try_from(burst).unwrap_or(usize::MAX).max(1);
    while let Some(chunk) = pipe.from.recv().await {
        for piece in chunk.bytes.chunks(burst) {
            sleep(Duration::from_secs_f64(piece.len() as f64 / bytes_per_second as f64)).await;
            if !pipe.send(piece.to_vec()).await {
                return;
            }
        }
    }
}

/// Pieces of `average_size` bytes, give or take up to `size_variation`, with `delay` after each.
pub(super) async fn slicer(
    mut pipe: Pipe,
    average_size: u64,
    size_variation: u64,
    delay: Duration,
    mut dice: Dice,
) {
    while let Some(chunk) = pipe.from.recv().await {
        let mut rest = &chunk.bytes[..];
        while !rest.is_empty() {
            let least = average_size.saturating_sub(size_variation);
            let size = least.saturating_add(dice.below(size_variation.saturating_mul(2).saturating_add(1)));
            let size = usize::try_from(size).unwrap_or(usize::MAX).clamp(1, rest.len());
            let (piece, behind) = rest.split_at(size);
            rest = behind;
            if !pipe.send(piece.to_vec()).await {
                return;
            }
            sleep(delay).await;
        }
    }
}
