//! HTTP/2 heads and the flat form, both ways: what `h2` decoded is rendered as the bytes that HTTP/1 would
//! have brought, and outgoing heads get their pseudo-header fields. `h2` has already refused what breaks
//! framing, HPACK, the order of pseudo-header fields, or names the connection (RFC 9113 section 8.2.2);
//! what is left of section 8 is checked here.

use crate::fields::FieldMap;
use crate::h1::bytes::is_target;
use crate::h1::framing::check_host;
use crate::h1::parse::HeadLimits;
use crate::head::{
    Body, Field, Flat, Known, Method, Part, RequestHead, RequestLine, ResponseHead, StatusLine, Version,
};
use h2::ext::Protocol;
use headgate_model::fault::{Fault, FaultKind};
use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST, SEC_WEBSOCKET_KEY, TE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Uri, request, response};

const LONGEST_METHOD: usize = 32;

const fn bad(detail: &'static str) -> Fault {
    Fault::new(FaultKind::BadRequest, detail)
}

/// Whether a request opens a WebSocket (RFC 8441).
#[must_use]
pub fn opens_websocket(parts: &request::Parts) -> bool {
    let protocol = parts.extensions.get::<Protocol>();
    parts.method == http::Method::CONNECT
        && protocol.is_some_and(|protocol| protocol.as_str().eq_ignore_ascii_case("websocket"))
}

/// Renders a request's head into `head`, which is empty. `ended` says that no content follows. One that
/// [`opens_websocket`] comes out as the GET that does so in HTTP/1 (RFC 6455), with `websocket_key`.
///
/// # Errors
/// A fault to answer with: the rule that the request breaks, or the limit that it exceeds.
pub fn render_request(
    parts: &request::Parts,
    ended: bool,
    limits: &HeadLimits,
    websocket_key: Option<&[u8]>,
    head: &mut RequestHead,
) -> Result<(), Fault> {
    let method = match websocket_key {
        Some(_) => b"GET",
        None => parts.method.as_str().as_bytes(),
    };
    if method.len() > LONGEST_METHOD {
        return Err(Fault::new(FaultKind::MethodNotSupported, "the method is longer than 32 bytes"));
    }
    let mut line =
        RequestLine { method: Method::of(method), version: Version::Http2, ..RequestLine::default() };
    if line.method == Method::Connect {
        return Err(Fault::new(
            FaultKind::MethodNotSupported,
            "CONNECT is served for WebSockets alone (RFC 8441): Headgate is a gateway, not a forward proxy",
        ));
    }
    let target = target(&parts.uri, line.method, limits)?;
    let host = host(parts)?;
    line.body = match content_length(&parts.headers) {
        // What follows is no content: it is for the other protocol.
        _ if ended || websocket_key.is_some() => Body::None,
        Some(length) => Body::Length(length),
        None => Body::Chunked,
    };
    line.upgrade = websocket_key.is_some();
    if line.method == Method::Trace && line.body != Body::None {
        return Err(bad("a TRACE request with content (RFC 9110 section 9.3.8)"));
    }
    if let Some(expected) = parts.headers.get(EXPECT) {
        if !expected.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            return Err(Fault::new(
                FaultKind::ExpectationFailed,
                "the only expectation served is 100-continue (RFC 9110 section 10.1.1)",
            ));
        }
        line.expects_continue = true;
    }
    line.te_trailers = parts.headers.contains_key(TE);

    let mut out = Renderer { head, most_fields: limits.fields, too_large: FaultKind::HeadTooLarge };
    line.method_part = out.put(&[method])?;
    out.put(&[b" "])?;
    line.target = out.put(&[target])?;
    line.path_len = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len()) as u32;
    out.put(&[b" HTTP/1.1\r\n"])?;
    line.host = out.field(b"host", &[host])?;
    if let Some(key) = websocket_key {
        out.field(b"upgrade", &[b"websocket"])?;
        out.field(SEC_WEBSOCKET_KEY.as_str().as_bytes(), &[key])?;
    }
    for (name, value) in &parts.headers {
        // Over HTTP/2 the key means nothing (RFC 8441 section 5).
        if *name == HOST || *name == COOKIE || websocket_key.is_some() && *name == SEC_WEBSOCKET_KEY {
            continue;
        }
        let value = value.as_bytes();
        if trimmed(value).len() != value.len() {
            return Err(bad("a header value that begins or ends with a blank (RFC 9113 section 8.2.1)"));
        }
        out.field(name.as_str().as_bytes(), &[value])?;
    }
    out.cookies(&parts.headers)?;
    out.end()?;
    head.line = line;
    Ok(())
}

