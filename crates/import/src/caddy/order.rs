//! Which directive of a block answers first, and where a `handle` ends.

use super::matcher::{self, Named};
use super::parse::Directive;
use super::site::Scope;
use crate::denial::{Meeting, meet};
use crate::draft::Draft;
use headgate_model::spec::{Respond, RouteSpec};
use std::cmp::Reverse;

/// Caddy's order of directives, without most that do not answer.
#[derive(Clone)]
pub(super) struct Order(Vec<&'static str>);

/// Those that answer, and a few by whose place others are moved. `handle_path` has the place of `handle`.
const CADDYS: [&str; 18] = [
    "header",
    "request_body",
    "redir",
    "method",
    "rewrite",
    "uri",
    "basic_auth",
    "forward_auth",
    "request_header",
    "encode",
    "handle",
    "route",
    "abort",
    "error",
    "respond",
    "reverse_proxy",
    "php_fastcgi",
    "file_server",
];

/// Directives that answer; of two that answer the same requests the first counts.
const ANSWER: [&str; 9] =
    ["redir", "handle", "route", "abort", "error", "respond", "reverse_proxy", "php_fastcgi", "file_server"];

impl Default for Order {
    fn default() -> Self {
        Self(CADDYS.to_vec())
    }
}

impl Order {
    /// Moves a directive, as `order NAME first|last|before OTHER|after OTHER` says; false when that says nothing here.
    pub(super) fn change(&mut self, words: &[String]) -> bool {
        let Some(name) = words.first().and_then(|name| known(name)) else { return false };
        let others: Vec<&str> = self.0.iter().copied().filter(|other| *other != name).collect();
        let place = |other: &String| others.iter().position(|known_as| known(other) == Some(known_as));
        let at = match words.get(1..).unwrap_or_default() {
            [how] if how == "first" => Some(0),
            [how] if how == "last" => Some(others.len()),
            [how, other] if how == "before" => place(other),
            [how, other] if how == "after" => place(other).map(|at| at + 1),
            _ => None,
        };
        let Some(at) = at else { return false };
        self.0 = others;
        self.0.insert(at, name);
        true
    }

    /// Sorts as Caddy does: by name, of one name by matcher, otherwise as they stand.
    pub(super) fn sort(&self, directives: &mut [&Directive], named: &Named) {
        directives.sort_by_key(|directive| {
            let matcher = matcher::split(directive.rest(1), named).0.ok();
            // One that cannot be said is some matcher, but no single path.
            let of_matcher = matcher.map_or((1, Reverse(0), false), |matcher| matcher.order());
            (self.position(directive.word(0)), of_matcher)
        });
    }

    /// What answers nothing comes first.
    fn position(&self, name: &str) -> usize {
        let known = known(name).filter(|_| answers(name));
        known.and_then(|name| self.0.iter().position(|other| *other == name)).map_or(0, |at| at + 1)
    }
}

/// Whether a directive can answer a request.
pub(super) fn answers(name: &str) -> bool {
    known(name).is_some_and(|name| ANSWER.contains(&name))
}

/// The name by which a directive has its place.
fn known(name: &str) -> Option<&'static str> {
    let name = if name == "handle_path" { "handle" } else { name };
    CADDYS.into_iter().find(|known| *known == name)
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
