//! What is done to the store now and then, beside the traffic: another policy or another size takes over, the duels play
//! what was noted of the requests, and what is too much leaves, a little at a time. No request waits for the duels.

use crate::ledger::{Events, Ledger};
use crate::rule::{Policy, Rule};
use crate::store::Store;
use headgate_policy::evict::Kind;
use headgate_policy::evict::adaptive::{Curve, CurvePoint, Verdict};
use headgate_policy::evict::duel::{Duel, Plan, Tally};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

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
    /// Events that the duels did not see, because there were too many.
    pub dropped: u64,
    /// There is more to let go of.
    pub is_trimming: bool,
}

/// Who watches the shards: a duel for each, where one is wanted.
#[derive(Default)]
pub struct Watch {
    duels: Vec<Duel>,
    /// Of the shard that is looked at; kept for its allocation.
    events: Events,
}

impl Watch {
    fn follow(&mut self, course: &Course, shards: usize) {
        let capacity = course.budget / shards as u64;
        let Some(plan) = course.duel else {
            self.duels.clear();
            return;
        };
        if self.duels.len() == shards && self.duels.iter().all(|duel| *duel.plan() == plan) {
            self.duels.iter_mut().for_each(|duel| duel.fit(capacity));
        } else {
            self.duels = (0..shards).map(|_| Duel::new(plan, capacity)).collect();
        }
    }

    /// What other sizes of the store would save, by the duels that have seen enough. None: nothing watches, or not yet.
    #[must_use]
    pub fn curve(&self) -> Option<Curve> {
        let curves: Vec<Curve> = self.duels.iter().filter_map(Duel::curve).collect();
        let first = curves.first()?;
        // Shards are of one size and get alike shares of the keys: their mean is that of the store.
        let mean = |at: usize| {
            let saved: Vec<f64> =
                curves.iter().filter_map(|curve| curve.0.get(at)).map(|point| point.saved).collect();
            saved.iter().sum::<f64>() / saved.len() as f64
        };
        let point = |(at, point): (usize, &CurvePoint)| CurvePoint {
            capacity_bytes: point.capacity_bytes.saturating_mul(self.duels.len() as u64),
            saved: mean(at),
        };
        Some(Curve(first.0.iter().enumerate().map(point).collect()))
    }
}

