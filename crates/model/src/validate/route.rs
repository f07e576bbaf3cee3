//! Checks of routes: patterns, conditions, what they do to a message, where they send it, and that no
//! two are the same.

use super::Report;
use crate::address::EndpointAddress;
use crate::grammar;
use crate::pattern::{PathPattern, Pattern, normal};
use crate::place::Place;
use crate::spec::{Config, HeaderEdits, Redirect, Respond, RouteSpec};
use crate::template::Template;
use std::collections::BTreeMap;

pub(super) fn check(config: &Config, root: &Place<'_>, report: &mut Report<'_>) {
    let mut seen = BTreeMap::new();
    for (index, route) in config.routes.iter().enumerate() {
        let at = root.get("route").at(index);
        conditions(route, config, &at, report);
        destination(route, config, &at, report);
        let place = at.get("match");
        match route.pattern.parse::<Pattern>() {
            Err(error) => report.error(&place, error.to_string()),
            Ok(pattern) => {
                rewriting(route, &pattern, &at, report);
                if let Some(first) = seen.insert(identity(route, &pattern), index + 1) {
                    let message = format!("[[route]] number {first} already matches exactly these requests");
                    report.error(&place, message);
                }
            }
        }
        edits(&route.request_headers, &at.get("request_headers"), report);
        edits(&route.response_headers, &at.get("response_headers"), report);
    }
}

/// Equal for two routes that match the same requests.
fn identity(route: &RouteSpec, pattern: &Pattern) -> String {
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list.dedup();
        list
    };
    let headers: BTreeMap<String, &String> =
        route.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let (listeners, methods) = (sorted(&route.listeners), sorted(&route.methods));
    format!("{:?} {listeners:?} {methods:?} {headers:?} {:?}", pattern.unnamed(), route.query)
}

fn conditions(route: &RouteSpec, config: &Config, at: &Place<'_>, report: &mut Report<'_>) {
    for (index, name) in route.listeners.iter().enumerate() {
        if !config.listeners.contains_key(name) {
            report.unknown(&at.get("listeners").at(index), "listen", config.listeners.keys());
        }
    }
    for (index, method) in route.methods.iter().enumerate() {
        let place = at.get("methods").at(index);
        let upper = method.to_ascii_uppercase();
        report.token(method, "method", &place);
        let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
        if *method != upper && known.contains(&upper.as_str()) {
            report.error_with(&place, "methods are case-sensitive", format!("write \"{upper}\""));
        }
    }
    for (name, value) in &route.headers {
        report.token(name, "header name", &at.get("headers").key(name));
        report.field_value(value, &at.get("headers").get(name));
    }
    if let Some(name) = &route.name
        && (name.is_empty() || grammar::has_control(name))
    {
        report.error(&at.get("name"), "a name is not empty and has no control bytes");
    }
}

fn destination(route: &RouteSpec, config: &Config, at: &Place<'_>, report: &mut Report<'_>) {
    let given = [route.service.is_some(), route.redirect.is_some(), route.respond.is_some()];
    match given.iter().filter(|given| **given).count() {
        1 => {}
        0 => report.error(at, "the route has none of `service`, `redirect` and `respond`"),
        _ => report.error(at, "the route has more than one of `service`, `redirect` and `respond`"),
    }
    match &route.service {
        Some(name) if !config.services.contains_key(name) => {
            report.unknown(&at.get("service"), "service", config.services.keys());
        }
        Some(_) => {}
        None => {
            for key in ["strip", "rewrite", "host", "request_headers", "timeout"] {
                if at.get(key).exists() {
                    report.error(&at.key(key), format!("`{key}` has no effect without `service`"));
                }
            }
        }
    }
    if let Some(respond) = &route.respond {
        self::respond(respond, &at.get("respond"), report);
    }
    if let Some(host) = &route.host {
        let authority = grammar::is_host_name(host)
            || host.parse::<std::net::Ipv4Addr>().is_ok()
            || format!("http://{host}").parse::<EndpointAddress>().is_ok_and(|_| !host.ends_with('/'));
        if !authority {
            report.error_with(
                &at.get("host"),
                "not a host",
                "write \"api.internal\" or \"api.internal:8080\"",
            );
        }
    }
}

