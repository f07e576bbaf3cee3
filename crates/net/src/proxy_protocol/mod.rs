//! The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): the header by which a proxy tells
//! whose connection it forwards. Bytes in, values out; whom to believe is decided elsewhere.

#[cfg(test)]
mod tests;
mod v1;
mod v2;

pub use v1::{V1_MAX_BYTES, encode_v1};
pub use v2::{V2_ENCODED_MAX_BYTES, V2_MAX_BYTES, encode_v2};

use std::net::SocketAddr;

/// What stands at the start of a connection. `consumed` is the header's length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A header may have begun; parse again from the start with more bytes. Never said of [`V2_MAX_BYTES`]
    /// or more.
    Incomplete,
    /// The endpoints of the connection that is being forwarded.
    Header { source: SocketAddr, destination: SocketAddr, consumed: usize },
    /// A valid header without addresses that can be used: a health check of the proxy itself, an unknown
    /// protocol or a Unix socket. The connection's own endpoints count.
    Local { consumed: usize },
}

/// Why the bytes are no header. The connection has to be closed: nothing on it can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    #[error("the connection does not begin with a PROXY header; does the proxy in front send one?")]
    NotProxy,
    #[error("the version 1 line has no CRLF within 107 bytes")]
    LineTooLong,
    #[error("the version 1 line is not `PROXY TCP4|TCP6 source destination port port` or `PROXY UNKNOWN`")]
    BadLine,
    #[error("the version 2 header announces more than 4096 bytes")]
    HeaderTooLong,
    #[error("the header has an unknown version or command")]
    BadCommand,
    #[error("the header has an unknown address family or transport protocol")]
    BadFamily,
    #[error("the version 2 header is too short for its addresses")]
    ShortAddresses,
    #[error("the additional fields (TLVs) do not fill the version 2 header exactly")]
    BadFields,
    #[error("the CRC32c of the version 2 header is wrong")]
    BadChecksum,
}

/// Reads the header at the start of a connection. A first byte that cannot begin one is refused at once, so
/// a client that speaks something else is not waited for.
///
/// # Errors
/// [`Reject`] when the bytes can no longer become a header.
pub fn parse(buf: &[u8]) -> Result<Parsed, Reject> {
    match buf.first() {
        None => Ok(Parsed::Incomplete),
        Some(b'P') => v1::parse(buf),
        Some(_) => v2::parse(buf),
    }
}

/// Both addresses in one family: IPv4 when both are (also as IPv4-mapped IPv6), else IPv6.
enum Family {
    V4([std::net::SocketAddrV4; 2]),
    V6([std::net::SocketAddrV6; 2]),
}

impl Family {
    fn of(source: SocketAddr, destination: SocketAddr) -> Self {
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        match (canonical(source), canonical(destination)) {
            (SocketAddr::V4(source), SocketAddr::V4(destination)) => Self::V4([source, destination]),
            (source, destination) => Self::V6([source, destination].map(|address| match address {
                SocketAddr::V4(v4) => std::net::SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0),
                SocketAddr::V6(v6) => v6,
            })),
        }
    }
}

/// Whether what has arrived of `expected` agrees with it.
fn may_begin_with(buf: &[u8], expected: &[u8]) -> bool {
    buf.iter().zip(expected).all(|(byte, wanted)| byte == wanted)
}
