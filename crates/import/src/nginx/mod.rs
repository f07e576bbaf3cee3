//! NGINX: from the tree of directives to listeners, services and routes.

mod answer;
mod location;
mod parse;
mod server;
mod settings;
mod upstream;
mod variables;

use crate::Import;
use crate::draft::Draft;
use headgate_model::spec::ServiceSpec;
use parse::Directive;
use settings::Settings;
use std::collections::BTreeMap;

/// Translates an nginx.conf, or a file of its `sites-enabled`.
#[must_use]
pub fn nginx(text: &str, file_name: &str) -> Import {
    let mut draft = Draft::default();
    let (tree, faults) = parse::parse(text);
    for (line, fault) in faults {
        draft.untranslated(line, fault);
    }
    let mut http = Vec::new();
    for directive in &tree {
        match (directive.name.as_str(), &directive.block) {
            ("http", Some(block)) => http.extend(block),
            ("server" | "upstream" | "map", Some(_)) => http.push(directive),
            _ => main_context(directive, &mut draft),
        }
    }
    http_context(&http, &mut draft);
    draft.finish(file_name)
}

/// An upstream block: the service it makes, before a `proxy_pass` says how it is spoken to.
struct Upstream {
    spec: ServiceSpec,
    /// The servers marked `backup`, as a service of their own.
    backup: Option<ServiceSpec>,
}

/// What the servers of a file share.
struct Http<'t> {
    upstreams: BTreeMap<&'t str, Upstream>,
    servers: Vec<server::Server<'t>>,
    /// TLS settings that hold for every server without its own.
    tls: Vec<&'t Directive>,
}

fn main_context(directive: &Directive, draft: &mut Draft) {
    let shown = directive.shown();
    match directive.name.as_str() {
        "worker_processes" if directive.arg(0) == "auto" => {}
        "worker_processes" => match directive.arg(0).parse() {
            Ok(workers @ 1..=1_024) => draft.config.workers = Some(workers),
            _ => draft.untranslated(directive.line, format!("{shown}: not a number of workers")),
        },
        "events" => {
            for child in directive.block.iter().flatten() {
                let reason = match child.name.as_str() {
                    "worker_connections" => {
                        "Headgate limits connections for each listener: limits.connections"
                    }
                    _ => "Headgate chooses its way of handling events itself",
                };
                draft.untranslated(child.line, format!("{}: {reason}", child.shown()));
            }
        }
        "user" => {
            draft.untranslated(directive.line, format!("{shown}: the service manager decides the user"))
        }
        "pid" => draft.untranslated(directive.line, format!("{shown}: Headgate writes no pid file")),
        "error_log" => {
            draft.untranslated(directive.line, format!("{shown}: Headgate reports on standard error"))
        }
        "include" => include(directive, draft),
        "stream" | "mail" => {
            draft.untranslated(directive.line, format!("{shown}: Headgate carries HTTP; this whole block"));
        }
        _ => draft.untranslated(directive.line, format!("{shown}: no counterpart")),
    }
}

fn include(directive: &Directive, draft: &mut Draft) {
    let reason = if directive.arg(0).contains("mime.types") {
        "Headgate serves no files and needs no types"
    } else {
        "import the included file as well, or paste it here first"
    };
    draft.untranslated(directive.line, format!("{}: {reason}", directive.shown()));
}

fn http_context(directives: &[&Directive], draft: &mut Draft) {
    let mut settings = Settings::default();
    let tls = directives.iter().copied().filter(|directive| server::is_tls(directive)).collect();
    // Settings count for the whole context, whatever their order.
    for directive in
        directives.iter().filter(|directive| !matches!(directive.name.as_str(), "server" | "upstream"))
    {
        if settings.take(directive, draft) {
            continue;
        }
        match directive.name.as_str() {
            _ if server::is_tls(directive) => {}
            "include" => include(directive, draft),
            "map" if directive.arg(0) == "$http_upgrade" => draft.approximated(
                directive.line,
                "map $http_upgrade: not needed, Headgate carries WebSockets and other upgrades by itself",
            ),
            _ => settings::leftover(directive, draft),
        }
    }
    let mut upstreams = BTreeMap::new();
    for directive in directives.iter().filter(|directive| directive.name == "upstream") {
        upstreams.insert(directive.arg(0), upstream::upstream(directive, draft));
    }
    let servers = directives
        .iter()
        .filter(|directive| directive.name == "server")
        .map(|d| server::Server::read(d))
        .collect();
    let http = Http { upstreams, servers, tls };
    server::translate(&http, &settings, draft);
}
