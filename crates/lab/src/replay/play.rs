//! One policy at one size over a trace: what it would have answered from memory. Cold start counts.

use super::trace::Trace;
use headgate_policy::evict::adaptive::{Adaptive, Curve, Goal};
use headgate_policy::evict::{Evict, Kind};
use serde::Serialize;

/// What a policy saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Savings {
    pub hits: u64,
    pub hit_bytes: u64,
    /// Mean times of the objects that were hit; zero where the log has no durations.
    pub saved_us: f64,
}

impl Savings {
    pub(super) fn count(&mut self, trace: &Trace, at: u32) {
        let object = &trace.objects[at as usize];
        self.hits += 1;
        self.hit_bytes = self.hit_bytes.saturating_add(object.bytes);
        self.saved_us += object.mean_us();
    }
}

/// What a policy saved, and what its shadows say of other sizes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Played {
    pub savings: Savings,
    pub curve: Option<Curve>,
}

/// Plays `kind` with a cache of `capacity` bytes. Every object costs the same to fetch, unless cost is the goal.
#[must_use]
pub fn play(kind: Kind, capacity: u64, goal: Goal, trace: &Trace) -> Played {
    if kind == Kind::Adaptive {
        let mut policy = Adaptive::new(capacity, goal);
        let savings = run(&mut policy, goal, trace);
        return Played { savings, curve: policy.curve() };
    }
    Played { savings: run(&mut *kind.build(capacity), goal, trace), curve: None }
}

fn run(policy: &mut dyn Evict, goal: Goal, trace: &Trace) -> Savings {
    let mut savings = Savings::default();
    let mut evicted = Vec::new();
    let by_time = goal == Goal::Cost && trace.is_timed;
    for at in &trace.requests {
        let id = u64::from(*at);
        if policy.hit(id) {
            savings.count(trace, *at);
        } else {
            let object = &trace.objects[*at as usize];
            let cost = if by_time { object.mean_us() } else { 1.0 };
            policy.admit(id, object.bytes, cost, &mut evicted);
            evicted.clear();
        }
    }
    savings
}
