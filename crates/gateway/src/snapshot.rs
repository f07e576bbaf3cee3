//! A configuration compiled for the hot path: what requests are matched against and where they go. Built
//! once, read-only, swapped in as a whole.

use crate::bulkhead::Gate;
use crate::cache_rules::CacheRules;
use crate::chaos::{Chaos, InForce};
use crate::compile_error::CompileError;
use crate::fallback::Fallback;
use crate::listener::Listener;
use crate::route::{Expansion, RouteRule, Table};
use crate::trace;
use crate::upstream_tls::UpstreamTls;
use headgate_model::address::EndpointAddress;
use headgate_model::pattern::{Pattern, normal};
use headgate_model::spec::{
    Balance, BalancePolicy, Config, HashKey, HeaderEdits, Profile, RouteSpec, ServiceSpec,
};
use headgate_model::state::{EndpointState, ServiceState};
use headgate_model::template::Template;
use headgate_net::head::Known;
use headgate_net::spare::Spares;
use headgate_policy::balance::Settings;
use headgate_policy::bulkhead::Bulkhead;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// One compiled configuration.
pub struct Snapshot {
    /// Grows by one with each swap.
    pub generation: u64,
    pub config: Arc<Config>,
    pub listeners: Vec<Listener>,
    pub services: Vec<Service>,
    /// Some service is told by PROXY protocol who its clients are.
    pub sends_proxy_headers: bool,
    pub routes: Vec<Route>,
    pub table: Table,
    /// Some route's responses are cached.
    pub caches: bool,
    /// Faults to inject. Compiled, those of the file; who adds rules or takes some away writes it anew.
    pub chaos: Option<Arc<Chaos>>,
}

pub struct Service {
    pub state: Arc<ServiceState>,
    /// What each endpoint weighs once this is in force.
    pub weights: Vec<u16>,
    /// Of each endpoint, the connections that workers can spare. Kept across a reload for as long as the
    /// endpoint stays and is spoken to in the same way.
    pub(crate) spares: Vec<Arc<Spares>>,
    pub balance: Settings,
    /// What a hashing policy hashes.
    pub hash_key: HashKey,
    pub tls: Option<UpstreamTls>,
    pub(crate) fallback: Option<Fallback>,
    /// Where the service has a bulkhead.
    pub(crate) gate: Option<Arc<Gate>>,
}

pub struct Route {
    pub name: Box<str>,
    pub action: Action,
    /// A beginning of the path's normal form.
    pub strip: Option<Box<[u8]>>,
    pub rewrite: Option<Expansion>,
    pub host: Option<Box<[u8]>>,
    pub request: Edits,
    pub response: Edits,
    /// Where its responses are cached.
    pub cache: Option<CacheRules>,
    /// Overrides the service's total deadline; zero for none.
    pub timeout: Duration,
}

pub enum Action {
    Service(usize),
    Redirect {
        to: Expansion,
        status: u16,
        /// The target holds the request's host.
        needs_host: bool,
    },
    Respond {
        status: u16,
        body: Box<[u8]>,
        content_type: Box<[u8]>,
    },
}

/// Name and value of a header field.
pub type FieldLine = (Box<[u8]>, Box<[u8]>);

/// Header edits in wire form; names in lower case. What is set is also removed first.
#[derive(Default)]
pub struct Edits {
    pub remove: Vec<Box<[u8]>>,
    pub write: Vec<FieldLine>,
    /// Something is removed that the gateway itself says of the client.
    pub removes_ours: bool,
}

impl From<&HeaderEdits> for Edits {
    fn from(spec: &HeaderEdits) -> Self {
        let lower = |name: &String| name.to_ascii_lowercase().into_bytes().into_boxed_slice();
        let remove: Vec<Box<[u8]>> = spec.remove.iter().chain(spec.set.keys()).map(lower).collect();
        let removes_ours = remove.iter().any(|name| Known::of(name).says_of_client());
        Self {
            remove,
            removes_ours,
            write: spec
                .set
                .iter()
                .chain(&spec.add)
                .map(|(name, value)| (lower(name), value.clone().into_bytes().into_boxed_slice()))
                .collect(),
        }
    }
}

/// Endpoints found for services that are discovered, by service name.
pub type Discovered = BTreeMap<String, Vec<(EndpointAddress, u16)>>;

