//! What a route asks of a request beyond host and path: listener, method, header fields, query parameters.

use super::{Ask, RouteRule};
use std::fmt;

/// What came of a route whose host and path match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'t> {
    Chosen,
    /// All of it is met, but a route that is tried earlier was chosen.
    Later,
    /// It belongs to other listeners.
    Listener,
    /// It lists other methods.
    Method,
    /// This header, in lower case, is missing or has another value.
    Header(&'t str),
    /// This query parameter is missing or has another value.
    Query(&'t str),
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen => f.write_str("chosen"),
            Self::Later => f.write_str("would match, but is tried later"),
            Self::Listener => f.write_str("belongs to other listeners"),
            Self::Method => f.write_str("lists other methods"),
            Self::Header(name) => write!(f, "the header `{name}` is missing or has another value"),
            Self::Query(name) => write!(f, "the query parameter `{name}` is missing or has another value"),
        }
    }
}

/// The conditions of one route; each empty list asks nothing.
pub(super) struct Conditions {
    listeners: Box<[u32]>,
    methods: Box<[Box<[u8]>]>,
    headers: Box<[Wanted]>,
    query: Box<[Wanted]>,
}

struct Wanted {
    name: Box<str>,
    /// `None` is content with any value.
    value: Option<Box<[u8]>>,
}

impl Conditions {
    pub(super) fn new(rule: &RouteRule) -> Self {
        let wanted = |(name, value): &(String, String)| Wanted {
            name: name.as_str().into(),
            value: (value != "*").then(|| value.as_bytes().into()),
        };
        let header = |(name, value): &(String, String)| wanted(&(name.to_ascii_lowercase(), value.clone()));
        let parameter = |(name, value): &(String, String)| Wanted {
            name: String::from_utf8_lossy(&decoded(name.as_bytes()).collect::<Vec<_>>()).into(),
            value: (value != "*").then(|| decoded(value.as_bytes()).collect()),
        };
        Self {
            listeners: rule.listeners.as_slice().into(),
            methods: rule.methods.iter().map(|method| method.as_bytes().into()).collect(),
            headers: rule.headers.iter().map(header).collect(),
            query: rule.query.iter().map(parameter).collect(),
        }
    }

    /// `Chosen`, or the first condition that the request does not meet.
    #[inline]
    pub(super) fn verdict(&self, ask: &Ask<'_>) -> Verdict<'_> {
        if !self.listeners.is_empty() && !self.listeners.contains(&ask.listener) {
            return Verdict::Listener;
        }
        if !self.methods.is_empty() && !self.methods.iter().any(|method| **method == *ask.method) {
            return Verdict::Method;
        }
        self.verdict_on_content(ask)
    }

    /// The methods that would be taken, where all else of the request is met.
    pub(super) fn methods_for(&self, ask: &Ask<'_>) -> &[Box<[u8]>] {
        let here = self.listeners.is_empty() || self.listeners.contains(&ask.listener);
        if here && self.verdict_on_content(ask) == Verdict::Chosen { &self.methods } else { &[] }
    }

    /// On header fields and query parameters.
    #[inline]
    fn verdict_on_content(&self, ask: &Ask<'_>) -> Verdict<'_> {
        let header = |wanted: &&Wanted| {
            let found = ask.fields.value_of(wanted.name.as_bytes());
            !wanted.accepts(found.map(|found| found.iter().copied()))
        };
        if let Some(unmet) = self.headers.iter().find(header) {
            return Verdict::Header(&unmet.name);
        }
        let query = |wanted: &&Wanted| {
            let found = parameter(ask.query, wanted.name.as_bytes());
            !wanted.accepts(found.map(decoded))
        };
        if let Some(unmet) = self.query.iter().find(query) {
            return Verdict::Query(&unmet.name);
        }
        Verdict::Chosen
    }

    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        let wanted = |list: &[Wanted]| -> usize {
            let text = |one: &Wanted| one.name.len() + one.value.as_ref().map_or(0, |value| value.len());
            size_of_val(list) + list.iter().map(text).sum::<usize>()
        };
        let methods = self.methods.iter().map(|method| method.len() + size_of::<Box<[u8]>>());
        size_of_val(&*self.listeners) + methods.sum::<usize>() + wanted(&self.headers) + wanted(&self.query)
    }
}

impl Wanted {
    fn accepts(&self, found: Option<impl Iterator<Item = u8>>) -> bool {
        match (&self.value, found) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(wanted), Some(found)) => found.eq(wanted.iter().copied()),
        }
    }
}

/// The value of the first parameter of that name as it came: what stands between `=` and the next `&`, empty where there is
/// no `=`. Names are compared decoded: a rule about `debug` is one about `de%62ug`.
fn parameter<'q>(query: Option<&'q [u8]>, name: &[u8]) -> Option<&'q [u8]> {
    query?.split(|&byte| byte == b'&').find_map(|pair| {
        let end = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
        let found = decoded(&pair[..end]).eq(name.iter().copied());
        found.then(|| pair.get(end + 1..).unwrap_or_default())
    })
}

/// The bytes that services read: percent-encoding (RFC 3986 section 2.1) and `+` for a blank, as in forms. What is not
/// rightly encoded stays as it is.
fn decoded(text: &[u8]) -> impl Iterator<Item = u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (&first, behind) = rest.split_first()?;
        let encoded = digit(behind.first()).zip(digit(behind.get(1))).filter(|_| first == b'%');
        rest = if encoded.is_some() { &behind[2..] } else { behind };
        Some(match encoded {
            Some((high, low)) => (high << 4 | low) as u8,
            None if first == b'+' => b' ',
            None => first,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_parameters() {
        for (query, name, value) in [
            ("a=1&b=2", "a", Some("1")),
            ("a=1&b=2", "b", Some("2")),
            ("a=1&a=2", "a", Some("1")),
            ("a&a=2", "a", Some("")),
            ("a=", "a", Some("")),
            ("a=b=c", "a", Some("b=c")),
            ("ab=1&a=2", "a", Some("2")),
            ("xa=1", "a", None),
            ("&&a=1", "a", Some("1")),
            ("%61=1", "a", Some("1")),
            ("%6=1&a%2=2", "a%2", Some("2")),
            ("%=1", "%", Some("1")),
            ("a+b=1", "a b", Some("1")),
            ("a=%31+x", "a", Some("%31+x")),
            ("", "a", None),
        ] {
            let got = parameter(Some(query.as_bytes()), name.as_bytes());
            assert_eq!(got, value.map(str::as_bytes), "{name} in {query}");
        }
        assert_eq!(parameter(None, b"a"), None);
        assert!(decoded(b"%31+x%zz%C3").eq(*b"1 x%zz\xc3"));
    }
}
