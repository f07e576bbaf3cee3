//! One worker's clocks: the `Date` field as text, the time of day behind a tick, and the time by which its cache ages.
//! Read and formatted once a second by the worker's housekeeping, so that a request costs no clock and no formatting.

use headgate_cache::steady;
use headgate_model::units::Tick;
use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Length of an IMF-fixdate (RFC 9110 section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) const DATE_LEN: usize = 29;

/// As old as the last [`WallClock::read`].
pub(crate) struct WallClock {
    /// Microseconds since 1970 at tick zero.
    zero_unix_us: Cell<u64>,
    /// The same by the clock of the cache.
    zero_steady_us: Cell<u64>,
    date: Cell<[u8; DATE_LEN]>,
}

impl WallClock {
    pub(crate) fn new(now: Tick) -> Self {
        let clock = Self {
            zero_unix_us: Cell::new(0),
            zero_steady_us: Cell::new(0),
            date: Cell::new([b' '; DATE_LEN]),
        };
        clock.read(now);
        clock
    }

    /// Reads the time of day, which may have been set since. `now` is the same moment as a tick.
    pub(crate) fn read(&self, now: Tick) {
        self.set(SystemTime::now(), steady::now(), now);
    }

    fn set(&self, time: SystemTime, steady: Duration, now: Tick) {
        let unix_us = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
        self.zero_unix_us.set(unix_us.saturating_sub(now.0 / 1_000));
        self.zero_steady_us.set((steady.as_micros() as u64).saturating_sub(now.0 / 1_000));
        // A year beyond 9999 has no such form.
        if unix_us / 1_000_000 < 253_402_300_800
            && let Ok(date) = httpdate::fmt_http_date(time.max(UNIX_EPOCH)).as_bytes().try_into()
        {
            self.date.set(date);
        }
    }

    /// The value of a `Date` field (RFC 9110 section 6.6.1).
    #[inline]
    pub(crate) fn date(&self) -> [u8; DATE_LEN] {
        self.date.get()
    }

    /// Microseconds since 1970 at `tick`.
    pub(crate) fn unix_us(&self, tick: Tick) -> u64 {
        self.zero_unix_us.get().saturating_add(tick.0 / 1_000)
    }

    /// Milliseconds at `tick` by the clock of the cache ([`steady`]): for how old an object is, not for dates.
    pub(crate) fn steady_ms(&self, tick: Tick) -> u64 {
        self.zero_steady_us.get().saturating_add(tick.0 / 1_000) / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_time_of_a_tick_and_the_date_as_of_the_last_reading() {
        let clock = WallClock::new(Tick(0));
        clock.set(
            UNIX_EPOCH + Duration::from_secs(784_111_777),
            Duration::from_secs(107),
            Tick(7_000_000_000),
        );
        assert_eq!(&clock.date(), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(clock.unix_us(Tick(7_000_000_000)), 784_111_777_000_000);
        assert_eq!(clock.unix_us(Tick(7_500_001_000)), 784_111_777_500_001);
        assert_eq!(clock.steady_ms(Tick(7_500_001_000)), 107_500);
    }

    #[test]
    fn a_clock_beyond_all_dates_keeps_the_last_one() {
        let clock = WallClock::new(Tick(0));
        clock.set(UNIX_EPOCH, Duration::ZERO, Tick(0));
        clock.set(UNIX_EPOCH + Duration::from_secs(300_000_000_000), Duration::ZERO, Tick(0));
        assert_eq!(&clock.date(), b"Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
