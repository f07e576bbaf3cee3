//! Trailer fields of one message (RFC 9110 section 6.5). Rare, so they may allocate; bounded by the
//! buffer they arrive in.

use crate::fields::is_same_or_twin;
use crate::head::{Field, Known};

/// Trailer lines that may be passed on.
#[derive(Clone, Debug, Default)]
pub struct Trailers {
    lines: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Trailers {
    /// Takes over the fields that are allowed in a trailer section: nothing about framing, routing, the
    /// connection, access, or how the message is to be handled (RFC 9110 section 6.5.1).
    #[must_use]
    pub fn from_fields(bytes: &[u8], fields: &[Field]) -> Self {
        let lines = fields
            .iter()
            .filter(|field| may_trail(field.known, field.name.of(bytes)))
            .map(|field| (field.name.of(bytes).to_ascii_lowercase(), field.value.of(bytes).to_vec()))
            .collect();
        Self { lines }
    }

    #[must_use]
    pub fn from_map(map: &http::HeaderMap) -> Self {
        let lines = map
            .iter()
            .filter(|(name, _)| may_trail(Known::of(name.as_str().as_bytes()), name.as_str().as_bytes()))
            .map(|(name, value)| (name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect();
        Self { lines }
    }

    #[must_use]
    pub fn to_map(&self) -> http::HeaderMap {
        let pairs = self.lines.iter().filter_map(|(name, value)| {
            let name = http::HeaderName::from_bytes(name).ok()?;
            Some((name, http::HeaderValue::from_bytes(value).ok()?))
        });
        let mut map = http::HeaderMap::new();
        for (name, value) in pairs {
            map.append(name, value);
        }
        map
    }

    /// Keeps the fields whose names, in lower case, `keeps` says yes to.
    #[must_use]
    pub fn kept(mut self, keeps: &dyn Fn(&[u8]) -> bool) -> Self {
        self.lines.retain(|(name, _)| keeps(name));
        self
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Appends `name: value CRLF` for each.
    pub fn write_lines(&self, out: &mut Vec<u8>) {
        for (name, value) in &self.lines {
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Beyond what [`Known`] knows: what decides on access, on conditions, on the content or on caching has to be
/// known before the content, so that one who merges trailers into the head would be misled.
const NEVER_TRAILS: [&[u8]; 27] = [
    b"age",
    b"authentication-info",
    b"authorization",
    b"cache-control",
    b"content-encoding",
    b"content-location",
    b"content-range",
    b"content-type",
    b"expires",
    b"if-match",
    b"if-modified-since",
    b"if-none-match",
    b"if-range",
    b"if-unmodified-since",
    b"location",
    b"pragma",
    b"proxy-authentication-info",
    b"range",
    b"retry-after",
    b"sec-websocket-accept",
    b"set-cookie",
    b"strict-transport-security",
    b"vary",
    b"warning",
    b"www-authenticate",
    b"x-accel-redirect",
    b"x-real-ip",
];

fn may_trail(known: Known, name: &[u8]) -> bool {
    !(known.is_hop_by_hop()
        || known == Known::Other && NEVER_TRAILS.iter().any(|never| is_same_or_twin(name, never))
        || matches!(
            known,
            Known::Host
                | Known::Trailer
                | Known::Expect
                | Known::ProxyAuthenticate
                | Known::ProxyAuthorization
                | Known::Cookie
                | Known::Forwarded
                | Known::XForwardedFor
                | Known::XForwardedHost
                | Known::XForwardedProto
                | Known::XForwardedTwin
                | Known::ClientCert
                | Known::ClientCertChain
                | Known::ClientCertTwin
                | Known::MaxForwards
                | Known::Date
        ))
}
