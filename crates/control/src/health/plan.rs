//! A service's health check with everything a probe needs, compiled once for all its endpoints.

use headgate_model::address::{EndpointAddress, Target};
use headgate_model::discover::Discover;
use headgate_model::spec::{Health, HealthKind, Protocol, ProxyProtocol, UpstreamTls};
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
    pub rule: Rule,
    pub http2: bool,
    pub proxy_protocol: Option<ProxyProtocol>,
    tls: Option<Tls>,
}

/// The check as it is written, with its defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub kind: HealthKind,
    pub path: String,
    /// The Host header, or the name of the gRPC service.
    pub host: Option<String>,
    pub interval: Duration,
    pub timeout: Duration,
    pub healthy_after: u16,
    pub unhealthy_after: u16,
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
        let Some(health) = &service.spec.health else { return Ok(None) };
        let rule = Rule::from(health);
        let http2 = rule.kind == HealthKind::Grpc || service.spec.protocol == Protocol::Http2;
        let tls = tls(service, if http2 { Protocol::Http2 } else { Protocol::Http1 })?;
        let proxy_protocol = service.spec.proxy_protocol;
        Ok(Some(Self { service: service.name.clone(), rule, http2, proxy_protocol, tls }))
    }

    /// Whether both services have the same plan.
    pub(super) fn fits(known: &ServiceState, service: &ServiceState) -> bool {
        known.spec == service.spec && some_ask_for_tls(known) == some_ask_for_tls(service)
    }

    /// How to speak TLS to an endpoint; `None` for one that is reached in the clear.
    ///
    /// # Errors
    /// When there is no name to verify the endpoint by.
    pub(super) fn tls(
        &self,
        address: &EndpointAddress,
    ) -> Result<Option<(Arc<ClientConfig>, ServerName<'static>)>, TlsError> {
        let Some(tls) = self.tls.as_ref().filter(|tls| address.tls.unwrap_or(tls.by_default)) else {
            return Ok(None);
        };
        let host = match (&address.target, &tls.discovered_by) {
            (Target::Name { host, .. }, _) | (_, Some(host)) => host.clone(),
            (Target::Ip(address), None) => address.ip().to_string(),
            (Target::Unix(path), None) => path.clone(),
        };
        Ok(Some((Arc::clone(&tls.config), client::server_name(&tls.spec, &host)?)))
    }
}

impl From<&Health> for Rule {
    fn from(health: &Health) -> Self {
        match health {
            // What a table with nothing but the path means.
            Health::Path(path) => Self {
                kind: HealthKind::Http,
                path: path.clone(),
                host: None,
                interval: Duration::from_secs(2),
                timeout: Duration::from_secs(1),
                healthy_after: 2,
                unhealthy_after: 3,
            },
            Health::Full { kind, path, host, interval, timeout, healthy_after, unhealthy_after } => Self {
                kind: *kind,
                path: path.clone().unwrap_or_else(|| "/".to_owned()),
                host: host.clone(),
                interval: interval.0.max(SHORTEST_INTERVAL),
                timeout: timeout.0,
                healthy_after: *healthy_after,
                unhealthy_after: *unhealthy_after,
            },
        }
    }
}

fn tls(service: &ServiceState, protocol: Protocol) -> Result<Option<Tls>, TlsError> {
    let by_default = service.spec.tls.is_some();
    if !by_default && !some_ask_for_tls(service) {
        return Ok(None);
    }
    let spec = service.spec.tls.clone().unwrap_or_default();
    let config = client::client(&spec, protocol)?;
    let discovered_by = match service.spec.discover.as_deref().map(str::parse) {
        Some(Ok(Discover::Dns { host, .. })) => Some(host),
        _ => None,
    };
    Ok(Some(Tls { spec, config, by_default, discovered_by }))
}

fn some_ask_for_tls(service: &ServiceState) -> bool {
    service.endpoints.iter().any(|endpoint| endpoint.address.tls == Some(true))
}

/// The address as an authority, for a Host header.
pub(super) fn authority(address: &EndpointAddress) -> String {
    match &address.target {
        Target::Ip(address) => address.to_string(),
        Target::Name { host, port } => format!("{host}:{port}"),
        Target::Unix(_) => "localhost".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Rule;
    use headgate_model::spec::Config;

    /// The defaults of the table are the model's; a bare path has to mean the same.
    #[test]
    fn a_bare_path_is_a_table_with_only_the_path() {
        let rule = |health: &str| {
            let text = format!(
                "[service.a]\nendpoints = [\":1\"]\nhealth = {health}\n[listen.web]\nbind = \":0\"\n\
                 [[route]]\nmatch = \"/*\"\nservice = \"a\"\n"
            );
            let config: Config = headgate_model::load(&text, "test", &|_| None).unwrap();
            Rule::from(config.services["a"].health.as_ref().unwrap())
        };
        assert_eq!(rule("\"/up\""), rule("{ path = \"/up\" }"));
    }
}
