//! `location` blocks and what a server does itself: proxying, returning, rewriting.

use super::answer::{answer, captured_prefix, condition};
use super::parse::Directive;
use super::settings::{Settings, leftover};
use super::{Http, include, upstream};
use crate::draft::Draft;
use headgate_model::spec::{Fallback, Protocol, Respond, RouteSpec, ServiceSpec};

/// What a location stands in.
pub(super) struct Context<'h, 't> {
    pub(super) http: &'h Http<'t>,
    pub(super) settings: Settings,
    /// Host patterns; an empty one is every host.
    pub(super) hosts: Vec<String>,
    pub(super) listeners: Vec<String>,
    pub(super) scheme: Option<&'static str>,
    /// The first server name.
    pub(super) name: Option<&'t str>,
}

/// What the requests of a location look like.
pub(super) enum Place {
    Exact(String),
    Prefix(String),
}

impl Place {
    fn pattern(&self) -> String {
        match self {
            Self::Exact(path) => path.clone(),
            Self::Prefix(path) => format!("{path}*"),
        }
    }
}

pub(super) fn server(directives: &[&Directive], line: usize, context: &Context<'_, '_>, draft: &mut Draft) {
    let everything = Place::Prefix("/".to_owned());
    let answers = |directive: &&&Directive| matches!(directive.name.as_str(), "return" | "rewrite");
    let locations: Vec<_> = directives.iter().filter(|directive| directive.name == "location").collect();
    for directive in directives.iter().filter(|directive| directive.name != "location") {
        match directive.name.as_str() {
            "return" | "rewrite" | "include" => {}
            "if" => condition(directive, &everything, context, draft),
            _ => leftover(directive, draft),
        }
    }
    for directive in directives.iter().filter(answers) {
        let returned = answer(directive, &everything, context, draft);
        if returned && directive.name == "return" && !locations.is_empty() {
            draft
                .untranslated(line, "the locations of a server that returns at once: they are never reached");
            return;
        }
    }
    for directive in locations {
        location(directive, context, draft);
    }
}

fn location(block: &Directive, context: &Context<'_, '_>, draft: &mut Draft) {
    let Some(place) = place(block, draft) else { return };
    let mut settings = context.settings.inner();
    let children: Vec<&Directive> = block.block.iter().flatten().collect();
    let rest: Vec<&Directive> =
        children.into_iter().filter(|directive| !settings.take(directive, draft)).collect();
    if let Some((line, bytes)) = settings.body
        && context.settings.body != settings.body
    {
        context.listeners.iter().for_each(|listener| draft.body_limit(line, listener, bytes));
    }
    let http = context.http;
    let inner = Context {
        http,
        settings,
        hosts: context.hosts.clone(),
        listeners: context.listeners.clone(),
        ..*context
    };
    let mut answered = false;
    let mut rewrite = None;
    for directive in &rest {
        match directive.name.as_str() {
            "proxy_pass" | "grpc_pass" | "return" | "location" => {}
            "rewrite" => match path_rewrite(directive, &place) {
                Some(path) => rewrite = Some(path),
                None => answered |= answer(directive, &place, &inner, draft),
            },
            "include" => include(directive, draft),
            "if" => condition(directive, &place, &inner, draft),
            _ => leftover(directive, draft),
        }
    }
    for directive in &rest {
        match directive.name.as_str() {
            "return" => answered |= answer(directive, &place, &inner, draft),
            "proxy_pass" | "grpc_pass" => {
                answered |= proxy(directive, &place, rewrite.as_deref(), &inner, draft);
            }
            "location" => {
                answered = true;
                location(directive, &inner, draft);
            }
            _ => {}
        }
    }
    if !answered {
        let text = "nothing in it that Headgate can answer with; it is answered 501 until you decide";
        draft.untranslated(block.line, format!("{}: {text}", block.shown()));
        // Without a route of its own, another one would answer what this location kept for itself.
        let respond = Some(Respond { status: 501, ..Respond::default() });
        routes(block.line, &place, &RouteSpec { respond, ..RouteSpec::default() }, &inner, draft);
    }
}

/// The paths of a location.
fn place(block: &Directive, draft: &mut Draft) -> Option<Place> {
    let (modifier, text) = match block.args.as_slice() {
        [text] => ("", text.as_str()),
        [modifier, text] => (modifier.as_str(), text.as_str()),
        _ => ("?", ""),
    };
    let regex = |text: &str| -> Option<Place> {
        let literal = text.strip_prefix('^')?;
        let (literal, exact) = match literal.strip_suffix('$') {
            Some(literal) => (literal, true),
            None => (literal.strip_suffix(".*").unwrap_or(literal), false),
        };
        let plain = literal.starts_with('/') && !literal.contains(|c| "\\.*+?()[]{}|^$".contains(c));
        let literal = literal.to_owned();
        plain.then_some(if exact { Place::Exact(literal) } else { Place::Prefix(literal) })
    };
    match modifier {
        "" if text.starts_with('@') => {
            draft.untranslated(
                block.line,
                format!("{}: a named location is reached by error_page only", block.shown()),
            );
            None
        }
        "=" => Some(Place::Exact(text.to_owned())),
        "" | "^~" => Some(Place::Prefix(text.to_owned())),
        "~" | "~*" => match regex(text) {
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
                draft.untranslated(
                    block.line,
                    format!("{}: patterns are not regular expressions; this whole block", block.shown()),
                );
                None
            }
        },
        _ => {
            draft.untranslated(block.line, format!("{}: not a location", block.shown()));
            None
        }
    }
}

/// The routes of a place: one for each host, the same but for the pattern.
pub(super) fn routes(
    line: usize,
    place: &Place,
    route: &RouteSpec,
    context: &Context<'_, '_>,
    draft: &mut Draft,
) {
    let closed = context.settings.guarded && route.service.is_some();
    let forbidden =
        RouteSpec { respond: Some(Respond { status: 403, ..Respond::default() }), ..RouteSpec::default() };
    let route = if closed { &forbidden } else { route };
    for host in &context.hosts {
        let pattern = format!("{host}{}", place.pattern());
        draft.route(line, RouteSpec { pattern, listeners: context.listeners.clone(), ..route.clone() });
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
        draft.approximated(
            line,
            format!("NGINX sends {bare} to {prefix} by itself; Headgate needs a route for {bare}"),
        );
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
