//! Which endpoint takes a request: one file per policy, named as in the configuration, and one enum
//! over them. A policy sees the endpoints through [`Endpoints`] and changes nothing but itself.

pub mod hash;
pub mod least_requests;
pub mod maglev;
pub mod p2c;
pub mod panic;
pub mod peak_ewma;
pub mod random;
pub mod rendezvous;
pub mod ring_hash;
pub mod round_robin;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;

use headgate_model::dice::Dice;
use headgate_model::spec::{Balance, BalancePolicy};
use headgate_model::units::Tick;
use least_requests::LeastRequests;
use maglev::Maglev;
use p2c::P2c;
use peak_ewma::{LowestCost, PeakEwma};
use random::Random;
use rendezvous::Rendezvous;
use ring_hash::RingHash;
use round_robin::RoundRobin;
use std::time::Duration;

/// What a balancer may see of the endpoints. The gateway implements it over its atomics, a simulator
/// over plain values; answers may change while a choice is being made.
pub trait Endpoints {
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// May take this request now: healthy, not ejected, not draining, breaker not open, and not yet
    /// tried by this request. Under panic (see [`mod@panic`]) health and ejection no longer count.
    fn usable(&self, index: usize) -> bool;

    /// The configured weight, 0 to 1000; the one that [`Balancer::new`] was given.
    fn weight(&self, index: usize) -> u32;

    /// The part of its weight that the endpoint gets, in (0, 1]; see [`crate::slow_start`].
    fn share(&self, _index: usize) -> f32 {
        1.0
    }

    /// Requests sent and not yet answered in full.
    fn in_flight(&self, index: usize) -> u32;

    /// The latency estimate as it was last folded. The default means: never observed.
    fn latency(&self, _index: usize) -> PeakEwma {
        PeakEwma::default()
    }
}

/// One request, as a balancer sees it.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub now: Tick,
    /// [`hash::hash`] of the request's key; zero when the policy does not hash.
    pub hash: u64,
}

/// What a balancer is built from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    pub policy: BalancePolicy,
    /// For `ring_hash`: an endpoint takes at most this times the mean load. Zero: unbounded.
    pub bounded_load: f64,
    /// For `peak_ewma`: the time constant by which an old latency fades.
    pub decay: Duration,
}

impl Settings {
    #[must_use]
    pub fn new(policy: BalancePolicy) -> Self {
        Self { policy, bounded_load: 0.0, decay: peak_ewma::DECAY }
    }

    /// Whether the policy reads [`Ask::hash`].
    #[must_use]
    pub fn hashes(&self) -> bool {
        matches!(self.policy, BalancePolicy::RingHash | BalancePolicy::Maglev | BalancePolicy::Rendezvous)
    }
}

impl From<&Balance> for Settings {
    fn from(balance: &Balance) -> Self {
        match balance {
            Balance::Name(policy) => Self::new(*policy),
            Balance::Full { policy, bounded_load, .. } => {
                Self { bounded_load: *bounded_load, ..Self::new(*policy) }
            }
        }
    }
}

/// One policy over one set of endpoints. Each worker owns an instance: clones share the tables and
/// have their own rotation.
#[derive(Clone, Debug)]
pub enum Balancer {
    RoundRobin(RoundRobin),
    Random(Random),
    LeastRequests(LeastRequests),
    P2c(P2c),
    PeakEwma(LowestCost),
    RingHash(RingHash),
    Maglev(Maglev),
    Rendezvous(Rendezvous),
}

impl Balancer {
    /// Builds the tables; off the hot path. `names` are the endpoints' stable identities (addresses):
    /// equal names and weights give equal tables everywhere. Both slices are in the order of the
    /// [`Endpoints`] that [`Self::choose`] will see, and as long.
    #[must_use]
    pub fn new(settings: &Settings, names: &[&str], weights: &[u32]) -> Self {
        debug_assert_eq!(names.len(), weights.len(), "one weight for each endpoint");
        match settings.policy {
            BalancePolicy::RoundRobin => Self::RoundRobin(RoundRobin::new(weights)),
            BalancePolicy::Random => Self::Random(Random::new(weights)),
            BalancePolicy::LeastRequests => Self::LeastRequests(LeastRequests),
            BalancePolicy::P2c => Self::P2c(P2c::new(weights)),
            BalancePolicy::PeakEwma => Self::PeakEwma(LowestCost::new(weights, settings.decay)),
            BalancePolicy::RingHash => Self::RingHash(RingHash::new(names, weights, settings.bounded_load)),
            BalancePolicy::Maglev => Self::Maglev(Maglev::new(names, weights)),
            BalancePolicy::Rendezvous => Self::Rendezvous(Rendezvous::new(names)),
        }
    }

    /// The endpoint for one request; `None` when nothing is usable. Allocates nothing.
    pub fn choose<E: Endpoints>(&mut self, ask: &Ask, endpoints: &E, dice: &mut Dice) -> Option<usize> {
        match self {
            Self::RoundRobin(policy) => policy.choose(endpoints, dice),
            Self::Random(policy) => policy.choose(endpoints, dice),
            Self::LeastRequests(policy) => policy.choose(endpoints, dice),
            Self::P2c(policy) => policy.choose(endpoints, dice),
            Self::PeakEwma(policy) => policy.choose(ask.now, endpoints, dice),
            Self::RingHash(policy) => policy.choose(ask.hash, endpoints),
            Self::Maglev(policy) => policy.choose(ask.hash, endpoints),
            Self::Rendezvous(policy) => policy.choose(ask.hash, endpoints),
        }
    }

    /// The policy's name: config value, metric label and journal field.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::RoundRobin(_) => "round_robin",
            Self::Random(_) => "random",
            Self::LeastRequests(_) => "least_requests",
            Self::P2c(_) => "p2c",
            Self::PeakEwma(_) => "peak_ewma",
            Self::RingHash(_) => "ring_hash",
            Self::Maglev(_) => "maglev",
            Self::Rendezvous(_) => "rendezvous",
        }
    }
}

/// Endpoints that a hashing policy tries in its own order before it ranks all of them at once. With
/// half of the endpoints out, the chance to get this far is 2^-64; it bounds the rest.
const WALK: usize = 64;

/// The weight after slow start, in 1/1024; zero for what may not take the request.
fn effective_weight<E: Endpoints>(endpoints: &E, index: usize) -> u32 {
    let weight = endpoints.weight(index);
    if weight == 0 || !endpoints.usable(index) {
        return 0;
    }
    let full = weight.saturating_mul(1024);
    let share = endpoints.share(index);
    if share >= 1.0 { full } else { ((full as f32 * share) as u32).max(1) }
}
