//! What a desk is given and told, and what it tells.

use super::super::budget::Shares;
use super::super::eligible::Refusal;
use super::super::foresight::{Event, Limits};
use super::super::trust::Floor;
use crate::guard::{Arm, Better, Metric, Paired};

/// What a desk is given.
#[derive(Clone, Debug)]
pub struct Settings {
    pub limits: Limits,
    pub shares: Shares,
    pub floor: Floor,
    /// Fetches that may be under way at once.
    pub under_way_max: usize,
    /// Bytes of the cache.
    pub cache_bytes: u64,
    pub seed: u64,
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// From the cache.
    Cache,
    /// By another request's fetch.
    Joined,
    /// By the origin.
    Origin,
    /// By the origin's failure.
    Failed,
}

/// One request with its answer, as a worker saw it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub event: Event<'a>,
    /// The same moment in seconds since 1970.
    pub unix_s: u64,
    /// Number of the service that it was for.
    pub service: u32,
    pub answer: Answer,
    /// Load of the service as far as its limits tell, 0 to 1; of interest where it answered.
    pub load: f64,
    /// Time that the client waited, in microseconds.
    pub waited_us: f64,
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was not carried out; nothing was sent.
    Skipped,
    /// The answer came and is stored.
    Stored,
    /// Somebody asked for it for the first time, and it was there.
    Used,
    /// Somebody asked for it while it was under way.
    Late,
    /// It ended unused: not stored, expired, or pushed out.
    Lost,
}

/// What tells the guard about the policy: hits for each admitted fetch, less what waste costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Evidence {
    Pair(Paired),
    One(Arm, f64),
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Requests that the origin was sent because somebody asked.
    pub demanded: u64,
    pub predicted: u64,
    /// In the order of [`Refusal::ALL`].
    pub refused: [u64; Refusal::ALL.len()],
    pub admitted: u64,
    /// Of these, those that were to be fetched, and of those, what was not sent after all.
    pub ordered: u64,
    pub skipped: u64,
    pub withheld: u64,
    /// Of what was sent and is known: used in time, used late, never used.
    pub used: u64,
    pub late: u64,
    pub wasted: u64,
    /// Of what was withheld and is known: asked for, and a hit all the same.
    pub withheld_known: u64,
    pub withheld_hits: u64,
    /// In the shadow: would have been a hit, would have come late, would have been wasted.
    pub imagined_hits: u64,
    pub imagined_late: u64,
    pub imagined_wasted: u64,
    /// How often too little was used.
    pub distrusted: u64,
}

/// The goal that the guard is to compare: hits per admitted fetch, less a third for each that is wasted.
#[must_use]
pub fn goal() -> Metric {
    Metric { name: "net hits", unit: "per fetch", better: Better::Higher, low: -1.0, high: 1.0 }
}