fn respond(respond: &Respond, at: &Place<'_>, report: &mut Report<'_>) {
    report.range(respond.status, 200..=599, &at.get("status"));
    report.field_value(&respond.content_type, &at.get("content_type"));
    if matches!(respond.status, 204 | 205 | 304) && !respond.body.is_empty() {
        report.error(&at.get("body"), "an answer with this status has no body");
    }
}

/// What changes the path, and what fills in captures.
fn rewriting(route: &RouteSpec, pattern: &Pattern, at: &Place<'_>, report: &mut Report<'_>) {
    if let Some(strip) = &route.strip {
        let place = at.get("strip");
        report.path(strip, &place);
        let begins = pattern.path.literal_start().as_bytes().starts_with(&normal(strip.as_bytes()));
        if strip.starts_with('/') && !begins {
            let help = "what is stripped stands at the beginning of `match`, before any capture";
            report.error_with(&place, "the route's paths do not begin like this", help);
        }
        if route.rewrite.is_some() {
            report.error(&at.key("strip"), "`strip` has no effect beside `rewrite`");
        }
    }
    if let Some(text) = &route.rewrite {
        let place = at.get("rewrite");
        if let Some(template) = template(text, pattern, &[], &place, report) {
            if !template.literal_start().starts_with('/') {
                report.error(&place, "a path begins with `/`");
            }
            if let Some(fault) = template.literals().find_map(grammar::path_fault) {
                report.error(&place, fault);
            }
        }
    }
    if let Some(redirect) = &route.redirect {
        self::redirect(redirect, pattern, &at.get("redirect"), report);
    }
}

fn redirect(redirect: &Redirect, pattern: &Pattern, at: &Place<'_>, report: &mut Report<'_>) {
    if !matches!(redirect.status, 301 | 302 | 303 | 307 | 308) {
        report.error_with(
            &at.get("status"),
            "not the status of a redirect",
            "write 301, 302, 303, 307 or 308",
        );
    }
    let place = at.get("to");
    report.field_value(&redirect.to, &place);
    if redirect.to.is_empty() || redirect.to.contains(' ') {
        report.error(&place, "not a target: it is empty or has a blank");
    }
    template(&redirect.to, pattern, &["host", "path", "query"], &place, report);
}

/// Parses a template whose placeholders are captures of the pattern, `rest`, or among `others`.
fn template(
    text: &str,
    pattern: &Pattern,
    others: &[&str],
    at: &Place<'_>,
    report: &mut Report<'_>,
) -> Option<Template> {
    let template: Template = match text.parse() {
        Ok(template) => template,
        Err(error) => {
            report.error(at, format!("{error}"));
            return None;
        }
    };
    let rest = matches!(pattern.path, PathPattern::Prefix(_)).then_some("rest");
    let known: Vec<&str> = pattern.path.captures().chain(rest).chain(others.iter().copied()).collect();
    for name in template.placeholders().filter(|name| !known.contains(name)) {
        // The text may come from the environment, so that an unwritten name is not repeated.
        let written = format!("{{{name}}}");
        let span = report.source.find(&at.span, &written);
        let shown = if span == at.span { "a placeholder".to_owned() } else { format!("`{written}`") };
        let help = match known.as_slice() {
            [] => "`match` has no captures and no `*`".to_owned(),
            known => format!(
                "there is {}",
                known.iter().map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(", ")
            ),
        };
        report.errors.push(report.source.error(
            &span,
            format!("{shown} stands for nothing here"),
            Some(help),
        ));
    }
    Some(template)
}

fn edits(edits: &HeaderEdits, at: &Place<'_>, report: &mut Report<'_>) {
    for (index, name) in edits.remove.iter().enumerate() {
        field_name(name, &at.get("remove").at(index), report);
    }
    for (key, fields) in [("set", &edits.set), ("add", &edits.add)] {
        for (name, value) in fields {
            field_name(name, &at.get(key).key(name), report);
            report.field_value(value, &at.get(key).get(name));
        }
    }
}

fn field_name(name: &str, at: &Place<'_>, report: &mut Report<'_>) {
    report.token(name, "header name", at);
    if grammar::is_framing_field(name) {
        report.error(at, "this field frames the message; Headgate alone writes it");
    } else if name.eq_ignore_ascii_case("host") {
        report.error_with(at, "Host is not edited as a header", "write host = \"name\" in the route");
    }
}
