//! What the header fields say about the message itself: where its body ends, which host it is for,
//! whether the connection lives on (RFC 9112 sections 3.2, 6 and 9.3; RFC 9110 sections 7.2, 7.6.1, 10.1.1).
//! Whatever two readers could understand differently is refused.

use super::bytes::{is_host, is_plain_host};
use crate::head::{Body, Field, Known, Method, RequestLine, StatusLine, Version, is_same_name};
use headgate_model::fault::{Fault, FaultKind};
use std::net::Ipv6Addr;

#[derive(Default)]
struct Lengths {
    content_length: Option<u64>,
    chunked: bool,
    /// Of a response: a coding that nobody knows.
    unknown_coding: bool,
}

#[derive(Default)]
struct Options {
    close: bool,
    keep_alive: bool,
    upgrade: bool,
    names_fields: bool,
    elements: u32,
}

/// Each named field is looked for among all fields, so the product is what has to be bounded.
const MOST_CONNECTION_OPTIONS: u32 = 32;

/// Completes `line` from the fields of a request.
pub(super) fn request(bytes: &[u8], fields: &[Field], line: &mut RequestLine) -> Result<(), Fault> {
    const KIND: FaultKind = FaultKind::BadRequest;
    let mut lengths = Lengths::default();
    let mut options = Options::default();
    let mut hosts = 0;
    let mut upgrade_to_h2 = false;
    let mut upgrades = 0;
    for field in fields {
        match field.known {
            Known::Other => {}
            Known::Host => {
                hosts += 1;
                if hosts > 1 {
                    return Err(Fault::new(KIND, "more than one Host field (RFC 9112 section 3.2)"));
                }
                host(bytes, field, line)?;
            }
            Known::ContentLength => content_length(field.value.of(bytes), &mut lengths, KIND)?,
            Known::TransferEncoding => transfer_encoding(field.value.of(bytes), &mut lengths, KIND)?,
            Known::Connection => connection(field.value.of(bytes), &mut options, KIND)?,
            Known::Upgrade => {
                // Without a protocol there is nothing to switch to; more than one field is not followed.
                upgrades += if field.value.len == 0 { 2 } else { 1 };
                upgrade_to_h2 |= names_h2(field.value.of(bytes));
            }
            Known::Te => line.te_trailers |= has_token(field.value.of(bytes), b"trailers"),
            Known::Expect => {
                if !field.value.of(bytes).eq_ignore_ascii_case(b"100-continue") {
                    return Err(Fault::new(
                        FaultKind::ExpectationFailed,
                        "the only expectation served is 100-continue (RFC 9110 section 10.1.1)",
                    ));
                }
                line.expects_continue = line.version == Version::Http11;
            }
            _ => {}
        }
    }
    if hosts == 0 && line.version != Version::Http10 {
        return Err(Fault::new(KIND, "an HTTP/1.1 request without Host (RFC 9112 section 3.2)"));
    }
    line.body = match lengths {
        Lengths { chunked: true, .. } if line.version == Version::Http10 => {
            return Err(Fault::new(KIND, "Transfer-Encoding in an HTTP/1.0 request (RFC 9112 section 6.1)"));
        }
        Lengths { chunked: true, content_length: Some(_), .. } => return Err(Fault::new(KIND, BOTH_LENGTHS)),
        Lengths { chunked: true, content_length: None, .. } => Body::Chunked,
        Lengths { content_length: Some(length), .. } => Body::Length(length),
        Lengths { content_length: None, .. } => Body::None,
    };
    if line.method == Method::Trace && line.body != Body::None {
        return Err(Fault::new(KIND, "a TRACE request with content (RFC 9110 section 9.3.8)"));
    }
    line.keep_alive = match line.version {
        Version::Http10 => options.keep_alive && !options.close,
        _ => !options.close,
    };
    // A switch to h2c past a gateway hides requests from it, and one with content has no agreed order of
    // events; both are served as if the client had not asked.
    line.upgrade = upgrades == 1
        && options.upgrade
        && !upgrade_to_h2
        && line.version == Version::Http11
        && line.body == Body::None;
    line.connection_names_fields = options.names_fields;
    Ok(())
}

