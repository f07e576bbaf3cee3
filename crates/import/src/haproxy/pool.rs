//! The servers of a backend as the endpoints of one service: what they have in common becomes the service's,
//! and who is spoken to otherwise stays out.

use super::server::{Server, Transport};
use crate::draft::Draft;
use headgate_model::spec::{Health, HealthKind, ServiceSpec, Span};
use std::time::Duration;

/// How the servers of a backend are checked, as far as its own lines say so.
#[derive(Clone, Default)]
pub(super) struct Check {
    /// Path and host of a check by HTTP.
    pub(super) http: Option<(String, Option<String>)>,
    pub(super) timeout: Option<Duration>,
}

/// Gives a service its endpoints, and what they have in common.
pub(super) fn fill(spec: &mut ServiceSpec, servers: &[Server], check: &Check, draft: &mut Draft) {
    let Some(transport) = most_common_transport(servers) else { return };
    let (alike, others): (Vec<&Server>, Vec<&Server>) =
        servers.iter().partition(|server| server.transport() == transport);
    for server in others {
        let text = format!(
            "server {}: left out of the service: it is not spoken to like {} (TLS, PROXY protocol, HTTP version), and \
             the endpoints of a service are; give it a service of its own",
            server.name, alike[0].name
        );
        draft.untranslated(server.line, text);
    }
    Transport { tls: spec.tls, proxy_protocol: spec.proxy_protocol, protocol: spec.protocol } = transport;
    for server in &alike {
        if let Some(endpoint) = &server.endpoint {
            draft.push_endpoint(server.line, spec, endpoint.clone());
        }
    }
    if let Some(time) = shared(&alike, "slowstart", |server| server.slow_start, draft) {
        spec.slow_start = Span(time);
    }
    if let Some(idle) = shared(&alike, "pool-max-conn", |server| server.idle_connections, draft) {
        spec.pool.idle = idle;
    }
    spec.health = health(&alike, check, draft);
}

/// How most of the servers that take requests are spoken to; the first of several such ways.
fn most_common_transport(servers: &[Server]) -> Option<Transport> {
    let of = |server: &Server| {
        let alike = |other: &&Server| other.is_enabled() && other.transport() == server.transport();
        servers.iter().filter(alike).count()
    };
    // Of equals `max_by_key` takes the last.
    servers.iter().rev().max_by_key(|server| of(server)).map(Server::transport)
}

fn health(servers: &[&Server], check: &Check, draft: &mut Draft) -> Option<Health> {
    let (checked, unchecked): (Vec<&Server>, Vec<&Server>) =
        servers.iter().copied().partition(|server| server.checked);
    if checked.is_empty() && check.http.is_none() {
        return None;
    }
    if !checked.is_empty() {
        for server in unchecked {
            let text = format!(
                "server {}: without `check`; it is checked as the others of its service",
                server.name
            );
            draft.approximated(server.line, text);
        }
    }
    let (kind, path, host) = match &check.http {
        Some((path, host)) => (HealthKind::Http, Some(path.clone()), host.clone()),
        None => (HealthKind::Tcp, None, None),
    };
    Some(Health::Full {
        kind,
        path,
        host,
        interval: shared(&checked, "inter", |server| server.interval, draft).map_or(Span::default(), Span),
        timeout: check.timeout.map_or(Span::default(), Span),
        healthy_after: shared(&checked, "rise", |server| server.rise, draft).unwrap_or(2),
        unhealthy_after: shared(&checked, "fall", |server| server.fall, draft).unwrap_or(3),
    })
}

/// What the first server says that says it; those that say something else, or nothing, are noted.
fn shared<T: PartialEq>(
    servers: &[&Server],
    option: &str,
    value: impl Fn(&Server) -> Option<T>,
    draft: &mut Draft,
) -> Option<T> {
    let first = servers.iter().find(|server| value(server).is_some())?;
    for server in servers.iter().filter(|server| value(server) != value(first)) {
        let text = format!(
            "server {}: {option}: alike for all endpoints of a service; that of {} is used",
            server.name, first.name
        );
        draft.approximated(server.line, text);
    }
    value(first)
}
