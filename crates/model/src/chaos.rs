//! What is wrong with a chaos rule: the same words for one in the file and for one that is added at run time.

use crate::address::EndpointAddress;
use crate::grammar;
use crate::spec::{ChaosFault, ChaosRule, Config, Delay, Tail};
use crate::suggest::nearest;
use crate::toxic::Toxic;

/// Rules at once, those of the file and added ones together.
pub const MOST_RULES: usize = 32;

/// Something wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The keys that lead to it from the rule.
    pub at: Vec<&'static str>,
    pub message: String,
    pub help: Option<String>,
}

/// Everything that is wrong with `rule` beside the routes and services of `config`.
#[must_use]
pub fn mistakes(rule: &ChaosRule, config: &Config) -> Vec<Mistake> {
    let mut found = Found::default();
    if !grammar::is_label(&rule.name) {
        found.add(&["name"], grammar::NOT_A_LABEL);
    }
    if !(0.0..=100.0).contains(&rule.percent) {
        found.add(&["percent"], "out of range: 0 to 100");
    }
    places(rule, config, &mut found);
    if rule.probes {
        found.check(rule.route.is_none(), &["probes"], "a health probe takes no route");
        let is_exchange = Toxic::of(&rule.fault).is_none();
        found.check(is_exchange, &["probes"], "byte faults do not befall health probes");
    }
    fault(&rule.fault, &mut found);
    found.0
}

/// Reads a fault as it stands behind `fault =`, or one level deeper: `stall`, `delay.constant = "1s"`.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_fault(text: &str) -> Result<ChaosFault, String> {
    #[derive(serde::Deserialize)]
    struct Fault {
        fault: ChaosFault,
    }
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let document = if plain { format!("fault = \"{text}\"") } else { format!("[fault]\n{text}") };
    let read: Result<Fault, _> = toml::from_str(&document);
    read.map(|read| read.fault).map_err(|error| error.message().to_owned())
}

#[derive(Default)]
struct Found(Vec<Mistake>);

impl Found {
    fn add(&mut self, at: &[&'static str], message: impl Into<String>) {
        self.0.push(Mistake { at: at.to_vec(), message: message.into(), help: None });
    }

    fn check(&mut self, holds: bool, at: &[&'static str], message: &str) {
        if !holds {
            self.add(at, message);
        }
    }

    fn unknown<'n>(&mut self, key: &'static str, name: &str, known: impl Iterator<Item = &'n str>) {
        let known: Vec<&str> = known.collect();
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if known.is_empty() => None,
            None => Some(format!("the {key}s are {}", known[..known.len().min(10)].join(", "))),
        };
        self.0.push(Mistake { at: vec![key], message: format!("there is no {key} of this name"), help });
    }
}

fn places(rule: &ChaosRule, config: &Config, found: &mut Found) {
    let named = |route: &crate::spec::RouteSpec| route.name.clone().unwrap_or_else(|| route.pattern.clone());
    if let Some(name) = &rule.route {
        let mut same = config.routes.iter().filter(|route| named(route) == *name).peekable();
        if same.peek().is_none() {
            let names: Vec<String> = config.routes.iter().map(named).collect();
            found.unknown("route", name, names.iter().map(String::as_str));
        } else if same.all(|route| route.service.is_none()) {
            found.add(&["route"], "the route answers by itself; faults befall what a service is asked");
        }
    }
    if let Some(name) = &rule.service
        && !config.services.contains_key(name)
    {
        found.unknown("service", name, config.services.keys().map(String::as_str));
    }
    if let Some(endpoint) = &rule.endpoint
        && let Err(error) = endpoint.parse::<EndpointAddress>()
    {
        found.add(&["endpoint"], error.to_string());
    }
}

fn fault(fault: &ChaosFault, found: &mut Found) {
    match fault {
        ChaosFault::Delay(delay) => self::delay(delay, found),
        ChaosFault::Abort(abort) => {
            let at = ["fault", "abort", "status"];
            found.check((200..=599).contains(&abort.status), &at, "out of range: 200 to 599");
            let has_room = !matches!(abort.status, 204 | 205 | 304) || abort.body.is_empty();
            found.check(has_room, &["fault", "abort", "body"], "an answer with this status has no body");
        }
        ChaosFault::Bandwidth(it) => {
            found.check(it.rate.0 > 0, &["fault", "bandwidth", "rate"], "must be at least 1");
        }
        ChaosFault::Slicer(it) => {
            let (average, variation) = (it.average_size.0, it.size_variation.0);
            found.check(average > 0, &["fault", "slicer", "average_size"], "must be at least 1");
            let at = ["fault", "slicer", "size_variation"];
            found.check(variation < average.max(1), &at, "must be less than the average size");
        }
        ChaosFault::Corrupt(it) => {
            let at = ["fault", "corrupt", "probability"];
            found.check((0.0..=1.0).contains(&it.probability), &at, "out of range: 0 to 1");
        }
        ChaosFault::Reset
        | ChaosFault::Stall
        | ChaosFault::Partition(_)
        | ChaosFault::Down
        | ChaosFault::Latency(_)
        | ChaosFault::SlowClose(_)
        | ChaosFault::Timeout(_)
        | ChaosFault::ResetPeer(_)
        | ChaosFault::LimitData(_) => {}
    }
}

fn delay(delay: &Delay, found: &mut Found) {
    let mut tail = |key: &'static str, tail: &Tail| {
        let at = ["fault", "delay", key, "median"];
        found.check(!tail.median.0.is_zero(), &at, "must be longer than zero");
        let at = ["fault", "delay", key, "p99"];
        found.check(tail.p99 > tail.median, &at, "must be longer than the median");
    };
    match delay {
        Delay::Constant(_) | Delay::Normal(_) => {}
        Delay::Uniform(it) => {
            let at = ["fault", "delay", "uniform", "jitter"];
            found.check(it.jitter <= it.latency, &at, "must not be longer than the latency");
        }
        Delay::Lognormal(it) => tail("lognormal", it),
        Delay::Pareto(it) => tail("pareto", it),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_as_a_word_or_as_keys() {
        assert_eq!(parse_fault("stall"), Ok(ChaosFault::Stall));
        assert_eq!(parse_fault("abort.status = 503").map(|fault| fault.name()), Ok("abort"));
        assert_eq!(
            parse_fault("limit_data = { bytes = \"1KiB\" }").map(|fault| fault.name()),
            Ok("limit_data")
        );
        for odd in ["", "stal", "abort", "abort.status = 503\nreset = 1", "delay.constant = 5", "a\"b", "= 1"]
        {
            assert!(parse_fault(odd).is_err(), "{odd}");
        }
    }
}
