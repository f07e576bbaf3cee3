//! Request and response heads, parsed in place (RFC 9112 sections 2 to 5). Lenient readings that the RFC
//! permits but that let two parsers disagree (bare LF, folded lines, blanks before the colon) are refused.

use super::bytes::{is_target, is_token, value_end};
use super::framing;
use crate::head::{Field, Known, Method, Part, RequestHead, RequestLine, ResponseHead, StatusLine, Version};
use headgate_model::fault::{Fault, FaultKind};

/// What a head may measure.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// The whole head of a request. The buffer that it is read into has a limit of its own.
    pub head_bytes: usize,
    pub fields: usize,
    pub target_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The head is not all there yet.
    Partial,
    Complete,
}

const LONGEST_METHOD: usize = 32;

const fn bad(detail: &'static str) -> Fault {
    Fault::new(FaultKind::BadRequest, detail)
}

/// Parses the request head at the start of `head.bytes[..head.filled]`.
///
/// # Errors
/// A fault that says which rule was broken. After it the connection cannot be read any further.
pub fn request(head: &mut RequestHead, limits: &HeadLimits) -> Result<Progress, Fault> {
    let bytes = &head.bytes[..head.filled];
    // RFC 9112 section 2.2: an empty line before the request line is ignored; one, not many.
    let start = match bytes {
        [b'\r', b'\n', ..] => 2,
        [b'\r'] => return Ok(Progress::Partial),
        _ => 0,
    };
    let Some((mut line, after_line)) = request_line(bytes, start, limits)? else {
        return Ok(Progress::Partial);
    };
    head.fields.clear();
    let Some(end) = fields(bytes, after_line, limits.fields, &mut head.fields, FaultKind::BadRequest)? else {
        return Ok(Progress::Partial);
    };
    framing::request(bytes, &head.fields, &mut line)?;
    head.line = line;
    head.head_len = end;
    Ok(Progress::Complete)
}

/// Parses the response head at the start of `head.bytes[..head.filled]`. `to_head` says that the request
/// was HEAD, so that no body follows whatever the fields say.
///
/// # Errors
/// [`FaultKind::BadResponse`] with the rule that was broken.
pub fn response(head: &mut ResponseHead, to_head: bool, limits: &HeadLimits) -> Result<Progress, Fault> {
    let bytes = &head.bytes[..head.filled];
    let Some((mut line, after_line)) = status_line(bytes)? else {
        return Ok(Progress::Partial);
    };
    head.fields.clear();
    let Some(end) = fields(bytes, after_line, limits.fields, &mut head.fields, FaultKind::BadResponse)?
    else {
        return Ok(Progress::Partial);
    };
    framing::response(bytes, &head.fields, to_head, &mut line)?;
    head.line = line;
    head.head_len = end;
    Ok(Progress::Complete)
}

fn request_line(
    bytes: &[u8],
    start: usize,
    limits: &HeadLimits,
) -> Result<Option<(RequestLine, usize)>, Fault> {
    let method_end = start + bytes[start..].iter().take_while(|&&byte| is_token(byte)).count();
    if method_end - start > LONGEST_METHOD {
        return Err(Fault::new(FaultKind::MethodNotSupported, "the method is longer than 32 bytes"));
    }
    match bytes.get(method_end) {
        None => return Ok(None),
        Some(b' ') if method_end > start => {}
        Some(_) => return Err(bad("the method is not a token followed by one space (RFC 9112 section 3)")),
    }
    let target_start = method_end + 1;
    let target_end = target_start + bytes[target_start..].iter().take_while(|&&byte| is_target(byte)).count();
    if target_end - target_start > limits.target_bytes {
        return Err(Fault::new(FaultKind::UriTooLong, "the request target is longer than the limit"));
    }
    let rest = &bytes[target_end..];
    const VERSION: &[u8] = b" HTTP/1.1\r\n";
    if rest.len() < VERSION.len() {
        // What can no longer become right is refused now: nobody waits for more of it.
        let fits = |(got, want): (&u8, &u8)| got == want || got.is_ascii_digit() && want.is_ascii_digit();
        return if rest.iter().zip(VERSION).all(fits) { Ok(None) } else { Err(line_fault(rest)) };
    }
    let version = match &rest[..VERSION.len()] {
        b" HTTP/1.1\r\n" => Version::Http11,
        b" HTTP/1.0\r\n" => Version::Http10,
        [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b'\r', b'\n']
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Fault::new(
                FaultKind::VersionNotSupported,
                "the version is neither HTTP/1.1 nor HTTP/1.0",
            ));
        }
        _ => return Err(line_fault(rest)),
    };
    let method = Method::of(&bytes[start..method_end]);
    let (target, host) = split_target(bytes, method, target_start, target_end)?;
    let path_len = bytes[target.range()].iter().position(|&byte| byte == b'?').unwrap_or(target.len as usize);
    let line = RequestLine {
        method,
        method_part: Part::new(start..method_end),
        target,
        path_len: path_len as u32,
        host,
        version,
        ..RequestLine::default()
    };
    Ok(Some((line, target_end + VERSION.len())))
}

