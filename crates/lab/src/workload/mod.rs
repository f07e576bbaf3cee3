//! Who asks for what and when, from a seed: one generator for the simulator, the load tool and replay. It
//! sends nothing and reads no clock and no file.
//!
//! A [`WorkloadSpec`] is what a study file or the flags of the load tool say. [`Workload::new`] checks it. Then:
//!
//! - **Open model** ([`Load::Open`]): [`Workload::singles`] gives single requests with their planned times;
//!   or [`Workload::session_starts`] gives the times at which sessions begin, each with a [`Visitor`].
//! - **Closed model** ([`Load::Closed`]): [`Workload::user`] gives each user as a [`Visitor`], and
//!   [`Closed::next_turn`] says when that user may ask.
//! - A [`Visitor`] gives its next [`Request`], and after the answer the think time to the one after it.
//!
//! All times are nanoseconds from the start of the run. Equal descriptions and seeds give equal requests; each
//! user and session has [`Streams`] of its own, so that one more of them changes none of the others.

pub mod api;
mod arrivals;
mod closed;
mod distribution;
mod error;
mod journey;
pub(crate) mod normal;
mod phases;
mod popularity;
mod streams;
#[cfg(test)]
mod tests;
mod trace;
mod zipf;

pub use arrivals::{Arriving, Bursts, Open, OpenSpec, Per, RateTrace, Spacing, Times};
pub use closed::{Closed, ClosedSpec, USERS_MAX};
pub use distribution::{Distribution, Quantity, Sampler, fit_lognormal};
pub use error::SpecError;
pub(crate) use error::{at_least, at_most, positive, share};
pub use journey::{Journey, Request, Step, StepSpec, TenantSpec, Walk};
pub use phases::{Phase, Phases};
pub use popularity::{Drift, Popularity, PopularitySpec};
pub use streams::Streams;
pub use trace::{Files, no_files, parse_keys, parse_rates};
pub use zipf::Zipf;

use headgate_model::spec::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The think time of sessions in the open model whose steps name none.
const SESSION_THINK_NS: f64 = 1e9;

/// A workload as written in a file: exactly one of `open` and `closed`, and what is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkloadSpec {
    pub open: Option<OpenSpec>,
    pub closed: Option<ClosedSpec>,
    /// Which keys are asked for. Default: one key.
    pub keys: PopularitySpec,
    /// Steps by name. Default: one step that reads `/`.
    pub steps: BTreeMap<String, StepSpec>,
    /// Tenants by name. Default: one tenant.
    pub tenants: BTreeMap<String, TenantSpec>,
}

impl WorkloadSpec {
    /// The closed model with a constant number of users: `warm_up` unmeasured, then `measured`.
    #[must_use]
    pub fn users(users: u32, think: Distribution<Span<0>>, phases: Vec<Phase>) -> Self {
        let phases = phases.into_iter().map(|phase| Phase { level: f64::from(users), ..phase }).collect();
        Self { closed: Some(ClosedSpec { think, phases }), ..Self::default() }
    }

    /// The open model: single requests as a Poisson process through these phases.
    #[must_use]
    pub fn poisson(phases: Vec<Phase>) -> Self {
        Self { open: Some(OpenSpec { phases, ..OpenSpec::default() }), ..Self::default() }
    }
}

/// When requests come.
#[derive(Clone, Debug)]
pub enum Load {
    Open(Open),
    Closed(Closed),
}

/// A checked workload. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Workload {
    load: Arc<Load>,
    journey: Arc<Journey>,
    streams: Streams,
}

impl Workload {
    /// Checks the description. `files` gives the text of each file that it names ([`no_files`] refuses them).
    pub fn new(spec: &WorkloadSpec, seed: u64, files: Files<'_>) -> Result<Self, SpecError> {
        let load = match (&spec.open, &spec.closed) {
            (Some(open), None) => Load::Open(Open::new(open, files).map_err(|error| error.within("open"))?),
            (None, Some(closed)) => {
                Load::Closed(Closed::new(closed).map_err(|error| error.within("closed"))?)
            }
            _ => {
                let remedy = "write either [open] (arrivals that do not wait) or [closed] (users who do)";
                return Err(SpecError::new("open, closed", "both are there, or neither", remedy));
            }
        };
        let think = match &load {
            Load::Open(_) => Sampler::exponential(SESSION_THINK_NS),
            Load::Closed(closed) => closed.think().clone(),
        };
        let journey = Journey::new(&spec.steps, &spec.tenants, &spec.keys, &think, files)?;
        Ok(Self { load: Arc::new(load), journey: Arc::new(journey), streams: Streams::new(seed) })
    }