impl Snapshot {
    /// Compiles `config`. Endpoints that `before` already had keep their state.
    ///
    /// # Errors
    /// Names the place in the configuration that cannot be used.
    pub fn compile(
        config: Arc<Config>,
        discovered: &Discovered,
        before: Option<&Self>,
    ) -> Result<Self, CompileError> {
        let names: BTreeMap<&str, usize> =
            config.services.keys().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
        let listener_names: BTreeMap<&str, u32> =
            config.listeners.keys().map(String::as_str).zip(0..).collect();
        let mut services = Vec::with_capacity(names.len());
        for (name, spec) in &config.services {
            // What was found for a service that is no longer discovered is not its own any more.
            let found = discovered.get(name).filter(|_| spec.discover.is_some());
            let found = found.map_or(&[][..], Vec::as_slice);
            services.push(service(&config, name, spec, found, before, &names)?);
        }
        let mut rules = Vec::with_capacity(config.routes.len());
        let mut routes = Vec::with_capacity(config.routes.len());
        for (index, spec) in config.routes.iter().enumerate() {
            let place = || format!("route {}", index + 1);
            let error = |message: String| CompileError { place: place(), message };
            let rule = rule(index, spec, &listener_names).map_err(error)?;
            let mut route = route(spec, &rule.pattern, &names).map_err(error)?;
            route.cache = CacheRules::compile(spec, &config.cache);
            route.request.remove.extend(trace::fields_written(&config.trace));
            routes.push(route);
            rules.push(rule);
        }
        let listeners = config.listeners.iter().map(|(name, spec)| {
            let known = before.and_then(|before| before.listeners.iter().find(|known| *known.name == **name));
            Listener::compile(name, spec, known)
        });
        let listeners = listeners.collect::<Result<_, _>>()?;
        let generation = before.map_or(1, |before| before.generation + 1);
        let table = Table::new(rules).map_err(|error| CompileError {
            place: format!("route {}", error.index + 1),
            message: error.to_string(),
        })?;
        let sends_proxy_headers = config.services.values().any(|service| service.proxy_protocol.is_some());
        let of_file = config.chaos.iter().map(|rule| InForce {
            rule,
            until: None,
            hits: Arc::default(),
            asked: Arc::default(),
        });
        let chaos = Chaos::compile(of_file);
        let caches = routes.iter().any(|route| route.cache.is_some());
        Ok(Self {
            caches,
            generation,
            listeners,
            services,
            sends_proxy_headers,
            routes,
            table,
            chaos,
            config,
        })
    }

    /// Index of a service by name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| &*service.state.name == name)
    }
}

fn service(
    config: &Config,
    name: &str,
    spec: &ServiceSpec,
    found: &[(EndpointAddress, u16)],
    before: Option<&Snapshot>,
    names: &BTreeMap<&str, usize>,
) -> Result<Service, CompileError> {
    let error = |message: String| CompileError { place: format!("service.{name}"), message };
    let spec = &with_profile(spec, config.profile);
    let known = before.and_then(|before| before.service(name));
    let before = known.map(|known| &known.state);
    let mut wanted = found.to_vec();
    for endpoint in &spec.endpoints {
        let address = endpoint.address().parse().map_err(|bad| error(format!("{bad}")))?;
        wanted.push((address, endpoint.weight()));
    }
    if spec.tls.is_some()
        && let Some((address, _)) = wanted.iter().find(|(address, _)| address.tls == Some(false))
    {
        return Err(error(format!("the endpoint {address} asks for no TLS, and the service has `tls`")));
    }
    let weights = wanted.iter().map(|(_, weight)| *weight).collect();
    let endpoints = wanted.into_iter().map(|(address, weight)| {
        let known = before.and_then(|before| before.endpoints.iter().find(|known| known.address == address));
        known.map_or_else(|| Arc::new(EndpointState::new(address, weight)), Arc::clone)
    });
    let state = ServiceState {
        name: name.into(),
        spec: Arc::new(spec.clone()),
        endpoints: endpoints.collect(),
        in_flight: before.map_or_else(|| Arc::new(AtomicU32::new(0)), |before| Arc::clone(&before.in_flight)),
    };
    let alike = known.filter(|known| are_spoken_to_alike(&known.state.spec, spec));
    let spares = state.endpoints.iter().map(|endpoint| {
        let same = |known: &Service| {
            let index = known.state.endpoints.iter().position(|known| Arc::ptr_eq(known, endpoint))?;
            Some(Arc::clone(&known.spares[index]))
        };
        alike.and_then(same).unwrap_or_default()
    });
    let spares = spares.collect();
    let hash_key = match &spec.balance {
        Some(Balance::Full { key: Some(key), .. }) => key.clone(),
        _ => HashKey::ClientAddress,
    };
    let balance = match (&spec.balance, config.profile) {
        (Some(balance), _) => Settings::from(balance),
        (None, Profile::Traditional) => Settings::new(BalancePolicy::RoundRobin),
        (None, Profile::Heuristic) => Settings::new(BalancePolicy::P2c),
    };
    let fallback = |spec| Fallback::compile(spec, |name| names.get(name).copied()).map_err(error);
    let fallback = spec.fallback.as_ref().map(fallback).transpose()?;
    let gate = spec.bulkhead.as_ref().map(|bulkhead| match known.and_then(|known| known.gate.as_ref()) {
        Some(gate) => Arc::clone(gate),
        None => Arc::new(Gate::new(Arc::clone(&state.in_flight), Bulkhead::new(bulkhead))),
    });
    let tls = UpstreamTls::compile(
        name,
        spec,
        &state.endpoints,
        known.map(|known| (&*known.state.spec, known.tls.as_ref())),
    )?;
    Ok(Service { state: Arc::new(state), weights, spares, balance, hash_key, tls, fallback, gate })
}

