//! `frontend` sections: listeners, and the routes that their rules make.

use super::acl::{Acls, Match};
use super::answer::{fixed, redirect};
use super::backend::Backend;
use super::guard::{GUARDED, guard, guard_unknown, is_guard, refuse_backend};
use super::header::{forwarded_for, header_edit, remove_too};
use super::parse::Line;
use crate::draft::Draft;
use crate::quantity::duration;
use headgate_model::pattern::{HostPattern, Pattern};
use headgate_model::spec::{Certificate, ClientAuth, HeaderEdits, LogFormat, Respond, RouteSpec, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A listener of the frontend, and whether it speaks TLS.
pub(super) struct Bound {
    name: String,
    tls: bool,
    /// The longest `timeout tunnel` of the backends that it leads to.
    tunnel: Option<Duration>,
}

pub(super) struct Frontend<'f> {
    pub(super) acls: Acls,
    bound: Vec<Bound>,
    request_headers: HeaderEdits,
    response_headers: HeaderEdits,
    backends: &'f BTreeMap<String, Backend>,
    /// What was routed so far, in order, for the note about precedence.
    order: Vec<(usize, RouteSpec)>,
    /// ACLs that compare paths in any case.
    pub(super) any_case: BTreeSet<String>,
}

pub(super) fn frontend(
    lines: &[Line],
    number: usize,
    backends: &BTreeMap<String, Backend>,
    draft: &mut Draft,
) {
    let mut frontend = Frontend {
        acls: Acls::default(),
        bound: Vec::new(),
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
        backends,
        order: Vec::new(),
        any_case: BTreeSet::new(),
    };
    for line in lines.iter().filter(|line| line.word(0) == "acl") {
        if line.word(2).starts_with("path") && line.words.iter().any(|word| word == "-i") {
            frontend.any_case.insert(line.word(1).to_owned());
        }
        if let Err(reason) = frontend.acls.add(line) {
            draft.untranslated(line.number, format!("{}: {reason}", line.shown()));
        } else if !lines.iter().any(|user| {
            user.word(0) != "acl"
                && user.words.iter().any(|word| word.trim_start_matches('!') == line.word(1))
        }) {
            draft.unneeded(line.number, format!("{}: no rule asks for it", line.shown()));
        }
    }
    for line in lines.iter().filter(|line| line.word(0) == "bind") {
        bind(line, &mut frontend.bound, draft);
    }
    let rule = |line: &Line| matches!(line.word(0), "http-request" | "http-response" | "redirect");
    // Connections are refused before anything else is looked at.
    for line in lines.iter().filter(|line| is_guard(line) && !rule(line)) {
        guard(line, &mut frontend, draft);
    }
    for line in lines.iter().filter(|line| !rule(line) && !is_guard(line)) {
        match line.word(0) {
            "acl" | "bind" | "use_backend" | "default_backend" => {}
            "option" if line.word(1) == "forwardfor" => {
                forwarded_for(line, &mut frontend.request_headers, draft);
            }
            _ => setting(line, &frontend.bound, draft),
        }
    }
    // Edits hold for every route, so that they come before the first one.
    let (edits, answers): (Vec<&Line>, Vec<&Line>) =
        lines.iter().filter(|line| rule(line)).partition(|line| line.word(1).ends_with("-header"));
    edits.iter().for_each(|line| edit(line, &mut frontend, draft));
    for line in answers {
        if is_guard(line) { guard(line, &mut frontend, draft) } else { answer(line, &mut frontend, draft) }
    }
    let uses = lines.iter().filter(|line| line.word(0) == "use_backend");
    let default = lines.iter().rfind(|line| line.word(0) == "default_backend");
    for line in lines.iter().filter(|line| line.word(0) == "default_backend" && Some(*line) != default) {
        draft.unneeded(line.number, format!("{}: a later one counts", line.shown()));
    }
    for line in uses.chain(default) {
        use_backend(line, &mut frontend, draft);
    }
    precedence(&frontend.order, draft);
    if frontend.bound.is_empty() {
        draft.untranslated(number, "a frontend without `bind`: nothing reaches it");
    }
}