/// What is wrong with a request line that goes on with `rest` after its target.
#[cold]
fn line_fault(rest: &[u8]) -> Fault {
    match rest {
        [b' ', ..] => bad("the request line does not end in the version and CRLF (RFC 9112 section 3)"),
        _ => bad("a byte that may not stand in a request target (RFC 9112 section 3.2)"),
    }
}

/// Splits the request target into its origin form and, for the absolute form, the host (RFC 9112
/// section 3.2).
fn split_target(bytes: &[u8], method: Method, start: usize, end: usize) -> Result<(Part, Part), Fault> {
    let target = &bytes[start..end];
    match target {
        // Whatever its target looks like: a server that does serve it would go on with a tunnel.
        _ if method == Method::Connect => Err(Fault::new(
            FaultKind::MethodNotSupported,
            "CONNECT is not served: Headgate is a gateway, not a forward proxy",
        )),
        [b'/', ..] => Ok((Part::new(start..end), Part::default())),
        b"*" if method == Method::Options => Ok((Part::new(start..end), Part::default())),
        _ => {
            let scheme_len = [&b"http://"[..], b"https://"]
                .into_iter()
                .find(|scheme| target.get(..scheme.len()).is_some_and(|got| got.eq_ignore_ascii_case(scheme)))
                .map(<[u8]>::len)
                .ok_or(bad("the request target is neither a path nor an http URL (RFC 9112 section 3.2)"))?;
            let host_start = start + scheme_len;
            let host_len = bytes[host_start..end]
                .iter()
                .position(|&byte| matches!(byte, b'/' | b'?'))
                .unwrap_or(end - host_start);
            let path_start = host_start + host_len;
            if host_len == 0 {
                return Err(bad("the request target has no host (RFC 9110 section 4.2.1)"));
            }
            if framing::check_host(&bytes[host_start..path_start]).is_none() {
                return Err(bad(
                    "the request target's host is not a name with a port (RFC 9110 section 4.2)",
                ));
            }
            let host = Part::new(host_start..path_start);
            match bytes[path_start..end].first() {
                Some(b'/') => Ok((Part::new(path_start..end), host)),
                // Of OPTIONS it means what `*` does (RFC 9112 section 3.2.4), of others the path `/` (RFC 9110
                // section 4.2.3), which the scheme ends in.
                None if method == Method::Options => Ok((Part::new(end..end), host)),
                None => Ok((Part::new(host_start - 1..host_start), host)),
                // The `/` would have to stand before the query.
                Some(_) => Err(bad("an absolute request target with a query needs a path, at least `/`")),
            }
        }
    }
}