/// Whether a connection that was opened for one may serve the other.
fn are_spoken_to_alike(one: &ServiceSpec, other: &ServiceSpec) -> bool {
    one.tls == other.tls
        && one.protocol == other.protocol
        && one.proxy_protocol == other.proxy_protocol
        && one.discover == other.discover
}

/// The settings with what the profile adds where the file says nothing.
fn with_profile(spec: &ServiceSpec, profile: Profile) -> ServiceSpec {
    let mut spec = spec.clone();
    match profile {
        Profile::Traditional => {}
        Profile::Heuristic => {
            spec.outlier.get_or_insert_default();
            spec.breaker.get_or_insert_default();
        }
    }
    spec
}

fn rule(index: usize, spec: &RouteSpec, listeners: &BTreeMap<&str, u32>) -> Result<RouteRule, String> {
    let listener = |name: &String| {
        listeners.get(name.as_str()).copied().ok_or_else(|| format!("the listener `{name}` does not exist"))
    };
    Ok(RouteRule {
        pattern: spec.pattern.parse::<Pattern>().map_err(|error| error.to_string())?,
        listeners: spec.listeners.iter().map(listener).collect::<Result<_, _>>()?,
        methods: spec.methods.clone(),
        headers: spec.headers.clone().into_iter().collect(),
        query: spec.query.clone().into_iter().collect(),
        refuses: spec.respond.as_ref().is_some_and(|respond| respond.status >= 400),
        index,
    })
}

