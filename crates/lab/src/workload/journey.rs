//! What is asked for: named steps with their paths, sizes, keys and share of writes, and the Markov chain by
//! which a session walks from step to step. It does not say when; that is up to the open or closed model.

use super::distribution::{Distribution, Sampler};
use super::error::{SpecError, at_least, at_most, share};
use super::popularity::{Popularity, PopularitySpec};
use super::streams::Streams;
use super::trace::Files;
use headgate_model::dice::Dice;
use headgate_model::spec::{Bytes, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Steps and tenants that a description may have.
const NAMES_MAX: usize = 1_000;

/// One step of a journey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StepSpec {
    /// The path to ask for; `{key}` and `{tenant}` stand for the drawn ones.
    pub path: String,
    /// How often single requests and new sessions begin with this step, relative to the other steps.
    pub weight: f64,
    /// Where a session goes from here, with probabilities; what is missing to one ends the session.
    pub next: BTreeMap<String, f64>,
    /// Share of requests that write (POST with a body); the others read (GET).
    pub writes: f64,
    /// Size of the body that a write sends.
    pub request: Distribution<Bytes<0>>,
    /// Size of the body that is asked for.
    pub response: Distribution<Bytes<0>>,
    /// From the answer to the session's next step. Default: the think time of the closed model, or one second.
    pub think: Option<Distribution<Span<0>>>,
    /// Default: the keys of the workload.
    pub keys: Option<PopularitySpec>,
}

impl Default for StepSpec {
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            weight: 1.0,
            next: BTreeMap::new(),
            writes: 0.0,
            request: Distribution::Constant(Bytes(0)),
            response: Distribution::Constant(Bytes(1_024)),
            think: None,
            keys: None,
        }
    }
}

/// One tenant: a customer whose requests are told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantSpec {
    /// Share of the sessions, relative to the other tenants.
    pub weight: f64,
}

impl Default for TenantSpec {
    fn default() -> Self {
        Self { weight: 1.0 }
    }
}

/// One request, whoever sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Number of the session it belongs to; single requests are sessions of their own.
    pub session: u64,
    /// Index into [`Journey::steps`].
    pub step: u16,
    /// Index into [`Journey::tenants`].
    pub tenant: u16,
    pub key: u64,
    pub write: bool,
    pub request_bytes: u64,
    pub response_bytes: u64,
}

/// The checked steps and tenants. One value serves any number of walks.
#[derive(Clone, Debug)]
pub struct Journey {
    steps: Vec<Step>,
    start: Weights,
    tenants: Vec<String>,
    tenant: Weights,
}

/// A checked step.
#[derive(Clone, Debug)]
pub struct Step {
    pub name: String,
    pub path: String,
    /// Targets with running sums of their probabilities.
    next: Vec<(f64, u16)>,
    writes: f64,
    request: Sampler,
    response: Sampler,
    think: Sampler,
    keys: Popularity,
}

/// One walk: a user, a session, or the row of all single requests. Each aspect has dice of its own, so that
/// another size or think time leaves keys and steps as they were.
#[derive(Clone, Debug)]
pub struct Walk {
    session: u64,
    /// The step of the last request; `None` before the first of a session.
    at: Option<u16>,
    tenant: u16,
    /// Requests so far; the place in a recorded sequence of keys.
    position: u64,
    /// False for single requests, which do not follow one another.
    follows: bool,
    path: Dice,
    keys: Dice,
    sizes: Dice,
    think: Dice,
}

impl Journey {
    /// Checks steps and tenants; without steps there is one that reads `/`. `think` is for steps that have none.
    pub fn new(
        steps: &BTreeMap<String, StepSpec>,
        tenants: &BTreeMap<String, TenantSpec>,
        keys: &PopularitySpec,
        think: &Sampler,
        files: Files<'_>,
    ) -> Result<Self, SpecError> {
        at_most("steps", steps.len(), NAMES_MAX)?;
        at_most("tenants", tenants.len(), NAMES_MAX)?;
        let keys = Popularity::new(keys, files).map_err(|error| error.within("keys"))?;
        let only = BTreeMap::from([("all".to_owned(), StepSpec::default())]);
        let steps = if steps.is_empty() { &only } else { steps };
        let checked = steps.iter().map(|(name, spec)| {
            Step::new(name, spec, steps, &keys, think, files)
                .map_err(|error| error.within(&format!("steps.{name}")))
        });
        let start = Weights::new(steps.iter().map(|(name, step)| (format!("steps.{name}"), step.weight)))?;
        let weights = tenants.iter().map(|(name, tenant)| (format!("tenants.{name}"), tenant.weight));
        let tenant = if tenants.is_empty() { Weights::one() } else { Weights::new(weights)? };
        let tenants =
            if tenants.is_empty() { vec!["all".to_owned()] } else { tenants.keys().cloned().collect() };
        Ok(Self { steps: checked.collect::<Result<_, _>>()?, start, tenants, tenant })
    }

    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    #[must_use]
    pub fn tenants(&self) -> &[String] {
        &self.tenants
    }

    /// The walk of one session or user. `streams` are its own.
    #[must_use]
    pub fn walk(&self, session: u64, streams: Streams) -> Walk {
        let dice = |kind| streams.dice(kind, 0);
        let (mut keys, path) = (dice("keys"), dice("path"));
        let position = keys.bits() >> 1;
        let mut walk = Walk {
            session,
            at: None,
            tenant: 0,
            position,
            follows: true,
            path,
            keys,
            sizes: dice("sizes"),
            think: dice("think"),
        };
        walk.tenant = self.tenant.draw(&mut walk.path);
        walk
    }

