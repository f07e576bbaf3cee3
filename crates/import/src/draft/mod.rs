//! The configuration that an import builds up: it takes only what Headgate would load, and notes the
//! rest.

mod header;
mod listener;
mod route;

pub(crate) use header::{is_forwarding, of_certificates};

use crate::denial::Denial;
use crate::earlier::Earlier;
use crate::{Import, Kind, Note, emit};
use headgate_model::address::EndpointAddress;
use headgate_model::spec::{Config, EndpointSpec, ListenSpec, RouteSpec, ServiceSpec};
use std::collections::BTreeSet;
use std::fmt::Write as _;

#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) config: Config,
    notes: Vec<Note>,
    identities: BTreeSet<String>,
    /// What is refused, whatever more specific route comes after it.
    denials: Vec<Denial>,
    /// What was added in the old gateway's order.
    earlier: Earlier,
    /// Routes that stand behind all others, and only where no other is for the same requests.
    last: Vec<(usize, RouteSpec)>,
    /// Everything that a server or site with names of its own has, with its line.
    closings: Vec<(usize, RouteSpec)>,
    /// Routes to services that a refusal has taken the place of.
    withheld: Vec<RouteSpec>,
}

impl Draft {
    pub(crate) fn untranslated(&mut self, line: usize, text: impl Into<String>) {
        self.note(line, text.into(), Kind::Untranslated);
    }

    pub(crate) fn approximated(&mut self, line: usize, text: impl Into<String>) {
        self.note(line, text.into(), Kind::Approximated);
    }

    /// What is not missed.
    pub(crate) fn unneeded(&mut self, line: usize, text: impl Into<String>) {
        self.note(line, text.into(), Kind::Unneeded);
    }

    /// What the result lets through and the old gateway did not.
    pub(crate) fn opens(&mut self, line: usize, text: impl Into<String>) {
        self.note(line, text.into(), Kind::OpensAccess);
    }

    /// An access rule that the result cannot apply: what it covered is refused.
    pub(crate) fn closes(&mut self, line: usize, text: impl Into<String>) {
        self.note(line, text.into(), Kind::ClosesAccess);
    }

    pub(crate) fn fault(&mut self, line: usize, text: impl Into<String>) {
        self.note(line, text.into(), Kind::Fault);
    }

    fn note(&mut self, line: usize, text: String, kind: Kind) {
        let text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let note = Note { line, text, kind };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// An endpoint that Headgate can dial, or a note.
    pub(crate) fn endpoint(
        &mut self,
        line: usize,
        address: &str,
        weight: Option<u32>,
    ) -> Option<EndpointSpec> {
        let parsed = match address.parse::<EndpointAddress>() {
            Ok(parsed) => parsed.to_string(),
            Err(error) => {
                self.untranslated(line, format!("the endpoint {address}: {error}"));
                return None;
            }
        };
        match weight {
            None | Some(1) => Some(EndpointSpec::Address(parsed)),
            Some(weight) => {
                let weight = u16::try_from(weight).unwrap_or(u16::MAX).min(1_000);
                Some(EndpointSpec::Full { address: parsed, weight })
            }
        }
    }

    /// Adds an endpoint to a service unless it is there already.
    pub(crate) fn push_endpoint(&mut self, line: usize, service: &mut ServiceSpec, endpoint: EndpointSpec) {
        if service.endpoints.iter().any(|other| other.address() == endpoint.address()) {
            self.approximated(
                line,
                format!("{} stands here twice; a weight says the same", endpoint.address()),
            );
        } else {
            service.endpoints.push(endpoint);
        }
    }

    /// The name of a service with this content; a new one when there is none yet. A service without an
    /// endpoint is none.
    pub(crate) fn service(&mut self, line: usize, base: &str, spec: ServiceSpec) -> Option<String> {
        if spec.endpoints.is_empty() && spec.discover.is_none() {
            self.untranslated(line, format!("the service {base} has no endpoint that could be translated"));
            return None;
        }
        let base = label(base);
        let same = |(name, other): &(&String, &ServiceSpec)| name.starts_with(&base) && **other == spec;
        if let Some((name, _)) = self.config.services.iter().find(same) {
            return Some(name.clone());
        }
        let alone = ServiceSpec {
            fallback: spec.fallback.clone().filter(|fallback| fallback.service.is_none()),
            ..spec.clone()
        };
        if !self.loads(line, |config| drop(config.services.insert(base.clone(), alone))) {
            return None;
        }
        let name = unique(&base, |name| self.config.services.contains_key(name));
        self.config.services.insert(name.clone(), spec);
        Some(name)
    }

    /// Whether Headgate loads a configuration with this in it; notes why not.
    fn loads(&mut self, line: usize, add: impl FnOnce(&mut Config)) -> bool {
        let mut config = Config::default();
        add(&mut config);
        if config.listeners.is_empty() {
            config
                .listeners
                .insert("any".to_owned(), ListenSpec { bind: ":1".to_owned(), ..ListenSpec::default() });
        }
        let text = emit::toml(&config, "");
        let Err(errors) = headgate_model::load(&text, "", &variable) else { return true };
        for error in errors {
            let setting = text.lines().nth(error.line - 1).unwrap_or_default();
            self.untranslated(line, format!("{setting}: {}", error.message));
        }
        false
    }

    /// The result.
    pub(crate) fn finish(mut self, file_name: &str) -> Import {
        self.add_last();
        self.add_closings();
        let every: Vec<String> = self.config.listeners.keys().cloned().collect();
        for route in self.config.routes.iter_mut().chain(&mut self.withheld) {
            if route.listeners == every {
                route.listeners.clear();
            }
        }
        let toml = emit::toml(&self.config, file_name) + &emit::withheld(&self.withheld);
        // The proof that the result loads; what it refuses is the importer's gap and said as such.
        if let Err(errors) = headgate_model::load(&toml, "headgate.toml", &variable) {
            for error in errors {
                self.untranslated(0, format!("the result needs a correction: {}", error.summary()));
            }
        }
        self.notes.sort_by_key(|note| note.line);
        Import { config: self.config, toml, notes: self.notes }
    }
}

/// Stands in for the environment, which the import does not know.
fn variable(name: &str) -> Option<String> {
    Some(format!("${{{name}}}"))
}

/// A name that Headgate accepts.
pub(crate) fn label(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = text.chars().map(plain).take(56).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "service".to_owned() } else { name.to_owned() }
}

fn unique(base: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut name = base.to_owned();
    let mut number = 2;
    while taken(&name) {
        name.truncate(base.len());
        let _infallible = write!(name, "-{number}");
        number += 1;
    }
    name
}
