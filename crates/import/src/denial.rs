//! Refusals and the routes that let through: where a refusal covers a part of a route, that part becomes a
//! route of its own. Other gateways look at their refusals first; Headgate at the most specific route.

use headgate_model::spec::{Respond, RouteSpec};
use std::collections::BTreeMap;

/// A refusal, and the methods that it leaves out.
#[derive(PartialEq)]
pub(crate) struct Denial {
    pub(crate) route: RouteSpec,
    pub(crate) other_than: Vec<String>,
}

impl Denial {
    /// The methods of a route that it leaves alone; none where it takes them all.
    pub(crate) fn leaves(&self, route: &RouteSpec) -> Vec<String> {
        if route.methods.is_empty() {
            return self.other_than.clone();
        }
        route.methods.iter().filter(|method| self.other_than.contains(method)).cloned().collect()
    }
}

/// What a refusal takes of a route.
#[derive(Debug, PartialEq)]
pub(crate) enum Meeting {
    Nothing,
    All,
    /// The requests that both match, refused.
    Part(Box<RouteSpec>),
    /// It takes something that no pattern can say.
    Unclear,
}

/// Sets `denial` against `route`. Each part of the result is at least as specific as that of `route`, so
/// that it is tried first when it stands before it.
pub(crate) fn meet(route: &RouteSpec, denial: &RouteSpec) -> Meeting {
    let (own, theirs) = (split(&route.pattern), split(&denial.pattern));
    let path = match path(own.1, theirs.1) {
        Some(Shared::Path(path)) => Some(path),
        Some(Shared::Unclear) => return Meeting::Unclear,
        None => None,
    };
    let both = || -> Option<RouteSpec> {
        Some(RouteSpec {
            pattern: format!("{}{}", host(own.0, theirs.0)?, path?),
            listeners: list(&route.listeners, &denial.listeners)?,
            methods: list(&route.methods, &denial.methods)?,
            headers: map(&route.headers, &denial.headers)?,
            query: map(&route.query, &denial.query)?,
            respond: denial.respond.clone(),
            response_headers: denial.response_headers.clone(),
            ..RouteSpec::default()
        })
    };
    let Some(both) = both() else { return Meeting::Nothing };
    let same = |a: &RouteSpec, b: &RouteSpec| {
        a.pattern.eq_ignore_ascii_case(&b.pattern)
            && (&a.listeners, &a.methods, &a.headers, &a.query)
                == (&b.listeners, &b.methods, &b.headers, &b.query)
    };
    if same(&both, &sorted(route)) { Meeting::All } else { Meeting::Part(Box::new(both)) }
}

/// The same requests, refused.
pub(crate) fn refused(route: &RouteSpec, status: u16) -> RouteSpec {
    RouteSpec {
        pattern: route.pattern.clone(),
        listeners: route.listeners.clone(),
        methods: route.methods.clone(),
        headers: route.headers.clone(),
        query: route.query.clone(),
        respond: Some(Respond { status, ..Respond::default() }),
        ..RouteSpec::default()
    }
}

/// Host and path of a pattern.
pub(crate) fn split(pattern: &str) -> (&str, &str) {
    pattern.split_at(pattern.find('/').unwrap_or(pattern.len()))
}

fn sorted(route: &RouteSpec) -> RouteSpec {
    let mut route = refused(route, 403);
    for list in [&mut route.listeners, &mut route.methods] {
        list.sort();
        list.dedup();
    }
    route
}

/// The hosts that both match; an empty one is every host.
fn host(a: &str, b: &str) -> Option<String> {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    let inside = |inner: &str, outer: &str| {
        outer.is_empty() || inner == outer || outer.strip_prefix('*').is_some_and(|end| inner.ends_with(end))
    };
    if inside(&a, &b) { Some(a) } else { inside(&b, &a).then_some(b) }
}

/// What two paths have in common.
enum Shared {
    Path(String),
    /// Something that no pattern can say.
    Unclear,
}

/// The paths that both match.
fn path(a: &str, b: &str) -> Option<Shared> {
    if a.contains('{') {
        return Some(Shared::Unclear);
    }
    if b.contains('{') {
        return path_with_captures(a, b);
    }
    let inside = |inner: &str, outer: &str| match outer.strip_suffix('*') {
        Some(start) => inner.strip_suffix('*').unwrap_or(inner).starts_with(start),
        None => inner == outer,
    };
    let both = if inside(a, b) { Some(a) } else { inside(b, a).then_some(b) };
    both.map(|both| Shared::Path(both.to_owned()))
}

