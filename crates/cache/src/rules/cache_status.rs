//! The `Cache-Status` field (RFC 9211): what the cache did with a request, for whoever reads the response.

use std::io::Write;

/// Why a request went to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// The cache was told not to look.
    Bypass,
    /// Requests of this method are not answered from the cache.
    Method,
    /// Nothing is stored for the target.
    UriMiss,
    /// What is stored for the target answers other requests.
    VaryMiss,
    /// What is stored is fresh, but the request wants it asked for.
    Request,
    Stale,
    /// Only a part of what was asked for is stored.
    Partial,
}

impl Forwarded {
    /// The token of RFC 9211 section 2.2.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// What there is to say about one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatus<'a> {
    /// Answered without the origin.
    pub hit: bool,
    pub forwarded: Option<Forwarded>,
    /// Status that the origin answered with, where the client sees another.
    pub forwarded_status: Option<u16>,
    pub stored: bool,
    /// It waited for the fetch of another request.
    pub collapsed: bool,
    /// Seconds for which the response stays fresh; negative when it is stale.
    pub ttl_s: Option<i64>,
    pub key: Option<&'a [u8]>,
    /// A token for further news.
    pub detail: Option<&'static str>,
}

impl CacheStatus<'_> {
    /// Writes the member of the list that the cache `name` adds; `name` is a token.
    pub fn write(&self, name: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(name.as_bytes());
        if self.hit {
            out.extend_from_slice(b"; hit");
        }
        if let Some(forwarded) = self.forwarded {
            out.extend_from_slice(b"; fwd=");
            out.extend_from_slice(forwarded.token().as_bytes());
        }
        // Writing to a Vec does not fail.
        if let Some(status) = self.forwarded_status {
            let _ = write!(out, "; fwd-status={status}");
        }
        if self.stored {
            out.extend_from_slice(b"; stored");
        }
        if self.collapsed {
            out.extend_from_slice(b"; collapsed");
        }
        if let Some(ttl) = self.ttl_s {
            let _ = write!(out, "; ttl={ttl}");
        }
        if let Some(key) = self.key {
            out.extend_from_slice(b"; key=\"");
            write_string(key, out);
            out.push(b'"');
        }
        if let Some(detail) = self.detail {
            out.extend_from_slice(b"; detail=");
            out.extend_from_slice(detail.as_bytes());
        }
    }
}

/// The inside of a string of RFC 8941; what it cannot hold is percent-encoded.
fn write_string(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_as_the_rfc_shows_them() {
        let text = |status: CacheStatus<'_>| {
            let mut out = Vec::new();
            status.write("headgate", &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            text(CacheStatus { hit: true, ttl_s: Some(-3), ..CacheStatus::default() }),
            "headgate; hit; ttl=-3"
        );
        let miss = CacheStatus {
            forwarded: Some(Forwarded::UriMiss),
            forwarded_status: Some(304),
            stored: true,
            collapsed: true,
            key: Some(b"a\"\\\x80/"),
            ..CacheStatus::default()
        };
        assert_eq!(
            text(miss),
            r#"headgate; fwd=uri-miss; fwd-status=304; stored; collapsed; key="a\"\\%80/""#
        );
    }
}
