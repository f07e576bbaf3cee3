//! Asks a part of the steady state that is not about the built-in load: once, with what was found as evidence.

use super::command;
use super::exposition::Exposition;
use super::spec::{CommandProbe, HttpProbe, MetricProbe, ProbeSpec};
use crate::admin::PATIENCE as ADMIN_PATIENCE;
use crate::admin::ask::ask;
use crate::load::Target;

/// Characters of an answer that evidence shows.
const SHOWN: usize = 120;

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) is_right: bool,
    pub(super) evidence: String,
}

/// A probe with whom it asks.
pub(super) struct Prober<'a> {
    pub(super) spec: &'a ProbeSpec,
    pub(super) gateway: &'a Target,
    pub(super) admin: &'a Target,
    /// The metric's value when the stage began.
    before: Option<f64>,
}

impl<'a> Prober<'a> {
    pub(super) fn new(spec: &'a ProbeSpec, gateway: &'a Target, admin: &'a Target) -> Self {
        let mut this = Self { spec, gateway, admin, before: None };
        if let Some(metric) = spec.metric.as_ref().filter(|metric| metric.growth) {
            this.before = scrape(admin).ok().map(|scrape| value(metric, &scrape));
        }
        this
    }

    pub(super) fn ask(&self) -> Answer {
        if let Some(http) = &self.spec.http {
            return self.http(http);
        }
        if let Some(metric) = &self.spec.metric {
            return match scrape(self.admin) {
                Ok(scrape) => judge(metric, value(metric, &scrape), self.before),
                Err(error) => wrong(format!("no metrics: {error}")),
            };
        }
        match &self.spec.command {
            Some(command) => run(command),
            // The load is judged by its own figures, which the caller knows.
            None => wrong("nothing to ask".to_owned()),
        }
    }

    fn http(&self, probe: &HttpProbe) -> Answer {
        let parsed;
        let (target, path) = match probe.url.strip_prefix("admin:") {
            Some(path) => (self.admin, path),
            None if probe.url.starts_with('/') => (self.gateway, probe.url.as_str()),
            None => match Target::parse(&probe.url) {
                Ok(target) => {
                    parsed = target;
                    (&parsed, parsed.path.as_str())
                }
                Err(error) => return wrong(error.to_string()),
            },
        };
        let reply = match ask(target, "GET", path, "", probe.timeout.0) {
            Ok(reply) => reply,
            Err(error) => return wrong(format!("no answer: {error}")),
        };
        if reply.status != probe.status {
            return wrong(format!("answered {}, expected {}", reply.status, probe.status));
        }
        let text = reply.text();
        if probe.contains.as_ref().is_some_and(|part| !text.contains(part.as_str())) {
            return wrong(format!("the body does not contain the text: {}", shown(&text)));
        }
        if let Some(json) = &probe.json {
            let Ok(document) = serde_json::from_str::<serde_json::Value>(&text) else {
                return wrong(format!("the body is no JSON: {}", shown(&text)));
            };
            let found = document.pointer(&json.pointer);
            let words = found.map_or_else(|| "nothing".to_owned(), |value| shown(&value.to_string()));
            let evidence = format!("{} is {words}", json.pointer);
            return Answer { is_right: found.is_some_and(|found| same(found, &json.equals)), evidence };
        }
        Answer { is_right: true, evidence: format!("answered {}", reply.status) }
    }
}

/// Numbers are compared as numbers: 1 is 1.0.
fn same(one: &serde_json::Value, other: &serde_json::Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

fn wrong(evidence: String) -> Answer {
    Answer { is_right: false, evidence }
}

fn shown(text: &str) -> String {
    text.chars().filter(|one| !one.is_control()).take(SHOWN).collect()
}

/// All metrics of the gateway now.
///
/// # Errors
/// Why there are none.
pub(super) fn scrape(admin: &Target) -> Result<Exposition, String> {
    let reply = ask(admin, "GET", "/metrics", "", ADMIN_PATIENCE).map_err(|error| error.to_string())?;
    match reply.status {
        200 => Ok(Exposition::parse(&reply.text())),
        status => Err(format!("the admin listener answered {status}")),
    }
}

/// Value of the metric in a scrape.
pub(super) fn value(metric: &MetricProbe, scrape: &Exposition) -> f64 {
    scrape.of(&metric.name, &metric.labels).map(|series| series.value).sum()
}

/// Holds a value against the bounds.
pub(super) fn judge(metric: &MetricProbe, value: f64, before: Option<f64>) -> Answer {
    let (value, what) = match (metric.growth, before) {
        (true, Some(before)) => (value - before, " has grown by"),
        (true, None) => return wrong(format!("{}: its value at the beginning is not known", metric.name)),
        (false, _) => (value, " is"),
    };
    let is_right =
        metric.at_least.is_none_or(|least| value >= least) && metric.at_most.is_none_or(|most| value <= most);
    Answer { is_right, evidence: format!("{}{what} {value}", metric.name) }
}

fn run(probe: &CommandProbe) -> Answer {
    match command::run(&probe.run, probe.timeout.0) {
        Ok(code) => Answer { is_right: code == probe.exit_code, evidence: format!("exit code {code}") },
        Err(why) => wrong(why),
    }
}