/// Completes `line` from the fields of a response.
pub(super) fn response(
    bytes: &[u8],
    fields: &[Field],
    to_head: bool,
    line: &mut StatusLine,
) -> Result<(), Fault> {
    const KIND: FaultKind = FaultKind::BadResponse;
    let mut lengths = Lengths::default();
    let mut options = Options::default();
    let mut has_upgrade = false;
    for field in fields {
        match field.known {
            Known::ContentLength => content_length(field.value.of(bytes), &mut lengths, KIND)?,
            Known::TransferEncoding => response_coding(field.value.of(bytes), &mut lengths)?,
            Known::Connection => connection(field.value.of(bytes), &mut options, KIND)?,
            Known::Upgrade => has_upgrade |= field.value.len > 0,
            _ => {}
        }
    }
    let coded = lengths.chunked || lengths.unknown_coding;
    if coded && lengths.content_length.is_some() {
        return Err(Fault::new(KIND, BOTH_LENGTHS));
    }
    if coded && line.version == Version::Http10 {
        return Err(Fault::new(KIND, "Transfer-Encoding in an HTTP/1.0 response (RFC 9112 section 6.1)"));
    }
    // None of these can have content, yet this one announces some: whatever follows may be that content or
    // the next response.
    let announces_content = coded || lengths.content_length.is_some_and(|length| length > 0);
    match line.status {
        100..=199 if announces_content => {
            return Err(Fault::new(KIND, "an interim response with content (RFC 9110 section 15.2)"));
        }
        101 if !has_upgrade => {
            return Err(Fault::new(
                KIND,
                "a 101 that does not say to which protocol (RFC 9110 section 15.2.2)",
            ));
        }
        _ => {}
    }
    line.declared_length = lengths.content_length;
    line.body = match (line.status, lengths.content_length) {
        (100..=199 | 204 | 304, _) => Body::None,
        _ if to_head => Body::None,
        _ if lengths.chunked => Body::Chunked,
        (_, Some(length)) => Body::Length(length),
        (_, None) => Body::UntilClose,
    };
    line.keep_alive = line.body != Body::UntilClose
        && !(line.status == 204 && announces_content)
        && match line.version {
            Version::Http10 => options.keep_alive && !options.close,
            _ => !options.close,
        };
    line.connection_names_fields = options.names_fields;
    Ok(())
}

const BOTH_LENGTHS: &str = "both Content-Length and Transfer-Encoding (RFC 9112 section 6.1)";

/// Takes the Host field and holds it against an absolute target (RFC 9112 section 3.2.2 lets the target
/// win; a mismatch is refused here because a server behind us may read the other one).
fn host(bytes: &[u8], field: &Field, line: &mut RequestLine) -> Result<(), Fault> {
    const BAD: Fault = Fault::new(
        FaultKind::BadRequest,
        "the Host is not a name with an optional port (RFC 9110 section 7.2)",
    );
    let value = field.value.of(bytes);
    check_host(value).ok_or(BAD)?;
    if line.host.len > 0 && !line.host.of(bytes).eq_ignore_ascii_case(value) {
        return Err(Fault::new(
            FaultKind::BadRequest,
            "the Host differs from the request target's (RFC 9112 section 3.2.2)",
        ));
    }
    line.host = field.value;
    Ok(())
}

/// Whether `value` reads as `uri-host [":" port]`. Empty is a valid Host: it names no authority.
#[inline]
pub(crate) fn check_host(value: &[u8]) -> Option<()> {
    let name_len = value.iter().take_while(|&&byte| is_plain_host(byte)).count();
    match &value[name_len..] {
        [] => Some(()),
        [b':', digits @ ..] if name_len > 0 => check_port(digits),
        _ => check_rare_host(value),
    }
}

/// IPv6 literals, and the punctuation that RFC 3986 lets stand in a name.
#[cold]
fn check_rare_host(value: &[u8]) -> Option<()> {
    if !value.iter().all(|&byte| is_host(byte)) {
        return None;
    }
    let port = match value {
        [b'[', ..] => {
            let close = value.iter().position(|&byte| byte == b']')?;
            std::str::from_utf8(&value[1..close]).ok()?.parse::<Ipv6Addr>().ok()?;
            &value[close + 1..]
        }
        _ => {
            let name_len = value.iter().position(|&byte| byte == b':').unwrap_or(value.len());
            let (name, port) = value.split_at(name_len);
            if name.is_empty() && !port.is_empty() || name.iter().any(|byte| matches!(byte, b'[' | b']')) {
                return None;
            }
            port
        }
    };
    match port {
        [] => Some(()),
        [b':', digits @ ..] => check_port(digits),
        _ => None,
    }
}

