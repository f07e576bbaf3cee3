//! `location` blocks and what a server does itself: proxying, returning, rewriting.

use super::answer::{answer, captured_prefix, condition};
use super::guard::{guarded_expression, limit_except, refusal_inside};
use super::parse::Directive;
use super::settings::{Settings, leftover};
use super::{Http, idle, include, upstream};
use crate::denial::refused;
use crate::draft::Draft;
use headgate_model::spec::{Fallback, Protocol, Redirect, Respond, RouteSpec, ServiceSpec};

/// What a location stands in.
#[derive(Clone)]
pub(super) struct Context<'h, 't> {
    pub(super) http: &'h Http<'t>,
    pub(super) settings: Settings,
    /// Host patterns; an empty one is every host.
    pub(super) hosts: Vec<String>,
    pub(super) listeners: Vec<String>,
    pub(super) scheme: Option<&'static str>,
    /// The first server name.
    pub(super) name: Option<&'t str>,
    /// An `if` that is always true has answered.
    pub(super) answered: bool,
    /// Expressions are not looked at here: `=` and `^~`.
    pub(super) past_expressions: bool,
    /// What an `if` asks for that answers; empty is all.
    pub(super) methods: Vec<String>,
    /// Outside of all locations, and so before each of them.
    pub(super) in_server: bool,
}

/// What the requests of a location look like.
pub(super) enum Place {
    Exact(String),
    Prefix(String),
}

impl Place {
    pub(super) fn pattern(&self) -> String {
        match self {
            Self::Exact(path) => path.clone(),
            Self::Prefix(path) => format!("{path}*"),
        }
    }
}

pub(super) fn server(
    directives: &[&Directive],
    line: usize,
    mut context: Context<'_, '_>,
    draft: &mut Draft,
) {
    let everything = Place::Prefix("/".to_owned());
    let answers = |directive: &&&Directive| matches!(directive.name.as_str(), "return" | "rewrite");
    let locations: Vec<_> = directives.iter().filter(|directive| directive.name == "location").collect();
    for directive in directives.iter().filter(|directive| directive.name != "location") {
        let closes = match directive.name.as_str() {
            "return" | "rewrite" => false,
            "include" => include(directive, true, draft),
            "if" => condition(directive, &everything, &mut context, draft),
            _ => {
                leftover(directive, draft);
                false
            }
        };
        if closes {
            context.settings.guards.add(&directive.name);
        }
    }
    for directive in directives.iter().filter(answers) {
        if context.answered {
            draft.unneeded(directive.line, format!("{}: never reached", directive.shown()));
            continue;
        }
        let returned = answer(directive, &everything, &context, draft);
        context.answered |= returned && directive.name == "return";
    }
    if context.answered {
        if !locations.is_empty() {
            let text = "the locations of a server that returns at once: they are never reached";
            draft.unneeded(line, text);
        }
        for directive in locations {
            draft.unneeded(directive.line, format!("{}: never reached; the whole block", directive.shown()));
        }
        return;
    }
    // Expressions are looked at before prefixes, wherever they stand.
    let mut others = Vec::new();
    for directive in locations {
        if !guarded_expression(directive, &context, draft) {
            others.push(directive);
        }
    }
    for directive in others {
        location(directive, &context, draft);
    }
    for host in context.hosts.iter().filter(|host| !host.is_empty()) {
        draft.close(line, host, &context.listeners);
    }
}

fn location(block: &Directive, context: &Context<'_, '_>, draft: &mut Draft) {
    let Some(place) = place(block, draft) else { return };
    idle::note(block, draft);
    let mut inner = Context { settings: context.settings.inner(), in_server: false, ..context.clone() };
    inner.past_expressions |= matches!(block.arg(0), "=" | "^~");
    let mut rest = Vec::new();
    for directive in block.block.iter().flatten() {
        if OF_LISTENER.contains(&directive.name.as_str()) {
            let text = format!("{}: the listener's; it holds for all of its locations", directive.shown());
            draft.untranslated(directive.line, text);
        } else if !inner.settings.take(directive, draft) {
            rest.push(directive);
        }
    }
    inner.settings.guards.judge(draft);
    if let Some((line, bytes)) = inner.settings.body
        && context.settings.body != inner.settings.body
    {
        context.listeners.iter().for_each(|listener| draft.body_limit(line, listener, bytes));
    }
    let mut answered = false;
    let mut rewrite = None;
    for directive in &rest {
        let closes = match directive.name.as_str() {
            "proxy_pass" | "grpc_pass" | "return" | "location" => false,
            "rewrite" => {
                match path_rewrite(directive, &place) {
                    Some(path) => rewrite = Some(path),
                    None => answered |= answer(directive, &place, &inner, draft),
                }
                false
            }
            "include" => include(directive, true, draft),
            "if" => condition(directive, &place, &mut inner, draft),
            "limit_except" => {
                limit_except(directive, &mut inner.settings, draft);
                false
            }
            _ => {
                leftover(directive, draft);
                false
            }
        };
        if closes {
            inner.settings.guards.add(&directive.name);
        }
    }
    answered |= inner.answered;
    let returns = rest.iter().any(|directive| directive.name == "return");
    for directive in &rest {
        match directive.name.as_str() {
            "return" => answered |= answer(directive, &place, &inner, draft),
            "proxy_pass" | "grpc_pass" if returns || inner.answered => {
                draft.unneeded(directive.line, format!("{}: never reached", directive.shown()));
            }
            "proxy_pass" | "grpc_pass" => {
                answered |= proxy(directive, &place, rewrite.as_deref(), &inner, draft);
            }
            "location" => {
                answered = true;
                if !guarded_expression(directive, &inner, draft) {
                    location(directive, &inner, draft);
                }
            }
            _ => {}
        }
    }
    if !answered {
        let status = inner.settings.guards.refusal().unwrap_or(501);
        if status == 501 {
            let text = "nothing in it that Headgate can answer with; it is answered 501 until you decide";
            draft.untranslated(block.line, format!("{}: {text}", block.shown()));
        }
        // Without a route of its own, another one would answer what this location kept for itself.
        let respond = Some(Respond { status, ..Respond::default() });
        let response_headers = inner.settings.response_edits(draft);
        let route = RouteSpec { respond, response_headers, ..RouteSpec::default() };
        routes(block.line, &place, &route, &inner, draft);
    }
}

