//! What NGINX answers by itself: `return`, the `rewrite` that redirects, `if ($host = ...)`.

use super::location::{Context, Place, routes};
use super::parse::Directive;
use super::settings::leftover;
use super::variables;
use crate::denial::refused;
use crate::draft::Draft;
use headgate_model::spec::{Redirect, Respond, RouteSpec};

/// `return` and the `rewrite` that redirects. False, with a note, when it cannot be said.
pub(super) fn answer(
    directive: &Directive,
    place: &Place,
    context: &Context<'_, '_>,
    draft: &mut Draft,
) -> bool {
    let known = variables::Known { scheme: context.scheme, server: context.name, first_capture: None };
    let found = match directive.name.as_str() {
        "return" => returned(directive, known).map(|route| (route, None)),
        _ => rewritten(directive, place, known),
    };
    let Some((mut route, moved)) = found else {
        if directive.name != "return" {
            draft.untranslated(directive.line, format!("{}: no counterpart", directive.shown()));
            return false;
        }
        // Nothing else may answer in its place.
        let (status, shown) = (if directive.arg(0) == "444" { 403 } else { 501 }, directive.shown());
        draft.untranslated(
            directive.line,
            format!("{shown}: no counterpart; answered {status} until you decide"),
        );
        let respond = Some(Respond { status, ..Respond::default() });
        let response_headers = context.settings.response_edits(draft);
        let methods = context.methods.clone();
        let route = RouteSpec { respond, response_headers, methods, ..RouteSpec::default() };
        routes(directive.line, place, &route, context, draft);
        return true;
    };
    route.response_headers = context.settings.response_edits(draft);
    route.methods.clone_from(&context.methods);
    routes(directive.line, moved.as_ref().unwrap_or(place), &route, context, draft);
    true
}

fn returned(directive: &Directive, known: variables::Known<'_>) -> Option<RouteSpec> {
    let (status, text) = match directive.arg(0).parse::<u16>() {
        Ok(status) => (status, directive.arg(1)),
        Err(_) => (302, directive.arg(0)),
    };
    if matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Some(redirect(variables::target(text, known)?, status)).filter(usable_redirect);
    }
    if !(200..=599).contains(&status) || status == 444 || text.contains('$') {
        return None;
    }
    let body = if matches!(status, 204 | 205 | 304) { String::new() } else { text.to_owned() };
    Some(RouteSpec { respond: Some(Respond { status, body, ..Respond::default() }), ..RouteSpec::default() })
}

/// `rewrite ^/old/(.*)$ /new/$1 permanent;` and the like, and the paths that it moves.
fn rewritten(
    directive: &Directive,
    place: &Place,
    known: variables::Known<'_>,
) -> Option<(RouteSpec, Option<Place>)> {
    let status = match directive.arg(2) {
        "permanent" => 301,
        "redirect" => 302,
        _ => return None,
    };
    // A `?` at the end drops the query, which NGINX appends otherwise.
    let (text, append) = match directive.arg(1).strip_suffix('?') {
        Some(text) => (text.to_owned(), ""),
        None => (directive.arg(1).to_owned(), "?{query}"),
    };
    let (capture, moved) = match directive.arg(0) {
        "^" | ".*" | "^.*$" | "^/" | "^/.*$" => (None, None),
        "^(.*)$" => (Some("{path}"), None),
        regex => {
            let prefix = captured_prefix(regex)?;
            match place {
                Place::Prefix(own) if prefix.starts_with(own.as_str()) => {}
                _ => return None,
            }
            (Some("{rest}"), Some(Place::Prefix(prefix.to_owned())))
        }
    };
    let target = variables::target(&text, variables::Known { first_capture: capture, ..known })?;
    let target = if target.contains('?') { target } else { target + append };
    Some(redirect(target, status)).filter(usable_redirect).map(|route| (route, moved))
}

fn redirect(to: String, status: u16) -> RouteSpec {
    RouteSpec { redirect: Some(Redirect { to, status }), ..RouteSpec::default() }
}

fn usable_redirect(route: &RouteSpec) -> bool {
    let to = route.redirect.as_ref().map_or("", |redirect| redirect.to.as_str());
    !to.is_empty() && !to.contains(' ') && headgate_model::grammar::is_field_value(to)
}