/// The same where the second has captures and ends in `*`, as `/{a}/.ht*`: segment by segment.
fn path_with_captures(plain: &str, captures: &str) -> Option<Shared> {
    let whole = || Some(Shared::Path(plain.to_owned()));
    let (base, part) = plain.split_at(plain.rfind('/')? + 1);
    let Some(start) = captures.strip_suffix('*') else { return Some(Shared::Unclear) };
    let segments: Vec<&str> = start.split('/').skip(1).collect();
    let (open, before) = segments.split_last()?;
    // The complete segments of the plain path; an exact one is complete to its end.
    let (complete, part) = match part.strip_suffix('*') {
        Some(part) => (base, Some(part)),
        None => (plain, None),
    };
    let own = complete.trim_end_matches('/').split('/').skip(1);
    let mut left = before.iter();
    for own in own {
        match left.next() {
            Some(segment) if segment.starts_with('{') && !own.is_empty() || *segment == own => {}
            Some(_) => return None,
            None => return if own.starts_with(open) { whole() } else { None },
        }
    }
    let part = part?;
    match left.as_slice() {
        [] if part.starts_with(open) => whole(),
        [] => open.starts_with(part).then(|| Shared::Path(format!("{base}{open}*"))),
        [first, ..] if part.is_empty() || !first.starts_with('{') && first.starts_with(part) => {
            Some(Shared::Path(format!("{base}{}/{open}*", left.as_slice().join("/"))))
        }
        [first, ..] if first.starts_with('{') => Some(Shared::Unclear),
        _ => None,
    }
}

/// What two lists have in common; an empty one is everything.
fn list(a: &[String], b: &[String]) -> Option<Vec<String>> {
    let mut common: Vec<String> = match (a, b) {
        (all, []) | ([], all) => all.to_vec(),
        (a, b) => Some(a.iter().filter(|item| b.contains(item)).cloned().collect::<Vec<_>>())
            .filter(|common| !common.is_empty())?,
    };
    common.sort();
    common.dedup();
    Some(common)
}

/// What fulfils both; None when nothing can.
fn map(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    let mut both = a.clone();
    for (name, value) in b {
        match both.get(name).map(String::as_str) {
            None | Some("*") => drop(both.insert(name.clone(), value.clone())),
            Some(own) if own == value || value == "*" => {}
            Some(_) => return None,
        }
    }
    Some(both)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(pattern: &str, methods: &[&str]) -> RouteSpec {
        let methods = methods.iter().map(|method| (*method).to_owned()).collect();
        RouteSpec { pattern: pattern.to_owned(), methods, ..RouteSpec::default() }
    }

    #[test]
    fn a_refusal_takes_its_part_of_a_more_specific_route() {
        let part = |own: RouteSpec, denial: RouteSpec| match meet(&own, &denial) {
            Meeting::Part(both) => format!("{} {:?}", both.pattern, both.methods),
            other => format!("{other:?}"),
        };
        let all = |pattern| route(pattern, &[]);
        assert_eq!(part(all("shop.example/*"), all("/admin*")), "shop.example/admin* []");
        assert_eq!(part(all("/*"), all("*.example/a")), "*.example/a []");
        assert_eq!(part(all("/a/*"), route("/*", &["PUT", "GET"])), "/a/* [\"GET\", \"PUT\"]");
        assert_eq!(part(all("/admin/x*"), all("/admin*")), "All");
        assert_eq!(part(all("/admin/x"), all("/admin*")), "All");
        assert_eq!(part(all("a.example/*"), all("b.example/*")), "Nothing");
        assert_eq!(part(all("/a*"), all("/b*")), "Nothing");
        assert_eq!(part(route("/a", &["GET"]), route("/a", &["PUT"])), "Nothing");
        assert_eq!(part(all("/{id}/*"), all("/a*")), "Unclear");
    }

    #[test]
    fn a_refusal_at_any_place_is_cut_out_segment_by_segment() {
        let shared = |plain: &str, captures: &str| match path(plain, captures) {
            Some(Shared::Path(both)) => both,
            Some(Shared::Unclear) => "unclear".to_owned(),
            None => "nothing".to_owned(),
        };
        for (plain, captures, both) in [
            ("/*", "/.ht*", "/.ht*"),
            ("/*", "/{a}/.ht*", "/{a}/.ht*"),
            ("/api/*", "/{a}/.ht*", "/api/.ht*"),
            ("/api/*", "/{a}/{b}/.ht*", "/api/{b}/.ht*"),
            ("/api/v1/*", "/{a}/.ht*", "nothing"),
            ("/api/.ht/*", "/{a}/.ht*", "/api/.ht/*"),
            ("/api/.h*", "/{a}/.ht*", "/api/.ht*"),
            ("/api/.hta*", "/{a}/.ht*", "/api/.hta*"),
            ("/api*", "/{a}/.ht*", "unclear"),
            ("/api/.htaccess", "/{a}/.ht*", "/api/.htaccess"),
            ("/api/x", "/{a}/.ht*", "nothing"),
            ("/api/x", "/{a}/{b}/*", "nothing"),
            ("/a/b/c*", "/{a}/{b}/*", "/a/b/c*"),
            ("/a/*", "/{a}/{b}/git/x*", "/a/{b}/git/x*"),
        ] {
            assert_eq!(shared(plain, captures), both, "{plain} {captures}");
        }
    }

    #[test]
    fn conditions_on_one_header_can_exclude_each_other() {
        let with = |value: &str| RouteSpec {
            headers: BTreeMap::from([("x".to_owned(), value.to_owned())]),
            ..route("/*", &[])
        };
        assert_eq!(meet(&with("1"), &with("2")), Meeting::Nothing);
        assert_eq!(meet(&with("1"), &with("*")), Meeting::All);
        assert!(matches!(meet(&with("*"), &with("1")), Meeting::Part(_)));
    }
}
