//! Eviction that tunes itself: the live cache runs one of a few settings, shadows of all of them run on a sample of
//! the same keys, and the live cache takes over the setting that serves the goal best there; where the shadows see all,
//! the others have a say by how good they are. What is compared is what the shadows did with the same requests; the hit
//! ratio over time, which moves with the traffic, steers nothing.

mod bank;
mod curve;
mod ensemble;
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
use ensemble::Ensemble;

/// The contents.
#[derive(Clone)]
enum Contents {
    /// The shadows see every request.
    Whole(Ensemble),
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
        let bank = Bank::new(capacity, goal);
        Self {
            capacity,
            contents: Contents::Whole(Ensemble::new(capacity, &bank.weights())),
            bank,
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
        if let Contents::Whole(ensemble) = &mut self.contents {
            ensemble.follow(id, self.bank.holders, &self.bank.gone);
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
            self.turn();
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
        let from = self.bank.leader();
        let lead = match &self.contents {
            Contents::Whole(ensemble) => self.bank.end_epoch(Some(&|place| ensemble.shared(place))),
            Contents::Sampled(live) if live.is_settled() => self.bank.end_epoch(None),
            Contents::Sampled(_) => return,
        };
        if lead.is_some() || matches!(self.contents, Contents::Whole(_)) {
            self.turn();
        }
        if let Some(lead) = lead {
            let (gain, error) = (lead.gain / lead.worth, lead.error / lead.worth);
            self.note(from, Reason::Lead { gain, error, is_undo: lead.is_undo });
        }
    }

    fn turn(&mut self) {
        match &mut self.contents {
            Contents::Whole(ensemble) => ensemble.weigh(&self.bank.weights()),
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
        let Contents::Whole(ensemble) = &self.contents else { return };
        let mut before = Fifo::new(self.capacity);
        self.each(&mut |id| {
            if let Some(facts) = ensemble.facts(id) {
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
            Contents::Whole(ensemble) => ensemble.contains(id),
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
        if let Contents::Whole(ensemble) = &mut self.contents {
            ensemble.remove(id);
        }
        self.count();
        self.observe(id, facts);
        match &mut self.contents {
            Contents::Whole(ensemble) => ensemble.admit(id, facts, self.bank.holders, evicted),
            Contents::Sampled(live) => live.admit(id, facts.size, facts.cost, evicted),
        }
    }

    fn evict(&mut self) -> Option<(u64, Facts)> {
        match &mut self.contents {
            Contents::Whole(ensemble) => loop {
                if let Some(gone) = ensemble.evict_without(self.bank.leader()) {
                    return Some(gone);
                }
                // The shadow may know another size, of before the object was replaced.
                let id = self.bank.evict()?;
                if let Some(facts) = ensemble.facts(id) {
                    ensemble.remove(id);
                    return Some((id, facts));
                }
            },
            Contents::Sampled(live) => live.evict(),
        }
    }

    fn remove(&mut self, id: u64) -> bool {
        self.bank.remove(id);
        self.sizes.remove(id);
        match &mut self.contents {
            Contents::Whole(ensemble) => ensemble.remove(id),
            Contents::Sampled(live) => live.remove(id),
        }
    }

    fn facts(&self, id: u64) -> Option<Facts> {
        match &self.contents {
            Contents::Whole(ensemble) => ensemble.facts(id),
            Contents::Sampled(live) => live.facts(id),
        }
    }

    fn each(&self, visit: &mut dyn FnMut(u64)) {
        match &self.contents {
            Contents::Whole(ensemble) => ensemble.each(visit),
            Contents::Sampled(live) => live.each(visit),
        }
    }

    fn boxed(&self) -> Box<dyn Evict + Send> {
        Box::new(self.clone())
    }

    fn used(&self) -> u64 {
        match &self.contents {
            Contents::Whole(ensemble) => ensemble.used(),
            Contents::Sampled(live) => live.used(),
        }
    }

    fn count(&self) -> usize {
        match &self.contents {
            Contents::Whole(ensemble) => ensemble.count(),
            Contents::Sampled(live) => live.count(),
        }
    }
}
