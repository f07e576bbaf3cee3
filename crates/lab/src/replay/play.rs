//! One policy at one size over a trace: what it would have answered from memory. Cold start counts.

use super::trace::Trace;
use headgate_policy::evict::Kind;
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

/// Plays `kind` with a cache of `capacity` bytes. Every object costs the same to fetch.
#[must_use]
pub fn play(kind: Kind, capacity: u64, trace: &Trace) -> Savings {
    let mut policy = kind.build(capacity);
    let mut savings = Savings::default();
    let mut evicted = Vec::new();
    for at in &trace.requests {
        let id = u64::from(*at);
        if policy.hit(id) {
            savings.count(trace, *at);
        } else {
            policy.admit(id, trace.objects[*at as usize].bytes, 1.0, &mut evicted);
            evicted.clear();
        }
    }
    savings
}
