//! A message head in flat form: the bytes as they stand in one buffer, and where each part lies in it.
//! HTTP/1 heads are parsed in place; HTTP/2 heads are rendered into the same form. Everything after this
//! (routing, transforms, forwarding) is written once, on this form.

use std::ops::Range;

/// Part of a head's buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub start: u32,
    pub len: u32,
}

impl Part {
    #[inline]
    #[must_use]
    pub fn new(range: Range<usize>) -> Self {
        // Head buffers are limited to 1 MiB, far below 4 GiB.
        Self { start: range.start as u32, len: (range.end - range.start) as u32 }
    }

    #[inline]
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }

    #[inline]
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.range()]
    }
}

/// One header field. Its line in the buffer is `name: value CRLF`, from `name.start` to `line_end`.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: Part,
    pub value: Part,
    /// One past the line's CRLF.
    pub line_end: u32,
    pub known: Known,
}

macro_rules! known_fields {
    ($($known:ident = $name:literal,)*) => {
        /// Field names that Headgate treats specially, recognised once, at parse time.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Known { Other, $($known,)* }

        impl Known {
            /// All but `Other`.
            pub const ALL: &'static [Self] = &[$(Self::$known,)*];

            /// In lower case.
            #[must_use]
            pub fn name(self) -> &'static [u8] {
                match self { Self::Other => b"", $(Self::$known => $name,)* }
            }
        }
    };
}

known_fields! {
    Host = b"host",
    Connection = b"connection",
    ContentLength = b"content-length",
    TransferEncoding = b"transfer-encoding",
    Te = b"te",
    Trailer = b"trailer",
    Upgrade = b"upgrade",
    Expect = b"expect",
    KeepAlive = b"keep-alive",
    ProxyConnection = b"proxy-connection",
    ProxyAuthenticate = b"proxy-authenticate",
    ProxyAuthorization = b"proxy-authorization",
    Http2Settings = b"http2-settings",
    Forwarded = b"forwarded",
    XForwardedFor = b"x-forwarded-for",
    XForwardedProto = b"x-forwarded-proto",
    XForwardedHost = b"x-forwarded-host",
    // Any of the three with underscores: what turns them into hyphens, as CGI does, would take it for ours.
    XForwardedTwin = b"x_forwarded_for",
    ClientCert = b"client-cert",
    ClientCertChain = b"client-cert-chain",
    // Either of the two with underscores.
    ClientCertTwin = b"client_cert",
    MaxForwards = b"max-forwards",
    Traceparent = b"traceparent",
    Cookie = b"cookie",
    Date = b"date",
    UserAgent = b"user-agent",
    Referer = b"referer",
}

impl Known {
    /// Recognises `name` in any case.
    #[inline]
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        // Length and first letter leave one candidate; most names leave none.
        let Some(first) = name.first() else { return Self::Other };
        let candidate = match (name.len(), first | 0x20) {
            (2, b't') => Self::Te,
            (4, b'h') => Self::Host,
            (4, b'd') => Self::Date,
            (6, b'c') => Self::Cookie,
            (6, b'e') => Self::Expect,
            (7, b'u') => Self::Upgrade,
            (7, b'r') => Self::Referer,
            (7, b't') => Self::Trailer,
            (9, b'f') => Self::Forwarded,
            (10, b'c') => Self::Connection,
            (10, b'u') => Self::UserAgent,
            (10, b'k') => Self::KeepAlive,
            (11, b't') => Self::Traceparent,
            (11, b'c') => Self::ClientCert,
            (12, b'm') => Self::MaxForwards,
            (14, b'c') => Self::ContentLength,
            (14, b'h') => Self::Http2Settings,
            (15, b'x') => Self::XForwardedFor,
            (16, b'x') => Self::XForwardedHost,
            (16, b'p') => Self::ProxyConnection,
            (17, b't') => Self::TransferEncoding,
            (17, b'c') => Self::ClientCertChain,
            (17, b'x') => Self::XForwardedProto,
            (18, b'p') => Self::ProxyAuthenticate,
            (19, b'p') => Self::ProxyAuthorization,
            _ => return Self::Other,
        };
        if is_same_name(name, candidate.name()) {
            return candidate;
        }
        let twin = match candidate {
            Self::XForwardedFor | Self::XForwardedProto | Self::XForwardedHost => Self::XForwardedTwin,
            Self::ClientCert | Self::ClientCertChain => Self::ClientCertTwin,
            _ => return Self::Other,
        };
        if is_twin(name, candidate.name()) { twin } else { Self::Other }
    }

    /// Whether a proxy says in this field of a request who its client is.
    #[must_use]
    pub const fn says_of_client(self) -> bool {
        matches!(
            self,
            Self::Forwarded
                | Self::XForwardedFor
                | Self::XForwardedProto
                | Self::XForwardedHost
                | Self::ClientCert
                | Self::ClientCertChain
        )
    }

    /// Whether the field belongs to one hop only and is never forwarded as it came (RFC 9110 section
    /// 7.6.1 and its predecessors). Framing fields are among them: framing is written anew on each hop.
    #[inline]
    #[must_use]
    pub const fn is_hop_by_hop(self) -> bool {
        const MASK: u32 = 1 << Known::Connection as u32
            | 1 << Known::ContentLength as u32
            | 1 << Known::TransferEncoding as u32
            | 1 << Known::Te as u32
            | 1 << Known::Upgrade as u32
            | 1 << Known::KeepAlive as u32
            | 1 << Known::ProxyConnection as u32
            | 1 << Known::Http2Settings as u32;
        MASK >> self as u32 & 1 == 1
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Patch,
    Trace,
    Connect,
    Other,
}