/// What Headgate has for a listener only.
const OF_LISTENER: [&str; 8] = [
    "set_real_ip_from",
    "real_ip_header",
    "real_ip_recursive",
    "client_header_timeout",
    "client_body_timeout",
    "keepalive_timeout",
    "keepalive_requests",
    "large_client_header_buffers",
];

/// The paths of a location.
fn place(block: &Directive, draft: &mut Draft) -> Option<Place> {
    let (modifier, text) = match block.args.as_slice() {
        [text] => ("", text.as_str()),
        [modifier, text] => (modifier.as_str(), text.as_str()),
        _ => ("?", ""),
    };
    match modifier {
        "" if text.starts_with('@') => {
            draft.untranslated(
                block.line,
                format!("{}: a named location is reached by error_page only; the whole block", block.shown()),
            );
            None
        }
        "=" => Some(Place::Exact(text.to_owned())),
        "" | "^~" => Some(Place::Prefix(text.to_owned())),
        "~" | "~*" => match expression_place(text) {
            Some(place) => {
                let text = format!(
                    "{}: as the pattern {}, which longer patterns precede",
                    block.shown(),
                    place.pattern()
                );
                draft.approximated(block.line, text);
                Some(place)
            }
            None => {
                let elsewhere = if refusal_inside(block).is_some() {
                    ""
                } else {
                    "; its requests go where the longest prefix sends them"
                };
                let shown = block.shown();
                let text =
                    format!("{shown}: patterns are not regular expressions; this whole block{elsewhere}");
                draft.untranslated(block.line, text);
                None
            }
        },
        _ => {
            draft.untranslated(block.line, format!("{}: not a location; the whole block", block.shown()));
            None
        }
    }
}

/// The place of an expression that is only `^/prefix`, `^/prefix.*` or `^/path$`.
pub(super) fn expression_place(text: &str) -> Option<Place> {
    let literal = text.strip_prefix('^')?;
    let (literal, exact) = match literal.strip_suffix('$') {
        Some(literal) => (literal, true),
        None => (literal.strip_suffix(".*").unwrap_or(literal), false),
    };
    let plain = literal.starts_with('/') && !literal.contains(|c| "\\.*+?()[]{}|^$".contains(c));
    let literal = literal.to_owned();
    plain.then_some(if exact { Place::Exact(literal) } else { Place::Prefix(literal) })
}

/// The routes of a place: one for each host, the same but for the pattern. What is guarded is refused
/// instead of going to a service.
pub(super) fn routes(
    line: usize,
    place: &Place,
    route: &RouteSpec,
    context: &Context<'_, '_>,
    draft: &mut Draft,
) {
    let to_service = route.service.is_some();
    let refusal = context.settings.guards.refusal().filter(|_| to_service);
    for host in &context.hosts {
        let (pattern, listeners) = (format!("{host}{}", place.pattern()), context.listeners.clone());
        let mut route = RouteSpec { pattern, listeners, ..route.clone() };
        let instead = |status| RouteSpec {
            response_headers: route.response_headers.clone(),
            ..refused(&route, status)
        };
        if let Some(status) = refusal {
            let refusal = instead(status);
            draft.withhold(route);
            draft.route(line, refusal);
            continue;
        }
        if to_service && !context.settings.methods.is_empty() {
            // Otherwise a less specific route would take the other methods.
            draft.route(line, instead(403));
            route.methods.clone_from(&context.settings.methods);
        }
        if context.in_server {
            draft.route_in_order(line, route);
        } else if context.past_expressions {
            draft.route_past_denials(line, route);
        } else {
            draft.route(line, route);
        }
    }
}

