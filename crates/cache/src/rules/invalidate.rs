//! What an unsafe request makes outdated (RFC 9111 section 4.4).

use super::fields::{Fields, first};

/// Where a request went.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// `http` or `https`.
    pub scheme: &'a [u8],
    /// Host and port, as the client sent them.
    pub authority: &'a [u8],
    pub path: &'a [u8],
    pub query: Option<&'a [u8]>,
}

/// Whether stored responses of the target are outdated by a request of `method` that was answered with `status`.
/// Methods that nobody knows count as unsafe.
#[must_use]
pub fn invalidates(method: &[u8], status: u16) -> bool {
    const SAFE: [&[u8]; 8] =
        [b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PROPFIND", b"REPORT", b"SEARCH", b"QUERY"];
    (200..400).contains(&status) && !SAFE.contains(&method)
}

/// Paths with their queries that the response makes outdated besides the target's own: those of `Location` and
/// `Content-Location` where they are of the same origin, so that nobody can invalidate what is not theirs. `visit`
/// gets path and query, each as it would stand in a request.
pub fn further_targets(
    target: &Target<'_>,
    response: &impl Fields,
    visit: &mut impl FnMut(&[u8], Option<&[u8]>),
) {
    for name in [&b"location"[..], b"content-location"] {
        let Some(reference) = first(response, name) else { continue };
        let mut out = Vec::new();
        if let Some(query) = resolve(target, reference, &mut out) {
            visit(&out[..query.path_len], query.of(&out));
        }
    }
}

/// Whether `Content-Location` of `response` names the target itself, so that the answer to a POST is what a GET
/// would bring (RFC 9110 section 9.3.3).
#[must_use]
pub fn answers_itself(target: &Target<'_>, response: &impl Fields) -> bool {
    let mut out = Vec::new();
    let Some(reference) = first(response, b"content-location") else { return false };
    resolve(target, reference, &mut out)
        .is_some_and(|cut| out[..cut.path_len] == *target.path && cut.of(&out) == target.query)
}

/// Where the path of a resolved reference ends.
struct Cut {
    path_len: usize,
    has_query: bool,
}

impl Cut {
    fn of<'a>(&self, resolved: &'a [u8]) -> Option<&'a [u8]> {
        self.has_query.then(|| &resolved[self.path_len + 1..])
    }
}

