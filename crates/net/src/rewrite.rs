//! A request head written anew from another: some fields left out, some added. For requests that Headgate sends
//! on its own account, such as those that fill a cache.

use crate::fields::FieldWriter;
use crate::head::{Body, Field, Known, Part, RequestHead};

/// The head did not fit into the buffer of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoesNotFit;

/// Writes `from` into `to`: without its body, without the fields whose name `drops` says, and with `further`
/// behind the others.
///
/// # Errors
/// When it would be longer than a head may be.
pub fn rewrite(
    from: &RequestHead,
    drops: impl Fn(&[u8]) -> bool,
    further: &[(&[u8], &[u8])],
    to: &mut RequestHead,
) -> Result<(), DoesNotFit> {
    to.clear();
    let lines_from = from.fields.iter().map(|field| field.name.start).min();
    let lines_from = lines_from.unwrap_or(from.head_len.saturating_sub(b"\r\n".len()) as u32);
    let mut out = Vec::with_capacity(from.head_len + 256);
    out.extend_from_slice(&from.bytes[..lines_from as usize]);
    to.line = from.line;
    for field in &from.fields {
        if drops(from.part(field.name)) {
            continue;
        }
        let at = out.len() as u32;
        out.run(&from.bytes, std::slice::from_ref(field));
        let moved = |part: Part| Part { start: part.start - field.name.start + at, len: part.len };
        let host = from.line.host;
        if host.start >= field.value.start && host.start < field.line_end {
            to.line.host = moved(host);
        }
        to.fields.push(Field {
            name: moved(field.name),
            value: moved(field.value),
            line_end: out.len() as u32,
            known: field.known,
        });
    }
    for (name, value) in further {
        let at = out.len();
        out.field(name, value);
        let value_at = at + name.len() + b": ".len();
        to.fields.push(Field {
            name: Part::new(at..at + name.len()),
            value: Part::new(value_at..value_at + value.len()),
            line_end: out.len() as u32,
            known: Known::of(name),
        });
    }
    out.extend_from_slice(b"\r\n");
    to.bytes.get_mut(..out.len()).ok_or(DoesNotFit)?.copy_from_slice(&out);
    to.filled = out.len();
    to.head_len = out.len();
    to.line.body = Body::None;
    to.line.expects_continue = false;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::parse::{self, HeadLimits, Progress};

    const LIMITS: HeadLimits = HeadLimits { head_bytes: 4096, fields: 100, target_bytes: 1024 };

    fn parsed(text: &str) -> RequestHead {
        let mut head = RequestHead::new(4096, 100);
        head.bytes[..text.len()].copy_from_slice(text.as_bytes());
        head.filled = text.len();
        assert_eq!(parse::request(&mut head, &LIMITS).unwrap(), Progress::Complete);
        head
    }

    fn rewritten(text: &str, drops: &str, further: &[(&[u8], &[u8])]) -> RequestHead {
        let mut to = RequestHead::new(4096, 100);
        let drops = |name: &[u8]| name.eq_ignore_ascii_case(drops.as_bytes());
        rewrite(&parsed(text), drops, further, &mut to).unwrap();
        to
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        for host_first in [true, false] {
            let (one, other) = ("Host: shop.test:8080\r\n", "Range: bytes=0-1\r\nX-A:  b \r\n");
            let fields = if host_first { format!("{one}{other}") } else { format!("{other}{one}") };
            let text = format!("GET /a?b=c HTTP/1.1\r\n{fields}X-B: c\r\n\r\n");
            let head = rewritten(&text, "range", &[(b"if-none-match", b"\"v1\"")]);
            let again = parsed(std::str::from_utf8(&head.bytes[..head.filled]).unwrap());
            for head in [&head, &again] {
                assert_eq!(head.host(), b"shop.test:8080");
                assert_eq!((head.path(), head.query()), (&b"/a"[..], Some(&b"b=c"[..])));
                assert_eq!(head.value_of(b"range"), None);
                assert_eq!(head.value_of(b"x-a"), Some(&b"b"[..]));
                assert_eq!(head.value_of(b"x-b"), Some(&b"c"[..]));
                assert_eq!(head.value_of(b"if-none-match"), Some(&b"\"v1\""[..]));
            }
            assert_eq!(head.fields.len(), again.fields.len());
        }
    }

    #[test]
    fn a_host_in_the_target_stays() {
        let head = rewritten("GET http://shop.test/a HTTP/1.1\r\nHost: shop.test\r\n\r\n", "none", &[]);
        assert_eq!((head.host(), head.path()), (&b"shop.test"[..], &b"/a"[..]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let from = parsed("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut to = RequestHead::new(0, 100);
        let long = vec![b'x'; 8192];
        assert_eq!(rewrite(&from, |_| false, &[(b"x-long", &long)], &mut to), Err(DoesNotFit));
    }
}