impl Method {
    #[inline]
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        match token {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            b"TRACE" => Self::Trace,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }

    /// Whether it asks for no change (RFC 9110 section 9.2.1).
    #[must_use]
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace)
    }

    /// Whether sending it twice has the effect of sending it once (RFC 9110 section 9.2.2).
    #[must_use]
    pub fn is_idempotent(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Put | Self::Delete | Self::Options | Self::Trace)
    }
}

/// Protocol version of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Http10,
    #[default]
    Http11,
    Http2,
}

impl Version {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            // As access logs write it since HTTP/2 came.
            Self::Http2 => "HTTP/2.0",
        }
    }
}

/// Whether the token `name` is `lower` in any case; eight bytes at a time. Setting bit 5 makes letters
/// lower case, and turns no other byte but controls into a letter or a hyphen, which is all `lower` has;
/// controls were refused before anything gets here.
#[inline]
pub(crate) fn is_same_name(name: &[u8], lower: &[u8]) -> bool {
    const LOWER: u64 = 0x2020_2020_2020_2020;
    if name.len() != lower.len() {
        return false;
    }
    let (words, rest) = name.as_chunks::<8>();
    let (lower_words, lower_rest) = lower.as_chunks::<8>();
    words
        .iter()
        .zip(lower_words)
        .all(|(word, lower)| u64::from_le_bytes(*word) | LOWER == u64::from_le_bytes(*lower) | LOWER)
        && rest.iter().zip(lower_rest).all(|(byte, lower)| byte | 0x20 == *lower | 0x20)
}

/// Whether `name` is `lower` in any case with underscores for some hyphens.
#[cold]
fn is_twin(name: &[u8], lower: &[u8]) -> bool {
    name.iter()
        .zip(lower)
        .all(|(byte, lower)| byte.to_ascii_lowercase() == *lower || (*byte == b'_' && *lower == b'-'))
}

/// How a message's body is delimited on the hop it arrived by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    #[default]
    None,
    Length(u64),
    /// Chunked in HTTP/1; a stream of unknown length in HTTP/2.
    Chunked,
    /// An HTTP/1 response that ends with its connection.
    UntilClose,
}

/// What a request's first line and framing fields say.
#[derive(Clone, Copy, Debug)]
pub struct RequestLine {
    pub method: Method,
    pub method_part: Part,
    /// Path and query in origin form; `*` for `OPTIONS *`, nothing where that was asked with an absolute URL.
    pub target: Part,
    /// Length of the path within the target; what follows is the query with its `?`.
    pub path_len: u32,
    /// Host and optional port; empty when an HTTP/1.0 request had none.
    pub host: Part,
    pub version: Version,
    pub body: Body,
    pub keep_alive: bool,
    /// The request asks to switch protocols.
    pub upgrade: bool,
    pub expects_continue: bool,
    /// `Connection` names fields beyond the well-known ones; they have to be dropped too.
    pub connection_names_fields: bool,
    /// The client sent `TE: trailers`.
    pub te_trailers: bool,
}

