//! A connection to the chosen endpoint: one that rests in the pool, a stream of a shared one, or a new one.

use crate::exchange::Exchange;
use crate::snapshot::Service;
use crate::upstream_tls::UpstreamTls;
use crate::view::Link;
use headgate_model::dice::Dice;
use headgate_model::fault::{Fault, FaultKind};
use headgate_model::spec::{Protocol, ProxyProtocol};
use headgate_model::state::EndpointState;
use headgate_model::toxic::Toxic;
use headgate_net::connect;
use headgate_net::deadline::DueAt;
use headgate_net::kept::{Connection, PoolLimits};
use headgate_net::proxy_protocol::{V1_MAX_BYTES, V2_ENCODED_MAX_BYTES, encode_v1, encode_v2};
use headgate_net::stream::Stream;
use headgate_net::toxic::{self, Carries};
use headgate_net::upstream::{H2Pool, Lease, Lifetime, Opening, Place};
use headgate_observe::chaos_metrics::chaos_closes_cut;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// What a request is sent on.
pub(crate) enum Dialled {
    Http1(Connection),
    Http2(Lease),
}

/// A connection ready for a request. `fresh` refuses to use an HTTP/1 connection that rests. With `toxics` it
/// is a connection for this request alone; `fresh` has to be set then.
#[inline]
pub(crate) async fn dial(
    x: &Exchange<'_>,
    link: &Link,
    service: &Service,
    limits: &PoolLimits,
    fresh: bool,
    until: DueAt,
    toxics: Option<&[Toxic]>,
) -> Result<Dialled, Fault> {
    let deadline = x.timers.download;
    let spec = &service.state.spec;
    if spec.protocol == Protocol::Http2 {
        deadline.set_at(deadline.at(spec.timeouts.connect.0).min(until));
        return http2(x, link, service, limits, toxics).await.map(Dialled::Http2);
    }
    if !fresh {
        if let Some(connection) = link.pool.take().await {
            return Ok(Dialled::Http1(connection));
        }
        if let Some(connection) = link.spares.take() {
            return Ok(Dialled::Http1(connection));
        }
    }
    deadline.set_at(deadline.at(spec.timeouts.connect.0).min(until));
    // Boxed, here and below: opening is rare, and every request would carry its state.
    let stream = Box::pin(connect(x, &link.endpoint, service, toxics)).await?;
    link.metrics.connections_opened.inc();
    Ok(Dialled::Http1(Connection { stream, served: 0 }))
}

/// A stream of a shared connection.
async fn http2(
    x: &Exchange<'_>,
    link: &Link,
    service: &Service,
    limits: &PoolLimits,
    toxics: Option<&[Toxic]>,
) -> Result<Lease, Fault> {
    let deadline = x.timers.download;
    if toxics.is_some() {
        return Box::pin(alone_over_http2(x, link, service, toxics)).await;
    }
    let lifetime = Lifetime { idle_timeout: limits.idle_timeout, requests: limits.requests };
    match link.h2.place(&lifetime, deadline).await? {
        Place::Stream(lease) => Ok(lease),
        Place::Open(opening) => Box::pin(begin_http2(x, link, service, opening, lifetime, None)).await,
    }
}

/// A stream of a connection that is shared with nobody.
async fn alone_over_http2(
    x: &Exchange<'_>,
    link: &Link,
    service: &Service,
    toxics: Option<&[Toxic]>,
) -> Result<Lease, Fault> {
    let pool = H2Pool::default();
    // One request: the connection closes after it.
    let lifetime = Lifetime { idle_timeout: Duration::MAX, requests: 1 };
    match pool.place(&lifetime, x.timers.download).await? {
        Place::Stream(lease) => Ok(lease),
        Place::Open(opening) => begin_http2(x, link, service, opening, lifetime, toxics).await,
    }
}

async fn begin_http2(
    x: &Exchange<'_>,
    link: &Link,
    service: &Service,
    opening: Opening<'_>,
    lifetime: Lifetime,
    toxics: Option<&[Toxic]>,
) -> Result<Lease, Fault> {
    let stream = connect(x, &link.endpoint, service, toxics).await?;
    let tls = UpstreamTls::applies(&link.endpoint.address, &service.state.spec);
    let head_bytes = x.worker.buffers.response().limit;
    let lease = opening.connected(stream, tls, head_bytes, &lifetime, x.timers.download).await?;
    link.metrics.connections_opened.inc();
    Ok(lease)
}

/// A new connection: with a PROXY header and over TLS, where its service asks for these. Byte faults act on
/// what it carries after that.
async fn connect(
    x: &Exchange<'_>,
    endpoint: &EndpointState,
    service: &Service,
    toxics: Option<&[Toxic]>,
) -> Result<Stream, Fault> {
    let (deadline, address) = (x.timers.download, &endpoint.address);
    let stream = open(x, endpoint).await?;
    if let Some(version) = service.state.spec.proxy_protocol {
        let sockets = x.peer.sockets.as_deref().copied();
        let (mut v1, mut v2) = ([0; V1_MAX_BYTES], [0; V2_ENCODED_MAX_BYTES]);
        let header = match version {
            ProxyProtocol::V1 => encode_v1(sockets, &mut v1),
            ProxyProtocol::V2 => encode_v2(sockets, &mut v2),
        };
        let written = stream.write(header, &[], deadline).await;
        written.map_err(|_| {
            Fault::new(FaultKind::ConnectFailed, "the upstream closed before the PROXY header")
        })?;
    }
    let stream = match &service.tls {
        Some(tls) if UpstreamTls::applies(address, &service.state.spec) => {
            tls.connect(stream, address, deadline).await?
        }
        _ => stream,
    };
    let Some(toxics) = toxics else { return Ok(stream) };
    let carries = match service.state.spec.protocol {
        Protocol::Http1 => Carries::Http1,
        Protocol::Http2 => Carries::Http2,
    };
    let seed = x.worker.dice.borrow_mut().bits();
    let cuts = chaos_closes_cut(&x.worker.metrics);
    Ok(toxic::poison(stream, toxics, carries, Dice::new(seed), move || cuts.inc()))
}

async fn open(x: &Exchange<'_>, endpoint: &EndpointState) -> Result<Stream, Fault> {
    let deadline = x.timers.download;
    let turn = x.worker.dice.borrow_mut().bits();
    let mut connecting = pin!(connect::connect(endpoint, turn));
    poll_fn(|cx| match connecting.as_mut().poll(cx) {
        Poll::Ready(Ok(socket)) => Poll::Ready(Ok(Stream::from(socket))),
        Poll::Ready(Err(error)) if connect::is_own_lack(&error) => Poll::Ready(Err(Fault::new(
            FaultKind::NoSocket,
            "the gateway has no file or port left for a connection",
        ))),
        Poll::Ready(Err(_)) => {
            Poll::Ready(Err(Fault::new(FaultKind::ConnectFailed, "the upstream does not accept connections")))
        }
        Poll::Pending => deadline.poll_due(cx).map(|()| {
            Err(Fault::new(FaultKind::ConnectTimeout, "the upstream did not accept a connection in time"))
        }),
    })
    .await
}
