//! What a cache must know of a request, gathered in one pass over its fields.

use super::directives::RequestDirectives;
use super::fields::Fields;

/// What a request asks for. Values of conditions and ranges are read again by who needs them; most requests have
/// none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub directives: RequestDirectives,
    pub authorization: bool,
    /// `If-None-Match` or `If-Modified-Since`: the cache may answer it.
    pub conditional: bool,
    /// `If-Match` or `If-Unmodified-Since`: for the origin alone (RFC 9111 section 4.3.2).
    pub for_origin: bool,
    /// `Range`, with or without `If-Range`.
    pub range: bool,
}

impl Asked {
    /// `obey_directives`: whether `Cache-Control` and `Pragma` of the request count; `only-if-cached` always does,
    /// because it costs nobody anything.
    #[must_use]
    pub fn read(request: &impl Fields, obey_directives: bool) -> Self {
        let mut asked = Self::default();
        let (mut cache_control, mut pragma) = (false, false);
        for (name, value) in request.fields() {
            let Some(first) = name.first() else { continue };
            let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
            match (name.len(), first | 0x20) {
                (13, b'c') if is(b"cache-control") => {
                    cache_control = true;
                    asked.directives.add(value);
                }
                // As if `Cache-Control: no-cache`, where no such field says otherwise (RFC 9111 section 5.4).
                (6, b'p') if is(b"pragma") => pragma |= value.eq_ignore_ascii_case(b"no-cache"),
                (13, b'a') if is(b"authorization") => asked.authorization = true,
                (13, b'i') if is(b"if-none-match") => asked.conditional = true,
                (17, b'i') if is(b"if-modified-since") => asked.conditional = true,
                (8, b'i') if is(b"if-match") => asked.for_origin = true,
                (19, b'i') if is(b"if-unmodified-since") => asked.for_origin = true,
                (5, b'r') if is(b"range") => asked.range = true,
                _ => {}
            }
        }
        asked.directives.no_cache |= pragma && !cache_control;
        if !obey_directives {
            let only_if_cached = asked.directives.only_if_cached;
            asked.directives = RequestDirectives { only_if_cached, ..RequestDirectives::default() };
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::tests::head;
    use super::*;

    fn read(text: &str) -> Asked {
        Asked::read(&head(text), true)
    }

    #[test]
    fn an_ordinary_request_asks_for_nothing() {
        assert_eq!(read("Host: a\nAccept: */*\nCookie: a=b\nIf-None: x\nPragma: foo"), Asked::default());
    }

    #[test]
    fn each_field_is_seen_in_any_case() {
        assert!(read("AUTHORIZATION: x").authorization);
        assert!(read("if-none-match: x").conditional && read("If-Modified-Since: x").conditional);
        assert!(read("if-match: x").for_origin && read("If-Unmodified-Since: x").for_origin);
        assert!(read("range: bytes=0-").range);
    }

    #[test]
    fn pragma_counts_where_no_cache_control_stands() {
        assert!(read("Pragma: no-cache").directives.no_cache);
        assert!(!read("Pragma: no-cache\nCache-Control: max-stale").directives.no_cache);
    }

    #[test]
    fn directives_can_be_left_out() {
        let asked = Asked::read(&head("Cache-Control: no-cache, only-if-cached"), false);
        assert!(!asked.directives.no_cache && asked.directives.only_if_cached);
    }
}
