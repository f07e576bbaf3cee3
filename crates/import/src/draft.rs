//! The configuration that an import builds up: it takes only what Headgate would load, and notes the
//! rest.

use crate::denial::{Meeting, meet, refused, split};
use crate::earlier::{Earlier, Left};
use crate::{Import, Kind, Note, emit};
use headgate_model::address::{BindAddress, EndpointAddress, Network};
use headgate_model::grammar::{is_field_value, is_token};
use headgate_model::pattern::Pattern;
use headgate_model::spec::{
    AccessLog, Bytes, Certificate, Config, EndpointSpec, HeaderEdits, ListenSpec, ListenTls, LogFormat,
    Respond, RouteSpec, ServiceSpec,
};
use std::collections::BTreeSet;
use std::fmt::Write as _;

#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) config: Config,
    notes: Vec<Note>,
    identities: BTreeSet<String>,
    /// What is refused, whatever more specific route comes after it.
    denials: Vec<RouteSpec>,
    /// What was added in the old gateway's order.
    earlier: Earlier,
    /// Routes that stand behind all others, and only where no other is for the same requests.
    last: Vec<(usize, RouteSpec)>,
    /// Everything that a server or site with names of its own has, with its line.
    closings: Vec<(usize, RouteSpec)>,
    /// Routes to services that a refusal has taken the place of.
    withheld: Vec<RouteSpec>,
}

/// A route that more refusals cut into is refused as a whole.
const MAX_PARTS: usize = 32;

impl Draft {
    pub(crate) fn untranslated(&mut self, line: usize, text: impl Into<String>) {
        self.note(line, text.into(), Kind::Untranslated);
    }

    pub(crate) fn approximated(&mut self, line: usize, text: impl Into<String>) {
        self.note(line, text.into(), Kind::Approximated);
    }

    /// What is not missed.
    pub(crate) fn unneeded(&mut self, line: usize, text: impl Into<String>) {
        self.note(line, text.into(), Kind::Unneeded);
    }

    /// What the result lets through and the old gateway did not.
    pub(crate) fn opens(&mut self, line: usize, text: impl Into<String>) {
        self.note(line, text.into(), Kind::OpensAccess);
    }

    /// An access rule that the result cannot apply: what it covered is refused.
    pub(crate) fn closes(&mut self, line: usize, text: impl Into<String>) {
        self.note(line, text.into(), Kind::ClosesAccess);
    }

    pub(crate) fn fault(&mut self, line: usize, text: impl Into<String>) {
        self.note(line, text.into(), Kind::Fault);
    }