fn bind(line: &Line, bound: &mut Vec<Bound>, draft: &mut Draft) {
    for address in line.word(1).split(',') {
        let address = address.strip_prefix("ipv4@").unwrap_or(address);
        let bind = match (address.strip_prefix("unix@"), address.rsplit_once(':')) {
            (Some(path), _) => format!("unix:{path}"),
            (None, Some(("" | "*", port))) => format!("0.0.0.0:{port}"),
            (None, Some(("::" | "[::]", port))) => format!("[::]:{port}"),
            (None, None) if address.starts_with('/') => format!("unix:{address}"),
            _ => address.to_owned(),
        };
        let Some(name) = draft.listener(line.number, &bind) else { continue };
        let mut options = line.rest(2).iter().map(String::as_str);
        let (mut tls, mut certificates, mut http2) = (false, Vec::new(), false);
        let (mut ca, mut verify, mut newest_only) = (None, "none", false);
        while let Some(option) = options.next() {
            match option {
                "ssl" => tls = true,
                "crt" => certificates.push(options.next().unwrap_or_default().to_owned()),
                "alpn" => http2 |= options.next().unwrap_or_default().contains("h2"),
                "proto" => http2 |= options.next() == Some("h2"),
                "accept-proxy" => {
                    let text = "accept-proxy: name in trusted_proxies who sends it, then set proxy_protocol";
                    draft.untranslated(line.number, text);
                }
                "ca-file" => ca = options.next().map(str::to_owned),
                "verify" => verify = options.next().unwrap_or_default(),
                "ssl-min-ver" => newest_only = options.next() == Some("TLSv1.3"),
                "crl-file" => {
                    let file = options.next().unwrap_or_default();
                    draft.closes(line.number, format!("bind ... crl-file {file}: {GUARDED}"));
                    let (pattern, listeners) = ("/*".to_owned(), vec![name.clone()]);
                    let all = RouteSpec { pattern, listeners, ..RouteSpec::default() };
                    draft.deny(line.number, &all, 403);
                }
                "ciphers" | "ciphersuites" | "curves" | "maxconn" | "name" | "mode" | "user" | "group"
                | "thread" | "interface" | "crt-list" | "process" => {
                    let value = options.next().unwrap_or_default();
                    draft.untranslated(
                        line.number,
                        format!("bind ... {option} {value}: set it in the listener by hand"),
                    );
                }
                _ => draft.untranslated(line.number, format!("bind ... {option}: no counterpart")),
            }
        }
        if let Some(spec) = draft.config.listeners.get_mut(&name) {
            // Over TLS it is spoken anyway.
            if http2 && !tls {
                spec.http2 = Some(true);
            }
        }
        if tls && certificates.is_empty() {
            certificates.push("/etc/headgate/server.pem".to_owned());
            draft.approximated(line.number, "ssl without crt: put the certificate and its key there");
        }
        for cert in certificates {
            if let Some(folder) = cert.strip_suffix('/') {
                let cert = format!("{folder}/server.pem");
                let text = format!(
                    "crt {folder}/: all certificates of a folder; name each file in tls.certificates, {cert} is a \
                     placeholder"
                );
                draft.untranslated(line.number, text);
                draft.certificate(line.number, &name, Certificate { key: cert.clone(), cert });
                continue;
            }
            draft.approximated(
                line.number,
                format!("crt {cert}: certificate and key are read from this one file"),
            );
            draft.certificate(line.number, &name, Certificate { key: cert.clone(), cert });
        }
        let tls_spec = draft.config.listeners.get_mut(&name).and_then(|spec| spec.tls.as_mut());
        if let Some(spec) = tls_spec {
            if newest_only {
                spec.min_version = Some("1.3".to_owned());
            }
            if verify != "none" {
                spec.client_ca = Some(ca.take().unwrap_or_else(|| "/etc/headgate/clients.pem".to_owned()));
                spec.client_auth =
                    if verify == "optional" { ClientAuth::Optional } else { ClientAuth::Required };
            }
        }
        if let Some(ca) = ca {
            draft.unneeded(line.number, format!("bind ... ca-file {ca}: no client certificate is asked for"));
        }
        bound.push(Bound { name, tls, tunnel: None });
    }
}