fn status_line(bytes: &[u8]) -> Result<Option<(StatusLine, usize)>, Fault> {
    const BAD: Fault =
        Fault::new(FaultKind::BadResponse, "the status line is malformed (RFC 9112 section 4)");
    const START: &[u8] = b"HTTP/1.1 200";
    let shared = bytes.len().min(7);
    if bytes[..shared] != START[..shared] {
        return Err(BAD);
    }
    if bytes.len() < START.len() + 2 {
        return Ok(None);
    }
    let version = match bytes[7] {
        b'1' => Version::Http11,
        b'0' => Version::Http10,
        _ => return Err(BAD),
    };
    let [b' ', hundreds @ b'1'..=b'5', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = bytes[8..12] else {
        return Err(BAD);
    };
    let status = u16::from(hundreds - b'0') * 100 + u16::from(tens - b'0') * 10 + u16::from(ones - b'0');
    // The space before an empty reason is left out by enough servers that it is not insisted on.
    let reason_start = match bytes[12] {
        b' ' => 13,
        b'\r' => 12,
        _ => return Err(BAD),
    };
    let reason_end = value_end(bytes, reason_start);
    let Some(after) = line_end(bytes, reason_end, BAD)? else { return Ok(None) };
    let line =
        StatusLine { status, reason: Part::new(reason_start..reason_end), version, ..StatusLine::default() };
    Ok(Some((line, after)))
}

/// Index after the CRLF at `at`; `None` when the buffer ends there.
fn line_end(bytes: &[u8], at: usize, bad: Fault) -> Result<Option<usize>, Fault> {
    match &bytes[at..] {
        [b'\r', b'\n', ..] => Ok(Some(at + 2)),
        [] | [b'\r'] => Ok(None),
        _ => Err(bad),
    }
}

/// Parses header or trailer lines from `at` through the empty line. Gives the index after it, or `None`
/// when it is not there yet.
pub(crate) fn fields(
    bytes: &[u8],
    mut at: usize,
    most: usize,
    fields: &mut Vec<Field>,
    blame: FaultKind,
) -> Result<Option<usize>, Fault> {
    loop {
        let name_start = at;
        at += bytes[at..].iter().take_while(|&&byte| is_token(byte)).count();
        let Some(&after_name) = bytes.get(at) else { return Ok(None) };
        if after_name != b':' || at == name_start {
            return if at == name_start && after_name == b'\r' {
                line_end(bytes, at, Fault::new(blame, BARE_CR))
            } else {
                Err(Fault::new(blame, field_name_fault(at == name_start, after_name)))
            };
        }
        if fields.len() == most {
            let kind = if blame == FaultKind::BadRequest { FaultKind::HeadTooLarge } else { blame };
            return Err(Fault::new(kind, "more header fields than the limit"));
        }
        let name = Part::new(name_start..at);
        at += 1;
        while matches!(bytes.get(at), Some(b' ' | b'\t')) {
            at += 1;
        }
        let value_start = at;
        at = value_end(bytes, at);
        let mut value_stop = at;
        while value_stop > value_start && matches!(bytes[value_stop - 1], b' ' | b'\t') {
            value_stop -= 1;
        }
        let end = match &bytes[at..] {
            [b'\r', b'\n', ..] => at + 2,
            [] | [b'\r'] => return Ok(None),
            [byte, ..] => return Err(Fault::new(blame, value_fault(*byte))),
        };
        at = end;
        fields.push(Field {
            name,
            value: Part::new(value_start..value_stop),
            line_end: end as u32,
            known: Known::of(name.of(bytes)),
        });
    }
}

const BARE_CR: &str = "a CR that is not followed by LF (RFC 9112 section 2.2)";

#[cold]
fn field_name_fault(at_line_start: bool, byte: u8) -> &'static str {
    match byte {
        b' ' | b'\t' if at_line_start => "a folded header line (RFC 9112 section 5.2)",
        b' ' | b'\t' => "a blank between header name and colon (RFC 9112 section 5.1)",
        b'\n' => "a line that ends in LF without CR (RFC 9112 section 2.2)",
        b':' => "an empty header name (RFC 9110 section 5.1)",
        _ => "a byte that may not stand in a header name (RFC 9110 section 5.1)",
    }
}

#[cold]
fn value_fault(byte: u8) -> &'static str {
    match byte {
        b'\n' => "a line that ends in LF without CR (RFC 9112 section 2.2)",
        b'\r' => BARE_CR,
        _ => "a control byte in a header value (RFC 9110 section 5.5)",
    }
}
