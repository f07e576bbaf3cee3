//! What changes between the message that came and the message that goes: hop-by-hop fields, the
//! forwarding fields, the route's edits.

use crate::exchange::Exchange;
use crate::snapshot::{Edits, Route};
use crate::trace::Traced;
use crate::view::REQUEST_DROPS;
use headgate_net::fields::{Drops, FieldWriter, HeadOut, KnownSet, copy_kept};
use headgate_net::head::{Known, ResponseHead};

/// Writes the fields of a request for its endpoint.
#[inline]
pub(crate) fn request_fields(
    x: &Exchange<'_>,
    route: &Route,
    endpoint: &[u8],
    traced: &Traced,
    out: &mut HeadOut,
) {
    let mut known = REQUEST_DROPS;
    if route.host.is_some() {
        known = known.with(Known::Host);
    }
    let drops = Drops {
        known,
        names: &route.request.remove,
        named_by_connection: x.head.line.connection_names_fields,
    };
    copy_kept(x.head, &drops, out);
    match &route.host {
        Some(host) => out.field(b"host", host),
        None if x.head.value(Known::Host).is_none() => {
            // An absolute target names the host without a field (RFC 9112 section 3.2.2).
            out.field(b"host", if x.head.host().is_empty() { endpoint } else { x.head.host() });
        }
        None => {}
    }
    if x.head.line.te_trailers {
        out.field(b"te", b"trailers");
        if let HeadOut::H1(lines) = out {
            lines.field(b"connection", b"te"); // RFC 9110 section 10.1.4
        }
    }
    forwarding_fields(x, out);
    if let Some(tracing) = &x.view.tracing {
        tracing.write(traced, x.head, out);
    }
    write_edits(&route.request, out);
}

/// Says whom the request comes from. What an untrusted client claims about that is not passed on.
#[inline]
fn forwarding_fields(x: &Exchange<'_>, out: &mut HeadOut) {
    let host = x.head.host();
    if x.peer.trusted {
        return forwarding_fields_behind_proxy(x, out);
    }
    x.peer.write_forwarding(out);
    if !host.is_empty() {
        out.field(b"x-forwarded-host", host);
    }
}

/// A trusted proxy's word is kept and its own address appended.
#[cold]
fn forwarding_fields_behind_proxy(x: &Exchange<'_>, out: &mut HeadOut) {
    let mut chain = x.worker.buffers.out();
    for value in x.head.values(Known::XForwardedFor) {
        chain.extend_from_slice(value);
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(x.peer.text());
    out.field(b"x-forwarded-for", &chain);
    out.field(b"x-forwarded-proto", x.head.value(Known::XForwardedProto).unwrap_or(x.peer.scheme()));
    let host = x.head.value(Known::XForwardedHost).unwrap_or(x.head.host());
    if !host.is_empty() {
        out.field(b"x-forwarded-host", host);
    }
    for value in x.head.values(Known::Forwarded) {
        out.field(b"forwarded", value);
    }
}

/// Writes the fields of a response for the client.
#[inline]
pub(crate) fn response_fields(
    x: &Exchange<'_>,
    route: &Route,
    set_cookie: Option<&[u8]>,
    head: &ResponseHead,
    out: &mut HeadOut,
) {
    let drops = Drops {
        known: KnownSet::HOP_BY_HOP,
        names: &route.response.remove,
        named_by_connection: head.line.connection_names_fields,
    };
    copy_kept(head, &drops, out);
    if head.value(Known::Date).is_none() {
        out.field(b"date", &x.worker.wall.date()); // RFC 9110 section 6.6.1
    }
    if let Some(cookie) = set_cookie {
        out.field(b"set-cookie", cookie);
    }
    write_edits(&route.response, out);
}

fn write_edits(edits: &Edits, out: &mut HeadOut) {
    for (name, value) in &edits.write {
        out.field(name, value);
    }
}
