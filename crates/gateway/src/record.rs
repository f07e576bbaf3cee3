//! What is kept of one request: a handful of numbers, counted and logged once, at its end.

mod tell;

use crate::client;
use crate::exchange::Exchange;
use crate::identify::Peer;
use crate::trace::Traced;
use crate::view::View;
use crate::worker::Worker;
use headgate_model::fault::FaultKind;
use headgate_model::units::Tick;
use headgate_net::body::Source;
use headgate_net::head::Known;
use headgate_observe::access_log::{AccessLog, AccessRecord};
use headgate_observe::cache_metrics::CacheResult;
use std::net::{IpAddr, SocketAddr};

/// One request's outcome.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Index of the matched route.
    pub route: Option<usize>,
    /// Index of the service that was asked last.
    pub service: Option<usize>,
    /// Index, in that service, of the endpoint that was tried last.
    pub endpoint: Option<usize>,
    /// What the client was answered.
    pub status: u16,
    /// What went wrong, also where a fallback made it good.
    pub fault: Option<FaultKind>,
    /// When the last attempt ended; zero when there was none.
    pub ended: Tick,
    /// Spent in attempts, in microseconds.
    pub upstream_us: u64,
    /// Attempts beyond the first.
    pub retries: u8,
    /// The last attempt's connection had carried a request before.
    pub reused: bool,
    /// A chaos rule acted on an attempt.
    pub injected: bool,
    /// How the cache answered, where the route has one.
    pub cache: Option<CacheResult>,
    /// The connection became a tunnel.
    pub upgraded: bool,
    /// Bytes of content sent to the client.
    pub bytes_out: u64,
    pub traced: Traced,
}

impl Record {
    /// Counts the request.
    #[inline]
    pub(crate) fn finish(&self, worker: &Worker, view: &View, started: Tick) {
        let ended = if self.ended == Tick(0) { worker.now() } else { self.ended };
        let duration_us = ended.since(started).as_micros() as u64;
        let route = self.route.map_or(&view.unrouted, |route| &view.routes[route]);
        route.record(self.status, duration_us);
        if let Some(result) = self.cache
            && let Some(metrics) = self.route.and_then(|route| view.caches[route].as_ref())
        {
            metrics.record(result, self.bytes_out);
        }
    }

    /// Counts the bytes and writes the access record.
    #[inline]
    pub(crate) fn conclude(&mut self, x: &Exchange<'_>, body: &Source<'_>) {
        let received = body.received();
        let metrics = &x.view.listeners[x.listener].metrics;
        if received > 0 {
            metrics.bytes_in.add(received);
        }
        metrics.bytes_out.add(self.bytes_out);
        if let Some(log) = &mut *x.worker.access_log.borrow_mut() {
            self.log(x, received, log);
        }
        if let (Some(hub), Some(_)) = (&x.view.prefetch, self.cache) {
            tell::tell(hub, x, self);
        }
    }

    fn log(&mut self, x: &Exchange<'_>, bytes_in: u64, log: &mut AccessLog) {
        if self.ended == Tick(0) {
            self.ended = x.worker.now();
        }
        let snapshot = &x.view.snapshot;
        let service = self.service.map(|service| &snapshot.services[service].state);
        let endpoint = service.zip(self.endpoint).map(|(service, endpoint)| &service.endpoints[endpoint]);
        let id = x.view.tracing.as_ref().and_then(|tracing| tracing.id(&self.traced, x.head));
        let trusted = &snapshot.listeners[x.listener].trusted;
        log.record(&AccessRecord {
            start_unix_us: x.worker.wall.unix_us(x.started),
            duration_us: self.ended.since(x.started).as_micros() as u64,
            upstream_us: self.upstream_us,
            status: self.status,
            bytes_in,
            bytes_out: self.bytes_out,
            retries: self.retries,
            client: logged(x.peer, client::address(x.peer, trusted, x.head)),
            local_port: 0,
            fault: self.fault,
            trace_id: self.traced.span.map(|span| span.trace_id),
            tls: x.peer.tls,
            upstream_reused: self.reused,
            upgraded: self.upgraded,
            injected: self.injected,
            cache: self.cache,
            method: x.head.method(),
            host: x.head.host(),
            path: x.head.target(),
            protocol: x.head.line.version.label().as_bytes(),
            user_agent: x.head.value(Known::UserAgent).unwrap_or_default(),
            referer: x.head.value(Known::Referer).unwrap_or_default(),
            route: self.route.map_or(&[], |route| snapshot.routes[route].name.as_bytes()),
            service: service.map_or(&[], |service| service.name.as_bytes()),
            endpoint: endpoint.map_or(&[], |endpoint| endpoint.name.as_bytes()),
            request_id: id.map_or(&[], |(_, id)| id),
        });
    }
}

/// Counts and logs a request that could not be read: all that is known is who sent it and what was wrong.
#[cold]
pub(crate) fn tell_unread(worker: &Worker, view: &View, peer: &Peer, fault: FaultKind) {
    // Who went away was answered nothing.
    if fault != FaultKind::ClientClosed {
        view.unrouted.record(fault.status(), 0);
    }
    if let Some(log) = &mut *worker.access_log.borrow_mut() {
        log.record(&AccessRecord {
            start_unix_us: worker.wall.unix_us(worker.now()),
            status: fault.status(),
            client: logged(peer, peer.address),
            fault: Some(fault),
            tls: peer.tls,
            ..AccessRecord::default()
        });
    }
}

/// A client's address for the log, which leaves a port of zero out. A Unix socket's peer has none of its own.
fn logged(peer: &Peer, address: IpAddr) -> Option<SocketAddr> {
    (peer.source.is_some() || address != peer.address).then(|| SocketAddr::new(address, 0))
}
