//! Which directive of a block answers first, and where a `handle` ends.

use super::matcher::{self, Named};
use super::parse::Directive;
use super::site::Scope;
use crate::denial::{Meeting, meet};
use crate::draft::Draft;
use headgate_model::spec::{Respond, RouteSpec};
use std::cmp::Reverse;

/// Sorts as Caddy does: by name, of one name by matcher, otherwise as they stand.
pub(super) fn sort(directives: &mut [&Directive], named: &Named) {
    directives.sort_by_key(|directive| {
        let matcher = matcher::split(directive.rest(1), named).0.ok();
        // One that cannot be said is some matcher, but no single path.
        (position(directive.word(0)), matcher.map_or((1, Reverse(0), false), |matcher| matcher.order()))
    });
}

/// The place of a directive in Caddy's order; of two that answer the same requests the first counts. What
/// answers nothing comes first.
fn position(name: &str) -> usize {
    const ORDER: [&[&str]; 8] = [
        &["redir"],
        &["handle", "handle_path"],
        &["route"],
        &["abort"],
        &["error"],
        &["respond"],
        &["reverse_proxy"],
        &["php_fastcgi"],
    ];
    let last = if name == "file_server" { ORDER.len() } else { 0 };
    ORDER.iter().position(|names| names.contains(&name)).unwrap_or(last)
}

fn is_handle(directive: &Directive) -> bool {
    matches!(directive.word(0), "handle" | "handle_path")
}

/// What a `handle` takes and does not answer goes to no other one that would take it as well.
pub(super) fn end_handle(directive: &Directive, later: &[&Directive], scope: &Scope, draft: &mut Draft) {
    if !is_handle(directive) {
        return;
    }
    let routes = |directive: &Directive| {
        let matched = matcher::split(directive.rest(1), &scope.named).0;
        let narrowed = matched.and_then(|inner| scope.narrowed(inner));
        let rest = RouteSpec {
            listeners: scope.listeners.clone(),
            respond: Some(Respond { status: 404, ..Respond::default() }),
            ..RouteSpec::default()
        };
        narrowed.map_or(Vec::new(), |(_, both)| both.routes(&scope.hosts, &rest))
    };
    let others: Vec<RouteSpec> =
        later.iter().filter(|other| is_handle(other)).flat_map(|other| routes(other)).collect();
    for route in routes(directive) {
        let shared = others.iter().any(|other| meet(other, &route) != Meeting::Nothing);
        let pattern = route.pattern.clone();
        if shared && draft.rest_in_order(directive.line, route) {
            let shown = directive.shown();
            let text = format!(
                "{shown}: what nothing in it answers of {pattern} is answered 404, not by another handle"
            );
            draft.approximated(directive.line, text);
        }
    }
}
