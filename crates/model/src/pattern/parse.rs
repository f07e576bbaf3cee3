//! Reads patterns. What they mean is in the parent module.

use super::{HostPattern, PathPattern, Pattern, Segment, normal};
use crate::grammar::{is_host_name, path_fault};
use crate::template::is_name;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Why a text is not a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("a pattern is missing; write a path like \"/api/*\", or \"/*\" for every path")]
    Empty,
    #[error("a path is missing; write \"shop.example/*\" for every path of a host")]
    NoPath,
    #[error("a host has no port: the listener decides it")]
    HostPort,
    #[error("for every host write the path alone")]
    HostStar,
    #[error("the host is neither a DNS name, nor \"*.\" before one, nor an IP address (IPv6 in brackets)")]
    Host,
    #[error("{0}")]
    Path(&'static str),
    #[error("`*` stands at the end of a path only")]
    Star,
    #[error(
        "a capture is a whole segment: a name of letters, digits and `_` in braces, like \"/users/{{id}}\""
    )]
    Capture,
    #[error("`rest`, `host`, `path` and `query` cannot name a capture: they have a meaning in redirects")]
    ReservedCapture,
    #[error("two captures have the same name")]
    DuplicateCapture,
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let slash = text.find('/').ok_or(PatternError::NoPath)?;
        let (host, path) = text.split_at(slash);
        Ok(Self { host: host_pattern(host)?, path: path_pattern(path)? })
    }
}

fn host_pattern(text: &str) -> Result<HostPattern, PatternError> {
    let host = text.to_ascii_lowercase();
    if host.is_empty() {
        return Ok(HostPattern::Any);
    }
    if host == "*" {
        return Err(PatternError::HostStar);
    }
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or(PatternError::Host)?;
        let ip: Ipv6Addr = inner.parse().map_err(|_| PatternError::Host)?;
        return Ok(HostPattern::Exact(format!("[{ip}]")));
    }
    if host.contains(':') {
        return Err(PatternError::HostPort);
    }
    if let Some(name) = host.strip_prefix("*.") {
        return if is_host_name(name) {
            Ok(HostPattern::Wildcard(format!(".{name}")))
        } else {
            Err(PatternError::Host)
        };
    }
    if is_host_name(&host) || host.parse::<Ipv4Addr>().is_ok() {
        Ok(HostPattern::Exact(host))
    } else {
        Err(PatternError::Host)
    }
}

fn path_pattern(text: &str) -> Result<PathPattern, PatternError> {
    // Of valid UTF-8, the normal form is ASCII where it differs.
    let text = &*String::from_utf8_lossy(&normal(text.as_bytes())).into_owned();
    let (body, open) = match text.strip_suffix('*') {
        Some(body) => (body, true),
        None => (text, false),
    };
    let mut segments = Vec::new();
    for segment in body.split('/').skip(1) {
        segments.push(path_segment(segment, &segments)?);
    }
    // What `*` stands for goes on where the text ends: `/.*` has no `.` segment.
    let goes_on = if open { "x" } else { "" };
    if let Some(fault) = path_fault(&(literal_text(&segments) + goes_on)) {
        return Err(PatternError::Path(fault));
    }
    match segments.last() {
        Some(Segment::Capture(_)) if open => Err(PatternError::Capture),
        _ if open => Ok(PathPattern::Prefix(segments)),
        _ if segments.iter().all(|segment| matches!(segment, Segment::Literal(_))) => {
            Ok(PathPattern::Exact(body.to_owned()))
        }
        _ => Ok(PathPattern::Template(segments)),
    }
}

fn path_segment(text: &str, before: &[Segment]) -> Result<Segment, PatternError> {
    if text.contains('*') {
        return Err(PatternError::Star);
    }
    if !text.contains(['{', '}']) {
        return Ok(Segment::Literal(text.to_owned()));
    }
    let name = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let name = name.filter(|name| is_name(name)).ok_or(PatternError::Capture)?;
    if matches!(name, "rest" | "host" | "path" | "query") {
        return Err(PatternError::ReservedCapture);
    }
    let capture = Segment::Capture(name.to_owned());
    if before.contains(&capture) { Err(PatternError::DuplicateCapture) } else { Ok(capture) }
}

fn literal_text(segments: &[Segment]) -> String {
    let mut text = String::new();
    for segment in segments {
        text.push('/');
        if let Segment::Literal(literal) = segment {
            text.push_str(literal);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_may_begin_what_the_star_goes_on_with() {
        let matches = |path: &str| "/{a}/.*".parse::<Pattern>().unwrap().matches("", path).is_some();
        assert!(matches("/x/.git") && matches("/x/.git/config") && !matches("/x/git"));
        for bad in ["/.", "/./*", "/a/../b*", "/.."] {
            assert!(matches!(bad.parse::<Pattern>(), Err(PatternError::Path(_))), "{bad}");
        }
    }
}
