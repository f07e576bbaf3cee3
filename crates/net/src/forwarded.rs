//! Who the client is when proxies stand in between: what `X-Forwarded-For` and `Forwarded` (RFC 7239) say,
//! believed only as far as the proxies that wrote it are trusted; and our own element for the next hop.

use headgate_model::address::Network;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The client's address: the nearest one that is not a trusted proxy, IPv4 where it is IPv4-mapped.
///
/// `hops` come from [`x_forwarded_for`] or [`forwarded`], the nearest first. Each is believed only because
/// the one before it is trusted, so the walk ends at the first address outside `trusted`, which is the
/// client. It also ends where a trusted proxy wrote no address (`unknown`, an obfuscated identifier, or
/// something unreadable); then that proxy itself is the nearest known. When all are trusted the farthest is
/// the client. What lies beyond the end is never read, so a client cannot speak for itself.
///
/// Give the hops of one header only, the one that the trusted proxies write: a proxy that appends to one
/// usually passes on what its client put into the other.
#[must_use]
pub fn client_address(
    peer: IpAddr,
    trusted: &[Network],
    hops: impl Iterator<Item = Option<IpAddr>>,
) -> IpAddr {
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    for hop in hops {
        if !is_trusted(client) {
            break;
        }
        let Some(address) = hop else { break };
        client = address.to_canonical();
    }
    client
}

/// The addresses of all `X-Forwarded-For` fields of a message, given in their order, from the nearest hop to
/// the farthest; `None` for one that is not an address. Ports are ignored.
pub fn x_forwarded_for<'a>(
    fields: impl DoubleEndedIterator<Item = &'a [u8]>,
) -> impl Iterator<Item = Option<IpAddr>> {
    fields.rev().flat_map(|field| field.rsplit(|&byte| byte == b',')).filter(is_not_blank).map(node)
}

/// The `for` addresses of all `Forwarded` fields of a message, given in their order, from the nearest hop to
/// the farthest; `None` for an element without a readable address. Ports are ignored.
pub fn forwarded<'a>(
    fields: impl DoubleEndedIterator<Item = &'a [u8]>,
) -> impl Iterator<Item = Option<IpAddr>> {
    fields.rev().flat_map(|field| split_from_right(field, b',')).filter(is_not_blank).map(for_node)
}

/// What our own `Forwarded` element tells the next hop.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// The peer of our connection; `None` where it has no IP address (a Unix socket).
    pub peer: Option<IpAddr>,
    /// The Host as the client sent it.
    pub host: Option<&'a [u8]>,
    /// `"http"` or `"https"`.
    pub proto: &'static str,
}

/// Writes one `Forwarded` element, without a separator: `, ` before it is the caller's when others precede.
/// A host with control characters, which no valid one has, is left out.
pub fn write_forwarded(out: &mut Vec<u8>, element: &Element<'_>) {
    write_for(out, element.peer);
    out.extend_from_slice(b";proto=");
    out.extend_from_slice(element.proto.as_bytes());
    if let Some(host) = element.host.filter(|host| !host.iter().any(u8::is_ascii_control)) {
        out.extend_from_slice(b";host=");
        write_token_or_quoted(out, host);
    }
}

/// Writes what `X-Forwarded-For` fields, given in their order, say as `Forwarded` elements, each with `, ` behind
/// it; `proto` goes to the farthest. What is not an address becomes `unknown` (RFC 7239 section 7.4).
pub fn write_converted<'a>(out: &mut Vec<u8>, fields: impl Iterator<Item = &'a [u8]>, proto: Option<&[u8]>) {
    let mut proto = proto.filter(|proto| proto.iter().all(|&byte| is_token(byte)) && !proto.is_empty());
    for element in fields.flat_map(|field| field.split(|&byte| byte == b',')).filter(is_not_blank) {
        write_for(out, node(element));
        if let Some(proto) = proto.take() {
            out.extend_from_slice(b";proto=");
            out.extend_from_slice(proto);
        }
        out.extend_from_slice(b", ");
    }
}

/// Writes an address as `X-Forwarded-For` has it: bare, without a port, without a separator.
pub fn write_address(out: &mut Vec<u8>, address: IpAddr) {
    #[expect(clippy::expect_used, reason = "a Vec takes any bytes")]
    write!(out, "{}", address.to_canonical()).expect("writing to a Vec does not fail");
}

/// An IPv6 address has colons, so that it is quoted, in brackets (RFC 7239 section 6).
fn write_for(out: &mut Vec<u8>, address: Option<IpAddr>) {
    out.extend_from_slice(b"for=");
    match address.map(|address| address.to_canonical()) {
        None => out.extend_from_slice(b"unknown"),
        Some(IpAddr::V4(address)) => write_address(out, address.into()),
        Some(IpAddr::V6(address)) => {
            out.extend_from_slice(b"\"[");
            write_address(out, address.into());
            out.extend_from_slice(b"]\"");
        }
    }
}

