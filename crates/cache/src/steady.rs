//! The clock by which what is stored grows old: the Unix time at which the process began, and all the time since, sleep
//! of the machine included. Setting the wall clock does not move it: an object would come to be fresh for longer than
//! its origin said, or all of them stale at once. Dates of messages are compared with the wall clock, not with this.

use rustix::time::{ClockId, clock_gettime};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, never going back while the process runs.
#[must_use]
pub fn now_ms() -> u64 {
    u64::try_from(now().as_millis()).unwrap_or(u64::MAX)
}

/// Since 1970; otherwise as [`now_ms`].
#[must_use]
pub fn now() -> Duration {
    /// The wall clock and the one that runs on, at one moment.
    static BEGAN: OnceLock<(Duration, Duration)> = OnceLock::new();
    let (wall, then) =
        BEGAN.get_or_init(|| (SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(), running()));
    *wall + running().saturating_sub(*then)
}

/// Since the machine was started.
fn running() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_with_the_wall_clock_and_does_not_go_back() {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let mut last = now();
        assert!(last.abs_diff(wall) < Duration::from_secs(3_600), "{last:?} is not {wall:?}");
        for _ in 0..1_000 {
            let next = now();
            assert!(next >= last);
            last = next;
        }
    }
}
