//! A request that nobody sent: from a predicted path to a head that is read like any other, with what of a session's
//! last request is no secret and may choose between variants.

use headgate_net::h1::parse::{self, HeadLimits, Progress};
use headgate_net::head::RequestHead;

/// Fields that are taken over from the session's last request.
const SHOWN: [&[u8]; 3] = [b"accept", b"accept-encoding", b"accept-language"];
/// Bytes of one of them at most; longer ones are left out.
const SHOWN_MAX: usize = 256;
/// A path that is longer is not predicted.
pub(crate) const TARGET_MAX: usize = 1_000;
const LIMITS: HeadLimits = HeadLimits { head_bytes: 4_096, fields: 8, target_bytes: TARGET_MAX };

/// Lines of a head that may choose between variants of a response and say nothing of who asks.
pub(crate) fn shown(head: &RequestHead) -> Box<[u8]> {
    let mut lines = Vec::new();
    for name in SHOWN {
        if let Some(value) = head.value_of(name).filter(|value| value.len() <= SHOWN_MAX) {
            for part in [name, b": ", value, b"\r\n"] {
                lines.extend_from_slice(part);
            }
        }
    }
    lines.into()
}

/// Where a request goes, as one path: scheme and host are its first segment.
pub(crate) fn place(head: &RequestHead, is_encrypted: bool) -> Option<String> {
    let (host, target) = (std::str::from_utf8(head.host()).ok()?, std::str::from_utf8(head.target()).ok()?);
    if host.is_empty() || host.contains('/') || host.len() + target.len() > TARGET_MAX {
        return None;
    }
    let scheme = if is_encrypted { 's' } else { 'p' };
    Some(format!("/{scheme}{}{target}", host.to_ascii_lowercase()))
}

/// A request in the form of HTTP/1 for such a path, and whether it is encrypted. None where the path is none of
/// [`place`].
pub(crate) fn question(place: &str, shown: &[u8]) -> Option<(Vec<u8>, bool)> {
    // Nothing of it may end a line or a word of the head.
    let rest = place.strip_prefix('/').filter(|rest| rest.bytes().all(|byte| byte.is_ascii_graphic()))?;
    let is_encrypted = match rest.as_bytes().first()? {
        b's' => true,
        b'p' => false,
        _ => return None,
    };
    let (host, target) = rest[1..].split_at(rest[1..].find('/').filter(|at| *at > 0)?);
    let mut text = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n").into_bytes();
    text.extend_from_slice(shown);
    text.extend_from_slice(b"sec-purpose: prefetch\r\n\r\n");
    Some((text, is_encrypted))
}

/// Reads it as if it had been sent; false where that would be refused.
pub(crate) fn read(text: &[u8], head: &mut RequestHead) -> bool {
    head.clear();
    let Some(room) = head.bytes.get_mut(..text.len()) else { return false };
    room.copy_from_slice(text);
    head.filled = text.len();
    matches!(parse::request(head, &LIMITS), Ok(Progress::Complete)) && head.head_len == text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> RequestHead {
        let mut head = RequestHead::new(4_096, 32);
        assert!(read(text.as_bytes(), &mut head), "{text}");
        head
    }

    #[test]
    fn a_predicted_path_becomes_a_request_without_anybodys_secrets() {
        let from = head(
            "GET /users/7?a=b HTTP/1.1\r\nHost: Shop.test:8080\r\nAccept-Encoding: gzip\r\nCookie: sid=1\r\n\
             Authorization: Basic x\r\nUser-Agent: y\r\n\r\n",
        );
        let place = place(&from, true).unwrap();
        assert_eq!(place, "/sshop.test:8080/users/7?a=b");
        let (text, is_encrypted) = question(&place, &shown(&from)).unwrap();
        assert!(is_encrypted);
        let again = head(std::str::from_utf8(&text).unwrap());
        assert_eq!((again.method(), again.target()), (&b"GET"[..], &b"/users/7?a=b"[..]));
        assert_eq!(again.host(), b"shop.test:8080");
        assert_eq!(again.value_of(b"accept-encoding"), Some(&b"gzip"[..]));
        assert_eq!(again.value_of(b"sec-purpose"), Some(&b"prefetch"[..]));
        assert!(
            [&b"cookie"[..], b"authorization", b"user-agent"]
                .iter()
                .all(|name| again.value_of(name).is_none())
        );
    }

    #[test]
    fn what_is_no_request_is_not_read() {
        let mut head = RequestHead::new(4_096, 32);
        for place in
            ["", "/", "/x", "/xhost/a", "/phost", "/p/a b", "/phost/a b", "/pho st/a", "/p\r\nx: y/a"]
        {
            let sent = question(place, b"").is_some_and(|(text, _)| read(&text, &mut head));
            assert!(!sent, "{place}");
        }
        let long = format!("/phost/{}", "a".repeat(5_000));
        assert!(question(&long, b"").is_none_or(|(text, _)| !read(&text, &mut head)));
        let smuggled = "/phost/a HTTP/1.1\r\nhost: other\r\n\r\nGET /b";
        assert!(question(smuggled, b"").is_none_or(|(text, _)| !read(&text, &mut head)));
    }
}
