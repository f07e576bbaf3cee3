//! Paths as patterns compare them: what may be written in two ways is written in one (RFC 3986 section
//! 6.2.2). It changes no meaning: `%2F` stays, and so does a doubled slash.

use std::borrow::Cow;

/// `path` with letters, digits and `-._~` plain, and hexadecimal digits in upper case; borrowed when it is so
/// already.
#[must_use]
pub fn normal(path: &[u8]) -> Cow<'_, [u8]> {
    if is_normal(path) {
        return Cow::Borrowed(path);
    }
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((unit, _, after)) = next(rest) {
        push(&mut out, unit);
        rest = after;
    }
    Cow::Owned(out)
}

/// Nearly every path is, with and without encoded bytes.
fn is_normal(path: &[u8]) -> bool {
    let mut rest = path;
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        let Some((unit, _, after)) = next(&rest[at..]) else { break };
        let encoded = &rest[at..rest.len() - after.len()];
        let decodes = encoded.len() > 1 && matches!(unit, Unit::Plain(_));
        if decodes || encoded.iter().any(u8::is_ascii_lowercase) {
            return false;
        }
        rest = after;
    }
    true
}

/// The bytes of `path` that are `start` bytes of its normal form; None when it ends before.
#[must_use]
pub fn sent_len(path: &[u8], start: usize) -> Option<usize> {
    let (mut rest, mut normal) = (path, 0);
    while normal < start {
        let (unit, _, after) = next(rest)?;
        normal += if matches!(unit, Unit::Plain(_)) { 1 } else { 3 };
        rest = after;
    }
    Some(path.len() - rest.len())
}

/// The bytes of `path` that are `start`, a beginning of its normal form; None when it begins otherwise.
#[must_use]
pub fn start_len(path: &[u8], start: &[u8]) -> Option<usize> {
    if normal(path).starts_with(start) { sent_len(path, start.len()) } else { None }
}

/// One byte of a path, as its normal form writes it.
#[derive(Clone, Copy)]
enum Unit {
    Plain(u8),
    Encoded(u8),
}

fn push(out: &mut Vec<u8>, unit: Unit) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    match unit {
        Unit::Plain(byte) => out.push(byte),
        Unit::Encoded(byte) => {
            out.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

/// The first byte, its value, and what follows it. A `%` without two digits stands for itself.
fn next(path: &[u8]) -> Option<(Unit, u8, &[u8])> {
    if let [b'%', high, low, rest @ ..] = path
        && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
    {
        let byte = (high * 16 + low) as u8;
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let unit = if unreserved { Unit::Plain(byte) } else { Unit::Encoded(byte) };
        return Some((unit, byte, rest));
    }
    path.split_first().map(|(&byte, rest)| (Unit::Plain(byte), byte, rest))
}

/// `path` as a server reads it that decodes everything first, takes `\` for `/`, and several slashes for one.
/// What no path may hold in plain is encoded. None when that is what was sent.
#[must_use]
pub fn resolved(path: &[u8]) -> Option<Vec<u8>> {
    let plain = |&byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/:@!$&'()*+,;=".contains(&byte);
    if path.iter().all(plain) && !path.windows(2).any(|two| two == b"//") {
        return None;
    }
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((_, byte, after)) = next(rest) {
        rest = after;
        match byte {
            b'/' | b'\\' if out.last() == Some(&b'/') => {}
            b'/' | b'\\' => out.push(b'/'),
            byte => push(&mut out, if plain(&byte) { Unit::Plain(byte) } else { Unit::Encoded(byte) }),
        }
    }
    (out != path).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> String {
        String::from_utf8(normal(path.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn only_what_changes_no_meaning() {
        for (sent, same) in [
            ("/%61%2Dz%7e", "/a-z~"),
            ("/a%2fb%20", "/a%2Fb%20"),
            ("/%2561", "/%2561"),
            ("/%zz%", "/%zz%"),
            ("//a", "//a"),
            ("/A", "/A"),
        ] {
            assert_eq!(text(sent), same, "{sent}");
            assert_eq!(text(same), same);
        }
        assert!(matches!(normal(b"/a%2Fb"), Cow::Borrowed(_)));
    }

    #[test]
    fn places_in_the_normal_form_are_places_in_what_was_sent() {
        let path = b"/%61b/%2f%7E/x";
        assert_eq!(normal(path).as_ref(), b"/ab/%2F~/x");
        for (at, sent) in [(0, 0), (1, 1), (2, 4), (3, 5), (4, 6), (7, 9), (8, 12), (10, 14)] {
            assert_eq!(sent_len(path, at), Some(sent), "{at}");
        }
        assert_eq!(sent_len(path, 11), None);
        assert_eq!(start_len(path, b"/ab/"), Some(6));
        assert_eq!(start_len(path, b"/%61"), None);
    }

    #[test]
    fn resolved_is_what_a_lenient_server_reads() {
        let text = |path: &str| resolved(path.as_bytes()).map(|path| String::from_utf8(path).unwrap());
        for (sent, read) in [
            ("//admin", "/admin"),
            ("/%2Fadmin", "/admin"),
            ("/\\admin%5cx", "/admin/x"),
            ("/a%40b%20", "/a@b%20"),
            ("/%61", "/a"),
            ("/%C3%bc", "/%C3%BC"),
        ] {
            assert_eq!(text(sent).as_deref(), Some(read), "{sent}");
            assert_eq!(text(read), None, "{read}");
        }
        for plain in ["/", "/a/b;c=d@e", "*", "/a%20b"] {
            assert_eq!(text(plain), None, "{plain}");
        }
    }
}