    #[must_use]
    pub fn load(&self) -> &Load {
        &self.load
    }

    #[must_use]
    pub fn journey(&self) -> &Journey {
        &self.journey
    }

    #[must_use]
    pub fn phases(&self) -> &Phases {
        match &*self.load {
            Load::Open(open) => open.phases(),
            Load::Closed(closed) => closed.phases(),
        }
    }

    /// Single requests of the open model with their planned times, rising. Empty when sessions arrive, or users.
    #[must_use]
    pub fn singles(&self) -> Singles {
        let singles = match &*self.load {
            Load::Open(open) if open.arriving == Arriving::Requests => Some(self.times(open)),
            _ => None,
        };
        let walk = self.journey.singles(self.streams.within("singles", 0));
        Singles { times: singles, walk, journey: Arc::clone(&self.journey) }
    }

    /// The times at which sessions of the open model begin, rising; session `n` is [`Self::session`] `n`. Empty
    /// when single requests arrive, or users.
    pub fn session_starts(&self) -> impl Iterator<Item = u64> + use<> {
        let times = match &*self.load {
            Load::Open(open) if open.arriving == Arriving::Sessions => Some(self.times(open)),
            _ => None,
        };
        times.into_iter().flatten()
    }

    /// Session number `session` of the open model. It ends when [`Visitor::answered`] says so.
    #[must_use]
    pub fn session(&self, session: u64) -> Visitor {
        self.visitor(session, self.streams.within("session", session))
    }

    /// User number `user` of the closed model, who begins a new session whenever one has ended.
    #[must_use]
    pub fn user(&self, user: u32) -> Visitor {
        self.visitor(u64::from(user) << 32, self.streams.within("user", u64::from(user)))
    }

    /// When a visitor asks again who was answered so and wishes to at `wish_ns`: a user while the level has room for
    /// him, a session until it ends; nobody after the last phase. `user` is the number of a user.
    #[must_use]
    pub fn next_turn(&self, user: u32, next: Next, wish_ns: u64) -> Option<u64> {
        match &*self.load {
            Load::Closed(closed) => closed.next_turn(user, wish_ns),
            Load::Open(open) => (next.same_session && wish_ns < open.phases().end_ns()).then_some(wish_ns),
        }
    }

    fn visitor(&self, session: u64, streams: Streams) -> Visitor {
        Visitor {
            walk: self.journey.walk(session, streams),
            journey: Arc::clone(&self.journey),
            sessions: session,
        }
    }

    fn times(&self, open: &Open) -> Times {
        open.times(self.streams.dice("arrivals", 0))
    }
}

/// Single requests with their planned times in nanoseconds.
#[derive(Clone, Debug)]
pub struct Singles {
    times: Option<Times>,
    walk: Walk,
    journey: Arc<Journey>,
}

impl Iterator for Singles {
    type Item = (u64, Request);

    fn next(&mut self) -> Option<(u64, Request)> {
        let at_ns = self.times.as_mut()?.next()?;
        Some((at_ns, self.journey.request(&mut self.walk, at_ns)))
    }
}

/// One user or session.
#[derive(Clone, Debug)]
pub struct Visitor {
    walk: Walk,
    journey: Arc<Journey>,
    /// Number of the present session.
    sessions: u64,
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Time to the next request, in nanoseconds.
    pub think_ns: u64,
    /// Whether that request belongs to the same session.
    pub same_session: bool,
}

impl Visitor {
    /// The request that is sent at `now_ns`.
    pub fn request(&mut self, now_ns: u64) -> Request {
        self.journey.request(&mut self.walk, now_ns)
    }

    /// Who stands at the same place and goes on by other dice.
    #[must_use]
    pub fn branch(&self, streams: Streams) -> Self {
        Self { walk: self.journey.branch(&self.walk, streams), ..self.clone() }
    }

    /// After the answer to the last request, good or bad.
    pub fn answered(&mut self) -> Next {
        let (think_ns, same_session) = self.journey.think(&mut self.walk, self.sessions + 1);
        self.sessions += u64::from(!same_session);
        Next { think_ns, same_session }
    }
}
