//! Routes of a draft: what refusals and earlier answers leave of them.

use super::Draft;
use crate::denial::{Denial, Meeting, meet, refused, split};
use crate::earlier::Left;
use headgate_model::pattern::Pattern;
use headgate_model::spec::{EndpointSpec, ListenSpec, Respond, RouteSpec, ServiceSpec};

/// A route that more refusals cut into is refused as a whole.
const MAX_PARTS: usize = 32;

impl Draft {
    /// Adds a route, or notes why Headgate would refuse it. What earlier answers have a say in is left to them,
    /// and what an earlier denial covers is refused.
    pub(crate) fn route(&mut self, line: usize, route: RouteSpec) {
        if self.is_reached(line, &route) {
            self.route_but_for_denials(line, route);
        }
    }

    fn route_but_for_denials(&mut self, line: usize, mut route: RouteSpec) {
        let mut withheld = None;
        // What is refused of it, and what is left of a refused part.
        let (mut parts, mut spared) = (Vec::new(), Vec::new());
        for denial in &self.denials {
            if route.service.is_none() && denial.other_than.is_empty() {
                continue;
            }
            let left = denial.leaves(&route);
            if !left.is_empty() && left.len() == route.methods.len() {
                continue;
            }
            match meet(&route, &denial.route) {
                Meeting::Nothing => {}
                Meeting::Part(part) if parts.len() < MAX_PARTS => {
                    if !left.is_empty() {
                        spared.push(within(&route, &part, left));
                    }
                    parts.push(*part);
                }
                Meeting::All if !left.is_empty() => {
                    parts.push(RouteSpec { respond: denial.route.respond.clone(), ..refused(&route, 403) });
                    route.methods = left;
                }
                Meeting::All | Meeting::Part(_) | Meeting::Unclear => {
                    let refusal = RouteSpec { respond: denial.route.respond.clone(), ..refused(&route, 403) };
                    withheld = Some(std::mem::replace(&mut route, refusal));
                    parts.clear();
                    spared.clear();
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
        for part in spared {
            if !self.identities.contains(&identity(&part)) {
                self.route_but_for_denials(line, part);
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

    /// Adds those of `route_at_last`.
    pub(super) fn add_last(&mut self) {
        for (line, mut route) in std::mem::take(&mut self.last) {
            route.listeners.sort();
            if !self.identities.contains(&identity(&route)) {
                self.route_as_it_is(line, route);
            }
        }
    }

    /// Ends a server or site: what it does not answer of this host is answered 404, and not by another one that
    /// takes every host.
    pub(crate) fn close(&mut self, line: usize, host: &str, listeners: &[String]) {
        let (pattern, listeners) = (format!("{host}/*"), listeners.to_vec());
        let respond = Some(Respond { status: 404, ..Respond::default() });
        self.closings.push((line, RouteSpec { pattern, listeners, respond, ..RouteSpec::default() }));
    }

    /// Adds what `close` said, where another server or site would answer otherwise.
    pub(super) fn add_closings(&mut self) {
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
        self.deny_other_than(line, denial, status, &[]);
    }

    /// The same for all methods but these.
    pub(crate) fn deny_other_than(
        &mut self,
        line: usize,
        denial: &RouteSpec,
        status: u16,
        other_than: &[String],
    ) {
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
        for (widened, route) in [denial.clone(), wide(host), wide("/*".to_owned())].into_iter().enumerate() {
            let denial = Denial { route, other_than: other_than.to_vec() };
            if self.denials.contains(&denial) {
                return;
            }
            if self.route_as_it_is(line, denial.route.clone()) {
                if widened > 0 {
                    let pattern = &denial.route.pattern;
                    let text = format!("what it refuses cannot be said as a pattern: {pattern} is refused");
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

    /// The same for what nothing before it answers; false, and nothing, where all of it is answered.
    pub(crate) fn rest_in_order(&mut self, line: usize, route: RouteSpec) -> bool {
        let reached = matches!(self.earlier.leave(&route), Left::Behind(_));
        if reached {
            self.route_in_order(line, route);
        }
        reached
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
}

/// The route, for these methods of what a refusal shares with it.
fn within(route: &RouteSpec, part: &RouteSpec, methods: Vec<String>) -> RouteSpec {
    RouteSpec {
        pattern: part.pattern.clone(),
        listeners: part.listeners.clone(),
        headers: part.headers.clone(),
        query: part.query.clone(),
        methods,
        ..route.clone()
    }
}

/// Equal for routes that match the same requests.
fn identity(route: &RouteSpec) -> String {
    let pattern = route.pattern.parse::<Pattern>().map(|pattern| pattern.unnamed());
    format!("{pattern:?} {:?} {:?} {:?} {:?}", route.listeners, route.methods, route.headers, route.query)
}
