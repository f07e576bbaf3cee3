//! Durations and sizes as the three formats write them.

use std::time::Duration;

/// The longest that a configuration may say.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Reads `90`, `30s`, `1h30m`, `500ms`; a bare number counts in `bare_unit`.
pub(crate) fn duration(text: &str, bare_unit: Duration) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit = match unit {
            "" => bare_unit,
            "us" => Duration::from_micros(1),
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3_600),
            "d" => Duration::from_secs(86_400),
            "w" => Duration::from_secs(7 * 86_400),
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        let piece = Duration::try_from_secs_f64(unit.as_secs_f64() * number).ok()?;
        total = total.checked_add(piece)?;
        rest = after;
    }
    let whole_us = Duration::from_micros(u64::try_from(total.as_micros()).ok()?);
    (!text.is_empty()).then(|| whole_us.min(YEAR))
}

/// Reads `1024`, `16k`, `10m`, `1g` (powers of 1024) and Caddy's `10MB` (of 1000) and `10MiB`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|&bytes| i64::try_from(bytes).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_format() {
        let second = Duration::from_secs(1);
        assert_eq!(duration("60", second), Some(Duration::from_secs(60)));
        assert_eq!(duration("5000", Duration::from_millis(1)), Some(Duration::from_secs(5)));
        assert_eq!(duration("1h30m", second), Some(Duration::from_secs(5_400)));
        assert_eq!(duration("1.5s", second), Some(Duration::from_millis(1_500)));
        assert_eq!(duration("99999999d", second), Some(YEAR));
        for bad in ["", "s", "1x", "-1s", "1.1.1s", "é"] {
            assert_eq!(duration(bad, second), None, "{bad}");
        }
        assert_eq!(size("10m"), Some(10 << 20));
        assert_eq!(size("10MB"), Some(10_000_000));
        assert_eq!(size("99999999999g"), None);
        assert_eq!(size("x"), None);
    }
}