fn write_token_or_quoted(out: &mut Vec<u8>, text: &[u8]) {
    if !text.is_empty() && text.iter().all(|&byte| is_token(byte)) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Empty list elements are to be ignored (RFC 9110 section 5.6.1.2).
fn is_not_blank(element: &&[u8]) -> bool {
    !element.trim_ascii().is_empty()
}

/// The one `for` parameter of a `Forwarded` element.
fn for_node(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    for pair in split_from_right(element, b';').filter(is_not_blank) {
        let pair = pair.trim_ascii();
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (&pair[..equals], &pair[equals + 1..]);
        // No parameter may occur twice (RFC 7239 section 4): which one to believe would be a guess.
        if name.eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
            return None;
        }
    }
    // Nothing in an address needs escaping, so a value with backslashes is no address.
    match found? {
        [b'"', quoted @ .., b'"'] => node(quoted),
        token => node(token),
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80`; also `2001:db8::1`, as
/// `X-Forwarded-For` has it. A port may be obfuscated (`_name`, RFC 7239 section 6.2).
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']')?;
        let port_is_good = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        return address.parse::<Ipv6Addr>().ok().filter(|_| port_is_good).map(IpAddr::V6);
    }
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (address, port) = text.split_once(':')?;
    address.parse::<Ipv4Addr>().ok().filter(|_| is_port(port)).map(IpAddr::V4)
}

fn is_port(text: &str) -> bool {
    let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    match text.strip_prefix('_') {
        Some(name) => !name.is_empty() && is_name(name),
        None => (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// Splits at separators outside quoted strings, from the right: so an unfinished quote that a client put on
/// the left cannot swallow what a proxy appended.
fn split_from_right(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut in_quotes = false;
        let at = text.iter().enumerate().rev().position(|(index, &byte)| {
            in_quotes ^= byte == b'"' && !is_escaped(text, index);
            byte == separator && !in_quotes
        });
        let Some(from_right) = at else { return rest.take() };
        let index = text.len() - 1 - from_right;
        rest = Some(&text[..index]);
        Some(&text[index + 1..])
    })
}

fn is_escaped(text: &[u8], index: usize) -> bool {
    text[..index].iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn trusted() -> Vec<Network> {
        ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec()
    }

    fn by_x_forwarded_for(peer: &str, fields: &[&str]) -> String {
        let hops = x_forwarded_for(fields.iter().map(|field| field.as_bytes()));
        client_address(peer.parse().unwrap(), &trusted(), hops).to_string()
    }

    fn by_forwarded(peer: &str, fields: &[&str]) -> String {
        let hops = forwarded(fields.iter().map(|field| field.as_bytes()));
        client_address(peer.parse().unwrap(), &trusted(), hops).to_string()
    }

    #[test]
    fn a_stranger_is_the_client_whatever_it_says() {
        assert_eq!(by_x_forwarded_for("192.0.2.1", &["1.1.1.1"]), "192.0.2.1");
        assert_eq!(by_x_forwarded_for("::ffff:192.0.2.1", &["10.0.0.1"]), "192.0.2.1");
        assert_eq!(by_forwarded("2001:db8::1", &["for=1.1.1.1"]), "2001:db8::1");
    }

    #[test]
    fn the_walk_skips_trusted_proxies_and_stops_at_the_first_stranger() {
        for (fields, client) in [
            (&[][..], "10.0.0.1"),
            (&["192.0.2.1"], "192.0.2.1"),
            (&["1.1.1.1, 192.0.2.1"], "192.0.2.1"),
            (&["1.1.1.1, 192.0.2.1, 10.0.0.3,10.0.0.2"], "192.0.2.1"),
            (&["1.1.1.1, 192.0.2.1", "10.0.0.3", "10.0.0.2"], "192.0.2.1"),
            (&["192.0.2.1", ", ,\t", ""], "192.0.2.1"),
            (&["10.9.9.9, 10.0.0.2"], "10.9.9.9"),
            (&["::ffff:192.0.2.1, ::ffff:10.0.0.2"], "192.0.2.1"),
            (&["2001:db8::1, fd00::2"], "2001:db8::1"),
            (&["[2001:db8::1]:4711, [fd00::2]"], "2001:db8::1"),
            (&["192.0.2.1:4711, 10.0.0.2:80"], "192.0.2.1"),
        ] {
            assert_eq!(by_x_forwarded_for("10.0.0.1", fields), client, "{fields:?}");
            assert_eq!(by_x_forwarded_for("::ffff:10.0.0.1", fields), client, "{fields:?}");
        }
    }

    #[test]
    fn the_walk_stops_where_a_trusted_proxy_wrote_no_address() {
        for unreadable in
            ["unknown", "_hidden", "10.0.0", "10.0.0.1:", "10.0.0.1:123456", "10.0.0.1:8o", "[::1", "[::1]8"]
        {
            assert_eq!(by_x_forwarded_for("10.0.0.1", &["192.0.2.1", unreadable, "10.0.0.2"]), "10.0.0.2");
            let quoted = format!("for=\"{unreadable}\"");
            assert_eq!(by_forwarded("10.0.0.1", &["for=192.0.2.1", &quoted, "for=10.0.0.2"]), "10.0.0.2");
        }
        for unreadable in
            ["proto=https", "for", "for=192.0.2.1;for=192.0.2.2", "for=\"192.0.2.1", "for=\"192.0.2.\\1\""]
        {
            assert_eq!(by_forwarded("10.0.0.1", &[unreadable, "for=10.0.0.2"]), "10.0.0.2", "{unreadable}");
        }
    }

    #[test]
    fn forwarded_elements() {
        for (fields, client) in [
            (&["for=192.0.2.1"][..], "192.0.2.1"),
            (&["For=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
            (&["for=192.0.2.43;proto=http;by=203.0.113.60"], "192.0.2.43"),
            (&["proto=http;by=203.0.113.60;FOR=\"192.0.2.43:_port\""], "192.0.2.43"),
            (&["for=1.1.1.1, for=192.0.2.43, for=10.0.0.2"], "192.0.2.43"),
            (&["for=1.1.1.1", "for=192.0.2.43,for=10.0.0.2;host=\"a,b;for=2.2.2.2\""], "192.0.2.43"),
            (&["for=192.0.2.43;host=\"\\\"\\\\\", for=10.0.0.2"], "192.0.2.43"),
            (&["for=192.0.2.43 ; proto=http;, for=10.0.0.2;"], "192.0.2.43"),
        ] {
            assert_eq!(by_forwarded("10.0.0.1", fields), client, "{fields:?}");
        }
    }

    #[test]
    fn our_own_elements() {
        let written = |peer: Option<&str>, host: Option<&str>| {
            let mut out = Vec::new();
            let peer = peer.map(|peer| peer.parse().unwrap());
            write_forwarded(&mut out, &Element { peer, host: host.map(str::as_bytes), proto: "https" });
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(Some("192.0.2.1"), Some("a.test")), "for=192.0.2.1;proto=https;host=a.test");
        assert_eq!(
            written(Some("2001:db8::1"), Some("a.test:80")),
            "for=\"[2001:db8::1]\";proto=https;host=\"a.test:80\""
        );
        assert_eq!(written(Some("::ffff:192.0.2.1"), None), "for=192.0.2.1;proto=https");
        assert_eq!(written(None, Some("")), "for=unknown;proto=https;host=\"\"");
        assert_eq!(written(None, Some("a\"b\\c")), "for=unknown;proto=https;host=\"a\\\"b\\\\c\"");
        assert_eq!(written(None, Some("a\r\nx: y")), "for=unknown;proto=https");
    }

    #[test]
    fn x_forwarded_for_converted() {
        let converted = |fields: &[&str], proto: Option<&str>| {
            let mut out = Vec::new();
            let fields = fields.iter().map(|field| field.as_bytes());
            write_converted(&mut out, fields, proto.map(str::as_bytes));
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            converted(&["192.0.2.1, 2001:db8::1", "odd\"x, 10.0.0.1:80"], Some("https")),
            "for=192.0.2.1;proto=https, for=\"[2001:db8::1]\", for=unknown, for=10.0.0.1, "
        );
        assert_eq!(converted(&["192.0.2.1"], Some("a;b")), "for=192.0.2.1, ");
        assert_eq!(converted(&[], Some("https")), "");
    }

    proptest! {
        #[test]
        fn what_a_client_sends_cannot_hide_what_a_proxy_appends(sent: Vec<u8>, address: IpAddr) {
            let mut list = [&sent[..], b", "].concat();
            write_address(&mut list, address);
            let nearest = x_forwarded_for([&list[..]].into_iter()).next();
            prop_assert_eq!(nearest, Some(Some(address.to_canonical())));

            let mut list = [&sent[..], b", "].concat();
            write_forwarded(&mut list, &Element { peer: Some(address), host: Some(&sent), proto: "http" });
            prop_assert_eq!(forwarded([&list[..]].into_iter()).next(), Some(Some(address.to_canonical())));
        }

        #[test]
        fn any_bytes_are_read_to_the_end(
            fields in proptest::collection::vec("[\",;= \\\\\\[\\]:.0-9a-fr]{0,40}", 0..4),
        ) {
            let fields: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes()).collect();
            let bytes: usize = fields.iter().map(|field| field.len()).sum();
            prop_assert!(forwarded(fields.iter().copied()).count() <= bytes);
            prop_assert!(x_forwarded_for(fields.iter().copied()).count() <= bytes);
        }
    }
}
