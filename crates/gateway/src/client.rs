//! Who the client is when trusted proxies stand in between, and over what it came.

use crate::identify::Peer;
use headgate_model::address::Network;
use headgate_net::forwarded::{client_address, forwarded, x_forwarded_for};
use headgate_net::head::{Known, RequestHead};
use headgate_policy::balance::hash::hash;
use std::io::Write;
use std::net::IpAddr;

/// The client's address: the peer's own, or what a trusted peer says in `X-Forwarded-For`, or in `Forwarded` (RFC 7239)
/// where it writes only that.
#[inline]
pub(crate) fn address(peer: &Peer, trusted: &[Network], head: &RequestHead) -> IpAddr {
    if peer.trusted { behind_proxy(peer, trusted, head) } else { peer.address }
}

#[cold]
fn behind_proxy(peer: &Peer, trusted: &[Network], head: &RequestHead) -> IpAddr {
    let values = |known: Known| {
        head.fields.iter().filter(move |field| field.known == known).map(|field| head.part(field.value))
    };
    if head.value(Known::XForwardedFor).is_some() {
        return client_address(peer.address, trusted, x_forwarded_for(values(Known::XForwardedFor)));
    }
    client_address(peer.address, trusted, forwarded(values(Known::Forwarded)))
}

/// Hash of the client's address in text form, the same whether the client came through a proxy or not.
pub(crate) fn address_hash(peer: &Peer, trusted: &[Network], head: &RequestHead) -> u64 {
    if !peer.trusted {
        return hash(peer.text());
    }
    let mut text = [0; 45];
    let mut room = &mut text[..];
    // The longest IPv6 text has 45 bytes; what did not fit would only be left out of the hash.
    let _ = write!(room, "{}", behind_proxy(peer, trusted, head));
    let left = room.len();
    hash(&text[..text.len() - left])
}

/// Whether the client's own connection is encrypted, by the word of a trusted proxy if there is one.
pub(crate) fn is_encrypted(peer: &Peer, head: &RequestHead) -> bool {
    match head.value(Known::XForwardedProto) {
        Some(proto) if peer.trusted => proto.eq_ignore_ascii_case(b"https"),
        _ => peer.tls,
    }
}
