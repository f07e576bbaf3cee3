//! The query of `/journal`, from the text behind the question mark.

use headgate_model::spec::parse_duration;
use headgate_observe::journal::Query;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads `policy=`, `about=`, `since=` (a duration before `now`, or seconds since 1970) and `limit=`.
///
/// # Errors
/// What is wrong with it, in one line.
pub(crate) fn parse(text: &str, now: SystemTime) -> Result<Query, String> {
    let mut query = Query::default();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value).ok_or_else(|| format!("{name}: not percent-encoded UTF-8"))?;
        match name {
            "policy" => query.policy = value,
            "about" => query.about = value,
            "since" => {
                query.since_us = since(&value, now).ok_or("since: as 90s, 1h, or seconds since 1970")?
            }
            "limit" => query.limit = value.parse().map_err(|_| "limit: a number")?,
            _ => return Err(format!("{name}: unknown; there are policy, about, since and limit")),
        }
    }
    Ok(query)
}

fn since(text: &str, now: SystemTime) -> Option<u64> {
    let from = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
            now.saturating_sub(parse_duration(text).ok()?)
        }
    };
    u64::try_from(from.as_micros()).ok()
}

/// Undoes percent-encoding and `+`.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: u8| (byte as char).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read() {
        let now = UNIX_EPOCH + Duration::from_secs(10_000);
        let query = parse("policy=outlier&about=shop+10.0.0.1%3a80&since=1h&limit=7", now).unwrap();
        let expected = Query {
            policy: "outlier".to_owned(),
            about: "shop 10.0.0.1:80".to_owned(),
            since_us: 6_400_000_000,
            limit: 7,
        };
        assert_eq!(query, expected);
        assert_eq!(parse("since=12", now).unwrap().since_us, 12_000_000);
        assert_eq!(parse("since=1000h", now).unwrap().since_us, 0);
        assert_eq!(parse("", now).unwrap(), Query::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("sinse=1h", "sinse"),
            ("since=soon", "since"),
            ("limit=-1", "limit"),
            ("about=%f", "about"),
            ("policy=%ff", "policy"),
        ] {
            let error = parse(text, UNIX_EPOCH).unwrap_err();
            assert!(error.starts_with(named), "{text}: {error}");
        }
        assert!(parse("since=99999999999999999999", UNIX_EPOCH).is_err());
        assert!(parse("since=18446744073709551615", UNIX_EPOCH).is_err());
    }
}
