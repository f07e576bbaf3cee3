//! Keeps a client on its endpoint by a signed cookie. The cookie names the endpoint by a short keyed hash, so
//! that it tells nobody an address, and is signed together with its expiry (HMAC-SHA256), so that nobody can
//! choose an endpoint. It does not say who the client is.
//!
//! ```text
//! cookie value = endpoint . expiry . signature      16, 1 to 20 and 64 characters
//! endpoint     = hex(first 8 bytes of HMAC(secret, "endpoint" service name))
//! expiry       = seconds since 1970 in decimal, 0 for none
//! signature    = hex(HMAC(secret, "cookie" service endpoint expiry))
//! ```

use aws_lc_rs::hmac;
use headgate_model::spec;
use headgate_net::fields::decimal;
use std::time::Duration;

/// Hexadecimal digits of an endpoint's hash.
const ID_LEN: usize = 16;

type Id = [u8; ID_LEN];

/// One service's cookies.
pub(crate) struct Sticky {
    pub cookie: Box<[u8]>,
    /// Zero: until the browser closes.
    ttl: Duration,
    service: Box<str>,
    key: hmac::Key,
    /// In the order of the service's endpoints.
    ids: Vec<Id>,
}

impl Sticky {
    /// `endpoints` are the names of the service's endpoints, in their order.
    pub(crate) fn new<'n>(
        spec: &spec::Sticky,
        service: &str,
        endpoints: impl Iterator<Item = &'n str>,
    ) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, spec.secret.as_bytes());
        let ids = endpoints.map(|name| {
            let tag = sign(&key, &[b"endpoint", service.as_bytes(), name.as_bytes()]);
            let mut id = [0; ID_LEN];
            write_hex(&tag.as_ref()[..ID_LEN / 2], &mut id);
            id
        });
        let ids = ids.collect();
        Self { cookie: spec.cookie.as_bytes().into(), ttl: spec.ttl.0, service: service.into(), key, ids }
    }

    /// Index of the endpoint that a cookie's value names; `None` when the value is not of our making, has
    /// expired, or its endpoint is gone.
    pub(crate) fn endpoint(&self, value: &[u8], unix_s: u64) -> Option<usize> {
        let (id, rest) = value.split_first_chunk::<ID_LEN>()?;
        let rest = rest.strip_prefix(b".")?;
        let dot = rest.iter().position(|&byte| byte == b'.')?;
        let (expiry, signature) = (&rest[..dot], &rest[dot + 1..]);
        let mut tag = [0; 32];
        read_hex(signature, &mut tag)?;
        hmac::verify(&self.key, &self.message(id, expiry), &tag).ok()?;
        let expires: u64 = std::str::from_utf8(expiry).ok()?.parse().ok()?;
        if expires != 0 && expires <= unix_s {
            return None;
        }
        self.ids.iter().position(|known| known == id)
    }

    /// Appends a `Set-Cookie` value that keeps the client on `endpoint`.
    pub(crate) fn write(&self, endpoint: usize, unix_s: u64, secure: bool, out: &mut Vec<u8>) {
        let ttl_s = self.ttl.as_secs().max(u64::from(!self.ttl.is_zero()));
        let expires = if ttl_s == 0 { 0 } else { unix_s.saturating_add(ttl_s) };
        let id = &self.ids[endpoint];
        let mut digits = [0; 20];
        let expiry = decimal(expires, &mut digits);
        let mut signature = [0; 64];
        write_hex(hmac::sign(&self.key, &self.message(id, expiry)).as_ref(), &mut signature);
        for piece in [&self.cookie[..], b"=", id, b".", expiry, b".", &signature] {
            out.extend_from_slice(piece);
        }
        out.extend_from_slice(b"; Path=/; HttpOnly; SameSite=Lax");
        if secure {
            out.extend_from_slice(b"; Secure");
        }
        if ttl_s > 0 {
            out.extend_from_slice(b"; Max-Age=");
            out.extend_from_slice(decimal(ttl_s, &mut [0; 20]));
        }
    }

    fn message(&self, id: &Id, expiry: &[u8]) -> Vec<u8> {
        joined(&[b"cookie", self.service.as_bytes(), id, expiry])
    }
}

