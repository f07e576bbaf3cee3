//! The small grammars of HTTP and DNS that a configuration has to keep: tokens, field values, host
//! names, path text. Predicates on plain text; they parse nothing and allocate nothing.

/// What [`is_label`] asks for.
pub(crate) const NOT_A_LABEL: &str = "a name has 1 to 64 letters, digits, `-`, `_` and `.`";

/// Whether `text` can name something in metrics, logs and addresses of the admin API.
#[must_use]
pub fn is_label(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

/// Whether `text` is a token (RFC 9110 section 5.6.2): a method, a header name, a cookie name.
#[must_use]
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Whether `text` is a field value (RFC 9110 section 5.5) as it stands on the wire: no control bytes
/// except the tab, so that it can never begin another line, and no blank at either end.
#[must_use]
pub fn is_field_value(text: &str) -> bool {
    let blank = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
    let bytes = text.as_bytes();
    !has_control(text) && !blank(bytes.first()) && !blank(bytes.last())
}

/// Whether `text` holds a byte that HTTP forbids in a field value: CR, LF, NUL, or another control byte.
#[must_use]
pub fn has_control(text: &str) -> bool {
    text.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f)
}

/// Whether `text` can be a DNS name: labels of 1 to 63 letters, digits, `-` and `_`, 253 bytes in all.
/// A name whose last label is a number is refused, because it is a misspelt IPv4 address (RFC 1123
/// section 2.1).
#[must_use]
pub fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let numeric = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    text.len() <= 253 && text.split('.').all(label) && !text.rsplit('.').next().is_some_and(numeric)
}

/// What is wrong with `text` as part of a path (RFC 3986 section 3.3), or `None`.
#[must_use]
pub fn path_fault(text: &str) -> Option<&'static str> {
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'/' | b':' | b'@' => {}
            b'-' | b'.' | b'_' | b'~' => {}
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => {}
            b'%' if bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => {}
            b'%' => return Some("a `%` must be followed by two hexadecimal digits"),
            b'?' => return Some("a path has no `?`"),
            b'#' => return Some("a path has no `#`"),
            b if b.is_ascii_alphanumeric() => {}
            b if b.is_ascii() => {
                return Some("a path has no blanks, control bytes, or any of \" < > [ \\ ] ^ ` { | }");
            }
            _ => return Some("a path is ASCII; write other letters percent-encoded"),
        }
    }
    if text.split('/').any(|segment| segment == "." || segment == "..") {
        return Some("a path has no `.` or `..` segments: they are resolved before routes are matched");
    }
    None
}

/// Whether a field, in any case, frames a message or belongs to one connection: only the gateway itself writes such
/// (RFC 9110 section 7.6.1, RFC 9112 section 6).
#[must_use]
pub fn is_framing_field(name: &str) -> bool {
    const FRAMING: [&str; 9] = [
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    ];
    FRAMING.iter().any(|field| field.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_values_cannot_begin_another_line() {
        for bad in ["a\r\nb: c", "a\nb", "a\0", "a\x7f", " a", "a\t"] {
            assert!(!is_field_value(bad), "{bad:?}");
        }
        for good in ["", "a b\tc", "max-age=60, \"q\"", "grüße"] {
            assert!(is_field_value(good), "{good:?}");
        }
    }

    #[test]
    fn host_names() {
        for good in ["localhost", "a.b-c.example", "_http._tcp.example", "xn--bcher-kva.example", "3com.com"]
        {
            assert!(is_host_name(good), "{good}");
        }
        for bad in ["", ".", "a..b", "a.", "-a", "a-", "10.0.0.999", "bücher.example", "a b", "a:80"] {
            assert!(!is_host_name(bad), "{bad}");
        }
        assert!(!is_host_name(&"a".repeat(64)));
        assert!(!is_host_name(&vec!["a"; 128].join(".")));
    }

    #[test]
    fn paths() {
        assert_eq!(path_fault("/a%2Fb/c;d=1,2/~e"), None);
        for bad in ["/a b", "/%", "/%2", "/%zz", "/a?b", "/a#b", "/ü", "/a/../b", "/.", "/a\n"] {
            assert!(path_fault(bad).is_some(), "{bad:?}");
        }
    }
}