/// Up to five digits, perhaps none, and no more than 65535.
fn check_port(digits: &[u8]) -> Option<()> {
    if digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    (number <= u32::from(u16::MAX)).then_some(())
}

/// Digits only, once: no sign, no blanks, no list, no second field (RFC 9110 section 8.6).
fn content_length(value: &[u8], lengths: &mut Lengths, kind: FaultKind) -> Result<(), Fault> {
    if lengths.content_length.is_some() {
        return Err(Fault::new(kind, "more than one Content-Length (RFC 9110 section 8.6)"));
    }
    // 19 digits always fit into 64 bits.
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Fault::new(kind, "the Content-Length is not a number (RFC 9110 section 8.6)"));
    }
    lengths.content_length =
        Some(value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')));
    Ok(())
}

/// Exactly `chunked`, once. Other codings and lists are refused: RFC 9112 section 6.1 lets a server answer
/// what it does not understand with an error, and `chunked, chunked` or `x, chunked` is how requests are smuggled.
fn transfer_encoding(value: &[u8], lengths: &mut Lengths, kind: FaultKind) -> Result<(), Fault> {
    if lengths.chunked || !value.eq_ignore_ascii_case(b"chunked") {
        return Err(Fault::new(
            kind,
            "a Transfer-Encoding other than exactly `chunked` (RFC 9112 section 6.1)",
        ));
    }
    lengths.chunked = true;
    Ok(())
}

/// In a response a coding that nobody knows leaves the end of the connection as the end of the body (RFC 9112
/// section 6.3, rule 4); nothing can follow it that could be taken for something else. Codings that change the
/// content are refused, because it goes on without them.
fn response_coding(value: &[u8], lengths: &mut Lengths) -> Result<(), Fault> {
    const CHANGE_CONTENT: [&[u8]; 7] =
        [b"identity", b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress", b"br"];
    let is_known = CHANGE_CONTENT.iter().any(|coding| value.eq_ignore_ascii_case(coding));
    let is_word = !value.is_empty() && value.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    let like_chunked = value.windows(b"chunk".len()).any(|part| part.eq_ignore_ascii_case(b"chunk"));
    if !is_word || is_known || like_chunked || lengths.chunked || lengths.unknown_coding {
        // A second one is refused there.
        lengths.chunked |= lengths.unknown_coding;
        return transfer_encoding(value, lengths, FaultKind::BadResponse);
    }
    lengths.unknown_coding = true;
    Ok(())
}

fn connection(value: &[u8], options: &mut Options, kind: FaultKind) -> Result<(), Fault> {
    if is_same_name(value, b"keep-alive") {
        options.elements += 1;
        options.keep_alive = true; // what nearly every peer says, if anything
        return Ok(());
    }
    for token in value.split(|&byte| byte == b',') {
        options.elements += 1;
        if options.elements > MOST_CONNECTION_OPTIONS {
            return Err(Fault::new(kind, "more than 32 connection options"));
        }
        match token.trim_ascii() {
            b"" => {}
            token if token.eq_ignore_ascii_case(b"keep-alive") => options.keep_alive = true,
            token if token.eq_ignore_ascii_case(b"close") => options.close = true,
            token if token.eq_ignore_ascii_case(b"upgrade") => options.upgrade = true,
            token => match Known::of(token) {
                // Dropping these on request of the peer would change what the message means.
                Known::Host | Known::ContentLength | Known::TransferEncoding => {
                    return Err(Fault::new(
                        kind,
                        "Connection names a field that is not hop-by-hop (RFC 9110 section 7.6.1)",
                    ));
                }
                known if known.is_hop_by_hop() => {}
                _ => options.names_fields = true,
            },
        }
    }
    Ok(())
}

fn names_h2(value: &[u8]) -> bool {
    value
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .any(|protocol| protocol.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(b"h2")))
}

fn has_token(value: &[u8], token: &[u8]) -> bool {
    value.split(|&byte| byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(token))
}
