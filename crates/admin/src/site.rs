//! Which requests come from an operator and not from a web page in an operator's browser. It is no login:
//! whoever reaches the address with a tool of their own may ask anything.
//!
//! A page of `evil.example` can make that name resolve to the admin address (DNS rebinding); the browser
//! then lets the page read the answers, but still names `evil.example` in `Host`. And any page may send a
//! POST here blindly; the browser then names the page in `Origin` (RFC 6454, section 7).

use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::http::uri::Authority;
use hyper::{StatusCode, Uri};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Why a request is not answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) reason: &'static str,
}

/// Refuses a request that names another host than an IP address, `localhost` or one of `hosts`.
pub(crate) fn check_host(uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> Result<(), Refusal> {
    let Some(host) = single(headers, &HOST).and_then(|host| host.parse::<Authority>().ok()) else {
        return Err(Refusal { status: StatusCode::BAD_REQUEST, reason: "exactly one valid Host is needed" });
    };
    // A target with a host of its own overrides the field (RFC 9112, section 3.2.2).
    if [Some(&host), uri.authority()].into_iter().flatten().all(|named| is_ours(named, hosts)) {
        return Ok(());
    }
    Err(Refusal {
        status: StatusCode::MISDIRECTED_REQUEST,
        reason: "this host name is not served here; name the address, localhost, or a configured host name",
    })
}

/// Refuses a request that a page of another site made.
pub(crate) fn check_origin(headers: &HeaderMap) -> Result<(), Refusal> {
    if !headers.contains_key(ORIGIN) {
        return Ok(());
    }
    let origin = single(headers, &ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
    match (origin, single(headers, &HOST)) {
        (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(Refusal { status: StatusCode::FORBIDDEN, reason: "asked for by a page of another site" }),
    }
}

fn is_ours(authority: &Authority, hosts: &[String]) -> bool {
    let host = authority.host();
    let is_ip = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inside) => inside.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv4Addr>().is_ok(),
    };
    let named = |name: &str| name.eq_ignore_ascii_case(host);
    // Nobody needs user information here, and it has fooled readers of host names before.
    !authority.as_str().contains('@') && (is_ip || named("localhost") || hosts.iter().any(|name| named(name)))
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    fn host(value: &'static str) -> Option<u16> {
        let hosts = ["gate.internal".to_owned()];
        check_host(&Uri::from_static("/"), &headers(&[(HOST, value)]), &hosts)
            .err()
            .map(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn addresses_localhost_and_configured_names_are_served() {
        for ours in [
            "127.0.0.1",
            "10.1.2.3:9090",
            "[::1]",
            "[fe80::1]:9090",
            "localhost:80",
            "LocalHost",
            "Gate.Internal:9",
        ] {
            assert_eq!(host(ours), None, "{ours}");
        }
        for foreign in [
            "evil.example",
            "evil.example:9090",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "evil.example@127.0.0.1",
            "internal",
            "x.gate.internal",
            "2130706433",
            "0x7f.1",
        ] {
            assert_eq!(host(foreign), Some(421), "{foreign}");
        }
        for bad in ["", " ", "a b", "[::1", "localhost/", "a,b:"] {
            assert!(host(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_request_names_its_host_once_and_does_not_contradict_itself() {
        let check = |uri, pairs: &[_]| check_host(&Uri::from_static(uri), &headers(pairs), &[]).is_ok();
        assert!(!check("/", &[]));
        assert!(!check("/", &[(HOST, "localhost"), (HOST, "localhost")]));
        assert!(check("http://localhost/", &[(HOST, "127.0.0.1")]));
        assert!(!check("http://evil.example/", &[(HOST, "127.0.0.1")]));
        assert!(!check("http://127.0.0.1/", &[(HOST, "evil.example")]));
    }

    #[test]
    fn only_our_own_pages_may_change_something() {
        let check = |pairs: &[_]| check_origin(&headers(pairs)).is_ok();
        assert!(check(&[(HOST, "127.0.0.1:9090")]), "a tool names no origin");
        assert!(check(&[(HOST, "Localhost:9090"), (ORIGIN, "http://localhost:9090")]));
        for foreign in [
            "null",
            "http://localhost",
            "http://localhost:8080",
            "https://localhost:9090",
            "http://evil.example",
            "",
        ] {
            assert!(!check(&[(HOST, "localhost:9090"), (ORIGIN, foreign)]), "{foreign}");
        }
        assert!(!check(&[(ORIGIN, "http://localhost")]));
    }
}