fn setting(line: &Line, bound: &[Bound], draft: &mut Draft) {
    let time = duration(line.word(2), Duration::from_millis(1)).filter(|time| !time.is_zero());
    match (line.word(0), line.word(1), time) {
        ("timeout", kind @ ("client" | "http-request" | "http-keep-alive"), Some(time)) => {
            for listener in bound {
                let Some(spec) = draft.config.listeners.get_mut(&listener.name) else { continue };
                match kind {
                    "client" => spec.timeouts.body = Span(time),
                    "http-request" => spec.timeouts.head = Span(time),
                    _ => spec.timeouts.idle = Span(time),
                }
            }
        }
        ("maxconn", count, _) => match count.parse() {
            Ok(count @ 1..) => {
                for listener in bound {
                    if let Some(spec) = draft.config.listeners.get_mut(&listener.name) {
                        spec.limits.connections = count;
                    }
                }
            }
            _ => draft.untranslated(line.number, format!("{}: not a number", line.shown())),
        },
        ("option", "httplog", _) => {
            draft.log(line.number, LogFormat::Combined, None);
            draft.approximated(
                line.number,
                "option httplog: written in the combined format on standard output",
            );
        }
        ("mode", "http", _) | ("option", "http-server-close" | "http-keep-alive" | "dontlognull", _) => {
            draft.unneeded(line.number, format!("{}: Headgate does so anyway", line.shown()));
        }
        _ => super::leftover(line, draft),
    }
}

fn edit(line: &Line, frontend: &mut Frontend<'_>, draft: &mut Draft) {
    let request = line.word(0) == "http-request";
    let edits = if request { &mut frontend.request_headers } else { &mut frontend.response_headers };
    header_edit(line, edits, draft);
}

/// Redirects, denials and fixed answers.
fn answer(line: &Line, frontend: &mut Frontend<'_>, draft: &mut Draft) {
    let (rule, condition) = line.split_condition();
    let mut route = RouteSpec::default();
    match (line.word(0), line.word(1)) {
        ("redirect", _) => route.redirect = redirect(line.number, rule.get(1..).unwrap_or(&[]), draft),
        ("http-request", "redirect") => {
            route.redirect = redirect(line.number, rule.get(2..).unwrap_or(&[]), draft);
        }
        ("http-request", "return") => {
            route.respond = fixed(line.number, rule.get(2..).unwrap_or(&[]), draft);
        }
        _ => {}
    }
    let answers = matches!(line.word(0), "redirect") || matches!(line.word(1), "redirect" | "return");
    // A fixed answer may stand for a refusal, whatever more specific route comes later.
    let refuses = route.respond.as_ref().is_some_and(|respond| respond.status >= 400);
    let ways = if refuses {
        frontend.acls.condition_of_refusal(condition)
    } else {
        frontend.acls.condition(condition)
    };
    if route.redirect.is_none() && route.respond.is_none() {
        if !answers {
            draft.untranslated(line.number, format!("{}: no counterpart", line.shown()));
            return;
        }
        let text = format!("{}: no counterpart; answered 501 until you decide", line.shown());
        draft.untranslated(line.number, text);
        route.respond = Some(Respond { status: 501, ..Respond::default() });
    }
    match ways {
        Ok(ways) => {
            let taken = ways.iter().filter(|way| way.is_everything()).map(|way| way.tls).collect::<Vec<_>>();
            for way in ways {
                for one in bind_route(&way, &route, frontend) {
                    frontend.order.push((line.number, one.clone()));
                    match &one.respond {
                        Some(Respond { status, .. }) if refuses => {
                            draft.deny_other_than(line.number, &one, *status, &way.other_than);
                        }
                        _ => draft.route(line.number, one),
                    }
                }
            }
            // These listeners answer everything so: later rules do not reach them.
            frontend.bound.retain(|bound| !taken.iter().any(|tls| tls.is_none_or(|tls| tls == bound.tls)));
        }
        // By who the client is, it may keep somebody away.
        Err(reason) if frontend.acls.is_about_client(condition) => {
            guard_unknown(line, &reason, frontend, draft)
        }
        Err(reason) => draft.untranslated(line.number, format!("{}: {reason}", line.shown())),
    }
}