/// Renders a response's head into `head`, which is empty. `ended` says that no content follows, `to_head`
/// that the request was HEAD.
///
/// # Errors
/// [`FaultKind::BadResponse`] with the rule or limit that it breaks.
pub fn render_response(
    parts: &response::Parts,
    ended: bool,
    to_head: bool,
    limits: &HeadLimits,
    head: &mut ResponseHead,
) -> Result<(), Fault> {
    let status = parts.status;
    if status.as_u16() == 101 {
        return Err(Fault::new(FaultKind::BadResponse, "a 101 over HTTP/2 (RFC 9113 section 8.6)"));
    }
    let mut line = StatusLine {
        status: status.as_u16(),
        version: Version::Http2,
        keep_alive: true,
        ..StatusLine::default()
    };
    line.declared_length = content_length(&parts.headers);
    line.body = match (status.as_u16(), line.declared_length) {
        (100..=199 | 204 | 304, _) => Body::None,
        _ if to_head || ended => Body::None,
        (_, Some(length)) => Body::Length(length),
        (_, None) => Body::Chunked,
    };
    let mut out = Renderer { head, most_fields: limits.fields, too_large: FaultKind::BadResponse };
    out.put(&[b"HTTP/1.1 ", status.as_str().as_bytes(), b" "])?;
    line.reason = out.put(&[status.canonical_reason().unwrap_or_default().as_bytes()])?;
    out.put(&[b"\r\n"])?;
    for (name, value) in &parts.headers {
        out.field(name.as_str().as_bytes(), &[trimmed(value.as_bytes())])?;
    }
    out.end()?;
    head.line = line;
    Ok(())
}

/// Completes a request for an HTTP/2 endpoint. `target`, in two pieces, is in origin form; the Host field
/// becomes `:authority` (RFC 9113 section 8.3.1).
pub(crate) fn request(
    method: &[u8],
    target: [&[u8]; 2],
    tls: bool,
    body: Body,
    mut fields: FieldMap,
) -> Result<http::Request<()>, Fault> {
    const CANNOT: Fault = bad("the request's target or host cannot be carried in HTTP/2");
    let host = fields.remove(HOST).ok_or(CANNOT)?;
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(Authority::try_from(host.as_bytes()).map_err(|_| CANNOT)?);
    let path = match target {
        [path, []] => PathAndQuery::try_from(path),
        [start, rest] => PathAndQuery::try_from([start, rest].concat()),
    };
    parts.path_and_query = Some(path.map_err(|_| CANNOT)?);
    if let Body::Length(length) = body {
        fields.set_length(length);
    }
    let mut request = http::Request::new(());
    *request.method_mut() = http::Method::from_bytes(method).map_err(|_| CANNOT)?;
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| CANNOT)?;
    *request.version_mut() = http::Version::HTTP_2;
    *request.headers_mut() = fields.into_map();
    Ok(request)
}

/// Completes a response for an HTTP/2 client.
pub(crate) fn response(
    status: u16,
    length: Option<u64>,
    mut fields: FieldMap,
) -> Result<http::Response<()>, Fault> {
    if let Some(length) = length {
        fields.set_length(length);
    }
    let mut response = http::Response::new(());
    *response.status_mut() = http::StatusCode::from_u16(status)
        .map_err(|_| Fault::new(FaultKind::Internal, "a status that HTTP does not have"))?;
    *response.version_mut() = http::Version::HTTP_2;
    *response.headers_mut() = fields.into_map();
    Ok(response)
}