impl Default for RequestLine {
    fn default() -> Self {
        Self {
            method: Method::Other,
            method_part: Part::default(),
            target: Part::default(),
            path_len: 0,
            host: Part::default(),
            version: Version::Http11,
            body: Body::None,
            keep_alive: true,
            upgrade: false,
            expects_continue: false,
            connection_names_fields: false,
            te_trailers: false,
        }
    }
}

/// What a response's status line and framing fields say.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatusLine {
    pub status: u16,
    /// Reason phrase; may be empty.
    pub reason: Part,
    pub version: Version,
    pub body: Body,
    pub keep_alive: bool,
    pub connection_names_fields: bool,
    /// Value of `Content-Length` where there is no body to count (HEAD, 304).
    pub declared_length: Option<u64>,
}

/// Room behind the longest head: the body of a usual upload (16 KiB) comes with its head in one read.
pub const BEHIND_HEAD: usize = 4 * 1024;

/// A head's buffer, where its parts lie, and how much of the buffer is filled. Used again for message
/// after message; never grows beyond what it was made with.
#[derive(Debug)]
pub struct Flat<Line> {
    pub bytes: Box<[u8]>,
    /// Longest head. The buffer is longer by [`BEHIND_HEAD`].
    pub limit: usize,
    pub filled: usize,
    /// Length of the head with its empty line; what is filled beyond it is body.
    pub head_len: usize,
    pub line: Line,
    pub fields: Vec<Field>,
}

pub type RequestHead = Flat<RequestLine>;
pub type ResponseHead = Flat<StatusLine>;

impl<Line: Default> Flat<Line> {
    /// For heads of up to `limit` bytes and `fields` header fields.
    #[must_use]
    pub fn new(limit: usize, fields: usize) -> Self {
        Self {
            bytes: vec![0; limit + BEHIND_HEAD].into_boxed_slice(),
            limit,
            filled: 0,
            head_len: 0,
            line: Line::default(),
            fields: Vec::with_capacity(fields),
        }
    }

    /// Forgets the message. Its bytes stay in memory until they are overwritten.
    pub fn clear(&mut self) {
        self.filled = 0;
        self.head_len = 0;
        self.fields.clear();
    }

    #[inline]
    #[must_use]
    pub fn part(&self, part: Part) -> &[u8] {
        part.of(&self.bytes)
    }

    /// Value of the first field of that name.
    #[must_use]
    pub fn value(&self, known: Known) -> Option<&[u8]> {
        self.fields.iter().find(|field| field.known == known).map(|field| self.part(field.value))
    }

    /// Values of all fields of that name, in order.
    pub fn values(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().filter(move |field| field.known == known).map(|field| self.part(field.value))
    }

    /// Value of the first field of that name, in any case.
    #[must_use]
    pub fn value_of(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields
            .iter()
            .find(|field| self.part(field.name).eq_ignore_ascii_case(name))
            .map(|field| self.part(field.value))
    }

    /// The bytes that follow the head in the buffer.
    #[must_use]
    pub fn after_head(&self) -> &[u8] {
        &self.bytes[self.head_len..self.filled]
    }

    /// Whether a `Connection` field names `name`.
    #[must_use]
    pub fn connection_names(&self, name: &[u8]) -> bool {
        self.values(Known::Connection)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(name))
    }
}

impl RequestHead {
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.part(self.line.method_part)
    }

    #[must_use]
    pub fn target(&self) -> &[u8] {
        self.part(self.line.target)
    }

    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.target()[..self.line.path_len as usize]
    }

    /// The query without its `?`; `None` when there is none.
    #[must_use]
    pub fn query(&self) -> Option<&[u8]> {
        self.target().get(self.line.path_len as usize + 1..)
    }

    /// Host and optional port as the client sent them.
    #[must_use]
    pub fn host(&self) -> &[u8] {
        self.part(self.line.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_recognised_in_any_case() {
        for known in Known::ALL {
            assert_eq!(Known::of(known.name()), *known);
            assert_eq!(Known::of(&known.name().to_ascii_uppercase()), *known);
        }
        assert_eq!(Known::of(b"x-other"), Known::Other);
        assert_eq!(Known::of(b"X-forwarded_Proto"), Known::XForwardedTwin);
        assert_eq!(Known::of(b"x_forwarded_hosT"), Known::XForwardedTwin);
        assert_eq!(Known::of(b"x_forwarded_hos_"), Known::Other);
        assert_eq!(Known::of(b"Client_Cert-chain"), Known::ClientCertTwin);
        assert_eq!(Known::of(b"client-certs"), Known::Other);
    }
}