/// `if`: what it says about host, scheme and method is translated. True when it kept requests away and
/// cannot be said: then nothing of the place may be let through.
pub(super) fn condition(
    block: &Directive,
    place: &Place,
    context: &mut Context<'_, '_>,
    draft: &mut Draft,
) -> bool {
    let (line, test) = (block.line, block.args.join(" "));
    let test = test.trim_start_matches('(').trim_end_matches(')').trim();
    let (headers, others): (Vec<&Directive>, Vec<&Directive>) =
        block.block.iter().flatten().partition(|directive| directive.name == "add_header");
    let [only] = others[..] else { return condition_lost(block, draft) };
    let mut inner = Context { settings: context.settings.inner(), ..context.clone() };
    for header in headers {
        inner.settings.take(header, draft);
    }
    let refuses = returned_status(only).filter(|status| *status >= 400);
    if let Some(host) = test.strip_prefix("$host = ").map(str::trim)
        && only.name == "return"
        && headgate_model::grammar::is_host_name(host)
    {
        inner.hosts = vec![host.to_owned()];
        if let Some(status) = refuses {
            refuse(line, place, &[], status, &inner, draft);
        } else {
            answer(only, place, &inner, draft);
        }
        return false;
    }
    if let Some(scheme) = context.scheme
        && let Some(wanted) = scheme_test(test)
        && only.name == "return"
    {
        if wanted == scheme {
            answer(only, place, &inner, draft);
            context.answered = true;
        } else {
            draft.unneeded(line, format!("{}: it is always {scheme} here; the whole block", block.shown()));
        }
        return false;
    }
    match (method_test(test), refuses) {
        (Some((true, methods)), Some(status)) => {
            refuse(line, place, &methods, status, &inner, draft);
            false
        }
        (Some((true, methods)), None) if only.name == "return" => {
            inner.methods = methods;
            answer(only, place, &inner, draft);
            false
        }
        (Some((false, methods)), Some(_)) if context.settings.methods.is_empty() => {
            draft.approximated(line, format!("{}: other methods are answered 403", block.shown()));
            context.settings.methods = methods;
            false
        }
        _ => condition_lost(block, draft),
    }
}

/// Notes an `if` that cannot be said; true when it kept requests away.
fn condition_lost(block: &Directive, draft: &mut Draft) -> bool {
    // A redirect by such a variable gives a page another name; by any other it may guard the page.
    let naming =
        ["$host", "$http_host", "$scheme", "$server_name", "$request_uri", "$uri", "$http_user_agent"];
    let names_only = naming.iter().any(|name| block.arg(0).trim_start_matches('(') == *name);
    let guards = block.block.iter().flatten().any(|directive| match returned_status(directive) {
        Some(status) => status >= 400 || !names_only,
        None => {
            directive.name == "rewrite" && !names_only && matches!(directive.arg(2), "permanent" | "redirect")
        }
    });
    if guards {
        let text =
            "the whole block; it kept requests away, and everything here is answered 403 until you decide";
        draft.closes(block.line, format!("{}: {text}", block.shown()));
    } else {
        leftover(block, draft);
    }
    guards
}

/// The status of a `return`.
pub(super) fn returned_status(directive: &Directive) -> Option<u16> {
    (directive.name == "return").then(|| directive.arg(0).parse().unwrap_or(302))
}

fn refuse(
    line: usize,
    place: &Place,
    methods: &[String],
    status: u16,
    context: &Context<'_, '_>,
    draft: &mut Draft,
) {
    let status = if (400..600).contains(&status) && status != 444 { status } else { 403 };
    for host in &context.hosts {
        let (pattern, listeners) = (format!("{host}{}", place.pattern()), context.listeners.clone());
        let (methods, response_headers) = (methods.to_vec(), context.settings.response_edits(draft));
        let denial = RouteSpec { pattern, listeners, methods, response_headers, ..RouteSpec::default() };
        if context.in_server {
            let refusal =
                RouteSpec { response_headers: denial.response_headers.clone(), ..refused(&denial, status) };
            draft.route_in_order(line, refusal);
        } else {
            draft.deny(line, &denial, status);
        }
    }
}

/// The scheme that `$scheme = http`, `$https = ""` and the like ask for.
fn scheme_test(test: &str) -> Option<&'static str> {
    match test.replace(['"', '\''], "").trim() {
        "$scheme = http" | "$scheme != https" | "$https =" | "$https != on" | "$server_port = 80" => {
            Some("http")
        }
        "$scheme = https" | "$scheme != http" | "$https = on" | "$server_port = 443" => Some("https"),
        _ => None,
    }
}

/// The methods of `$request_method = PUT` and `$request_method !~ ^(GET|POST)$`, and whether they are those
/// that fulfil it or those that do not.
fn method_test(test: &str) -> Option<(bool, Vec<String>)> {
    let (operator, value) = test.strip_prefix("$request_method ")?.split_once(' ')?;
    let value = value.trim().trim_matches('"');
    let names = match operator {
        "=" | "!=" => value,
        "~" | "!~" => value.strip_prefix("^(")?.strip_suffix(")$")?,
        _ => return None,
    };
    let names: Vec<String> = names.split('|').map(str::to_owned).collect();
    let plain = names.iter().all(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase()));
    plain.then(|| (!operator.starts_with('!'), names))
}

/// The prefix of `^/prefix/(.*)$`.
pub(super) fn captured_prefix(regex: &str) -> Option<&str> {
    let prefix = regex.strip_prefix('^')?.trim_end_matches('$').strip_suffix("(.*)")?;
    (prefix.starts_with('/') && !prefix.contains(|c| "\\.*+?()[]{}|^$".contains(c))).then_some(prefix)
}