    /// The same place on the way of `walk`, from where other dice go on.
    #[must_use]
    pub fn branch(&self, walk: &Walk, streams: Streams) -> Walk {
        let Walk { path, keys, sizes, think, .. } = self.walk(walk.session, streams);
        Walk { path, keys, sizes, think, ..walk.clone() }
    }

    /// The row of all single requests of the open model.
    #[must_use]
    pub fn singles(&self, streams: Streams) -> Walk {
        Walk { position: 0, follows: false, ..self.walk(0, streams) }
    }

    /// The request that is sent at `now_ns`. A walk that has ended begins a new session.
    pub fn request(&self, walk: &mut Walk, now_ns: u64) -> Request {
        let step = match walk.at {
            Some(step) if walk.follows => step,
            _ => self.start.draw(&mut walk.path),
        };
        if !walk.follows && self.tenants.len() > 1 {
            walk.tenant = self.tenant.draw(&mut walk.path);
        }
        walk.at = Some(step);
        let spec = &self.steps[usize::from(step)];
        let write = spec.writes > 0.0 && walk.path.unit() < spec.writes;
        let request = Request {
            session: walk.session,
            step,
            tenant: walk.tenant,
            key: spec.keys.key(walk.position, now_ns, &mut walk.keys),
            write,
            request_bytes: if write { spec.request.sample(&mut walk.sizes) } else { 0 },
            response_bytes: spec.response.sample(&mut walk.sizes),
        };
        walk.position += 1;
        if !walk.follows {
            walk.session += 1;
        }
        request
    }

    /// After an answer: the think time in nanoseconds until the next step, and whether the session goes on. When
    /// it does not, the next request of this walk belongs to a new session of `next_session`.
    pub fn think(&self, walk: &mut Walk, next_session: u64) -> (u64, bool) {
        let Some(at) = walk.at else { return (0, false) };
        let step = &self.steps[usize::from(at)];
        let think = step.think.sample(&mut walk.think);
        let point = if step.next.is_empty() { 1.0 } else { walk.path.unit() };
        walk.at = step.next.iter().find(|(sum, _)| point < *sum).map(|(_, target)| *target);
        if walk.at.is_none() {
            walk.session = next_session;
        }
        (think, walk.at.is_some())
    }
}

impl Step {
    fn new(
        name: &str,
        spec: &StepSpec,
        steps: &BTreeMap<String, StepSpec>,
        keys: &Popularity,
        think: &Sampler,
        files: Files<'_>,
    ) -> Result<Self, SpecError> {
        const NEXT: &str = "write probabilities from 0 to 1 that sum up to 1 at most";
        if !spec.path.starts_with('/') || spec.path.contains([' ', '\r', '\n']) {
            return Err(SpecError::new(
                "path",
                "is no path",
                "write a path that begins with / and has no blanks",
            ));
        }
        share("writes", spec.writes)?;
        let mut sum = 0.0;
        let mut next = Vec::with_capacity(spec.next.len());
        for (target, &probability) in &spec.next {
            let field = format!("next.{target}");
            share(&field, probability)?;
            sum += probability;
            let Some(index) = steps.keys().position(|other| other == target) else {
                return Err(SpecError::new(field, "is not a step", "name one of the steps"));
            };
            next.push((sum, index as u16));
        }
        if sum > 1.0 + 1e-9 {
            return Err(SpecError::new("next", format!("sums up to {sum}"), NEXT));
        }
        if let Some((last, _)) = next.last_mut().filter(|_| sum > 1.0 - 1e-9) {
            *last = f64::INFINITY;
        }
        let own_keys = spec.keys.as_ref().map(|keys| Popularity::new(keys, files)).transpose();
        let own_think = spec.think.as_ref().map(Distribution::sampler).transpose();
        Ok(Self {
            name: name.to_owned(),
            path: spec.path.clone(),
            next,
            writes: spec.writes,
            request: spec.request.sampler().map_err(|error| error.within("request"))?,
            response: spec.response.sampler().map_err(|error| error.within("response"))?,
            think: own_think.map_err(|error| error.within("think"))?.unwrap_or_else(|| think.clone()),
            keys: own_keys.map_err(|error| error.within("keys"))?.unwrap_or_else(|| keys.clone()),
        })
    }

    /// The path of a request, with `{key}` and `{tenant}` filled in.
    #[must_use]
    pub fn path_of(&self, request: &Request, tenant: &str) -> String {
        self.path.replace("{key}", &request.key.to_string()).replace("{tenant}", tenant)
    }
}

/// A choice by weight among few.
#[derive(Clone, Debug)]
struct Weights(Vec<f64>);

impl Weights {
    fn one() -> Self {
        Self(vec![1.0])
    }

    /// `named`: the path of each description with its weight.
    fn new(named: impl Iterator<Item = (String, f64)>) -> Result<Self, SpecError> {
        let (mut sums, mut sum, mut last) = (Vec::new(), 0.0, String::new());
        for (name, weight) in named {
            at_least(&format!("{name}.weight"), weight, 0.0, "write a weight of 0 or more")?;
            sum += weight;
            sums.push(sum);
            last = name;
        }
        if sum > 0.0 && sum.is_finite() {
            return Ok(Self(sums));
        }
        Err(SpecError::new(
            format!("{last}.weight"),
            format!("makes a sum of {sum}"),
            "write a weight above zero",
        ))
    }

    fn draw(&self, dice: &mut Dice) -> u16 {
        if self.0.len() == 1 {
            return 0;
        }
        let total = self.0[self.0.len() - 1];
        let point = dice.unit() * total;
        // The product may round up to the total.
        self.0.iter().position(|&sum| point < sum).unwrap_or(self.0.len() - 1) as u16
    }
}
