//! What the control thread does to the store now and then: lets another policy or another size take over, collects what
//! the duels saw, and lets go of what is too much, a little at a time. No request calls anything here.

use crate::rule::{Policy, Rule};
use crate::store::Store;
use headgate_policy::evict::Kind;
use headgate_policy::evict::adaptive::{Curve, CurvePoint, Verdict};
use headgate_policy::evict::duel::{Plan, Tally};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// Objects that one shard lets go of at once, under its lock.
const TRIM_OBJECTS: usize = 256;

/// How the store is to be run from now on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Course {
    /// Runs the shards that adaptive eviction does not.
    pub baseline: Kind,
    /// Bytes of all shards.
    pub budget: u64,
    /// What watches the requests; None for nobody.
    pub duel: Option<Plan>,
}

/// A shard that is run by another policy now.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    pub shard: usize,
    pub from: Policy,
    pub to: Policy,
    /// Of adaptive eviction, where it chose anew.
    pub verdict: Option<Verdict>,
}

/// What a look at the store brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tended {
    /// Since the look before.
    pub tally: Tally,
    pub turns: Vec<Turn>,
    /// Not all is as it is to be: there is more to let go of, or a change waits for the one before.
    pub has_more: bool,
}

impl Store {
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Brings the store nearer to `course`. `learns` says of a shard whether adaptive eviction may run it.
    pub fn tend(&self, course: &Course, learns: impl Fn(usize) -> bool) -> Tended {
        let mut tended = Tended::default();
        let capacity = course.budget / self.shards.len() as u64;
        for (shard, ledger) in self.shards.iter().enumerate() {
            let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            ledger.watch(course.duel.as_ref(), capacity);
            let (tally, verdicts) = ledger.take_duel();
            tended.tally.add(tally);
            let from = ledger.rule().policy;
            let policy = match ledger.setting() {
                Some(setting) if learns(shard) => Policy::Setting(setting),
                // It does not know yet.
                None if learns(shard) => from,
                _ => Policy::Plain(course.baseline),
            };
            let has_followed = ledger.follow(Rule { policy, capacity });
            if has_followed && from != policy {
                let verdict = verdicts.into_iter().rfind(|verdict| Policy::Setting(verdict.to) == policy);
                tended.turns.push(Turn { shard, from, to: policy, verdict });
            }
            let is_trim = ledger.trim(TRIM_OBJECTS, |id, owner| {
                self.evicted.fetch_add(1, Ordering::Relaxed);
                self.take_out(owner, id);
            });
            tended.has_more |= !(has_followed && is_trim);
        }
        tended
    }

    /// What other sizes of the store would save, by the duels that have seen enough. None: nothing watches, or not yet.
    #[must_use]
    pub fn curve(&self) -> Option<Curve> {
        let curves: Vec<Curve> = self
            .shards
            .iter()
            .filter_map(|ledger| ledger.lock().unwrap_or_else(PoisonError::into_inner).curve())
            .collect();
        let first = curves.first()?;
        // Shards are of one size and get alike shares of the keys: their mean is that of the store.
        let mean = |at: usize| {
            let saved: Vec<f64> =
                curves.iter().filter_map(|curve| curve.0.get(at)).map(|point| point.saved).collect();
            saved.iter().sum::<f64>() / saved.len() as f64
        };
        let point = |(at, point): (usize, &CurvePoint)| CurvePoint {
            capacity_bytes: point.capacity_bytes.saturating_mul(self.shards.len() as u64),
            saved: mean(at),
        };
        Some(Curve(first.0.iter().enumerate().map(point).collect()))
    }
}
