//! Addresses as people write them: where a listener binds, where an endpoint is reached, which network
//! a peer belongs to. Plain values; nothing here resolves a name or opens a socket.

use crate::grammar::is_host_name;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Why a text is not an address: a sentence without a full stop that says what to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(&'static str);

/// Where a listener binds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BindAddress {
    /// `":8080"`: every address of the machine, IPv6 and IPv4.
    Every { port: u16 },
    /// `"127.0.0.1:8080"`, `"[::1]:8080"`. An IPv6 address takes no IPv4 connections.
    Ip(SocketAddr),
    /// `"unix:/path"`.
    Unix(String),
}

impl BindAddress {
    /// Whether both cannot be bound at once. Port zero, a port that the system picks, clashes with nothing.
    #[must_use]
    pub fn clashes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unix(a), Self::Unix(b)) => a == b,
            (Self::Ip(a), Self::Ip(b)) => {
                let all = a.ip().is_unspecified() || b.ip().is_unspecified();
                let same = a.ip() == b.ip() || all && a.is_ipv4() == b.is_ipv4();
                same && a.port() == b.port() && a.port() != 0
            }
            (Self::Every { port }, Self::Every { port: other }) => port == other && *port != 0,
            (Self::Every { port }, Self::Ip(ip)) | (Self::Ip(ip), Self::Every { port }) => {
                ip.port() == *port && *port != 0
            }
            (Self::Unix(_), _) | (_, Self::Unix(_)) => false,
        }
    }
}

impl FromStr for BindAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix_path(path).map(Self::Unix);
        }
        if let Some(port) = text.strip_prefix(':') {
            let port = port_number(port).ok_or(BAD_PORT)?;
            return Ok(Self::Every { port });
        }
        let (host, port) = split_port(text)?;
        let port = port_number(port).ok_or(BAD_PORT)?;
        let ip = ip_literal(host).ok_or(AddressError(
            "a listener binds an IP address, not a name; write \"127.0.0.1:8080\", \"[::1]:8080\" or \":8080\"",
        ))?;
        Ok(Self::Ip(SocketAddr::new(ip, port)))
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every { port } => write!(f, ":{port}"),
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// Where an endpoint is reached, and whether its address itself asks for TLS.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointAddress {
    pub target: Target,
    /// What the address says about TLS: `Some(true)` for `https://`, `Some(false)` for `http://`, `None`
    /// where the service's `tls` decides.
    pub tls: Option<bool>,
}

/// What is dialled.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    Ip(SocketAddr),
    /// A name to resolve, in lower case.
    Name {
        host: String,
        port: u16,
    },
    Unix(String),
}

impl FromStr for EndpointAddress {
    type Err = AddressError;

    /// Reads `"host:port"`, `":3000"` (127.0.0.1), `"[::1]:80"`, `"unix:/path"`, `"http://host"` (port 80)
    /// and `"https://host"` (port 443, TLS).
    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self { target: Target::Unix(unix_path(path)?), tls: None });
        }
        let (rest, tls) = match text.split_once("://") {
            Some(("http", rest)) => (rest, Some(false)),
            Some(("https", rest)) => (rest, Some(true)),
            Some(_) => return Err(AddressError("only http:// and https:// can stand before an address")),
            None => (text, None),
        };
        let rest = if tls.is_some() { rest.strip_suffix('/').unwrap_or(rest) } else { rest };
        if rest.contains('/') {
            return Err(AddressError(
                "an endpoint is an address without a path; a route's `rewrite` changes paths",
            ));
        }
        let (host, port) = match (split_port(rest), tls) {
            (Ok(parts), _) => parts,
            (Err(_), Some(tls)) if is_bare_host(rest) => (rest, if tls { "443" } else { "80" }),
            (Err(error), _) => return Err(error),
        };
        let port = port_number(port).filter(|&port| port != 0).ok_or(BAD_PORT)?;
        let target = match ip_literal(host) {
            Some(ip) => Target::Ip(SocketAddr::new(ip, port)),
            None if host.is_empty() => Target::Ip(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)),
            None if is_host_name(host) => Target::Name { host: host.to_ascii_lowercase(), port },
            None => return Err(AddressError("the host is neither an IP address nor a DNS name")),
        };
        Ok(Self { target, tls })
    }
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tls {
            Some(true) => f.write_str("https://")?,
            Some(false) => f.write_str("http://")?,
            None => {}
        }
        match &self.target {
            Target::Ip(address) => address.fmt(f),
            Target::Name { host, port } => write!(f, "{host}:{port}"),
            Target::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// A network (`"10.0.0.0/8"`, `"fd00::/8"`), or one address. IPv4-mapped IPv6 addresses count as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    #[must_use]
    pub fn contains(&self, peer: IpAddr) -> bool {
        match (self.address, peer.to_canonical()) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                masked(peer.to_canonical(), self.prefix_bits) == self.address
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong =
            AddressError("write an address or a network, like \"10.0.0.1\", \"10.0.0.0/8\" or \"fd00::/8\"");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            None => width,
            Some(digits) => number(digits).filter(|&bits| bits <= width).ok_or(wrong)?,
        };
        if masked(address, prefix_bits) != address {
            return Err(AddressError("the address has bits set beyond the length of the network's prefix"));
        }
        Ok(Self { address, prefix_bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

const BAD_PORT: AddressError = AddressError("the port is not a number from 1 to 65535");

fn masked(address: IpAddr, prefix_bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix_bits)).unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix_bits)).unwrap_or(0);
            Ipv6Addr::from(u128::from(v6) & mask).into()
        }
    }
}

