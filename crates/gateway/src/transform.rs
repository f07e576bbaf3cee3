//! What changes between the message that came and the message that goes: hop-by-hop fields, the
//! forwarding fields, the route's edits.

use crate::exchange::Exchange;
use crate::snapshot::{Edits, Route};
use crate::trace::Traced;
use crate::view::REQUEST_DROPS;
use headgate_model::spec::{ClientCertFields, ForwardedFields};
use headgate_net::fields::{Drops, FieldWriter, HeadOut, copy_kept, decimal, is_same_or_twin};
use headgate_net::forwarded::{Element, write_converted, write_forwarded};
use headgate_net::head::{Flat, Known, Method, RequestHead, ResponseHead};
use headgate_net::tls::ClientCert;

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
    let hops_left = if counts_hops(x.head) { hops_left(x.head) } else { None };
    if hops_left.is_some() {
        known = known.with(Known::MaxForwards);
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
    if let Some(hops) = hops_left {
        out.field(b"max-forwards", decimal(hops.saturating_sub(1), &mut [0; 20]));
    }
    if route.request.removes_ours {
        client_fields_but_for(x, &route.request, out);
    } else {
        client_fields(x, out);
    }
    if let Some(tracing) = &x.view.tracing {
        tracing.write(traced, x.head, out);
    }
    write_edits(&route.request, out);
}

/// Says who the client is, by its address and its certificate.
#[inline]
fn client_fields(x: &Exchange<'_>, out: &mut HeadOut) {
    forwarding_fields(x, out);
    if let Some(certificate) = &x.peer.certificate {
        certificate_fields(x, certificate, out);
    }
}

/// The same without what the route removes, or sets in its own way.
#[cold]
fn client_fields_but_for(x: &Exchange<'_>, edits: &Edits, out: &mut HeadOut) {
    let mut ours = HeadOut::H2(Box::default());
    client_fields(x, &mut ours);
    if let HeadOut::H2(ours) = ours {
        for (name, value) in &ours.into_map() {
            let name = name.as_str().as_bytes();
            if !edits.remove.iter().any(|removed| **removed == *name) {
                out.field(name, value.as_bytes());
            }
        }
    }
}

/// Says whom the request comes from. What an untrusted client claims about that is not passed on.
#[inline]
fn forwarding_fields(x: &Exchange<'_>, out: &mut HeadOut) {
    let fields = x.view.snapshot.listeners[x.listener].spec.forwarded;
    if x.peer.trusted || fields != ForwardedFields::XForwarded {
        return rare_forwarding_fields(x, fields, out);
    }
    write_x_forwarded(x, out);
}

#[inline]
fn write_x_forwarded(x: &Exchange<'_>, out: &mut HeadOut) {
    let host = x.head.host();
    x.peer.write_forwarding(out);
    if !host.is_empty() {
        out.field(b"x-forwarded-host", host);
    }
}

/// A trusted proxy's word is kept and its own address appended; in fields that are not written it passes as it is.
#[cold]
fn rare_forwarding_fields(x: &Exchange<'_>, fields: ForwardedFields, out: &mut HeadOut) {
    let trusted = x.peer.trusted;
    let pass = |known: Known, out: &mut HeadOut| {
        for value in x.head.values(known).filter(|_| trusted) {
            out.field(known.name(), value);
        }
    };
    if fields == ForwardedFields::Forwarded {
        pass(Known::XForwardedFor, out);
        pass(Known::XForwardedProto, out);
        pass(Known::XForwardedHost, out);
    } else if trusted {
        append_x_forwarded(x, out);
    } else {
        write_x_forwarded(x, out);
    }
    if fields == ForwardedFields::XForwarded {
        // A proxy that writes `X-Forwarded-For` may have let its client's `Forwarded` through.
        if x.head.value(Known::XForwardedFor).is_none() {
            pass(Known::Forwarded, out);
        }
    } else {
        append_forwarded(x, out);
    }
    if x.view.snapshot.listeners[x.listener].spec.client_cert == ClientCertFields::Pass {
        pass(Known::ClientCert, out);
        pass(Known::ClientCertChain, out);
    }
}

/// Tells the certificate of the client's connection, if services are still to be told (RFC 9440 section 2).
fn certificate_fields(x: &Exchange<'_>, certificate: &ClientCert, out: &mut HeadOut) {
    let fields = x.view.snapshot.listeners[x.listener].spec.client_cert;
    if matches!(fields, ClientCertFields::Leaf | ClientCertFields::Chain) {
        out.field(Known::ClientCert.name(), certificate.leaf());
    }
    if let (ClientCertFields::Chain, Some(chain)) = (fields, certificate.chain()) {
        out.field(Known::ClientCertChain.name(), chain);
    }
}