/// The request target, in origin form.
fn target<'p>(uri: &'p Uri, method: Method, limits: &HeadLimits) -> Result<&'p [u8], Fault> {
    if uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return Err(bad("a :scheme other than http and https"));
    }
    let target = uri.path_and_query().map_or("", PathAndQuery::as_str).as_bytes();
    if target.len() > limits.target_bytes {
        return Err(Fault::new(FaultKind::UriTooLong, "the request target is longer than the limit"));
    }
    match target {
        b"*" if method == Method::Options => {}
        [b'/', ..] => {}
        _ => return Err(bad("a :path that does not begin with `/` (RFC 9113 section 8.3.1)")),
    }
    if !target.iter().all(|&byte| is_target(byte)) {
        return Err(bad("a byte that may not stand in a request target (RFC 9113 section 8.3.1)"));
    }
    Ok(target)
}

/// `:authority`, or the Host field of a request that has none; where there are both they have to agree.
fn host(parts: &request::Parts) -> Result<&[u8], Fault> {
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let mut fields = parts.headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
    let host = match (authority, fields.next()) {
        (Some(authority), None) => authority,
        (None, Some(host)) => host,
        (Some(authority), Some(host)) if host.eq_ignore_ascii_case(authority) => authority,
        (Some(_), Some(_)) => return Err(bad("the Host differs from :authority (RFC 9113 section 8.3.1)")),
        (None, None) => return Err(bad("neither :authority nor Host (RFC 9113 section 8.3.1)")),
    };
    if fields.next().is_some() {
        return Err(bad("more than one Host field (RFC 9112 section 3.2)"));
    }
    if host.is_empty() {
        return Err(bad(":authority or Host is empty (RFC 9110 section 4.2.1)"));
    }
    if check_host(host).is_none() {
        return Err(bad(":authority is not a name with an optional port (RFC 9113 section 8.3.1)"));
    }
    Ok(host)
}

/// The first Content-Length; `h2` has refused what is no number, and several that differ.
fn content_length(fields: &HeaderMap) -> Option<u64> {
    fields.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn trimmed(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(start) = value.iter().position(|byte| !is_blank(byte)) else { return &[] };
    let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// Writes a head into its buffer, and no further.
struct Renderer<'h, Line> {
    head: &'h mut Flat<Line>,
    most_fields: usize,
    too_large: FaultKind,
}

impl<Line> Renderer<'_, Line> {
    fn put(&mut self, pieces: &[&[u8]]) -> Result<Part, Fault> {
        let start = self.head.filled;
        for piece in pieces {
            let at = self.head.filled;
            let end = at + piece.len();
            let Some(room) = self.head.bytes[..self.head.limit].get_mut(at..end) else {
                return Err(Fault::new(self.too_large, "the head is larger than the limit"));
            };
            room.copy_from_slice(piece);
            self.head.filled += piece.len();
        }
        Ok(Part::new(start..self.head.filled))
    }

    /// Writes one line; gives where its value lies.
    fn field(&mut self, name: &[u8], value: &[&[u8]]) -> Result<Part, Fault> {
        if self.head.fields.len() == self.most_fields {
            return Err(Fault::new(self.too_large, "more header fields than the limit"));
        }
        let known = Known::of(name);
        let name = self.put(&[name])?;
        self.put(&[b": "])?;
        let value = self.put(value)?;
        let line_end = self.put(&[b"\r\n"])?.range().end as u32;
        self.head.fields.push(Field { name, value, line_end, known });
        Ok(value)
    }

    /// Cookies, which HTTP/2 clients send in crumbs, as the one field that HTTP/1 has (RFC 9113 section 8.2.3).
    fn cookies(&mut self, fields: &HeaderMap) -> Result<(), Fault> {
        let mut pieces: Vec<&[u8]> = Vec::new();
        for crumb in fields.get_all(COOKIE) {
            if !pieces.is_empty() {
                pieces.push(b"; ");
            }
            pieces.push(trimmed(crumb.as_bytes()));
        }
        if pieces.is_empty() { Ok(()) } else { self.field(b"cookie", &pieces).map(drop) }
    }

    fn end(&mut self) -> Result<(), Fault> {
        self.put(&[b"\r\n"])?;
        self.head.head_len = self.head.filled;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