impl Store {
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Brings the store nearer to `course`. `learns` says of a shard whether adaptive eviction may run it.
    pub fn tend(&self, course: &Course, watch: &mut Watch, learns: impl Fn(usize) -> bool) -> Tended {
        let mut tended = Tended::default();
        watch.follow(course, self.shards.len());
        let capacity = course.budget / self.shards.len() as u64;
        for shard in 0..self.shards.len() {
            let from = self.lock(shard).rule().policy;
            let mut verdicts = Vec::new();
            let mut policy = Policy::Plain(course.baseline);
            if let Some(duel) = watch.duels.get_mut(shard) {
                std::mem::swap(&mut self.lock(shard).events, &mut watch.events);
                tended.dropped += play(duel, &mut watch.events);
                tended.tally.add(duel.take_tally());
                verdicts = duel.take_verdicts();
                if learns(shard) {
                    // Until it knows, all stays as it is.
                    policy = duel.setting().map_or(from, Policy::Setting);
                }
            }
            let mut ledger = self.lock(shard);
            ledger.watch(watch.duels.get(shard).map(Duel::sample));
            let has_followed = ledger.follow(Rule { policy, capacity });
            if has_followed && from != policy {
                let verdict = verdicts.into_iter().rfind(|verdict| Policy::Setting(verdict.to) == policy);
                tended.turns.push(Turn { shard, from, to: policy, verdict });
            }
            let is_done = ledger.trim(TRIM_OBJECTS, |id, owner| {
                self.evicted.fetch_add(1, Ordering::Relaxed);
                self.take_out(owner, id);
            });
            tended.is_trimming |= !is_done;
        }
        tended
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Ledger> {
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows the events to the duel; how many there was no room for.
fn play(duel: &mut Duel, events: &mut Events) -> u64 {
    for (id, facts) in events.noted.drain(..) {
        match facts {
            Some(facts) => duel.observe(id, facts),
            None => duel.remove(id),
        }
    }
    let dropped = std::mem::take(&mut events.dropped);
    if dropped > 0 {
        duel.thin_out();
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hits::HitLog;
    use crate::key::Key;
    use crate::object::Draft;
    use crate::store::Found;
    use bytes::Bytes;
    use headgate_model::dice::Dice;
    use headgate_policy::evict::adaptive::{Goal, Setting};
    use headgate_policy::evict::duel::Candidate;

    const MIB: u64 = 1 << 20;

    fn course(baseline: Kind, budget: u64) -> Course {
        let duel = Plan { candidate: Candidate::Adaptive, baseline, goal: Goal::Objects, shards: 2 };
        Course { baseline, budget, duel: Some(duel) }
    }

    fn draft(store: &Store, len: usize) -> Draft {
        Draft { born: store.born(), ..Draft::fresh(Bytes::from(vec![0; len])) }
    }

    struct World {
        store: Store,
        watch: Watch,
        dice: Dice,
        log: HitLog,
    }

    impl World {
        fn new(budget: u64) -> Self {
            Self {
                store: Store::new(Kind::S3Fifo, budget, 4),
                watch: Watch::default(),
                dice: Dice::new(5),
                log: HitLog::default(),
            }
        }

        /// Requests by a law under which few objects are asked for often; hits among them.
        fn ask(&mut self, requests: u32) -> u32 {
            (0..requests)
                .map(|_| {
                    let number = 30_000f64.powf(self.dice.unit()) as u64;
                    u32::from(self.ask_for(number))
                })
                .sum()
        }

        /// One object in eight is large, and as popular as the others. Whether it was a hit.
        fn ask_for(&mut self, number: u64) -> bool {
            let key: Key = number.to_le_bytes().as_slice().into();
            if let Found::Object(object) = self.store.find(&key, |_| true) {
                self.store.note_hit(&key, &object, &mut self.log);
                return true;
            }
            let len = if number.is_multiple_of(8) { 200_000 } else { 2_000 };
            let _ = self.store.insert(&key, draft(&self.store, len));
            false
        }

        fn look(&mut self, course: &Course, learned: usize) -> Tended {
            self.store.tend(course, &mut self.watch, |shard| shard < learned)
        }

        /// Requests with looks between them.
        fn ask_and_look(&mut self, course: &Course, learned: usize) -> (u32, Tally) {
            let (mut hits, mut tally) = (0, Tally::default());
            for _ in 0..60 {
                hits += self.ask(1_000);
                let tended = self.look(course, learned);
                assert!(tended.turns.is_empty());
                tally.add(tended.tally);
            }
            (hits, tally)
        }
    }

    #[test]
    fn shards_turn_one_by_one_keep_what_they_hold_and_win_by_it() {
        let mut world = World::new(128 * MIB);
        let course = course(Kind::S3Fifo, 128 * MIB);
        assert_eq!(world.store.shards(), 2);
        world.look(&course, 0);
        let (_, tally) = world.ask_and_look(&course, 0);
        assert!(tally.requests > 10_000 && tally.learned > 1.02 * tally.baseline, "sizes differ: {tally:?}");
        let (before, _) = world.ask_and_look(&course, 0);
        let held = world.store.fill();
        let turns = world.look(&course, 1).turns;
        let gdsf = Policy::Setting(Setting::Gdsf { cost_exponent: 0.0, size_exponent: 1.0 });
        let turn = Turn { shard: 0, from: Policy::Plain(Kind::S3Fifo), to: gdsf, verdict: None };
        assert_eq!(turns, [turn]);
        assert_eq!(world.look(&course, 2).turns.len(), 1, "the other one");
        assert_eq!(world.store.fill(), held, "nothing leaves for it");
        world.ask_and_look(&course, 2);
        let (after, _) = world.ask_and_look(&course, 2);
        assert!(after > before, "{after} hits against {before}");
        let curve = world.watch.curve().unwrap();
        assert_eq!(curve.0[2].capacity_bytes, 128 * MIB, "in bytes of all shards");
        assert!(curve.at(512 * MIB) > curve.at(32 * MIB));
        let back = world.look(&course, 0).turns;
        assert!(back.len() == 2 && back[0].to == Policy::Plain(Kind::S3Fifo), "{back:?}");
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_and_seldom_happens_again() {
        let mut world = World::new(128 * MIB);
        let course = course(Kind::S3Fifo, 128 * MIB);
        world.look(&course, 0);
        let mut dropped = 0;
        for _ in 0..6 {
            // All alike: what is asked for most may be in every sample, and too much by itself.
            for _ in 0..30_000 {
                let number = world.dice.below(30_000);
                world.ask_for(number);
            }
            dropped = world.look(&course, 0).dropped;
            if dropped == 0 {
                break;
            }
        }
        assert_eq!(dropped, 0, "a smaller sample fits");
    }

    #[test]
    fn a_smaller_budget_is_kept_to_in_steps_and_a_larger_one_is_used() {
        let mut world = World::new(16 * MIB);
        let of = |budget| Course { duel: None, ..course(Kind::S3Fifo, budget) };
        world.ask(20_000);
        assert!(world.store.fill().bytes > 15 * MIB);
        let mut steps = 0;
        while world.look(&of(4 * MIB), 0).is_trimming {
            steps += 1;
            assert!(steps < 100);
        }
        assert!(steps > 0 && world.store.fill().bytes <= 4 * MIB, "{steps} {:?}", world.store.fill());
        world.ask(20_000);
        assert!(world.store.fill().bytes <= 4 * MIB);
        world.look(&of(32 * MIB), 0);
        world.ask(40_000);
        assert!(world.store.fill().bytes > 24 * MIB, "{:?}", world.store.fill());
        assert!(world.watch.curve().is_none(), "nobody watches");
    }
}
