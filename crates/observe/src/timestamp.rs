//! Points in time as text, in UTC: RFC 3339 and the Common Log Format. It reads no clock.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

const MICROS_PER_DAY: u64 = 86_400 * 1_000_000;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Microseconds since 1970 of `time`; zero for anything earlier.
pub(crate) fn unix_us(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// `2026-01-31T23:59:59.000001Z` (RFC 3339).
pub(crate) struct Rfc3339(pub(crate) u64);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second, micros } = civil(self.0);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// `31/Jan/2026:23:59:59 +0000`, as the Common Log Format has it.
pub(crate) struct CommonLog(pub(crate) u64);

impl fmt::Display for CommonLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second, .. } = civil(self.0);
        let month = MONTHS[month as usize - 1];
        write!(f, "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
    }
}

struct Civil {
    year: u64,
    /// 1 to 12.
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    micros: u64,
}

/// The Gregorian date of a Unix time. Years are counted from March, so that the leap day is a year's
/// last; 400 such years are 146,097 days.
fn civil(unix_us: u64) -> Civil {
    let in_day = unix_us % MICROS_PER_DAY;
    // From 1 March of the year 0 to 1 January 1970.
    let days = unix_us / MICROS_PER_DAY + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    // Leap days passed in this era: one per 4 years (1,461 days, the last of them the leap day), but none
    // per 100 (36,524 days), and one for the era's very last day.
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // March to July and August to December repeat month lengths in 153 days per five months.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    Civil {
        year: era * 400 + year_of_era + u64::from(month <= 2),
        month,
        day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
        hour: in_day / 3_600_000_000,
        minute: in_day / 60_000_000 % 60,
        second: in_day / 1_000_000 % 60,
        micros: in_day % 1_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        for (unix_s, rfc, common) in [
            (0, "1970-01-01T00:00:00.000000Z", "01/Jan/1970:00:00:00 +0000"),
            (951_782_400, "2000-02-29T00:00:00.000000Z", "29/Feb/2000:00:00:00 +0000"),
            (1_709_251_199, "2024-02-29T23:59:59.000000Z", "29/Feb/2024:23:59:59 +0000"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z", "01/Mar/2100:00:00:00 +0000"),
        ] {
            assert_eq!(Rfc3339(unix_s * 1_000_000).to_string(), rfc);
            assert_eq!(CommonLog(unix_s * 1_000_000).to_string(), common);
        }
        assert_eq!(Rfc3339(1_000_042).to_string(), "1970-01-01T00:00:01.000042Z");
    }

    #[test]
    fn every_day_follows_the_day_before() {
        let leap =
            |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..200_000 {
            let date = civil(days * MICROS_PER_DAY + 1);
            assert_eq!((date.year, date.month, date.day), (year, month, day));
            let last = match month {
                2 => 28 + u64::from(leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > last {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }
}
