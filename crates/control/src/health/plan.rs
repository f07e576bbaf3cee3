//! A service's health check with everything a probe needs, compiled once for all its endpoints.

use headgate_model::address::{EndpointAddress, Target};
use headgate_model::discover::Discover;
use headgate_model::spec::{Health, HealthKind, Protocol, ProxyProtocol, Span, UpstreamTls};
use headgate_model::state::ServiceState;
use headgate_net::tls::{TlsError, client};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;

/// However short an interval is written: a probe must not become a load.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

pub(super) struct Plan {
    pub service: Box<str>,
    pub kind: HealthKind,
    pub path: String,
    /// The Host header, or the name of the gRPC service.
    pub host: Option<String>,
    pub interval: Duration,
    pub timeout: Duration,
    pub healthy_after: u16,
    pub unhealthy_after: u16,
    pub http2: bool,
    pub proxy_protocol: Option<ProxyProtocol>,
    tls: Option<Tls>,
}

struct Tls {
    spec: UpstreamTls,
    config: Arc<ClientConfig>,
    /// For endpoints whose address does not say.
    by_default: bool,
    /// The name that led to the endpoints' bare IP addresses.
    discovered_by: Option<String>,
}

impl Plan {
    /// `None` for a service that is not checked.
    ///
    /// # Errors
    /// When the files for its TLS cannot be used.
    pub(super) fn new(service: &ServiceState) -> Result<Option<Self>, TlsError> {
        let spec = &service.spec;
        let (two, three) = (2, 3);
        let default = |path: &str| Health::Full {
            kind: HealthKind::default(),
            path: Some(path.to_owned()),
            host: None,
            interval: Span::default(),
            timeout: Span::default(),
            healthy_after: two,
            unhealthy_after: three,
        };
        let health = match &spec.health {
            None => return Ok(None),
            Some(Health::Path(path)) => default(path),
            Some(full) => full.clone(),
        };
        let Health::Full { kind, path, host, interval, timeout, healthy_after, unhealthy_after } = health
        else {
            return Ok(None);
        };
        let http2 = kind == HealthKind::Grpc || spec.protocol == Protocol::Http2;
        Ok(Some(Self {
            service: service.name.clone(),
            kind,
            path: path.unwrap_or_else(|| "/".to_owned()),
            host,
            interval: interval.0.max(SHORTEST_INTERVAL),
            timeout: timeout.0,
            healthy_after,
            unhealthy_after,
            http2,
            proxy_protocol: spec.proxy_protocol,
            tls: tls(service, http2)?,
        }))
    }
}
