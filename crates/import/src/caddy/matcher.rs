//! Matchers: `/path*`, `*`, `@name`, and how one inside another narrows it.

use super::parse::Directive;
use headgate_model::spec::RouteSpec;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What requests must be like. An empty list asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Matcher {
    pub(super) hosts: Vec<String>,
    paths: Vec<String>,
    methods: Vec<String>,
    headers: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
}

pub(super) type Named = BTreeMap<String, Result<Matcher, String>>;

impl Matcher {
    pub(super) fn of_path(path: &str) -> Result<Self, String> {
        if path.trim_end_matches('*').contains('*') || !path.starts_with('/') {
            return Err(format!("the path {path}: `*` stands at the end only"));
        }
        Ok(Self { paths: vec![path.to_owned()], ..Self::default() })
    }

    /// The prefix of a single path, `/api` of `/api/*`.
    pub(super) fn prefix(&self) -> Option<&str> {
        match self.paths.as_slice() {
            [path] => {
                path.strip_suffix('*').map(|path| path.trim_end_matches('/')).filter(|path| !path.is_empty())
            }
            _ => None,
        }
    }

    /// The place among directives of one name: the longer single path first, then other matchers, then none.
    pub(super) fn order(&self) -> (u8, Reverse<usize>, bool) {
        match self.paths.as_slice() {
            [path] => (0, Reverse(path.trim_end_matches('*').len()), path.ends_with('*')),
            _ => (if *self == Self::default() { 2 } else { 1 }, Reverse(0), false),
        }
    }

    /// The requests that both want.
    pub(super) fn and(&self, inner: &Self) -> Result<Self, String> {
        let either = |a: &[String], b: &[String], what: &str| match (a, b) {
            (a, []) => Ok(a.to_vec()),
            ([], b) => Ok(b.to_vec()),
            (a, b) if a == b => Ok(a.to_vec()),
            _ => Err(format!("two conditions on the {what} at once")),
        };
        let mut paths = Vec::new();
        for outer in &self.paths {
            paths.extend(inner.paths.iter().filter_map(|inner| narrower(outer, inner)));
        }
        if self.paths.is_empty() || inner.paths.is_empty() {
            paths = self.paths.iter().chain(&inner.paths).cloned().collect();
        } else if paths.is_empty() {
            return Err("the path inside is not part of the one outside".to_owned());
        }
        let mut both = self.clone();
        both.headers.extend(inner.headers.clone());
        both.query.extend(inner.query.clone());
        Ok(Self {
            hosts: either(&self.hosts, &inner.hosts, "host")?,
            paths,
            methods: either(&self.methods, &inner.methods, "method")?,
            ..both
        })
    }

    /// The same with every path behind a prefix: what is inside a `handle_path`.
    pub(super) fn behind(&self, prefix: &str) -> Self {
        Self { paths: self.paths.iter().map(|path| format!("{prefix}{path}")).collect(), ..self.clone() }
    }

    /// The routes that match so.
    pub(super) fn routes(&self, hosts: &[String], route: &RouteSpec) -> Vec<RouteSpec> {
        let any = ["/*".to_owned()];
        let hosts = if self.hosts.is_empty() { hosts } else { &self.hosts };
        let paths = if self.paths.is_empty() { &any[..] } else { &self.paths };
        let one = |host: &String, path: &String| RouteSpec {
            pattern: format!("{host}{path}"),
            methods: self.methods.clone(),
            headers: self.headers.clone(),
            query: self.query.clone(),
            ..route.clone()
        };
        hosts.iter().flat_map(|host| paths.iter().map(move |path| one(host, path))).collect()
    }
}

/// The narrower of two paths, when one contains the other.
fn narrower(a: &str, b: &str) -> Option<String> {
    let contains = |outer: &str, inner: &str| match outer.strip_suffix('*') {
        Some(prefix) => inner.starts_with(prefix),
        None => outer == inner,
    };
    if contains(a, b) { Some(b.to_owned()) } else { contains(b, a).then(|| a.to_owned()) }
}

/// The named matchers of a block.
pub(super) fn named(block: &[Directive], outer: &Named) -> Named {
    let mut all = outer.clone();
    for directive in block.iter().filter(|directive| directive.word(0).starts_with('@')) {
        let lines: Vec<&[String]> = match directive.rest(1) {
            [] => directive.block.iter().map(|line| line.words.as_slice()).collect(),
            words => vec![words],
        };
        all.insert(directive.word(0).to_owned(), set(&lines));
    }
    all
}

fn set(lines: &[&[String]]) -> Result<Matcher, String> {
    let mut matcher = Matcher::default();
    for words in lines {
        let (kind, values) = words.split_first().ok_or("an empty matcher")?;
        match (kind.as_str(), values) {
            ("path", values) if !values.is_empty() => {
                for value in values {
                    matcher.paths.extend(Matcher::of_path(value)?.paths);
                }
            }
            ("host", values) => matcher.hosts.extend(values.iter().cloned()),
            ("method", values) => {
                matcher.methods.extend(values.iter().map(|method| method.to_ascii_uppercase()))
            }
            ("header", [name, value]) if value == "*" || !value.contains('*') => {
                matcher.headers.insert(name.to_ascii_lowercase(), value.clone());
            }
            ("header", [name]) if !name.starts_with('!') => {
                matcher.headers.insert(name.to_ascii_lowercase(), "*".to_owned());
            }
            ("query", pairs) if pairs.iter().all(|pair| pair.contains('=')) => {
                let pairs = pairs.iter().filter_map(|pair| pair.split_once('='));
                matcher.query.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
            }
            _ => return Err(format!("the matcher {}: no counterpart", words.join(" "))),
        }
    }
    Ok(matcher)
}

/// Splits the matcher off the words after a directive's name.
pub(super) fn split<'w>(words: &'w [String], named: &Named) -> (Result<Matcher, String>, &'w [String]) {
    match words.split_first() {
        Some((first, rest)) if first == "*" => (Ok(Matcher::default()), rest),
        Some((first, rest)) if first.starts_with('/') => (Matcher::of_path(first), rest),
        Some((first, rest)) if first.starts_with('@') => {
            let found = named.get(first).cloned();
            (found.unwrap_or_else(|| Err(format!("there is no matcher {first}"))), rest)
        }
        _ => (Ok(Matcher::default()), words),
    }
}
