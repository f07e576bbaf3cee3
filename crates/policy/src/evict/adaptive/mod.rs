//! Eviction that tunes itself: the live cache runs one of a few settings, shadows of all of them run on a sample of
//! the same keys, and the live cache takes over the setting that serves the goal best there. What is compared is
//! what the shadows did with the same requests; the hit ratio over time, which moves with the traffic, steers nothing.

mod bank;
mod curve;
mod follower;
mod judge;
mod setting;
#[cfg(test)]
mod tests;
mod verdict;

pub use curve::{Curve, CurvePoint};
pub use setting::{Goal, Setting};
pub use verdict::{Reason, Verdict};

use super::fifo::Fifo;
use super::handover::Handover;
use super::{Evict, Facts};
use bank::Bank;
use curve::Sizes;
use follower::Follower;

/// The contents.
#[derive(Clone)]
enum Contents {
    /// The shadows see every request.
    Whole(Follower),
    /// They see a sample.
    Sampled(Handover),
}

/// Verdicts that are kept until somebody takes them.
const MOST_VERDICTS: usize = 16;

/// The policy.
#[derive(Clone)]
pub struct Adaptive {
    capacity: u64,
    contents: Contents,
    bank: Bank,
    sizes: Sizes,
    requests: u64,
    verdicts: Vec<Verdict>,
    lost_verdicts: u64,
}

impl Adaptive {
    #[must_use]
    pub fn new(capacity: u64, goal: Goal) -> Self {
        Self {
            capacity,
            contents: Contents::Whole(Follower::new(capacity)),
            bank: Bank::new(capacity, goal),
            sizes: Sizes::new(capacity, goal),
            requests: 0,
            verdicts: Vec::new(),
            lost_verdicts: 0,
        }
    }

    /// A small copy of a large cache, for a sample of its ids: it sees all of the sample, and moves between settings as
    /// the large one would, whose contents are at stake. It begins with `first`, if that is one of its own.
    #[must_use]
    pub fn at_scale(capacity: u64, goal: Goal, first: Option<Setting>) -> Self {
        let mut adaptive = Self::new(capacity, goal);
        adaptive.bank.stake_all();
        if let Some(first) = first.and_then(|first| adaptive.bank.place_of(first)) {
            adaptive.bank.lead(first);
        }
        adaptive.contents = Contents::Sampled(Handover::new(capacity, adaptive.setting().build(capacity)));
        adaptive
    }

    /// The setting by which the cache runs.
    #[must_use]
    pub fn setting(&self) -> Setting {
        self.bank.setting(self.bank.leader())
    }

    /// The changes since the last call, for the decision journal, and how many were lost because nobody called.
    pub fn take_verdicts(&mut self) -> (Vec<Verdict>, u64) {
        (std::mem::take(&mut self.verdicts), std::mem::take(&mut self.lost_verdicts))
    }

    /// What a quarter of the memory to four times of it would save; none before enough requests.
    #[must_use]
    pub fn curve(&self) -> Option<Curve> {
        self.sizes.curve()
    }

    fn count(&mut self) {
        self.requests += 1;
        self.sizes.count();
    }

    /// The shadows see a request.
    fn observe(&mut self, id: u64, facts: Facts) {
        if self.sizes.samples(id) {
            self.sizes.observe(id, facts);
        }
        if !self.bank.samples(id) {
            return;
        }
        let is_over = self.bank.observe(id, facts);
        if let Contents::Whole(follower) = &mut self.contents {
            follower.follow(id, self.bank.leading(), &self.bank.gone);
        }
        if self.bank.is_first_look() {
            self.first_look();
        } else if is_over {
            self.steer();
        }
    }

    /// The sizes of objects are known now.
    fn first_look(&mut self) {
        self.sizes.begin(self.bank.mean_size());
        let (from, to) = (self.bank.leader(), self.bank.prior());
        if from != to {
            self.bank.lead(to);
            self.turn(from);
            self.note(from, Reason::SizesDiffer);
        }
        let shift = self.bank.fitting_shift();
        if shift > 0 {
            self.split();
            self.bank.sample(shift);
        }
    }

