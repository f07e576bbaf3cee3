//! The pattern of a route, `"shop.example/users/{id}/*"`, as a value, and the order in which patterns
//! are tried. It is the definition that the router must agree with, not the router: it matches one
//! pattern at a time.
//!
//! Order, first difference decides:
//! 1. host: exact, then wildcard (longer first), then any;
//! 2. path: exact, then template, then prefix;
//! 3. templates and prefixes, segment by segment from the left: a literal, then a part of a segment
//!    (`/img*`), then a capture, then an open end (`/*`), then the end of the pattern;
//! 4. the longer literal text;
//! 5. more conditions on methods, headers and query;
//! 6. the order in the file.

mod normal;
mod parse;

pub use normal::{normal, resolved, sent_len, start_len};
pub use parse::PatternError;

use std::cmp::Reverse;
use std::fmt;

/// Host and path of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    pub host: HostPattern,
    pub path: PathPattern,
}

/// The host part; names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    Any,
    /// `"shop.example"`, `"10.0.0.1"`, `"[::1]"`.
    Exact(String),
    /// `"*.shop.example"`, without its `*`: one or more labels before `.shop.example`.
    Wildcard(String),
}

/// The path part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// `"/about"`: this path.
    Exact(String),
    /// `"/users/{id}/orders"`: as many segments as here.
    Template(Vec<Segment>),
    /// `"/users/{id}/*"`, `"/img*"`: begins like this. The last segment is a literal, empty after a
    /// slash, that the path's text must continue from: `"/api/*"` does not match `/api`.
    Prefix(Vec<Segment>),
}

/// What stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    Literal(String),
    /// `{name}`: one segment, not empty.
    Capture(String),
}

/// The place of a route in the order of trial; the smaller is tried first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precedence {
    host: (u8, Reverse<usize>),
    path: u8,
    segments: Vec<u8>,
    literal_bytes: Reverse<usize>,
    conditions: Reverse<usize>,
    index: usize,
}

impl Precedence {
    /// What puts it before `other`, in words that say how `other` is; the first difference decides.
    #[must_use]
    pub fn why_before(&self, other: &Self) -> &'static str {
        if self.host != other.host {
            "its host is less specific"
        } else if self.path != other.path {
            "its path is less exact"
        } else if self.segments != other.segments {
            "its path is less specific"
        } else if self.literal_bytes != other.literal_bytes {
            "its path has less literal text"
        } else if self.conditions != other.conditions {
            "it has fewer conditions"
        } else {
            "it stands later in the file"
        }
    }
}

/// What a match found, as slices of the path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures<'p, 't> {
    /// Captures by name, in the order of the pattern.
    pub named: Vec<(&'p str, &'t str)>,
    /// What `*` stood for; empty for a pattern without one.
    pub rest: &'t str,
}

impl<'t> Captures<'_, 't> {
    /// The value of a placeholder: `rest`, or a capture's name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'t str> {
        if name == "rest" {
            return Some(self.rest);
        }
        self.named.iter().find(|(found, _)| *found == name).map(|(_, value)| *value)
    }
}

impl Pattern {
    /// Matches a host (lower case, without port) and a path ([`normal`], without query).
    #[must_use]
    pub fn matches<'p, 't>(&'p self, host: &str, path: &'t str) -> Option<Captures<'p, 't>> {
        if self.host.matches(host) { self.path.matches(path) } else { None }
    }

    /// The place of a route in the order of trial. `conditions` counts its conditions: one for any list
    /// of methods, one for each header and each query parameter. `index` is its place in the file.
    #[must_use]
    pub fn precedence(&self, conditions: usize, index: usize) -> Precedence {
        let host = match &self.host {
            HostPattern::Exact(_) => (0, Reverse(0)),
            HostPattern::Wildcard(suffix) => (1, Reverse(suffix.len())),
            HostPattern::Any => (2, Reverse(0)),
        };
        let (path, segments): (u8, &[Segment]) = match &self.path {
            PathPattern::Exact(_) => (0, &[]),
            PathPattern::Template(segments) => (1, segments),
            PathPattern::Prefix(segments) => (2, segments),
        };
        let last = segments.len().saturating_sub(1);
        let rank = |(at, segment): (usize, &Segment)| match segment {
            Segment::Literal(text) if path == 2 && at == last => {
                if text.is_empty() {
                    3
                } else {
                    1
                }
            }
            Segment::Literal(_) => 0,
            Segment::Capture(_) => 2,
        };
        let end_of_pattern = 4;
        let literal = |segment: &Segment| match segment {
            Segment::Literal(text) => text.len(),
            Segment::Capture(_) => 0,
        };
        Precedence {
            host,
            path,
            segments: segments.iter().enumerate().map(rank).chain([end_of_pattern]).collect(),
            literal_bytes: Reverse(segments.iter().map(literal).sum()),
            conditions: Reverse(conditions),
            index,
        }
    }

