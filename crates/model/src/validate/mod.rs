//! What the types cannot say: names that exist, texts that parse, numbers in their range, and settings
//! that make sense together. Everything that is wrong is found in one pass, each at its own place.

mod cache;
mod chaos;
mod listener;
mod policy;
mod route;
mod service;

use crate::place::Place;
use crate::source::{ConfigError, Source};
use crate::spec::{Config, LogFormat, Span};
use crate::suggest::nearest;
use crate::{address::BindAddress, grammar};
use std::fmt::Display;
use std::ops::RangeInclusive;

pub(crate) fn validate(config: &Config, root: &Place<'_>, source: &Source<'_>) -> Vec<ConfigError> {
    let mut report = Report { source, errors: Vec::new() };
    global(config, root, &mut report);
    listener::check(config, root, &mut report);
    for (name, service) in &config.services {
        let at = root.get("service").get(name);
        label(name, &root.get("service").key(name), &mut report);
        service::check(service, &at, &mut report);
        policy::check(service, &at, &mut report);
    }
    policy::fallback_targets(config, root, &mut report);
    route::check(config, root, &mut report);
    cache::check(config, root, &mut report);
    chaos::check(config, root, &mut report);
    report.errors
}

/// Collects the faults. What it quotes of the file is the text as written, never a value that came out
/// of the environment.
struct Report<'s> {
    source: &'s Source<'s>,
    errors: Vec<ConfigError>,
}

impl Report<'_> {
    fn error(&mut self, at: &Place<'_>, message: impl Into<String>) {
        self.errors.push(self.source.error(&at.span, message.into(), None));
    }

    fn error_with(&mut self, at: &Place<'_>, message: impl Into<String>, help: impl Into<String>) {
        self.errors.push(self.source.error(&at.span, message.into(), Some(help.into())));
    }

    /// A name that should be among `known`.
    fn unknown<'n>(&mut self, at: &Place<'_>, kind: &str, known: impl IntoIterator<Item = &'n String>) {
        let written = self.source.slice(&at.span);
        let known: Vec<&str> = known.into_iter().map(String::as_str).collect();
        let help = match nearest(written, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None if known.is_empty() => format!("add a [{kind}.NAME] table"),
            None => format!(
                "the {}s are {}",
                word_for(kind),
                known.iter().take(10).copied().collect::<Vec<_>>().join(", ")
            ),
        };
        self.error_with(at, format!("there is no {} `{written}`", word_for(kind)), help);
    }

    fn range<N: PartialOrd + Display>(&mut self, value: N, range: RangeInclusive<N>, at: &Place<'_>) {
        if !range.contains(&value) {
            self.error(at, format!("out of range: {} to {}", range.start(), range.end()));
        }
    }

    fn at_least_one(&mut self, value: u32, at: &Place<'_>) {
        if value == 0 {
            self.error(at, "must be at least 1");
        }
    }

    fn positive<const D: u64>(&mut self, value: Span<D>, at: &Place<'_>) {
        if value.0.is_zero() {
            self.error(at, "must be longer than zero");
        }
    }

    fn token(&mut self, text: &str, what: &str, at: &Place<'_>) {
        if !grammar::is_token(text) {
            let help = "it has letters, digits and ! # $ % & ' * + - . ^ _ ` | ~ only";
            self.error_with(at, format!("not a {what}"), help);
        }
    }

    fn field_value(&mut self, text: &str, at: &Place<'_>) {
        if grammar::has_control(text) {
            let help = "line breaks and control bytes could begin another header field";
            self.error_with(at, "a header value with a control byte", help);
        } else if !grammar::is_field_value(text) {
            self.error(at, "a header value neither begins nor ends with a blank");
        }
    }

    fn path(&mut self, text: &str, at: &Place<'_>) {
        if !text.starts_with('/') {
            self.error(at, "a path begins with `/`");
        } else if let Some(fault) = grammar::path_fault(text) {
            self.error(at, fault);
        }
    }

    fn file(&mut self, path: &str, at: &Place<'_>) {
        if path.is_empty() || path.contains('\0') {
            self.error(at, "not the path of a file");
        }
    }
}

fn word_for(kind: &str) -> &str {
    if kind == "listen" { "listener" } else { kind }
}

/// Names of listeners and services stand in metrics, logs and addresses of the admin API.
fn label(name: &str, at: &Place<'_>, report: &mut Report<'_>) {
    if !grammar::is_label(name) {
        report.error(at, grammar::NOT_A_LABEL);
    }
}

fn global(config: &Config, root: &Place<'_>, report: &mut Report<'_>) {
    if let Some(workers) = config.workers {
        report.range(workers, 1..=1024, &root.get("workers"));
    }
    if let Some(admin) = &config.admin {
        let at = root.get("admin").get("bind");
        if let Err(error) = admin.bind.parse::<BindAddress>() {
            report.error(&at, error.to_string());
        }
    }
    for (index, server) in config.dns.servers.iter().enumerate() {
        if server.parse::<std::net::SocketAddr>().is_err() {
            let at = root.get("dns").get("servers").at(index);
            report.error_with(&at, "not the address of a DNS server", "write one like \"10.0.0.53:53\"");
        }
    }
    if let Some(log) = &config.log {
        let at = root.get("log");
        if let LogFormat::Custom(format) = &log.format {
            let at = at.get("format");
            if !format.contains('%') {
                let written = report.source.slice(&at.span);
                let names = ["json", "common", "combined"];
                let help = match nearest(written, names) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => {
                        "write \"json\", \"common\", \"combined\", or fields like \"%method %path %status\""
                            .to_owned()
                    }
                };
                report.error_with(&at, "not a log format", help);
            } else if grammar::has_control(format) {
                report.error(&at, "a log format has no line breaks and control bytes");
            }
        }
        if let Some(path) = &log.path {
            report.file(path, &at.get("path"));
        }
    }
    if let Some(name) = &config.trace.request_id {
        report.token(name, "header name", &root.get("trace").get("request_id"));
    }
}