    /// After an epoch.
    fn steer(&mut self) {
        if matches!(&self.contents, Contents::Sampled(live) if !live.is_settled()) {
            return;
        }
        let from = self.bank.leader();
        let Some(lead) = self.bank.end_epoch() else { return };
        self.turn(from);
        let (gain, error) = (lead.gain / lead.worth, lead.error / lead.worth);
        self.note(from, Reason::Lead { gain, error, is_undo: lead.is_undo });
    }

    fn turn(&mut self, from: usize) {
        match &mut self.contents {
            Contents::Whole(follower) => follower.turn(self.bank.shadow(from), self.bank.leading()),
            Contents::Sampled(live) => {
                live.turn(self.bank.setting(self.bank.leader()).build(self.capacity), self.capacity);
            }
        }
    }

    fn note(&mut self, from: usize, reason: Reason) {
        if self.verdicts.len() >= MOST_VERDICTS {
            self.lost_verdicts += 1;
            return;
        }
        let to = self.bank.leader();
        self.verdicts.push(Verdict {
            from: self.bank.setting(from),
            to: self.bank.setting(to),
            reason,
            from_saved: self.bank.saved(from),
            to_saved: self.bank.saved(to),
            requests: self.requests,
            sample: 1.0 / f64::from(self.bank.shift()).exp2(),
        });
    }

    /// When the sample is not all any more, the contents need a policy of their own.
    fn split(&mut self) {
        let Contents::Whole(follower) = &self.contents else { return };
        let mut before = Fifo::new(self.capacity);
        self.each(&mut |id| {
            if let Some(facts) = follower.facts(id) {
                before.admit(id, facts.size, facts.cost, &mut Vec::new());
            }
        });
        let mut live = Handover::new(self.capacity, Box::new(before));
        live.turn(self.setting().build(self.capacity), self.capacity);
        self.contents = Contents::Sampled(live);
    }
}

impl Evict for Adaptive {
    fn hit(&mut self, id: u64) -> bool {
        let is_there = match &mut self.contents {
            Contents::Whole(follower) => follower.contains(id),
            Contents::Sampled(live) => live.hit(id),
        };
        if !is_there {
            return false;
        }
        self.count();
        if (self.bank.samples(id) || self.sizes.samples(id))
            && let Some(facts) = self.facts(id)
        {
            self.observe(id, facts);
        }
        true
    }

    fn admit(&mut self, id: u64, size: u64, cost: f64, evicted: &mut Vec<u64>) -> bool {
        let facts = Facts { size: size.max(1), cost };
        if let Contents::Whole(follower) = &mut self.contents {
            follower.remove(id);
        }
        self.count();
        self.observe(id, facts);
        match &mut self.contents {
            Contents::Whole(follower) => follower.admit(id, facts, self.bank.leading(), evicted),
            Contents::Sampled(live) => live.admit(id, facts.size, facts.cost, evicted),
        }
    }

    fn evict(&mut self) -> Option<u64> {
        match &mut self.contents {
            Contents::Whole(follower) => loop {
                if let Some(gone) = follower.evict() {
                    return Some(gone);
                }
                let gone = self.bank.evict()?;
                if follower.remove(gone) {
                    return Some(gone);
                }
            },
            Contents::Sampled(live) => live.evict(),
        }
    }

    fn remove(&mut self, id: u64) -> bool {
        self.bank.remove(id);
        self.sizes.remove(id);
        match &mut self.contents {
            Contents::Whole(follower) => follower.remove(id),
            Contents::Sampled(live) => live.remove(id),
        }
    }

    fn facts(&self, id: u64) -> Option<Facts> {
        match &self.contents {
            Contents::Whole(follower) => follower.facts(id),
            Contents::Sampled(live) => live.facts(id),
        }
    }

    fn each(&self, visit: &mut dyn FnMut(u64)) {
        match &self.contents {
            Contents::Whole(follower) => follower.each(self.bank.leading(), visit),
            Contents::Sampled(live) => live.each(visit),
        }
    }

    fn boxed(&self) -> Box<dyn Evict + Send> {
        Box::new(self.clone())
    }

    fn used(&self) -> u64 {
        match &self.contents {
            Contents::Whole(follower) => follower.used(),
            Contents::Sampled(live) => live.used(),
        }
    }

    fn count(&self) -> usize {
        match &self.contents {
            Contents::Whole(follower) => follower.count(),
            Contents::Sampled(live) => live.count(),
        }
    }
}