    fn note(&mut self, line: usize, text: String, kind: Kind) {
        let text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let note = Note { line, text, kind };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The name of the listener at this address; a new one when there is none yet.
    pub(crate) fn listener(&mut self, line: usize, bind: &str) -> Option<String> {
        let address = match bind.parse::<BindAddress>() {
            Ok(address) => address,
            Err(error) => {
                self.untranslated(line, format!("cannot bind {bind}: {error}"));
                return None;
            }
        };
        let taken =
            |spec: &ListenSpec| spec.bind.parse::<BindAddress>().is_ok_and(|other| other.clashes(&address));
        if let Some((name, _)) = self.config.listeners.iter().find(|(_, spec)| taken(spec)) {
            return Some(name.clone());
        }
        let base = match &address {
            BindAddress::Every { port } => port_name(*port),
            BindAddress::Ip(ip) => port_name(ip.port()),
            BindAddress::Unix(_) => "unix".to_owned(),
        };
        let name = unique(&base, |name| self.config.listeners.contains_key(name));
        let spec = ListenSpec { bind: address.to_string(), ..ListenSpec::default() };
        self.config.listeners.insert(name.clone(), spec);
        Some(name)
    }

    /// Adds a certificate to a listener, and TLS where it had none.
    pub(crate) fn certificate(&mut self, line: usize, listener: &str, certificate: Certificate) {
        if [&certificate.cert, &certificate.key].iter().any(|path| path.is_empty() || path.contains('\0')) {
            self.untranslated(line, "a certificate without a path: the listener stays without it");
            return;
        }
        if let Some(spec) = self.config.listeners.get_mut(listener) {
            let tls = spec.tls.get_or_insert_with(ListenTls::default);
            if !tls.certificates.contains(&certificate) {
                tls.certificates.push(certificate);
            }
        }
    }

    /// Adds a network to those whose word on the client a listener believes, or notes why not.
    pub(crate) fn trust(&mut self, line: usize, listener: &str, network: &str) {
        if let Err(error) = network.parse::<Network>() {
            self.untranslated(line, format!("the trusted proxy {network}: {error}"));
        } else if let Some(spec) = self.config.listeners.get_mut(listener)
            && !spec.trusted_proxies.iter().any(|other| other == network)
        {
            spec.trusted_proxies.push(network.to_owned());
        }
    }

    /// An endpoint that Headgate can dial, or a note.
    pub(crate) fn endpoint(
        &mut self,
        line: usize,
        address: &str,
        weight: Option<u32>,
    ) -> Option<EndpointSpec> {
        let parsed = match address.parse::<EndpointAddress>() {
            Ok(parsed) => parsed.to_string(),
            Err(error) => {
                self.untranslated(line, format!("the endpoint {address}: {error}"));
                return None;
            }
        };
        match weight {
            None | Some(1) => Some(EndpointSpec::Address(parsed)),
            Some(weight) => {
                let weight = u16::try_from(weight).unwrap_or(u16::MAX).min(1_000);
                Some(EndpointSpec::Full { address: parsed, weight })
            }
        }
    }

    /// Adds an endpoint to a service unless it is there already.
    pub(crate) fn push_endpoint(&mut self, line: usize, service: &mut ServiceSpec, endpoint: EndpointSpec) {
        if service.endpoints.iter().any(|other| other.address() == endpoint.address()) {
            self.approximated(
                line,
                format!("{} stands here twice; a weight says the same", endpoint.address()),
            );
        } else {
            service.endpoints.push(endpoint);
        }
    }

    /// The name of a service with this content; a new one when there is none yet. A service without an
    /// endpoint is none.
    pub(crate) fn service(&mut self, line: usize, base: &str, spec: ServiceSpec) -> Option<String> {
        if spec.endpoints.is_empty() && spec.discover.is_none() {
            self.untranslated(line, format!("the service {base} has no endpoint that could be translated"));
            return None;
        }
        let base = label(base);
        let same = |(name, other): &(&String, &ServiceSpec)| name.starts_with(&base) && **other == spec;
        if let Some((name, _)) = self.config.services.iter().find(same) {
            return Some(name.clone());
        }
        let alone = ServiceSpec {
            fallback: spec.fallback.clone().filter(|fallback| fallback.service.is_none()),
            ..spec.clone()
        };
        if !self.loads(line, |config| drop(config.services.insert(base.clone(), alone))) {
            return None;
        }
        let name = unique(&base, |name| self.config.services.contains_key(name));
        self.config.services.insert(name.clone(), spec);
        Some(name)
    }

    /// Adds a route, or notes why Headgate would refuse it. What earlier answers have a say in is left to them,
    /// and what an earlier denial covers is refused.
    pub(crate) fn route(&mut self, line: usize, route: RouteSpec) {
        if self.is_reached(line, &route) {
            self.route_but_for_denials(line, route);
        }
    }

    fn route_but_for_denials(&mut self, line: usize, mut route: RouteSpec) {
        let mut withheld = None;
        if route.service.is_some() {
            let mut parts = Vec::new();
            for denial in &self.denials {
                let status = denial.respond.as_ref().map_or(403, |respond| respond.status);
                match meet(&route, denial) {
                    Meeting::Nothing => {}
                    Meeting::Part(part) if parts.len() < MAX_PARTS => parts.push(*part),
                    Meeting::All | Meeting::Part(_) | Meeting::Unclear => {
                        let refusal = refused(&route, status);
                        withheld = Some(std::mem::replace(&mut route, refusal));
                        parts.clear();
                        break;
                    }
                }
            }
            for part in parts {
                // What is there already was decided by an earlier rule.
                if !self.identities.contains(&identity(&part)) {
                    self.route_as_it_is(line, part);
                }
            }
        }
        if let Some(withheld) = withheld {
            let pattern = &withheld.pattern;
            self.approximated(
                line,
                format!("{pattern}: refused by a rule above; its route is a comment at the end"),
            );
            self.withhold(withheld);
        }
        self.route_as_it_is(line, route);
    }

    /// Whether a route goes to this service, or would, were it not withheld.
    pub(crate) fn leads_to(&self, service: &str) -> bool {
        let mut routes = self.config.routes.iter().chain(&self.withheld);
        routes.any(|route| route.service.as_deref() == Some(service))
    }

    /// Keeps a route that a refusal takes the place of, as a comment.
    pub(crate) fn withhold(&mut self, route: RouteSpec) {
        if !self.withheld.contains(&route) {
            self.withheld.push(route);
        }
    }

    /// Adds a route at the end, unless by then there is one for the same requests.
    pub(crate) fn route_at_last(&mut self, line: usize, route: RouteSpec) {
        self.last.push((line, route));
    }

    /// Ends a server or site: what it does not answer of this host is answered 404, and not by another one that
    /// takes every host.
    pub(crate) fn close(&mut self, line: usize, host: &str, listeners: &[String]) {
        let (pattern, listeners) = (format!("{host}/*"), listeners.to_vec());
        let respond = Some(Respond { status: 404, ..Respond::default() });
        self.closings.push((line, RouteSpec { pattern, listeners, respond, ..RouteSpec::default() }));
    }

    /// Adds what `close` said, where another server or site would answer otherwise.
    fn add_closings(&mut self) {
        for (line, mut closing) in std::mem::take(&mut self.closings) {
            closing.listeners.sort();
            let host = split(&closing.pattern).0;
            let wider = |route: &RouteSpec| {
                split(&route.pattern).0 != host && !matches!(meet(&closing, route), Meeting::Nothing)
            };
            let taken = self.identities.contains(&identity(&closing));
            if !taken && self.config.routes.iter().any(wider) {
                let text = format!("{}: answered 404 where nothing else is said about it", closing.pattern);
                self.approximated(line, text);
                self.route_as_it_is(line, closing);
            }
        }
    }

    /// Refuses requests, whatever more specific route comes later; with the denial's own answer where it
    /// has one. What cannot be said as a route is refused with all of its host, or of its listeners.
    pub(crate) fn deny(&mut self, line: usize, denial: &RouteSpec, status: u16) {
        let plain = refused(denial, status);
        let denial = RouteSpec {
            respond: denial.respond.clone().or(plain.respond.clone()),
            response_headers: denial.response_headers.clone(),
            ..plain
        };
        let wide = |pattern: String| RouteSpec {
            pattern,
            listeners: denial.listeners.clone(),
            respond: denial.respond.clone(),
            ..RouteSpec::default()
        };
        let host = format!("{}/*", split(&denial.pattern).0);
        for (widened, denial) in [denial.clone(), wide(host), wide("/*".to_owned())].into_iter().enumerate() {
            if self.denials.contains(&denial) {
                return;
            }
            if self.route_as_it_is(line, denial.clone()) {
                if widened > 0 {
                    let text =
                        format!("what it refuses cannot be said as a pattern: {} is refused", denial.pattern);
                    self.closes(line, text);
                }
                self.denials.push(denial);
                return;
            }
        }
    }

    /// Adds a route of a gateway that takes the first of several answers: what an earlier one has a say in is
    /// left to it.
    pub(crate) fn route_in_order(&mut self, line: usize, route: RouteSpec) {
        if self.is_reached(line, &route) {
            self.earlier.push(route.clone());
            self.route_but_for_denials(line, route);
        }
    }

    /// Adds a route that denials do not concern.
    pub(crate) fn route_past_denials(&mut self, line: usize, route: RouteSpec) {
        if self.is_reached(line, &route) {
            self.route_as_it_is(line, route);
        }
    }

    /// The same for a refusal.
    pub(crate) fn deny_in_order(&mut self, line: usize, denial: &RouteSpec, status: u16) {
        if self.is_reached(line, denial) {
            self.deny(line, denial, status);
        }
    }

    /// Whether earlier routes leave anything of a route; adds what stands before the rest of it.
    fn is_reached(&mut self, line: usize, route: &RouteSpec) -> bool {
        match self.earlier.leave(route) {
            Left::Nothing(by) => {
                self.unneeded(line, format!("{}: never reached: {by} is answered before it", route.pattern));
                false
            }
            Left::Behind(parts) => {
                for part in parts {
                    if !self.identities.contains(&identity(&part)) {
                        self.route_as_it_is(line, part);
                    }
                }
                true
            }
        }
    }

    /// What was decided so far covers nothing of what comes now: another server or site, which alone decides
    /// about its hosts.
    pub(crate) fn begin_server(&mut self) {
        self.denials.clear();
        self.earlier.clear();
    }

    /// Adds a route past all that came before; false when Headgate would refuse it, which is then noted.
    fn route_as_it_is(&mut self, line: usize, mut route: RouteSpec) -> bool {
        if let Err(error) = route.pattern.parse::<Pattern>() {
            self.untranslated(line, format!("no pattern for {}: {error}", route.pattern));
            return false;
        }
        route.listeners.sort();
        route.listeners.dedup();
        route.methods.sort();
        route.methods.dedup();
        let listeners = self.config.listeners.clone();
        let acceptable = self.loads(line, |config| {
            config.listeners.extend(listeners.into_iter().map(|(name, spec)| {
                let bare = ListenSpec { bind: spec.bind, ..ListenSpec::default() };
                (name, bare)
            }));
            if let Some(name) = &route.service {
                let endpoints = vec![EndpointSpec::Address(":1".to_owned())];
                config.services.insert(name.clone(), ServiceSpec { endpoints, ..ServiceSpec::default() });
            }
            config.routes.push(route.clone());
        });
        if !acceptable {
            return false;
        }
        if self.identities.insert(identity(&route)) {
            self.config.routes.push(route);
        } else {
            self.untranslated(line, format!("an earlier rule already takes all of {}", route.pattern));
        }
        true
    }

    /// Whether Headgate loads a configuration with this in it; notes why not.
    fn loads(&mut self, line: usize, add: impl FnOnce(&mut Config)) -> bool {
        let mut config = Config::default();
        add(&mut config);
        if config.listeners.is_empty() {
            config
                .listeners
                .insert("any".to_owned(), ListenSpec { bind: ":1".to_owned(), ..ListenSpec::default() });
        }
        let text = emit::toml(&config, "");
        let Err(errors) = headgate_model::load(&text, "", &variable) else { return true };
        for error in errors {
            let setting = text.lines().nth(error.line - 1).unwrap_or_default();
            self.untranslated(line, format!("{setting}: {}", error.message));
        }
        false
    }

    /// A header for `set` or `add`, or a note.
    pub(crate) fn header(
        &mut self,
        line: usize,
        edits: &mut HeaderEdits,
        add: bool,
        name: &str,
        value: &str,
    ) {
        if !self.field_name(line, name) {
            return;
        }
        if !is_field_value(value) {
            self.untranslated(
                line,
                format!("the value of the header {name} has bytes that no header may have"),
            );
            return;
        }
        let fields = if add { &mut edits.add } else { &mut edits.set };
        if add && fields.contains_key(&name.to_ascii_lowercase()) {
            self.untranslated(line, format!("a second value for the header {name}"));
            return;
        }
        fields.insert(name.to_ascii_lowercase(), value.to_owned());
    }

    /// A header to remove, or a note.
    pub(crate) fn remove_header(&mut self, line: usize, edits: &mut HeaderEdits, name: &str) {
        let lower = name.to_ascii_lowercase();
        if self.field_name(line, name) && !edits.remove.contains(&lower) {
            edits.remove.push(lower);
        }
    }

    fn field_name(&mut self, line: usize, name: &str) -> bool {
        const OWN: [&str; 10] = [
            "connection",
            "content-length",
            "host",
            "http2-settings",
            "keep-alive",
            "proxy-connection",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ];
        if !is_token(name) {
            self.untranslated(line, format!("{name} is not the name of a header"));
            return false;
        }
        if is_forwarding(name) {
            let text =
                format!("{name}: Headgate writes it by itself, from what it sees and trusted_proxies say");
            self.approximated(line, text);
            return false;
        }
        if OWN.contains(&name.to_ascii_lowercase().as_str()) {
            self.untranslated(line, format!("Headgate itself writes the header {name}"));
            return false;
        }
        true
    }

    /// One access log for everything, on standard output: the old gateway's file is its own, may not be
    /// writable, and is one of several.
    pub(crate) fn log(&mut self, line: usize, format: LogFormat, path: Option<&str>) {
        if let Some(path) = path {
            let text = format!(
                "the access log {path}: requests of all listeners and routes go to standard output; for a file set \
                 `path` in [log], where Headgate may write"
            );
            self.approximated(line, text);
        }
        let log = AccessLog { format, path: None };
        match &self.config.log {
            Some(other) if *other == log && path.is_some() => {}
            Some(other) if *other == log => {
                self.unneeded(line, "an access log: one is written for all listeners and routes");
            }
            Some(_) => {
                self.untranslated(
                    line,
                    "a second access log: Headgate writes one for all listeners and routes",
                );
            }
            None => self.config.log = Some(log),
        }
    }

    /// The limit on request bodies of a listener: the largest that was asked for; zero is no limit.
    pub(crate) fn body_limit(&mut self, line: usize, listener: &str, bytes: u64) {
        let Some(spec) = self.config.listeners.get_mut(listener) else { return };
        let (old, fresh) = (spec.limits.body.0, spec.limits == Default::default());
        let larger = if bytes == 0 || (old == 0 && !fresh) { 0 } else { old.max(bytes) };
        spec.limits.body = Bytes(larger);
        if old != bytes && old != 0 {
            self.approximated(
                line,
                "the limit on request bodies is the listener's: the largest of several is used",
            );
        }
    }

    /// The result.
    pub(crate) fn finish(mut self, file_name: &str) -> Import {
        for (line, mut route) in std::mem::take(&mut self.last) {
            route.listeners.sort();
            if !self.identities.contains(&identity(&route)) {
                self.route_as_it_is(line, route);
            }
        }
        self.add_closings();
        let every: Vec<String> = self.config.listeners.keys().cloned().collect();
        for route in self.config.routes.iter_mut().chain(&mut self.withheld) {
            if route.listeners == every {
                route.listeners.clear();
            }
        }
        let toml = emit::toml(&self.config, file_name) + &emit::withheld(&self.withheld);
        // The proof that the result loads; what it refuses is the importer's gap and said as such.
        if let Err(errors) = headgate_model::load(&toml, "headgate.toml", &variable) {
            for error in errors {
                self.untranslated(0, format!("the result needs a correction: {}", error.summary()));
            }
        }
        self.notes.sort_by_key(|note| note.line);
        Import { config: self.config, toml, notes: self.notes }
    }
}

/// Whether Headgate writes this field of requests by itself, from what it sees.
pub(crate) fn is_forwarding(name: &str) -> bool {
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"].contains(&name.to_ascii_lowercase().as_str())
}

/// Equal for routes that match the same requests.
fn identity(route: &RouteSpec) -> String {
    let pattern = route.pattern.parse::<Pattern>().map(|pattern| pattern.unnamed());
    format!("{pattern:?} {:?} {:?} {:?} {:?}", route.listeners, route.methods, route.headers, route.query)
}

/// Stands in for the environment, which the import does not know.
fn variable(name: &str) -> Option<String> {
    Some(format!("${{{name}}}"))
}

fn port_name(port: u16) -> String {
    match port {
        80 => "http".to_owned(),
        443 => "https".to_owned(),
        port => format!("port-{port}"),
    }
}

/// A name that Headgate accepts.
pub(crate) fn label(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = text.chars().map(plain).take(56).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "service".to_owned() } else { name.to_owned() }
}

fn unique(base: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut name = base.to_owned();
    let mut number = 2;
    while taken(&name) {
        name.truncate(base.len());
        let _infallible = write!(name, "-{number}");
        number += 1;
    }
    name
}