fn sign(key: &hmac::Key, parts: &[&[u8]]) -> hmac::Tag {
    hmac::sign(key, &joined(parts))
}

/// No part contains a line feed: names are labels and addresses, the rest are digits.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.join(&b'\n')
}

fn write_hex(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// Exactly twice as many lower-case digits as `out` has bytes.
fn read_hex(digits: &[u8], out: &mut [u8]) -> Option<()> {
    if digits.len() != 2 * out.len() {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::spec::Span;

    const NAMES: [&str; 3] = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"];

    fn sticky(secret: &str, service: &str, ttl_s: u64, names: &[&str]) -> Sticky {
        let spec = spec::Sticky {
            cookie: "s".to_owned(),
            secret: secret.to_owned(),
            ttl: Span(Duration::from_secs(ttl_s)),
        };
        Sticky::new(&spec, service, names.iter().copied())
    }

    fn value(sticky: &Sticky, endpoint: usize, unix_s: u64) -> Vec<u8> {
        let mut out = Vec::new();
        sticky.write(endpoint, unix_s, false, &mut out);
        let end = out.iter().position(|&byte| byte == b';').unwrap();
        out[2..end].to_vec()
    }

    #[test]
    fn a_cookie_leads_back_whatever_the_order_of_the_endpoints() {
        let sticky = sticky("0123456789abcdef", "shop", 0, &NAMES);
        for endpoint in 0..3 {
            assert_eq!(sticky.endpoint(&value(&sticky, endpoint, 7), u64::MAX), Some(endpoint));
        }
        let other = self::sticky("0123456789abcdef", "shop", 0, &[NAMES[2], NAMES[0]]);
        assert_eq!(other.endpoint(&value(&sticky, 2, 7), 7), Some(0));
        assert_eq!(other.endpoint(&value(&sticky, 1, 7), 7), None, "the endpoint is gone");
    }

    #[test]
    fn no_changed_byte_is_accepted() {
        let sticky = sticky("0123456789abcdef", "shop", 60, &NAMES);
        let good = value(&sticky, 1, 1_000);
        for at in 0..good.len() {
            for other in [b'0', b'1', b'a', b'.', 0, 0xff] {
                let mut bad = good.clone();
                bad[at] = other;
                if bad != good {
                    assert_eq!(sticky.endpoint(&bad, 1_000), None, "byte {at}");
                }
            }
            assert_eq!(sticky.endpoint(&good[..at], 1_000), None);
        }
        assert_eq!(sticky.endpoint(&[&good[..], b"0"].concat(), 1_000), None);
    }

    #[test]
    fn another_secret_or_service_made_another_cookie() {
        let sticky = sticky("0123456789abcdef", "shop", 0, &NAMES);
        for other in [
            self::sticky("0123456789abcdeX", "shop", 0, &NAMES),
            self::sticky("0123456789abcdef", "shop2", 0, &NAMES),
        ] {
            assert_eq!(sticky.endpoint(&value(&other, 0, 7), 7), None);
        }
    }

    #[test]
    fn a_cookie_ends_with_its_time() {
        let sticky = sticky("0123456789abcdef", "shop", 60, &NAMES);
        let value = value(&sticky, 0, 1_000);
        assert_eq!((sticky.endpoint(&value, 1_059), sticky.endpoint(&value, 1_060)), (Some(0), None));
    }

    #[test]
    fn attributes() {
        let written = |ttl, secure| {
            let mut out = Vec::new();
            sticky("0123456789abcdef", "shop", ttl, &NAMES).write(0, 1, secure, &mut out);
            String::from_utf8(out).unwrap().split_once(';').unwrap().1.to_owned()
        };
        assert_eq!(written(0, false), " Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(written(90, true), " Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=90");
    }
}
