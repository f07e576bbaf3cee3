//! What restricts access in Caddy: which of it can be said, and what is refused because it cannot.

use super::matcher::Matcher;
use super::parse::Directive;
use super::site::{Scope, respond};
use crate::draft::Draft;
use headgate_model::spec::{Respond, RouteSpec};

/// Whether a `tls` block verifies clients. Headgate does that for a listener, not for one of its hosts.
pub(super) fn asks_for_certificates(tls: &Directive) -> bool {
    tls.block.iter().any(|child| child.word(0) == "client_auth")
}

/// Whether a directive decides who may pass. A file that is imported may do so unseen.
pub(super) fn is_guard(directive: &Directive) -> bool {
    let name = directive.word(0);
    let known = ["forward_auth", "jwtauth", "import", "rate_limit", "coraza_waf", "crowdsec", "appsec"];
    name.starts_with("basic_auth")
        || name == "basicauth"
        || name.starts_with("auth")
        || known.contains(&name)
        // What `forward_auth` stands for.
        || name == "reverse_proxy" && directive.block.iter().any(|child| child.word(0) == "handle_response")
}

/// Refuses what a matcher wants, whatever more specific route comes later.
pub(super) fn deny(line: usize, matcher: &Matcher, answer: &Respond, scope: &Scope, draft: &mut Draft) {
    let denial = RouteSpec {
        listeners: scope.listeners.clone(),
        respond: Some(answer.clone()),
        response_headers: scope.route.response_headers.clone(),
        ..RouteSpec::default()
    };
    for route in matcher.routes(&scope.hosts, &denial) {
        draft.deny_in_order(line, &route, answer.status);
        let path = crate::denial::split(&route.pattern).1.to_owned();
        if path.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            let text = format!("{path}: only as it is written here; in other case the path is let through");
            draft.opens(line, text);
        }
    }
}

/// Whether a directive keeps requests from what comes after it.
pub(super) fn keeps_away(directive: &Directive) -> bool {
    match directive.word(0) {
        "error" | "abort" | "redir" => true,
        "respond" => !directive.rest(1).iter().any(|word| matches!(word.as_str(), "200" | "204")),
        "handle" | "handle_path" | "route" => {
            directive.block.iter().any(|inner| is_guard(inner) || keeps_away(inner))
        }
        _ => false,
    }
}

/// `respond`, `error` and `abort` with a matcher that refuse: they answer before anything that is more
/// specific here. False when the directive is none of these.
pub(super) fn refuse(
    directive: &Directive,
    rest: &[String],
    matcher: &Matcher,
    scope: &Scope,
    draft: &mut Draft,
) -> bool {
    let status = |word: &String| word.parse::<u16>().ok();
    let answer = match directive.word(0) {
        "abort" => Some(Respond { status: 403, ..Respond::default() }),
        "error" => rest.iter().find_map(status).map(|status| Respond { status, ..Respond::default() }),
        "respond" => respond(directive, rest),
        _ => None,
    };
    let Some(answer) = answer.filter(|answer| (400..600).contains(&answer.status)) else { return false };
    if directive.word(0) == "abort" {
        draft.approximated(directive.line, format!("{}: answered 403", directive.shown()));
    }
    deny(directive.line, matcher, &answer, scope, draft);
    true
}
