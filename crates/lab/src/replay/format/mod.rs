//! The formats that can be read, how they are told apart, and what a line of any of them becomes.

mod access;
mod csv;
mod haproxy;
mod json;
mod plain;

pub use csv::Csv;
pub use json::Json;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};

/// One request, as far as a cache is concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// Hash of what names the object.
    pub key: u64,
    /// Bytes of the response, where the log has them.
    pub bytes: Option<u64>,
    /// What it took, where the log has it.
    pub duration_us: Option<f64>,
    /// Whether a shared cache would store the answer; true where the log has neither method nor status.
    pub is_cacheable: bool,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Line {
    Request(Request),
    /// Consecutive keys from `first`, as block traces have them.
    Run {
        first: u64,
        count: u64,
    },
    /// A heading, a comment or an empty line.
    Nothing,
    /// Not of this format: why.
    Damaged(&'static str),
}

/// The names that `--format` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Common Log Format, Combined, NGINX's default.
    Access,
    /// HAProxy's HTTP log.
    Haproxy,
    /// One JSON object a line.
    Json,
    Csv,
    /// One key a line.
    Keys,
    /// `time key bytes`, separated by blanks.
    Sized,
    /// `first count ignored number` of the ARC traces.
    Arc,
    /// Big-endian 32-bit keys.
    U32,
    /// Big-endian 64-bit keys.
    I64,
}

impl Format {
    pub const ALL: [Self; 9] = [
        Self::Access,
        Self::Haproxy,
        Self::Json,
        Self::Csv,
        Self::Keys,
        Self::Sized,
        Self::Arc,
        Self::U32,
        Self::I64,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Haproxy => "haproxy",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Keys => "keys",
            Self::Sized => "sized",
            Self::Arc => "arc",
            Self::U32 => "u32",
            Self::I64 => "i64",
        }
    }

    /// Bytes of a word, for the formats that have no lines.
    #[must_use]
    pub fn word(self) -> Option<usize> {
        match self {
            Self::U32 => Some(4),
            Self::I64 => Some(8),
            _ => None,
        }
    }

    /// What the beginning of an input looks like.
    #[must_use]
    pub fn guess(start: &[u8]) -> Option<Self> {
        if start.iter().any(|byte| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x1b)) {
            return Some(guess_word(start));
        }
        let text = String::from_utf8_lossy(start);
        let votes = text.lines().take(20).filter_map(guess_line);
        // One broken line at the top shall not decide.
        let mut counts = [0; Self::ALL.len()];
        votes.for_each(|vote| counts[vote as usize] += 1);
        let most = counts.iter().copied().max().filter(|most| *most > 0)?;
        Self::ALL.into_iter().find(|format| counts[*format as usize] == most)
    }
}

/// 32-bit keys come at even and odd places alike; the halves of 64-bit keys have little in common, and the upper
/// ones are all the same where keys are small.
fn guess_word(start: &[u8]) -> Format {
    let halves = |which: usize| start.chunks_exact(8).map(move |word| &word[which..which + 4]);
    let (even, odd): (BTreeSet<&[u8]>, BTreeSet<&[u8]>) = (halves(0).collect(), halves(4).collect());
    let (all, shared) = (halves(0).count(), halves(0).filter(|half| odd.contains(half)).count());
    if even.len() > 1 && shared * 50 > all { Format::U32 } else { Format::I64 }
}

fn guess_line(line: &str) -> Option<Format> {
    let line = line.trim();
    if line.is_empty() || line == "*" || line.starts_with('#') {
        return None;
    }
    let words = || line.split_ascii_whitespace();
    let all_numbers = || words().all(|word| word.parse::<f64>().is_ok());
    if line.starts_with('{') {
        Some(Format::Json)
    } else if line.ends_with('"') && words().any(haproxy::is_timers) {
        Some(Format::Haproxy)
    } else if line.contains('"') && line.contains('[') {
        Some(Format::Access)
    } else if line.contains(',') {
        Some(Format::Csv)
    } else {
        match words().count() {
            1 => Some(Format::Keys),
            3 if all_numbers() => Some(Format::Sized),
            4 if all_numbers() => Some(Format::Arc),
            _ => None,
        }
    }
}

/// A reader of lines with what it has to remember between them.
#[derive(Clone, Debug)]
pub enum Parser {
    Access,
    Haproxy,
    Json(Json),
    Csv(Csv),
    Keys,
    Sized,
    Arc,
}

impl Parser {
    /// One line without its end.
    pub fn line(&mut self, line: &str) -> Line {
        if line.trim().is_empty() {
            return Line::Nothing;
        }
        match self {
            Self::Access => access::line(line),
            Self::Haproxy => haproxy::line(line),
            Self::Json(json) => json.line(line),
            Self::Csv(csv) => csv.line(line),
            Self::Keys => plain::keys(line),
            Self::Sized => plain::sized(line),
            Self::Arc => plain::arc(line),
        }
    }
}

/// The hash of the parts of a key. The same parts give the same hash in every run of this program.
#[must_use]
pub fn key(parts: &[&[u8]]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for part in parts {
        hasher.write(part);
        hasher.write_u8(0xff); // no part of UTF-8
    }
    hasher.finish()
}

/// Whether a shared cache stores answers of this kind without being told: RFC 9110, section 15.1; 304 stands for
/// the answer that it confirms.
fn is_cacheable(method: Option<&str>, status: Option<u16>) -> bool {
    method.is_none_or(|method| matches!(method, "GET" | "HEAD"))
        && status.is_none_or(|status| {
            matches!(status, 200 | 203 | 204 | 206 | 300 | 301 | 304 | 308 | 404 | 405 | 410 | 414 | 501)
        })
}

/// A request from what the HTTP formats have in common.
fn http(method: &str, target: &str, status: u16, bytes: Option<u64>, duration_us: Option<f64>) -> Line {
    let key = key(&[target.as_bytes()]);
    Line::Request(Request { key, bytes, duration_us, is_cacheable: is_cacheable(Some(method), Some(status)) })
}

/// Method and target of `GET /path HTTP/1.1`.
fn request_line(text: &str) -> Option<(&str, &str)> {
    let (method, rest) = text.split_once(' ')?;
    let target = rest.rsplit_once(" HTTP/").map_or(rest, |(target, _)| target);
    let is_method =
        !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    (is_method && !target.is_empty()).then_some((method, target))
}
