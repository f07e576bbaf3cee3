//! Brings what lies on this machine up to date after a start: does to it what was purged while nobody listened here.
//! What the memory has is younger than the process and no matter of this.

use super::Gateway;
use super::scripts::{Position, Scripts};
use crate::tier::Noticed;
use redis::RedisResult;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How long is waited before it is looked again whether it is known what lies here.
const POLL: Duration = Duration::from_millis(100);
/// Entries that are read at once.
const BATCH: usize = 512;

/// Up to the entry at which the session has begun; what comes later is heard by who follows. False when that is not
/// known, and everything was purged.
pub(super) async fn catch_up(
    mut scripts: Scripts,
    gateway: &Arc<dyn Gateway>,
    begun: Position,
) -> RedisResult<bool> {
    while !gateway.is_ready() {
        sleep(POLL).await;
    }
    let left = gateway.recall().await.and_then(|text| Position::read(&text));
    let exact = match left {
        Some(left) => repeat(&mut scripts, gateway, left, &begun).await?,
        None => false,
    };
    if !exact {
        gateway.hear_below(&Noticed::everything());
    }
    gateway.release();
    Ok(exact)
}

/// Purges what was purged since `left`; false when not all of that is known any more.
async fn repeat(
    scripts: &mut Scripts,
    gateway: &Arc<dyn Gateway>,
    mut left: Position,
    begun: &Position,
) -> RedisResult<bool> {
    if left.epoch != begun.epoch {
        return Ok(false);
    }
    if left.clock > 0 {
        let last = scripts.entries(left.clock, 1).await?;
        if last.first().is_none_or(|last| last.clock != left.clock || last.token != left.token) {
            return Ok(false);
        }
    }
    while left.clock < begun.clock {
        let entries = scripts.entries(left.clock + 1, BATCH).await?;
        if entries.is_empty() {
            return Ok(false);
        }
        for entry in entries {
            let (clock, next) = (entry.clock, left.clock + 1);
            let Some(notice) = entry.notice.filter(|_| clock == next && entry.epoch == left.epoch) else {
                return Ok(false);
            };
            gateway.hear_below(&notice.what);
            left.clock = clock;
        }
    }
    Ok(true)
}
