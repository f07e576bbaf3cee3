//! What a request meets in the result of an import, and what the notes say of a line: single constructs of
//! each format, held against what the old gateway does with them.

#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

mod caddy;
mod haproxy;
mod nginx;

use headgate_import::{Import, Kind};
use headgate_model::pattern::Pattern;
use headgate_model::spec::RouteSpec;
use std::fmt::Write as _;

/// Imports a text whose result must load.
fn import(translate: fn(&str, &str) -> Import, text: &str) -> Import {
    let import = translate(text, "file");
    let env = |name: &str| Some(format!("${{{name}}}"));
    if let Err(errors) = headgate_model::load(&import.toml, "headgate.toml", &env) {
        panic!("{}\n{}", errors[0], import.toml);
    }
    import
}

/// What a request without header fields is answered with: `service NAME`, a status, or `STATUS to TARGET`.
fn answer(import: &Import, method: &str, host: &str, path: &str) -> String {
    let candidates = import.config.routes.iter().enumerate().filter_map(|(index, route)| {
        let pattern: Pattern = route.pattern.parse().unwrap();
        let methods = route.methods.is_empty() || route.methods.iter().any(|own| own == method);
        let plain = route.headers.is_empty() && route.query.is_empty();
        let conditions = usize::from(!route.methods.is_empty());
        let found = methods && plain && pattern.matches(host, path).is_some();
        found.then(|| (pattern.precedence(conditions, index), route))
    });
    let best = candidates.min_by(|(a, _), (b, _)| a.cmp(b));
    best.map_or_else(|| "404".to_owned(), |(_, route)| outcome(route))
}

fn outcome(route: &RouteSpec) -> String {
    match (&route.service, &route.redirect, &route.respond) {
        (Some(service), _, _) => format!("service {service}"),
        (_, Some(redirect), _) => format!("{} to {}", redirect.status, redirect.to),
        (_, _, Some(respond)) => respond.status.to_string(),
        _ => "nothing".to_owned(),
    }
}

/// The texts of a line's notes of a kind, one per line.
fn notes(import: &Import, line: usize, kind: Kind) -> String {
    let mut texts = String::new();
    for note in import.notes.iter().filter(|note| note.line == line && note.kind == kind) {
        writeln!(texts, "{}", note.text).unwrap();
    }
    texts
}

/// The number, from 1, of the only line that contains a text.
fn line_of(text: &str, part: &str) -> usize {
    let mut found = text.lines().enumerate().filter(|(_, line)| line.contains(part));
    let (at, _) = found.next().unwrap();
    assert!(found.next().is_none(), "{part} stands there twice");
    at + 1
}