/// Splits `host:port`; the host of an IPv6 address keeps its brackets.
fn split_port(text: &str) -> Result<(&str, &str), AddressError> {
    let missing = match text.parse::<u16>() {
        Ok(_) => AddressError("a port alone; write a colon before it, or \"host:port\""),
        Err(_) => AddressError("a port is missing; write \"host:port\""),
    };
    let (host, port) = text.rsplit_once(':').ok_or(missing)?;
    if host.starts_with('[') && !host.ends_with(']') {
        return Err(missing);
    }
    if !host.starts_with('[') && host.contains(':') {
        return Err(AddressError("an IPv6 address stands in brackets; write \"[::1]:8080\""));
    }
    Ok((host, port))
}

fn is_bare_host(text: &str) -> bool {
    ip_literal(text).is_some() || is_host_name(text)
}

/// An IPv4 address, or an IPv6 address in brackets.
fn ip_literal(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

fn port_number(text: &str) -> Option<u16> {
    number(text)
}

/// Digits only: `FromStr` of the integers would take a sign as well.
fn number<N: FromStr>(digits: &str) -> Option<N> {
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn unix_path(path: &str) -> Result<String, AddressError> {
    // sun_path holds 108 bytes with its final NUL (unix(7)).
    if !path.starts_with('/') || path.len() > 107 || path.contains('\0') {
        return Err(AddressError("the path of a Unix socket begins with `/` and has at most 107 bytes"));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds() {
        for text in [":8080", "0.0.0.0:80", "[::]:80", "127.0.0.1:0", "unix:/run/headgate.sock"] {
            assert_eq!(text.parse::<BindAddress>().unwrap().to_string(), text);
        }
        for text in
            ["", ":", "8080", "localhost:80", "::1:80", "[::1]", "1.2.3.4:65536", "1.2.3.4:+80", "unix:x"]
        {
            assert!(text.parse::<BindAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn clashes_are_symmetric_and_spare_port_zero() {
        let parse = |text: &str| text.parse::<BindAddress>().unwrap();
        for (a, b, expected) in [
            (":80", "0.0.0.0:80", true),
            (":80", "[::]:80", true),
            (":80", "10.0.0.1:80", true),
            ("0.0.0.0:80", "10.0.0.1:80", true),
            ("[::]:80", "10.0.0.1:80", false),
            ("10.0.0.1:80", "10.0.0.2:80", false),
            (":80", ":81", false),
            (":0", ":0", false),
            ("unix:/a", "unix:/a", true),
            ("unix:/a", ":80", false),
        ] {
            assert_eq!(parse(a).clashes(&parse(b)), expected, "{a} {b}");
            assert_eq!(parse(b).clashes(&parse(a)), expected, "{b} {a}");
        }
    }

    #[test]
    fn endpoints() {
        for (text, shown) in [
            ("10.0.0.1:8080", "10.0.0.1:8080"),
            (":3000", "127.0.0.1:3000"),
            ("[::1]:80", "[::1]:80"),
            ("Api.Internal:80", "api.internal:80"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
            ("http://app:3000/", "http://app:3000"),
            ("https://api.example", "https://api.example:443"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]:443"),
        ] {
            assert_eq!(text.parse::<EndpointAddress>().unwrap().to_string(), shown, "{text}");
        }
        assert_eq!("https://a".parse::<EndpointAddress>().unwrap().tls, Some(true));
        for text in [
            "",
            "a",
            "a:",
            "a:0",
            "a:b",
            "a:80/x",
            "ftp://a",
            "https://a/x",
            "10.0.0.999:80",
            "::1:80",
            "a b:80",
        ] {
            assert!(text.parse::<EndpointAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn networks() {
        let inside =
            |network: &str, peer: &str| network.parse::<Network>().unwrap().contains(peer.parse().unwrap());
        assert!(inside("10.0.0.0/8", "10.255.0.1"));
        assert!(inside("10.0.0.0/8", "::ffff:10.1.1.1"), "an IPv4 client of a dual-stack socket");
        assert!(!inside("10.0.0.0/8", "11.0.0.1"));
        assert!(inside("0.0.0.0/0", "1.2.3.4") && !inside("0.0.0.0/0", "::1"));
        assert!(inside("::/0", "2001:db8::1"));
        assert!(inside("192.168.1.7", "192.168.1.7") && !inside("192.168.1.7", "192.168.1.8"));
        for text in ["", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "::/129", "host", "10.0.0.0/+8"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
