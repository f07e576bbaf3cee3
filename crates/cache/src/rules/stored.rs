//! The fields of a response that are stored with it (RFC 9111 section 3.1), and how a later response about the same
//! content changes them (sections 3.2, 4.3.4 and 4.3.5).

use super::date;
use super::directives::ResponseDirectives;
use super::fields::{Fields, first, is_token, lines, members, write_field};

/// Fields of one connection, of the proxy beside us, or of one moment.
const NEVER_STORED: [&[u8]; 11] = [
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"proxy-authenticate",
    b"proxy-authentication-info",
    b"proxy-authorization",
    // Kept as a number, and written anew for each answer.
    b"age",
];

/// Fields that describe the content that is stored, which a 304 does not bring. The entity tag is among them: a 304
/// to our own question answers for the content whose tag was in the question.
const OF_THE_CONTENT: [&[u8]; 6] =
    [b"content-encoding", b"content-length", b"content-md5", b"content-digest", b"content-range", b"etag"];

fn is_one_of(name: &[u8], names: &[&[u8]]) -> bool {
    names.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// The fields of `response` that are stored.
fn stored_fields(response: &impl Fields) -> impl Iterator<Item = (&[u8], &[u8])> {
    response.fields().filter(move |(name, _)| {
        !is_one_of(name, &NEVER_STORED)
            && !members(response, b"connection").any(|listed| listed.eq_ignore_ascii_case(name))
            && !lines(response, b"cache-control").any(|line| ResponseDirectives::withholds(line, name))
    })
}

/// Writes the fields of `response` that are stored, as a [`Block`](super::fields::Block), with `Date` when it has
/// none (RFC 9110 section 6.6.1). `received_ms`: milliseconds since 1970.
pub fn write_stored(response: &impl Fields, received_ms: u64, out: &mut Vec<u8>) {
    for (name, value) in stored_fields(response) {
        write_field(out, name, value);
    }
    write_missing_date(response, received_ms, out);
}

/// Whether `block` is one that could have been written here: whole lines, names and values without anything that ends
/// a line, and no field of a connection or of framing.
#[must_use]
pub fn is_stored_block(block: &[u8]) -> bool {
    let mut rest = block;
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let line = rest[..end].strip_suffix(b"\r");
        let parts = line.and_then(|line| Some((line, line.iter().position(|&byte| byte == b':')?)));
        let Some((line, colon)) = parts else { return false };
        let (name, value) = (&line[..colon], &line[colon..]);
        let framing = is_one_of(name, &NEVER_STORED) || name.eq_ignore_ascii_case(b"content-length");
        if framing || !is_token(name) || value.iter().any(|&byte| matches!(byte, b'\r' | 0)) {
            return false;
        }
        rest = &rest[end + 1..];
    }
    rest.is_empty()
}

fn write_missing_date(response: &impl Fields, received_ms: u64, out: &mut Vec<u8>) {
    if !stored_fields(response).any(|(name, _)| name.eq_ignore_ascii_case(b"date")) {
        write_field(out, b"Date", &date::write(received_ms / 1_000));
    }
}

/// Writes the fields of a stored response after `newer`, a 304 or the answer to a HEAD, has updated them: those
/// that it brings take the place of all lines of the same name, the others stay. Its `Date` is as in [`write_stored`].
pub fn write_updated(stored: &impl Fields, newer: &impl Fields, received_ms: u64, out: &mut Vec<u8>) {
    let brings = |name: &[u8]| !is_one_of(name, &OF_THE_CONTENT);
    for (name, value) in stored.fields() {
        let replaced =
            brings(name) && stored_fields(newer).any(|(other, _)| other.eq_ignore_ascii_case(name));
        if !replaced && !name.eq_ignore_ascii_case(b"date") {
            write_field(out, name, value);
        }
    }
    for (name, value) in stored_fields(newer).filter(|(name, _)| brings(name)) {
        write_field(out, name, value);
    }
    write_missing_date(newer, received_ms, out);
}

/// What to send with a request that asks whether a stored response still holds (RFC 9111 section 4.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validators<'a> {
    /// For `If-None-Match`, as it came.
    pub etag: Option<&'a [u8]>,
    /// For `If-Modified-Since`, as it came.
    pub last_modified: Option<&'a [u8]>,
}

