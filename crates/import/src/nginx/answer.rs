//! What NGINX answers by itself: `return`, the `rewrite` that redirects, `if ($host = ...)`.

use super::location::{Context, Place, routes};
use super::parse::Directive;
use super::settings::leftover;
use super::variables;
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
        draft.untranslated(directive.line, format!("{}: no counterpart", directive.shown()));
        return false;
    };
    route.response_headers = context.settings.response_edits(draft);
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

/// `if ($host = name) { return ...; }`, which certificate tools write, is a route of that host.
pub(super) fn condition(block: &Directive, place: &Place, context: &Context<'_, '_>, draft: &mut Draft) {
    let test: String = block.args.join(" ");
    let host = test.strip_prefix("($host = ").and_then(|rest| rest.strip_suffix(')')).map(str::trim);
    match (host, block.block.as_deref()) {
        (Some(host), Some([only]))
            if only.name == "return" && headgate_model::grammar::is_host_name(host) =>
        {
            let (settings, listeners) = (context.settings.clone(), context.listeners.clone());
            let inner = Context { settings, listeners, hosts: vec![host.to_owned()], ..*context };
            answer(only, place, &inner, draft);
        }
        _ => leftover(block, draft),
    }
}

/// The prefix of `^/prefix/(.*)$`.
pub(super) fn captured_prefix(regex: &str) -> Option<&str> {
    let prefix = regex.strip_prefix('^')?.trim_end_matches('$').strip_suffix("(.*)")?;
    (prefix.starts_with('/') && !prefix.contains(|c| "\\.*+?()[]{}|^$".contains(c))).then_some(prefix)
}
