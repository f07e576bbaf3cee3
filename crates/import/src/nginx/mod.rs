//! NGINX: from the tree of directives to listeners, services and routes.

mod answer;
mod cache;
mod files;
mod guard;
mod idle;
mod location;
mod parse;
mod real_ip;
mod segment;
mod server;
mod settings;
mod upstream;
mod variables;

pub use files::{SourceFile, includes, is_dump, matches};

use crate::Import;
use crate::draft::Draft;
use files::Files;
use headgate_model::spec::ServiceSpec;
use parse::Directive;
use settings::Settings;
use std::collections::BTreeMap;

/// Translates an nginx.conf, a file of its `sites-enabled`, or the output of `nginx -T`.
#[must_use]
pub fn nginx(text: &str, file_name: &str) -> Import {
    translate(&Files::of(text, file_name), file_name)
}

/// Translates an nginx.conf, the first of `files`, with those of the others that it includes.
#[must_use]
pub fn nginx_files(files: &[SourceFile<'_>], file_name: &str) -> Import {
    translate(&Files::read(files), file_name)
}

fn translate(files: &Files<'_>, file_name: &str) -> Import {
    let mut draft = Draft::default();
    let (tree, faults) = files.tree();
    for (line, fault) in faults {
        draft.fault(line, fault);
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
        "worker_processes" if directive.arg(0) == "auto" => {
            draft.unneeded(directive.line, format!("{shown}: one for each core by default"));
        }
        "worker_processes" => match directive.arg(0).parse() {
            Ok(workers @ 1..=1_024) => draft.config.workers = Some(workers),
            _ => draft.untranslated(directive.line, format!("{shown}: not a number of workers")),
        },
        "events" => {
            for child in directive.block.iter().flatten() {
                if child.name == "worker_connections" {
                    let text = "Headgate limits connections for each listener: limits.connections";
                    draft.untranslated(child.line, format!("{}: {text}", child.shown()));
                } else {
                    let text = "Headgate chooses its way of handling events itself";
                    draft.unneeded(child.line, format!("{}: {text}", child.shown()));
                }
            }
        }
        "user" => draft.unneeded(directive.line, format!("{shown}: the service manager decides the user")),
        "pid" => draft.unneeded(directive.line, format!("{shown}: Headgate writes no pid file")),
        "error_log" => draft.unneeded(directive.line, format!("{shown}: Headgate reports on standard error")),
        "include" => {
            include(directive, false, draft);
        }
        "stream" | "mail" => {
            draft.untranslated(directive.line, format!("{shown}: Headgate carries HTTP; this whole block"));
        }
        _ => draft.untranslated(directive.line, format!("{shown}: no counterpart")),
    }
}

/// Files that packages bring along and that restrict nothing.
const HARMLESS_FILES: [&str; 9] = [
    "mime.types",
    "proxy_params",
    "fastcgi_params",
    "fastcgi.conf",
    "uwsgi_params",
    "scgi_params",
    "options-ssl-nginx.conf",
    "snippets/ssl",
    "snippets/snakeoil.conf",
];

/// Notes an `include`; true when the file may restrict access to what it stands in.
fn include(directive: &Directive, inside: bool, draft: &mut Draft) -> bool {
    let (file, shown) = (directive.arg(0), directive.shown());
    if directive.block.is_some() {
        draft.unneeded(directive.line, format!("{shown}: there is no such file"));
        return false;
    }
    if file.ends_with("mime.types") {
        draft.unneeded(directive.line, format!("{shown}: Headgate serves no files and needs no types"));
        return false;
    }
    let help = "the file is not here: import what `nginx -T` prints, which has all of them";
    if inside && !HARMLESS_FILES.iter().any(|known| file.contains(known)) {
        let text = format!("{shown}: it may restrict access; what it stands in is answered 403; {help}");
        draft.closes(directive.line, text);
        return true;
    }
    draft.untranslated(directive.line, format!("{shown}: {help}"));
    false
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
            "include" => {
            include(directive, false, draft);
        }
            "map" if directive.arg(0) == "$http_upgrade" => draft.unneeded(
                directive.line,
                "map $http_upgrade: the whole block; Headgate carries WebSockets and other upgrades by itself",
            ),
            _ => settings::leftover(directive, draft),
        }
    }
    settings.guards.judge(draft);
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