/// `proxy_pass` and `grpc_pass`. With a URI, the part of the path that the location matched is replaced.
fn proxy(
    directive: &Directive,
    place: &Place,
    rewrite: Option<&str>,
    context: &Context<'_, '_>,
    draft: &mut Draft,
) -> bool {
    let (line, url) = (directive.line, directive.arg(0));
    let grpc = directive.name == "grpc_pass";
    let (tls, rest) = match url.split_once("://") {
        Some(("http" | "grpc", rest)) => (false, rest),
        Some(("https" | "grpcs", rest)) => (true, rest),
        None if grpc => (false, url),
        _ => {
            draft.untranslated(line, format!("{}: not an http or https URL", directive.shown()));
            return false;
        }
    };
    if rest.contains('$') {
        draft.untranslated(line, format!("{}: a target with variables", directive.shown()));
        return false;
    }
    let (authority, uri) = match rest.strip_prefix("unix:") {
        Some(socket) => match socket.split_once(':') {
            Some((path, uri)) => (&rest[..5 + path.len()], uri),
            None => (rest, ""),
        },
        None => rest.split_at(rest.find('/').unwrap_or(rest.len())),
    };
    let Some(service) = service(line, authority, tls, grpc, context, draft) else { return false };
    let proxy_host = if authority.starts_with("unix:") { "localhost" } else { authority };
    let (request_headers, host) = context.settings.headers(proxy_host, draft);
    let mut route = RouteSpec {
        service: Some(service),
        host: host.filter(|host| usable_host(host)),
        request_headers,
        response_headers: context.settings.response_edits(draft),
        cache: context.settings.cache.choice(),
        ..RouteSpec::default()
    };
    match (rewrite, uri, place) {
        (Some(path), _, _) => route.rewrite = Some(path.to_owned()),
        (None, "", _) => {}
        (None, uri, Place::Exact(path)) if uri == path => {}
        (None, uri, Place::Exact(_)) => route.rewrite = Some(uri.to_owned()),
        (None, uri, Place::Prefix(prefix)) if uri == prefix => {}
        (None, "/", Place::Prefix(prefix)) if prefix.len() > 1 && prefix.ends_with('/') => {
            route.strip = Some(prefix.trim_end_matches('/').to_owned());
        }
        (None, uri, Place::Prefix(_)) => route.rewrite = Some(format!("{uri}{{rest}}")),
    }
    if let Some(path) = &route.rewrite
        && !usable_path(path)
    {
        draft.untranslated(line, format!("{}: its path cannot be written as a rewrite", directive.shown()));
        return false;
    }
    if let Place::Prefix(prefix) = place
        && prefix.len() > 1
        && let Some(bare) = prefix.strip_suffix('/')
    {
        // NGINX does so by itself, and so keeps what is not behind the slash from every other location.
        let redirect = Some(Redirect { to: format!("{prefix}?{{query}}"), status: 301 });
        for host in &context.hosts {
            let (pattern, listeners) = (format!("{host}{bare}"), context.listeners.clone());
            let redirect = redirect.clone();
            draft.route_at_last(line, RouteSpec { pattern, listeners, redirect, ..RouteSpec::default() });
        }
    }
    routes(line, place, &route, context, draft);
    true
}

fn service(
    line: usize,
    authority: &str,
    tls: bool,
    grpc: bool,
    context: &Context<'_, '_>,
    draft: &mut Draft,
) -> Option<String> {
    let (mut spec, backup) = match context.http.upstreams.get(authority) {
        Some(upstream) => (upstream.spec.clone(), upstream.backup.clone()),
        None => {
            let mut spec = ServiceSpec::default();
            let address = upstream::with_port(authority, if tls { 443 } else { 80 });
            let endpoint = draft.endpoint(line, &address, None)?;
            spec.endpoints.push(endpoint);
            (spec, None)
        }
    };
    spec.protocol = if grpc { Protocol::Http2 } else { Protocol::Http1 };
    context.settings.apply_to_service(line, &mut spec, tls, draft);
    if let Some(mut backup) = backup {
        backup.protocol = spec.protocol;
        context.settings.apply_to_service(line, &mut backup, tls, draft);
        let name = draft.service(line, &format!("{authority}-backup"), backup)?;
        spec.fallback = Some(Fallback { service: Some(name), ..Fallback::default() });
    }
    draft.service(line, authority.trim_start_matches("unix:"), spec)
}

fn usable_host(host: &str) -> bool {
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    headgate_model::grammar::is_host_name(name) && port.parse::<u16>().is_ok_and(|port| port != 0)
        || host.parse::<std::net::Ipv4Addr>().is_ok()
        || host.parse::<std::net::SocketAddr>().is_ok()
}

fn usable_path(path: &str) -> bool {
    let literal = path.replace("{rest}", "");
    literal.starts_with('/') && headgate_model::grammar::path_fault(&literal).is_none()
}

/// `rewrite ^/prefix/(.*)$ /new/$1 break;` inside the location of that prefix: a rewritten path.
fn path_rewrite(directive: &Directive, place: &Place) -> Option<String> {
    if directive.arg(2) != "break" {
        return None;
    }
    let prefix = captured_prefix(directive.arg(0))?;
    let path = directive.arg(1).replace("$1", "{rest}");
    match place {
        Place::Prefix(own) if *own == prefix && usable_path(&path) => Some(path),
        _ => None,
    }
}