fn route(spec: &RouteSpec, pattern: &Pattern, services: &BTreeMap<&str, usize>) -> Result<Route, String> {
    let template = |text: &String| {
        let template = text.parse::<Template>().map_err(|error| error.to_string())?;
        Ok::<_, String>(Expansion::new(&template, &pattern.path))
    };
    let action = match (&spec.service, &spec.redirect, &spec.respond) {
        (Some(name), None, None) => Action::Service(
            *services.get(name.as_str()).ok_or_else(|| format!("the service `{name}` does not exist"))?,
        ),
        (None, Some(redirect), None) => {
            let needs_host = redirect.to.contains("{host}");
            Action::Redirect { to: template(&redirect.to)?, status: redirect.status, needs_host }
        }
        (None, None, Some(respond)) => Action::Respond {
            status: respond.status,
            body: respond.body.as_bytes().into(),
            content_type: respond.content_type.as_bytes().into(),
        },
        _ => return Err("exactly one of `service`, `redirect` and `respond` is needed".to_owned()),
    };
    Ok(Route {
        name: spec.name.as_deref().unwrap_or(&spec.pattern).into(),
        action,
        strip: spec.strip.as_ref().map(|strip| normal(strip.as_bytes()).into()),
        rewrite: spec.rewrite.as_ref().map(template).transpose()?,
        host: spec.host.as_ref().map(|host| host.as_bytes().into()),
        request: Edits::from(&spec.request_headers),
        response: Edits::from(&spec.response_headers),
        cache: None,
        timeout: spec.timeout.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::Shared;
    use headgate_observe::registry::Registry;

    fn compiled(text: &str, before: Option<&Snapshot>) -> Snapshot {
        let text = format!("[listen.web]\nbind = \":0\"\n{text}");
        let config = headgate_model::load(&text, "test.toml", &|_| None).unwrap();
        Snapshot::compile(Arc::new(config), &Discovered::new(), before).unwrap()
    }

    const SHOP: &str = "[service.shop]\nendpoints = [\":1\"]\n";

    #[test]
    fn the_heuristic_profile_watches_what_the_file_leaves_open() {
        let specs = |profile: &str, rest: &str| {
            // Top-level keys come before the first table.
            let text = format!("profile = \"{profile}\"\n[listen.web]\nbind = \":0\"\n{SHOP}{rest}");
            let config = headgate_model::load(&text, "test.toml", &|_| None).unwrap();
            let snapshot = Snapshot::compile(Arc::new(config), &Discovered::new(), None).unwrap();
            let spec = Arc::clone(&snapshot.services[0].state.spec);
            (spec.outlier.is_some(), spec.breaker.as_ref().map(|breaker| breaker.probes))
        };
        assert_eq!(specs("traditional", ""), (false, None));
        assert_eq!(specs("heuristic", ""), (true, Some(3)));
        assert_eq!(specs("heuristic", "breaker = { probes = 7 }"), (true, Some(7)));
    }

    #[test]
    fn a_reload_keeps_endpoints_and_the_queue_for_them() {
        let bulkhead = |places: u32| format!("{SHOP}bulkhead = {{ in_flight = {places} }}\n");
        let before = compiled(&bulkhead(1), None);
        let after = compiled(&bulkhead(2), Some(&before));
        let (before, after) = (&before.services[0], &after.services[0]);
        assert!(Arc::ptr_eq(&before.state.endpoints[0], &after.state.endpoints[0]));
        assert!(Arc::ptr_eq(before.gate.as_ref().unwrap(), after.gate.as_ref().unwrap()));
    }

    #[test]
    fn weights_change_with_the_swap_and_not_before() {
        let shop = |weight: u16| {
            format!("[service.shop]\nendpoints = [{{ address = \":1\", weight = {weight} }}]\n")
        };
        let shared = Shared::new(compiled(&shop(1), None), Registry::default());
        let next = compiled(&shop(7), Some(&shared.snapshot()));
        let endpoint = Arc::clone(&shared.snapshot().services[0].state.endpoints[0]);
        assert_eq!(endpoint.weight(), 1, "the configuration may still be refused");
        shared.publish(next);
        assert_eq!(endpoint.weight(), 7);
    }

    #[test]
    fn what_a_discovered_address_says_of_tls_counts() {
        let compile = |tls: &str, found: &str| {
            let service = format!("discover = \"file:list\"\n{tls}\n");
            let text = format!("[listen.web]\nbind = \":0\"\n[service.shop]\n{service}\n");
            let config = headgate_model::load(&text, "test.toml", &|_| None).unwrap();
            let discovered = Discovered::from([("shop".to_owned(), vec![(found.parse().unwrap(), 1)])]);
            let compiled = Snapshot::compile(Arc::new(config), &discovered, None);
            compiled.map(|snapshot| snapshot.services[0].tls.is_some()).map_err(|error| error.to_string())
        };
        assert_eq!(compile("", "app.test:80"), Ok(false));
        assert_eq!(compile("", "https://app.test"), Ok(true), "it must not be spoken to in the clear");
        assert_eq!(compile("tls = {}", "app.test:80"), Ok(true));
        let refused = compile("tls = {}", "http://app.test").unwrap_err();
        assert!(refused.contains("service.shop") && refused.contains("http://app.test:80"), "{refused}");
    }

    #[test]
    fn discovered_endpoints_end_with_the_discovery() {
        let endpoints = |service: &str| {
            let text = format!("[listen.web]\nbind = \":0\"\n[service.shop]\n{service}\n");
            let config = headgate_model::load(&text, "test.toml", &|_| None).unwrap();
            let found = vec![("10.0.0.9:80".parse().unwrap(), 1)];
            let discovered = Discovered::from([("shop".to_owned(), found)]);
            let snapshot = Snapshot::compile(Arc::new(config), &discovered, None).unwrap();
            let names = snapshot.services[0].state.endpoints.iter().map(|endpoint| endpoint.name.to_string());
            names.collect::<Vec<_>>()
        };
        assert_eq!(endpoints("discover = \"dns:shop.test:80\""), ["10.0.0.9:80"]);
        assert_eq!(endpoints("endpoints = [\":1\"]"), ["127.0.0.1:1"]);
    }

    #[test]
    fn fields_that_tracing_writes_are_not_passed_on_as_well() {
        let routed = format!("{SHOP}[[route]]\nmatch = \"/*\"\nservice = \"shop\"\n");
        let traced = format!("{routed}[trace]\ncreate = true\nrequest_id = \"X-Id\"\n");
        assert!(compiled(&routed, None).routes[0].request.remove.is_empty());
        let removed = &compiled(&traced, None).routes[0].request.remove;
        assert_eq!(removed[..], [&b"traceparent"[..], b"tracestate", b"x-id"].map(Box::from));
    }
}