fn use_backend(line: &Line, frontend: &mut Frontend<'_>, draft: &mut Draft) {
    let condition = line.split_condition().1;
    let Some(backend) = frontend.backends.get(line.word(1)) else {
        draft.untranslated(line.number, format!("{}: no such backend; answered 503", line.shown()));
        return refuse_backend(line, 503, frontend, draft);
    };
    if backend.refused {
        let mut route = RouteSpec::default();
        backend.apply(&mut route);
        if route.service.is_some()
            && let Ok(ways) = frontend.acls.condition(condition)
        {
            let withheld = ways.iter().flat_map(|way| bind_route(way, &route, frontend));
            withheld.for_each(|route| draft.withhold(route));
        }
        return refuse_backend(line, 403, frontend, draft);
    }
    if backend.service.is_none() {
        let text = format!("{}: the backend has no servers to send to; answered 503", line.shown());
        draft.untranslated(line.number, text);
        return refuse_backend(line, 503, frontend, draft);
    }
    let mut route = RouteSpec::default();
    backend.apply(&mut route);
    match frontend.acls.condition(condition) {
        Ok(ways) => {
            if let Some(time) = backend.tunnel {
                tunnel(time, frontend, draft);
            }
            for way in ways {
                for one in bind_route(&way, &route, frontend) {
                    frontend.order.push((line.number, one.clone()));
                    draft.route(line.number, one);
                }
            }
        }
        // Whom it sends elsewhere must not come to the other backends.
        Err(reason) if frontend.acls.is_about_client(condition) => {
            guard_unknown(line, &reason, frontend, draft)
        }
        Err(reason) => draft.untranslated(line.number, format!("{}: {reason}", line.shown())),
    }
}

/// Gives the listeners a backend's time for tunnels, unless another backend has them wait longer.
fn tunnel(time: Duration, frontend: &mut Frontend<'_>, draft: &mut Draft) {
    for bound in &mut frontend.bound {
        if let Some(spec) = draft.config.listeners.get_mut(&bound.name) {
            let longest = bound.tunnel.unwrap_or_default().max(time);
            bound.tunnel = Some(longest);
            spec.timeouts.tunnel = Span(longest);
        }
    }
}

/// The routes that match so, on the listeners that the condition leaves, with the frontend's edits.
pub(super) fn bind_route(way: &Match, route: &RouteSpec, frontend: &Frontend<'_>) -> Vec<RouteSpec> {
    let listening = frontend.bound.iter().filter(|bound| way.tls.is_none_or(|tls| tls == bound.tls));
    let listeners: Vec<String> = listening.map(|bound| bound.name.clone()).collect();
    if listeners.is_empty() {
        return Vec::new();
    }
    let mut routes = way.routes(route);
    for route in &mut routes {
        route.listeners.clone_from(&listeners);
        if route.service.is_some() {
            let edits = &frontend.request_headers;
            remove_too(&mut route.request_headers, &edits.remove);
            for (name, value) in &edits.set {
                route.request_headers.set.entry(name.clone()).or_insert_with(|| value.clone());
            }
            for (name, value) in &edits.add {
                route.request_headers.add.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        let edits = &frontend.response_headers;
        remove_too(&mut route.response_headers, &edits.remove);
        route.response_headers.set.extend(edits.set.clone());
        route.response_headers.add.extend(edits.add.clone());
    }
    routes
}

/// HAProxy tries rules in order, Headgate the most specific first: says where that differs.
fn precedence(order: &[(usize, RouteSpec)], draft: &mut Draft) {
    let ranked = order.iter().filter_map(|(line, route)| {
        let conditions = usize::from(!route.methods.is_empty()) + route.headers.len() + route.query.len();
        let pattern = route.pattern.parse::<Pattern>().ok()?;
        Some((*line, route, pattern.precedence(conditions, 0), pattern))
    });
    let ranked: Vec<_> = ranked.collect();
    for (at, (line, after, rank, pattern)) in ranked.iter().enumerate().take(MAX_COMPARED) {
        let earlier = ranked[..at].iter().find(|(_, before, earlier, other)| {
            let together = before.listeners.iter().any(|name| after.listeners.contains(name));
            rank < earlier && together && before.service != after.service && overlap(pattern, other)
        });
        if let Some((first, before, ..)) = earlier {
            let text = format!(
                "{} is tried before {} of line {first}, because it is more specific",
                after.pattern, before.pattern
            );
            draft.approximated(*line, text);
        }
    }
}

/// Each rule is compared with those before it; files with more rules are compared as far as this.
const MAX_COMPARED: usize = 2_000;

/// Whether one request could match both.
fn overlap(a: &Pattern, b: &Pattern) -> bool {
    let hosts = match (&a.host, &b.host) {
        (HostPattern::Exact(name), other) | (other, HostPattern::Exact(name)) => other.matches(name),
        (HostPattern::Wildcard(a), HostPattern::Wildcard(b)) => {
            a.ends_with(b.as_str()) || b.ends_with(a.as_str())
        }
        (HostPattern::Any, _) | (_, HostPattern::Any) => true,
    };
    let (a, b) = (a.path.literal_start(), b.path.literal_start());
    hosts && (a.starts_with(&b) || b.starts_with(&a))
}