/// Whether the service is told a certificate, so that its response may be for nobody else.
#[inline]
pub(crate) fn tells_certificate(x: &Exchange<'_>) -> bool {
    // Only a trusted proxy's field is passed on; of others it costs no more than a place in the cache.
    x.peer.certificate.is_some() || x.peer.trusted && x.head.value(Known::ClientCert).is_some()
}

fn append_x_forwarded(x: &Exchange<'_>, out: &mut HeadOut) {
    let mut chain = x.worker.buffers.out();
    // A Unix socket's peer has no address to append.
    let own = Some(x.peer.text()).filter(|text| !text.is_empty());
    for value in x.head.values(Known::XForwardedFor).chain(own) {
        if !chain.is_empty() {
            chain.extend_from_slice(b", ");
        }
        chain.extend_from_slice(value);
    }
    if !chain.is_empty() {
        out.field(b"x-forwarded-for", &chain);
    }
    out.field(b"x-forwarded-proto", x.head.value(Known::XForwardedProto).unwrap_or(x.peer.scheme()));
    let host = x.head.value(Known::XForwardedHost).unwrap_or(x.head.host());
    if !host.is_empty() {
        out.field(b"x-forwarded-host", host);
    }
}

/// `Forwarded` with our element (RFC 7239), behind what a trusted proxy said. Where it wrote `X-Forwarded-For`,
/// that is what is believed of it, and a `Forwarded` may be its client's: it is not passed on beside it.
fn append_forwarded(x: &Exchange<'_>, out: &mut HeadOut) {
    let mut chain = x.worker.buffers.out();
    if x.peer.trusted {
        if x.head.value(Known::XForwardedFor).is_some() {
            let proto = x.head.value(Known::XForwardedProto);
            write_converted(&mut chain, x.head.values(Known::XForwardedFor), proto);
        } else {
            for value in x.head.values(Known::Forwarded).filter(|value| !value.is_empty()) {
                chain.extend_from_slice(value);
                chain.extend_from_slice(b", ");
            }
        }
    }
    let element = Element {
        peer: x.peer.source.map(|source| source.ip()),
        host: Some(x.head.host()).filter(|host| !host.is_empty()),
        proto: if x.peer.tls { "https" } else { "http" },
    };
    write_forwarded(&mut chain, &element);
    out.field(b"forwarded", &chain);
}

/// Whether a trailer field of a request goes on: what an edit or `Connection` takes from the head must not come
/// back behind the content.
#[cold]
pub(crate) fn request_may_trail(x: &Exchange<'_>, route: &Route, name: &[u8]) -> bool {
    may_trail(&route.request, x.head, x.head.line.connection_names_fields, name)
}

/// The same for a response.
#[cold]
pub(crate) fn response_may_trail(route: &Route, head: &ResponseHead, name: &[u8]) -> bool {
    may_trail(&route.response, head, head.line.connection_names_fields, name)
}

fn may_trail<L: Default>(edits: &Edits, head: &Flat<L>, named: bool, name: &[u8]) -> bool {
    let removed = edits.remove.iter().any(|removed| is_same_or_twin(name, removed));
    !(removed || named && head.connection_names(name))
}

/// Whether a request counts the proxies that it may pass (RFC 9110 section 7.6.2).
#[inline]
pub(crate) fn counts_hops(head: &RequestHead) -> bool {
    matches!(head.line.method, Method::Options | Method::Trace)
}

/// How many proxies it may still pass; None when it does not say, or not as a number.
#[cold]
pub(crate) fn hops_left(head: &RequestHead) -> Option<u64> {
    let value = head.value(Known::MaxForwards)?;
    // More digits than fit are more hops than there are.
    std::str::from_utf8(value)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?
        .parse()
        .ok()
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
    copy_kept(head, &Drops::of_response(head, &route.response.remove), out);
    if head.value(Known::Date).is_none() {
        out.field(b"date", &x.worker.wall.date()); // RFC 9110 section 6.6.1
    }
    if let Some(cookie) = set_cookie {
        out.field(b"set-cookie", cookie);
    }
    write_edits(&route.response, out);
}

/// Writes the fields of an interim response: what the route takes from responses must not come before them either.
#[cold]
pub(crate) fn interim_fields(route: &Route, head: &ResponseHead, out: &mut HeadOut) {
    copy_kept(head, &Drops::of_response(head, &route.response.remove), out);
}

/// Writes the fields of a response for the cache: what the route adds for clients is added to each answer.
#[cold]
pub(crate) fn stored_fields(x: &Exchange<'_>, route: &Route, head: &ResponseHead, out: &mut HeadOut) {
    let mut drops = Drops::of_response(head, &route.response.remove);
    // Trailers end here.
    drops.known = drops.known.with(Known::Trailer);
    copy_kept(head, &drops, out);
    if head.value(Known::Date).is_none() {
        out.field(b"date", &x.worker.wall.date()); // RFC 9110 section 6.6.1
    }
}

fn write_edits(edits: &Edits, out: &mut HeadOut) {
    for (name, value) in &edits.write {
        out.field(name, value);
    }
}
