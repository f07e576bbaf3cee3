//! Who is asking: the peer's address, and whether its word about others is believed.

use headgate_model::address::Network;
use headgate_net::fields::{FieldWriter, HeadOut};
use headgate_net::tls::ClientCert;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// The other end of a client connection, in the form that every request on it needs.
#[derive(Clone)]
pub(crate) struct Peer {
    pub address: IpAddr,
    /// With its port; as a trusted proxy told it, if one did. None for a Unix socket.
    pub source: Option<SocketAddr>,
    /// `source` and our own address, where a service wants to be told by PROXY protocol.
    pub sockets: Option<Box<(SocketAddr, SocketAddr)>>,
    /// It is one of the listener's trusted proxies.
    pub trusted: bool,
    pub tls: bool,
    /// What it showed in the handshake, where services are told.
    pub certificate: Option<Rc<ClientCert>>,
    /// Its `X-Forwarded-For` and `X-Forwarded-Proto` lines; the address is part of the first, which a Unix
    /// socket's peer has not.
    lines: Box<[u8]>,
    address_len: usize,
}

const FORWARDED_FOR: &[u8] = b"x-forwarded-for: ";

impl Peer {
    /// `None` stands for a Unix socket, whose peer is on this machine: it is trusted where loopback is.
    pub(crate) fn new(address: Option<SocketAddr>, trusted: &[Network], tls: bool) -> Self {
        let source = address;
        let address = source.map_or(IpAddr::from([127, 0, 0, 1]), |address| address.ip().to_canonical());
        let text = source.map_or_else(String::new, |_| address.to_string());
        let scheme = [b"x-forwarded-proto: ", scheme(tls), b"\r\n"].concat();
        let lines = match source {
            Some(_) => [FORWARDED_FOR, text.as_bytes(), b"\r\n", &scheme].concat(),
            None => scheme,
        };
        let lines = lines.into_boxed_slice();
        let trusted = trusted.iter().any(|network| network.contains(address));
        let address_len = text.len();
        Self { address, source, sockets: None, trusted, tls, certificate: None, lines, address_len }
    }

    /// With both ends of its connection, where they have to be told to others.
    pub(crate) fn between(mut self, local: Option<SocketAddr>) -> Self {
        self.sockets = self.source.zip(local).map(Box::new);
        self
    }

    /// The address in text form; empty for a Unix socket.
    #[inline]
    pub(crate) fn text(&self) -> &[u8] {
        &self.lines[FORWARDED_FOR.len()..][..self.address_len]
    }

    pub(crate) fn scheme(&self) -> &'static [u8] {
        scheme(self.tls)
    }

    /// Writes what a request from this peer itself is forwarded with.
    #[inline]
    pub(crate) fn write_forwarding(&self, out: &mut HeadOut) {
        match out {
            HeadOut::H1(out) => out.extend_from_slice(&self.lines),
            HeadOut::H2(_) => {
                if self.source.is_some() {
                    out.field(b"x-forwarded-for", self.text());
                }
                out.field(b"x-forwarded-proto", self.scheme());
            }
        }
    }
}

fn scheme(tls: bool) -> &'static [u8] {
    if tls { b"https" } else { b"http" }
}
