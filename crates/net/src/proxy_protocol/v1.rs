//! Version 1: one line of text.

use super::{Family, Parsed, Reject, may_begin_with};
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The longest line, its CRLF included.
pub const V1_MAX_BYTES: usize = 107;

const PREFIX: &[u8] = b"PROXY ";

pub(super) fn parse(buf: &[u8]) -> Result<Parsed, Reject> {
    if !may_begin_with(buf, PREFIX) {
        return Err(Reject::NotProxy);
    }
    let window = &buf[..buf.len().min(V1_MAX_BYTES)];
    let Some(end) = window.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return if window.len() < V1_MAX_BYTES { Ok(Parsed::Incomplete) } else { Err(Reject::LineTooLong) };
    };
    match (window[end], window.get(end + 1)) {
        (b'\r', Some(b'\n')) => {}
        (b'\r', None) if window.len() < V1_MAX_BYTES => return Ok(Parsed::Incomplete),
        (b'\r', None) => return Err(Reject::LineTooLong),
        _ => return Err(Reject::BadLine),
    }
    let consumed = end + 2;
    let line = window.get(PREFIX.len()..end).ok_or(Reject::BadLine)?;
    let line = std::str::from_utf8(line).map_err(|_| Reject::BadLine)?;
    let mut words = line.split(' ');
    let addresses = match words.next() {
        // Whatever follows is to be ignored.
        Some("UNKNOWN") => return Ok(Parsed::Local { consumed }),
        Some("TCP4") => endpoints::<Ipv4Addr>(words),
        Some("TCP6") => endpoints::<Ipv6Addr>(words),
        _ => return Err(Reject::BadFamily),
    };
    let (source, destination) = addresses.ok_or(Reject::BadLine)?;
    Ok(Parsed::Header { source, destination, consumed })
}

/// Writes the line for a forwarded connection, or for `None` (the client came over a Unix socket, or the
/// connection is our own) the one that says nothing. Returns the part of `out` to send.
pub fn encode_v1(endpoints: Option<(SocketAddr, SocketAddr)>, out: &mut [u8; V1_MAX_BYTES]) -> &[u8] {
    let mut rest = &mut out[..];
    let written = match endpoints.map(|(source, destination)| Family::of(source, destination)) {
        None => rest.write_all(b"PROXY UNKNOWN\r\n"),
        Some(Family::V4([from, to])) => {
            write!(rest, "PROXY TCP4 {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port())
        }
        Some(Family::V6([from, to])) => {
            write!(rest, "PROXY TCP6 {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port())
        }
    };
    #[expect(clippy::expect_used, reason = "the protocol's own bound")]
    written.expect("the longest line with two IPv6 addresses has 104 bytes");
    let left = rest.len();
    &out[..V1_MAX_BYTES - left]
}

/// Exactly source, destination, source port and destination port.
fn endpoints<'a, Ip: FromStr + Into<std::net::IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Option<(SocketAddr, SocketAddr)> {
    let source: Ip = words.next()?.parse().ok()?;
    let destination: Ip = words.next()?.parse().ok()?;
    let source = SocketAddr::new(source.into(), port(words.next()?)?);
    let destination = SocketAddr::new(destination.into(), port(words.next()?)?);
    words.next().is_none().then_some((source, destination))
}

/// Digits only and no leading zero, which could be taken for octal.
fn port(digits: &str) -> Option<u16> {
    let plain =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if plain { digits.parse().ok() } else { None }
}
