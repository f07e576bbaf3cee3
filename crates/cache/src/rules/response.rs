//! What a cache must know of a response before it may keep it: its directives, dates and age.

use super::date;
use super::directives::{ResponseDirectives, seconds};
use super::fields::{Fields, lines};
use super::settings::Settings;
use super::targeted::targeted;

/// The facts of one response that decide whether and for how long it is stored.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    pub(super) directives: ResponseDirectives,
    pub(super) age: Age,
    pub(super) date_unix_s: Option<u64>,
    /// Seconds since 1970; what is no date lies in the past (RFC 9111 section 5.3). None when it does not count.
    pub(super) expires_unix_s: Option<u64>,
    pub(super) last_modified_unix_s: Option<u64>,
    /// Whether it can be asked for again with a condition.
    pub(super) validator: bool,
    pub(super) set_cookie: bool,
}

/// The `Age` field (RFC 9111 section 5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Age {
    #[default]
    Absent,
    Seconds(u32),
    /// Its age cannot be known: it counts as stale.
    Unknown,
}

impl Said {
    pub(super) fn read(response: &impl Fields, settings: &Settings, now_unix_s: u64) -> Self {
        let mut said = Self::default();
        let mut expires_lines = 0;
        for (name, value) in response.fields() {
            let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
            match name.len() {
                3 if is(b"age") => said.age = said.age.and(value),
                4 if is(b"etag") => said.validator = true,
                4 if is(b"date") => said.date_unix_s = said.date_unix_s.or(date::parse(value, now_unix_s)),
                7 if is(b"expires") => {
                    expires_lines += 1;
                    said.expires_unix_s = Some(date::parse(value, now_unix_s).unwrap_or(0));
                }
                10 if is(b"set-cookie") => said.set_cookie = true,
                13 if is(b"last-modified") => {
                    said.last_modified_unix_s = date::parse(value, now_unix_s);
                    said.validator = true;
                }
                _ => {}
            }
        }
        if expires_lines > 1 {
            said.expires_unix_s = Some(0);
        }
        if let Some(directives) = targeted(response, &settings.targeted_fields) {
            said.directives = directives;
            said.expires_unix_s = None;
        } else {
            lines(response, b"cache-control").for_each(|line| said.directives.add(line));
        }
        said
    }

    /// Lifetime that the response itself names, for a shared cache (RFC 9111 section 4.2.1).
    pub(super) fn explicit_lifetime_s(&self, received_unix_s: u64) -> Option<u32> {
        let named = self.directives.s_maxage.or(self.directives.max_age);
        named.or_else(|| {
            let from = self.date_unix_s.unwrap_or(received_unix_s);
            self.expires_unix_s.map(|expires| saturated(expires.saturating_sub(from)))
        })
    }

    /// Its age when it was received (RFC 9111 section 4.2.3).
    pub(super) fn initial_age_s(&self, requested_ms: u64, received_ms: u64) -> u32 {
        let apparent_s = self.date_unix_s.map_or(0, |date| (received_ms / 1_000).saturating_sub(date));
        let said_s = if let Age::Seconds(age) = self.age { u64::from(age) } else { 0 };
        saturated(apparent_s.max(said_s + received_ms.saturating_sub(requested_ms) / 1_000))
    }
}

impl Age {
    /// With one more line. Two caches that both speak of an age leave it open which is right, and so does a line
    /// in which somebody has joined two (a comma and a space); of a list that came as one, the first counts, as
    /// RFC 9111 wants it.
    fn and(self, line: &[u8]) -> Self {
        if self != Self::Absent {
            return Self::Unknown;
        }
        let mut parts = line.splitn(2, |&byte| byte == b',');
        let first = parts.next().and_then(seconds);
        match (first, parts.next()) {
            (Some(_), Some([b' ' | b'\t', ..])) | (None, _) => Self::Unknown,
            (Some(age), _) => Self::Seconds(age),
        }
    }
}

fn saturated(seconds: u64) -> u32 {
    u32::try_from(seconds).unwrap_or(super::directives::MAX_SECONDS).min(super::directives::MAX_SECONDS)
}