/// Resolves `reference` against the target (RFC 3986 section 5.2) into path and query; None when it leads to
/// another origin.
fn resolve(target: &Target<'_>, reference: &[u8], out: &mut Vec<u8>) -> Option<Cut> {
    let until =
        |text: &[u8], stop: &[u8]| text.iter().position(|byte| stop.contains(byte)).unwrap_or(text.len());
    let reference = &reference[..until(reference, b"#")];
    let colon = until(reference, b":/?");
    let mut rest = reference;
    if reference.get(colon) == Some(&b':') {
        reference[..colon].eq_ignore_ascii_case(target.scheme).then_some(())?;
        rest = &reference[colon + 1..];
        rest.starts_with(b"//").then_some(())?;
    }
    let absolute = rest.strip_prefix(b"//");
    if let Some(after) = absolute {
        let end = until(after, b"/?");
        same_authority(&after[..end], target.authority, target.scheme).then_some(())?;
        rest = &after[end..];
    }
    let path_end = until(rest, b"?");
    let (path, query) = rest.split_at(path_end);
    let query = query.strip_prefix(b"?");
    if path.is_empty() && absolute.is_none() {
        out.extend_from_slice(target.path);
    } else if path.starts_with(b"/") || absolute.is_some() {
        remove_dot_segments(if path.is_empty() { b"/" } else { path }, out);
    } else {
        let folder = target.path.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
        let merged = [&target.path[..folder], path].concat();
        remove_dot_segments(&merged, out);
    }
    // An empty reference is the target itself, with its query.
    let query = if path.is_empty() && absolute.is_none() { query.or(target.query) } else { query };
    let cut = Cut { path_len: out.len(), has_query: query.is_some() };
    if let Some(query) = query {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    Some(cut)
}

fn same_authority(one: &[u8], other: &[u8], scheme: &[u8]) -> bool {
    let port: &[u8] = if scheme.eq_ignore_ascii_case(b"https") { b":443" } else { b":80" };
    let host = |authority: &'_ [u8]| authority.strip_suffix(port).unwrap_or(authority).len();
    one[..host(one)].eq_ignore_ascii_case(&other[..host(other)])
}

/// RFC 3986 section 5.2.4, for a path that begins with a slash.
fn remove_dot_segments(path: &[u8], out: &mut Vec<u8>) {
    let segments = path.strip_prefix(b"/").unwrap_or(path).split(|&byte| byte == b'/');
    let mut last_is_dot = false;
    for segment in segments {
        last_is_dot = segment == b"." || segment == b"..";
        match segment {
            b"." => {}
            b".." => out.truncate(out.iter().rposition(|&byte| byte == b'/').unwrap_or(0)),
            _ => {
                out.push(b'/');
                out.extend_from_slice(segment);
            }
        }
    }
    if last_is_dot || out.is_empty() {
        out.push(b'/');
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::tests::head;
    use super::*;

    const TARGET: Target<'_> =
        Target { scheme: b"http", authority: b"shop.example", path: b"/a/b", query: Some(b"q=1") };

    fn further(response: &str) -> Vec<String> {
        let mut found = Vec::new();
        further_targets(&TARGET, &head(response), &mut |path, query| {
            let query = query.map(|query| format!("?{}", String::from_utf8_lossy(query))).unwrap_or_default();
            found.push(format!("{}{query}", String::from_utf8_lossy(path)));
        });
        found
    }

    #[test]
    fn unsafe_and_unknown_methods_that_succeed() {
        for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "get"] {
            assert!(invalidates(method.as_bytes(), 200) && invalidates(method.as_bytes(), 303), "{method}");
            assert!(!invalidates(method.as_bytes(), 500) && !invalidates(method.as_bytes(), 404), "{method}");
        }
        assert!(!invalidates(b"GET", 200) && !invalidates(b"HEAD", 200) && !invalidates(b"OPTIONS", 200));
    }

    #[test]
    fn references_are_resolved_against_the_target() {
        for (reference, path) in [
            ("/c", "/c"),
            ("/c?x=1#part", "/c?x=1"),
            ("c", "/a/c"),
            ("./c/../d", "/a/d"),
            ("../../c", "/c"),
            ("..", "/"),
            (".", "/a/"),
            ("?x", "/a/b?x"),
            ("", "/a/b?q=1"),
            ("#part", "/a/b?q=1"),
            ("//shop.example/c", "/c"),
            ("http://SHOP.example:80/c", "/c"),
            ("HTTP://shop.example", "/"),
            ("http://shop.example?x", "/?x"),
        ] {
            assert_eq!(further(&format!("Location: {reference}")), [path], "{reference}");
        }
    }

    #[test]
    fn nobody_invalidates_what_is_elsewhere() {
        for reference in [
            "https://shop.example/c",
            "//other.example/c",
            "http://shop.example:8080/c",
            "mailto:a",
            "http:c",
            "x:/c",
        ] {
            assert_eq!(further(&format!("Content-Location: {reference}")), [""; 0], "{reference}");
        }
    }

    #[test]
    fn a_post_that_answers_for_its_own_target() {
        let itself = |value: &str| answers_itself(&TARGET, &head(&format!("Content-Location: {value}")));
        assert!(itself("/a/b?q=1") && itself("http://shop.example/a/b?q=1") && itself("b?q=1"));
        assert!(!itself("/a/b") && !itself("/a/c?q=1") && !itself("http://other.example/a/b?q=1"));
        assert!(!answers_itself(&TARGET, &head("")));
    }
}