    /// The pattern with its captures' names removed: equal for two patterns that match the same requests.
    #[must_use]
    pub fn unnamed(&self) -> Self {
        Self { host: self.host.clone(), path: self.path.unnamed() }
    }
}

impl HostPattern {
    /// Matches a host in lower case, without port.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => name == host,
            Self::Wildcard(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
        }
    }
}

impl PathPattern {
    /// Matches a path in its [`normal`] form.
    #[must_use]
    pub fn matches<'p, 't>(&'p self, path: &'t str) -> Option<Captures<'p, 't>> {
        match self {
            Self::Exact(exact) => (exact == path).then(Captures::default),
            Self::Template(segments) => matches_segments(segments, path, false),
            Self::Prefix(segments) => matches_segments(segments, path, true),
        }
    }

    /// The text that every matching path begins with.
    #[must_use]
    pub fn literal_start(&self) -> String {
        let segments = match self {
            Self::Exact(path) => return path.clone(),
            Self::Template(segments) | Self::Prefix(segments) => segments,
        };
        let mut start = String::new();
        for segment in segments {
            start.push('/');
            match segment {
                Segment::Literal(text) => start.push_str(text),
                Segment::Capture(_) => break,
            }
        }
        start
    }

    /// The names of the captures.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        let segments: &[Segment] = match self {
            Self::Exact(_) => &[],
            Self::Template(segments) | Self::Prefix(segments) => segments,
        };
        segments.iter().filter_map(|segment| match segment {
            Segment::Capture(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        })
    }

    fn unnamed(&self) -> Self {
        let strip = |segments: &[Segment]| {
            let unnamed = |segment: &Segment| match segment {
                Segment::Capture(_) => Segment::Capture(String::new()),
                literal @ Segment::Literal(_) => literal.clone(),
            };
            segments.iter().map(unnamed).collect()
        };
        match self {
            Self::Exact(path) => Self::Exact(path.clone()),
            Self::Template(segments) => Self::Template(strip(segments)),
            Self::Prefix(segments) => Self::Prefix(strip(segments)),
        }
    }
}

fn matches_segments<'p, 't>(segments: &'p [Segment], path: &'t str, open: bool) -> Option<Captures<'p, 't>> {
    let mut captures = Captures::default();
    let mut rest = path;
    for (at, segment) in segments.iter().enumerate() {
        rest = rest.strip_prefix('/')?;
        if open && at + 1 == segments.len() {
            let Segment::Literal(text) = segment else { return None };
            captures.rest = rest.strip_prefix(text.as_str())?;
            return Some(captures);
        }
        let end = rest.find('/').unwrap_or(rest.len());
        let (found, after) = rest.split_at(end);
        match segment {
            Segment::Literal(text) if text == found => {}
            Segment::Capture(name) if !found.is_empty() => captures.named.push((name, found)),
            _ => return None,
        }
        rest = after;
    }
    rest.is_empty().then_some(captures)
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HostPattern::Any => {}
            HostPattern::Exact(name) => f.write_str(name)?,
            HostPattern::Wildcard(suffix) => write!(f, "*{suffix}")?,
        }
        let (segments, open) = match &self.path {
            PathPattern::Exact(path) => return f.write_str(path),
            PathPattern::Template(segments) => (segments, ""),
            PathPattern::Prefix(segments) => (segments, "*"),
        };
        for segment in segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Capture(name) => write!(f, "/{{{name}}}")?,
            }
        }
        f.write_str(open)
    }
}
