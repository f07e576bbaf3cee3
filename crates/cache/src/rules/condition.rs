//! Conditional requests that a cache answers itself (RFC 9111 section 4.3.2, RFC 9110 section 13), and the
//! comparison of entity tags and dates that they need.

use super::date;
use super::fields::{Fields, first, lines, members};

/// How to answer a conditional request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As if it had no condition.
    Full,
    /// With 304 and the fields that [`in_not_modified`] names.
    NotModified,
}

/// Judges `If-None-Match`, or where there is none `If-Modified-Since`, by a stored response with `status` that was
/// received at `received_ms`. Only asked for requests that are [`conditional`](super::Asked::conditional).
#[must_use]
pub fn evaluate(request: &impl Fields, stored: &impl Fields, status: u16, received_ms: u64) -> Answer {
    // RFC 9110 section 13.2.1: conditions count where the answer without them would be a success.
    if !(200..300).contains(&status) {
        return Answer::Full;
    }
    if lines(request, b"if-none-match").next().is_some() {
        let tag = first(stored, b"etag");
        let known = members(request, b"if-none-match")
            .any(|member| member == b"*" || tag.is_some_and(|tag| weakly_equal(member, tag)));
        return if known { Answer::NotModified } else { Answer::Full };
    }
    let received_s = received_ms / 1_000;
    let stamp = |name: &[u8]| date::parse(first(stored, name)?, received_s);
    let since = first(request, b"if-modified-since").and_then(|since| date::parse(since, received_s));
    // Without a Last-Modified the content is as old as the response at most.
    let modified = stamp(b"last-modified").or_else(|| stamp(b"date")).unwrap_or(received_s);
    match since {
        Some(since) if modified <= since => Answer::NotModified,
        _ => Answer::Full,
    }
}