impl<'a> Validators<'a> {
    pub fn of(stored: &'a impl Fields) -> Self {
        Self { etag: first(stored, b"etag"), last_modified: first(stored, b"last-modified") }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}

/// What the answer to a HEAD does to a stored response of the same target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadEffect {
    /// Nothing: its status is another.
    None,
    /// Its fields are updated as by a 304.
    Update,
    /// It is of other content: the stored response is stale from now on.
    Outdated,
}

/// RFC 9111 section 4.3.5.
pub fn head_effect(
    stored: &impl Fields,
    stored_status: u16,
    head: &impl Fields,
    head_status: u16,
) -> HeadEffect {
    if head_status != 200 || stored_status != 200 {
        return HeadEffect::None;
    }
    let agrees = |name: &[u8]| first(head, name).is_none_or(|value| first(stored, name) == Some(value));
    if agrees(b"etag") && agrees(b"last-modified") && agrees(b"content-length") {
        HeadEffect::Update
    } else {
        HeadEffect::Outdated
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::tests::head;
    use super::*;

    fn stored(response: &str) -> String {
        let mut out = Vec::new();
        write_stored(&head(&format!("{response}\nDate: now")), 0, &mut out);
        String::from_utf8(out).unwrap().replace("\r\n", ";").replace("Date: now;", "")
    }

    fn updated(stored: &str, newer: &str) -> String {
        let mut out = Vec::new();
        write_updated(&head(stored), &head(&format!("{newer}\nDate: now")), 0, &mut out);
        String::from_utf8(out).unwrap().replace("\r\n", ";").replace("Date: now;", "")
    }

    #[test]
    fn fields_of_one_connection_are_not_stored() {
        assert_eq!(stored("Connection: a, B\nA: 1\nb: 2\nc: 3\nKeep-Alive: x\nTE: y\nAge: 3"), "c: 3;");
        assert_eq!(
            stored("Proxy-Authenticate: x\nProxy-Authentication-Info: y\nUpgrade: z\nSet-Cookie: a=b"),
            "Set-Cookie: a=b;"
        );
    }

    #[test]
    fn a_date_is_added_where_none_came() {
        let text = |out: Vec<u8>| String::from_utf8(out).unwrap();
        let (mut stored, mut updated) = (Vec::new(), Vec::new());
        write_stored(&head("A: 1"), 784_111_777_000, &mut stored);
        assert_eq!(text(stored), "A: 1\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        write_updated(&head("Date: then\nA: 1"), &head("B: 2"), 784_111_777_000, &mut updated);
        assert_eq!(text(updated), "A: 1\r\nB: 2\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    }

    #[test]
    fn withheld_fields_are_not_stored() {
        let control = "Cache-Control: no-cache=\"a\", private=\"b, d\"";
        assert_eq!(stored(&format!("{control}\na: 1\nB: 2\nc: 3\nd: 4")), format!("{control};c: 3;"));
    }

    #[test]
    fn a_304_replaces_what_it_brings_and_keeps_the_rest() {
        assert_eq!(updated("A: 1\nB: 2\nC: 3\nb: 4", "b: 5\nD: 6"), "A: 1;C: 3;b: 5;D: 6;");
        assert_eq!(
            updated(
                "Set-Cookie: a=b\nContent-Type: x",
                "Set-Cookie: a=c\nContent-Type: y\nConnection: z\nz: 1"
            ),
            "Set-Cookie: a=c;Content-Type: y;"
        );
    }

    #[test]
    fn a_304_does_not_change_what_describes_the_content() {
        let stored = "Content-Length: 5\nContent-Encoding: gzip\nETag: \"a\"\nContent-MD5: x";
        let newer = "Content-Length: 10\nContent-Encoding: br\nETag: \"b\"\nContent-MD5: y\nContent-Range: z";
        assert_eq!(updated(stored, newer), format!("{};", stored.replace('\n', ";")));
    }

    #[test]
    fn a_head_updates_or_outdates() {
        let effect =
            |stored: &str, newer: &str, status| head_effect(&head(stored), 200, &head(newer), status);
        assert_eq!(
            effect("ETag: \"a\"\nContent-Length: 3", "ETag: \"a\"\nContent-Length: 3", 200),
            HeadEffect::Update
        );
        assert_eq!(effect("ETag: \"a\"", "Cache-Control: max-age=3", 200), HeadEffect::Update);
        assert_eq!(effect("Content-Length: 3", "Content-Length: 4", 200), HeadEffect::Outdated);
        assert_eq!(effect("", "ETag: \"b\"", 200), HeadEffect::Outdated);
        assert_eq!(effect("", "", 410), HeadEffect::None);
    }
}
