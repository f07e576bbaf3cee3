//! HAProxy: from sections to listeners, services and routes.

mod acl;
mod answer;
mod backend;
mod frontend;
mod guard;
mod header;
mod parse;
mod pool;
mod server;

use crate::Import;
use crate::draft::Draft;
use parse::{Line, Section};
use std::collections::BTreeMap;

/// Translates a haproxy.cfg.
#[must_use]
pub fn haproxy(text: &str, file_name: &str) -> Import {
    let mut draft = Draft::default();
    let (sections, stray) = parse::parse(text);
    for line in stray {
        draft.fault(line.number, format!("{}: stands in no section", line.shown()));
    }
    let mut defaults: &[Line] = &[];
    let mut proxies = Vec::new();
    for section in &sections {
        match section.head.word(0) {
            "defaults" => defaults = &section.lines,
            "frontend" | "backend" | "listen" => proxies.push((section, defaults)),
            "global" => global(section, &mut draft),
            _ => draft.untranslated(
                section.head.number,
                format!("{}: no counterpart; the whole section", section.head.shown()),
            ),
        }
    }
    for section in sections.iter().filter(|section| section.head.word(0) == "defaults") {
        if !proxies.iter().any(|(_, used)| std::ptr::eq(*used, section.lines.as_slice())) {
            let text = format!("{}: no section uses it; the whole section", section.head.shown());
            draft.unneeded(section.head.number, text);
        }
    }
    let mut backends = BTreeMap::new();
    let mut frontends = Vec::new();
    for (section, defaults) in proxies {
        let own = section.lines.iter().chain(defaults);
        if own.clone().find(|line| line.word(0) == "mode").is_some_and(|line| line.word(1) == "tcp") {
            let text =
                format!("{}: mode tcp, Headgate carries HTTP; the whole section", section.head.shown());
            draft.untranslated(section.head.number, text);
            continue;
        }
        // An own line comes later and so wins over a default.
        let lines: Vec<Line> = defaults.iter().chain(&section.lines).cloned().collect();
        let (kind, name) = (section.head.word(0), section.head.word(1));
        if section.head.word(2) == "from" {
            let text = format!("{}: the nearest `defaults` above it is used", section.head.shown());
            draft.approximated(section.head.number, text);
        }
        let misplaced = |line: &&Line| match kind {
            "frontend" => is_backend_line(line),
            "backend" => is_frontend_setting(line) && line.word(0) != "acl",
            _ => false,
        };
        for line in section.lines.iter().filter(misplaced) {
            draft.unneeded(line.number, format!("{}: has no effect in a {kind}", line.shown()));
        }
        if kind != "frontend" {
            let side = lines
                .iter()
                .filter(|line| kind == "backend" && !is_frontend_setting(line) || is_backend_line(line));
            let side: Vec<Line> = side.cloned().collect();
            backends.insert(name.to_owned(), backend::backend(name, section.head.number, &side, &mut draft));
        }
        if kind != "backend" {
            frontends.push((section, kind, lines));
        }
    }
    for (section, kind, mut lines) in frontends {
        let number = section.head.number;
        lines.retain(|line| !is_backend_line(line));
        if kind == "listen" {
            let words = vec!["default_backend".to_owned(), section.head.word(1).to_owned()];
            lines.push(Line { number, words });
        }
        frontend::frontend(&lines, number, &backends, &mut draft);
    }
    idle_backends(&sections, &backends, &mut draft);
    draft.finish(file_name)
}

/// Notes the backends that no route of the result goes to.
fn idle_backends(sections: &[Section], backends: &BTreeMap<String, backend::Backend>, draft: &mut Draft) {
    for section in sections.iter().filter(|section| section.head.word(0) == "backend") {
        let (name, shown) = (section.head.word(1), section.head.shown());
        let Some(service) = backends.get(name).and_then(|backend| backend.service.as_ref()) else { continue };
        if draft.leads_to(service) {
            continue;
        }
        let asks =
            |line: &Line| matches!(line.word(0), "use_backend" | "default_backend") && line.word(1) == name;
        if sections.iter().flat_map(|section| &section.lines).any(asks) {
            let text =
                format!("{shown}: no route goes to it; of the whole section only its servers came over");
            draft.untranslated(section.head.number, text);
        } else {
            draft.unneeded(section.head.number, format!("{shown}: nothing uses it; the whole section"));
        }
    }
}

/// Lines of a `listen` section that belong to its backend half.
fn is_backend_line(line: &Line) -> bool {
    matches!(line.word(0), "server" | "server-template" | "default-server") || is_backend_setting(line)
}

fn is_backend_setting(line: &Line) -> bool {
    match (line.word(0), line.word(1)) {
        (
            "balance" | "retries" | "retry-on" | "cookie" | "hash-type" | "http-check" | "http-reuse"
            | "fullconn",
            _,
        ) => true,
        ("timeout", kind) => matches!(kind, "connect" | "server" | "queue" | "check" | "tunnel"),
        ("option", kind) => matches!(kind, "httpchk" | "redispatch" | "prefer-last-server"),
        _ => false,
    }
}

/// Settings of `defaults` that say nothing to a backend.
fn is_frontend_setting(line: &Line) -> bool {
    match (line.word(0), line.word(1)) {
        ("maxconn" | "bind", _) => true,
        ("timeout", kind) => matches!(kind, "client" | "http-request" | "http-keep-alive"),
        ("option", kind) => matches!(kind, "httplog" | "dontlognull"),
        _ => false,
    }
}

fn global(section: &Section, draft: &mut Draft) {
    for line in &section.lines {
        let reason = match line.word(0) {
            "nbthread" => match line.word(1).parse() {
                Ok(workers @ 1..=1_024) => {
                    draft.config.workers = Some(workers);
                    continue;
                }
                _ => "not a number of workers",
            },
            "daemon" | "user" | "group" | "chroot" | "pidfile" => {
                draft.unneeded(line.number, format!("{}: the service manager does this", line.shown()));
                continue;
            }
            "maxconn" => "Headgate limits connections for each listener: limits.connections",
            "log" | "stats" => "Headgate has an access log and an admin listener of its own",
            word if word.starts_with("ssl-") || word.starts_with("tune.ssl") => {
                "Headgate offers safe suites only"
            }
            _ => "no counterpart",
        };
        draft.untranslated(line.number, format!("{}: {reason}", line.shown()));
    }
}

/// Notes a line that nothing took, with the reason where it is a known one.
fn leftover(line: &Line, draft: &mut Draft) {
    let reason = match (line.word(0), line.word(1)) {
        ("stats", _) => "the admin listener has metrics and health",
        ("log" | "log-format", _) => "log of Headgate has its own format and place",
        ("compression" | "filter", _) => "Headgate does not compress: the service can",
        ("errorfile" | "errorloc" | "http-error", _) => "a service's fallback answers when no endpoint can",
        ("stick-table" | "stick", _) => "no tables; a service's `sticky` keeps clients on their endpoint",
        ("tcp-request" | "tcp-response", _) => "no rules on connections",
        ("option", _) => "no counterpart, or Headgate does so anyway",
        ("mode", _) => "Headgate carries HTTP",
        _ => "no counterpart",
    };
    draft.untranslated(line.number, format!("{}: {reason}", line.shown()));
}