/// Whether a 304 carries this field of the stored response (RFC 9110 section 15.4.5): everything but what
/// describes the content that it does not have.
#[must_use]
pub fn in_not_modified(name: &[u8]) -> bool {
    const OF_CONTENT: [&[u8]; 8] = [
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"content-language",
        b"content-range",
        b"content-md5",
        b"content-digest",
        b"transfer-encoding",
    ];
    !OF_CONTENT.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// Whether a part of a stored response carries this field of it: everything but its `Content-Range`, and what is
/// computed from content that it does not have (RFC 9530 section 2).
#[must_use]
pub fn in_part(name: &[u8]) -> bool {
    const OF_ALL_CONTENT: [&[u8]; 3] = [b"content-range", b"content-md5", b"content-digest"];
    !OF_ALL_CONTENT.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// RFC 9110 section 8.8.3.2: the tags are the same, weak or not.
#[must_use]
pub(super) fn weakly_equal(one: &[u8], other: &[u8]) -> bool {
    let opaque = |tag| <[u8]>::strip_prefix(tag, b"W/").unwrap_or(tag);
    opaque(one) == opaque(other)
}

/// RFC 9110 section 8.8.3.2: the tags are the same, and neither is weak.
#[must_use]
pub(super) fn strongly_equal(one: &[u8], other: &[u8]) -> bool {
    one == other && is_strong(one)
}

/// Whether `tag` is an entity tag that promises the same bytes.
#[must_use]
pub(super) fn is_strong(tag: &[u8]) -> bool {
    tag.len() >= 2 && tag.starts_with(b"\"") && tag.ends_with(b"\"")
}

/// Whether the condition of `If-Range` holds, so that `Range` counts (RFC 9110 section 13.1.5): the tag is the same
/// and strong, or the date is exactly `Last-Modified` and that is old enough to be a strong validator. True
/// without the field.
#[must_use]
pub fn if_range_holds(request: &impl Fields, stored: &impl Fields, received_ms: u64) -> bool {
    let Some(wanted) = first(request, b"if-range") else { return true };
    if wanted.starts_with(b"\"") || wanted.starts_with(b"W/") {
        return first(stored, b"etag").is_some_and(|tag| strongly_equal(wanted, tag));
    }
    let received_s = received_ms / 1_000;
    let stamp = |name: &[u8]| date::parse(first(stored, name)?, received_s);
    let (Some(wanted), Some(modified)) = (date::parse(wanted, received_s), stamp(b"last-modified")) else {
        return false;
    };
    // RFC 9110 section 8.8.2.2: within the same second it could have changed again.
    wanted == modified && stamp(b"date").is_some_and(|date| modified < date)
}

#[cfg(test)]
mod tests {
    use super::super::fields::tests::head;
    use super::*;

    const RECEIVED_MS: u64 = 784_111_777_000;
    const FIVE: &str = "Sun, 06 Nov 1994 08:49:05 GMT";
    const SIX: &str = "Sun, 06 Nov 1994 08:49:06 GMT";

    fn not_modified(request: &str, stored: &str) -> bool {
        evaluate(&head(request), &head(stored), 200, RECEIVED_MS) == Answer::NotModified
    }

    #[test]
    fn tags_are_compared_weakly_in_lists_over_lines() {
        for (wanted, stored, same) in [
            ("\"a\"", "\"a\"", true),
            ("W/\"a\"", "\"a\"", true),
            ("\"a\"", "W/\"a\"", true),
            ("\"x\", \"a\", \"y\"", "\"a\"", true),
            ("\"x\", \"y\", \"a\"", "\"a\"", true),
            ("\"x,\\\"\", \"a\"", "\"a\"", true),
            ("\"x\"", "\"a\"", false),
            ("\"A\"", "\"a\"", false),
            ("a", "\"a\"", false),
            ("", "\"a\"", false),
        ] {
            assert_eq!(
                not_modified(&format!("If-None-Match: {wanted}"), &format!("ETag: {stored}")),
                same,
                "{wanted}"
            );
        }
        assert!(not_modified("If-None-Match: \"x\"\nIf-None-Match: \"a\"", "ETag: \"a\""));
        assert!(not_modified("If-None-Match: *", ""));
        assert!(!not_modified("If-None-Match: \"a\"", ""));
    }

    #[test]
    fn tags_have_precedence_over_dates() {
        let stored = format!("ETag: \"a\"\nLast-Modified: {FIVE}");
        assert!(not_modified(
            &format!("If-None-Match: \"a\"\nIf-Modified-Since: {}", "Sun, 06 Nov 1994 00:00:00 GMT"),
            &stored
        ));
        assert!(!not_modified(&format!("If-None-Match: \"b\"\nIf-Modified-Since: {SIX}"), &stored));
    }

    #[test]
    fn dates_are_compared_as_times() {
        let request = |since: &str| format!("If-Modified-Since: {since}");
        let stored = format!("Last-Modified: {FIVE}");
        assert!(not_modified(&request(FIVE), &stored) && not_modified(&request(SIX), &stored));
        assert!(not_modified(&request("Sunday, 06-Nov-94 08:49:05 GMT"), &stored));
        assert!(!not_modified(&request(FIVE), &format!("Last-Modified: {SIX}")));
        assert!(!not_modified(&request("never"), &stored));
    }

    #[test]
    fn without_last_modified_the_response_is_as_new_as_its_date() {
        let request = format!("If-Modified-Since: {FIVE}");
        assert!(!not_modified(&request, &format!("Date: {SIX}")));
        assert!(not_modified(&request, &format!("Date: {FIVE}")));
        assert!(!not_modified(&request, ""));
    }

    #[test]
    fn errors_are_answered_whole() {
        assert_eq!(evaluate(&head("If-None-Match: *"), &head(""), 404, 0), Answer::Full);
    }

    #[test]
    fn if_range_wants_strong_validators() {
        let holds = |wanted: &str, stored: &str| {
            if_range_holds(&head(&format!("If-Range: {wanted}")), &head(stored), RECEIVED_MS)
        };
        assert!(holds("\"a\"", "ETag: \"a\""));
        assert!(
            !holds("W/\"a\"", "ETag: W/\"a\"") && !holds("\"a\"", "ETag: W/\"a\"") && !holds("\"a\"", "")
        );
        assert!(holds(FIVE, &format!("Last-Modified: {FIVE}\nDate: {SIX}")));
        assert!(!holds(FIVE, &format!("Last-Modified: {FIVE}\nDate: {FIVE}")));
        assert!(!holds(SIX, &format!("Last-Modified: {FIVE}\nDate: {SIX}")) && !holds("x", ""));
        assert!(if_range_holds(&head(""), &head(""), 0));
    }
}
