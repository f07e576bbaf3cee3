//! Common Log Format, with or without the Combined fields after it: `host ident user [time] "request" status
//! bytes ...`. This is what Apache, NGINX and Headgate write under these names. It has no host and no duration.

use super::{Line, http, request_line};

pub(super) fn line(line: &str) -> Line {
    let Some((request, rest)) = line.split_once('"').and_then(|(_, rest)| quoted(rest)) else {
        return Line::Damaged("no quoted request");
    };
    let Some((method, target)) = request_line(request) else {
        return Line::Damaged("what is quoted first is no request");
    };
    let mut words = rest.split_ascii_whitespace();
    let Some(status) = words.next().and_then(|word| word.parse().ok()) else {
        return Line::Damaged("no status after the request");
    };
    match words.next() {
        Some("-") => http(method, target, status, Some(0), None),
        Some(word) => match word.parse() {
            Ok(bytes) => http(method, target, status, Some(bytes), None),
            Err(_) => Line::Damaged("no number of bytes after the status"),
        },
        None => Line::Damaged("it ends before the number of bytes"),
    }
}

/// What stands before the next quote that no backslash precedes, and what follows that.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}
