//! Two policies on the same sample of a cache's ids, each as a small copy of it: what both save of the same requests is
//! the evidence by which a guard decides which of them runs the cache (the sampling after SHARDS, Waldspurger and others,
//! FAST 2015). It holds ids only and decides nothing itself.

use super::adaptive::{Adaptive, Curve, CurvePoint, Goal, Setting, Verdict};
use super::{Evict, Facts, Kind};
use headgate_model::dice::Dice;

/// Requests after which the sizes of objects are known well enough to choose the sample.
const FIRST_LOOK: u64 = 256;
/// Objects that a copy holds at most, about: of one cache, and of one shard of many.
const MOST_OBJECTS: u64 = 2_048;
const MOST_OBJECTS_OF_MANY: u64 = 512;
/// Fewer say too little.
const LEAST_OBJECTS: u64 = 128;
/// Times the objects that were expected, beyond which the sample is made smaller.
const EXCESS: u64 = 4;
/// In an A/A test each arm misses one hit in so many, each its own: or equals would never differ.
const MISSED: u64 = 16;

/// A part of the ids, which have to be hashes: one in two to the power of `shift`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    shift: u32,
}

impl Sample {
    #[must_use]
    pub fn has(self, id: u64) -> bool {
        // The lowest bits: the policies take samples of their own by others.
        id & ((1 << self.shift) - 1) == 0
    }
}

/// Who competes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Candidate {
    /// Eviction that tunes itself.
    Adaptive,
    /// The baseline itself: an A/A test.
    Baseline,
    #[cfg(test)]
    Fixed(Setting),
}

/// What a duel is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    pub candidate: Candidate,
    pub baseline: Kind,
    pub goal: Goal,
    /// Caches that hold a part of the objects each and have a duel each; together they see as much as one.
    pub shards: usize,
}

/// What both made of the sampled requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    pub requests: u64,
    /// Of all these requests, in the unit of the goal.
    pub worth: f64,
    /// Of those that the policies saved.
    pub learned: f64,
    pub baseline: f64,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.worth += other.worth;
        self.learned += other.learned;
        self.baseline += other.baseline;
    }
}

/// The copy that the candidate runs.
enum Contender {
    Adaptive(Box<Adaptive>),
    Other(Box<dyn Evict + Send>),
}

impl Contender {
    fn policy(&mut self) -> &mut dyn Evict {
        match self {
            Self::Adaptive(adaptive) => &mut **adaptive,
            Self::Other(other) => &mut **other,
        }
    }
}

struct Copies {
    /// One id in two to the power of this.
    shift: u32,
    learned: Contender,
    baseline: Box<dyn Evict + Send>,
    /// Of an A/A test, for each arm.
    dice: [Dice; 2],
}

/// The duel.
pub struct Duel {
    plan: Plan,
    capacity: u64,
    /// None before the sizes of objects are known.
    copies: Option<Copies>,
    /// Until then: requests and the bytes of their objects.
    seen: u64,
    bytes: u64,
    tally: Tally,
    gone: Vec<u64>,
}

impl Duel {
    /// For a cache, or a shard of one, of `capacity` bytes.
    #[must_use]
    pub fn new(plan: Plan, capacity: u64) -> Self {
        Self { plan, capacity, copies: None, seen: 0, bytes: 0, tally: Tally::default(), gone: Vec::new() }
    }

    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// From now on the cache is of `capacity` bytes. Another size is watched by new copies, which begin with the setting
    /// that was found best.
    pub fn fit(&mut self, capacity: u64) {
        if std::mem::replace(&mut self.capacity, capacity) != capacity && self.copies.is_some() {
            self.begin(self.fitting_shift());
        }
    }

    /// The part of the requests that it wants to see.
    #[must_use]
    pub fn sample(&self) -> Sample {
        Sample { shift: self.copies.as_ref().map_or(0, |copies| copies.shift) }
    }

    /// There are more requests than can be shown to it: from now on it wants half of them, unless those would say
    /// nothing.
    pub fn thin_out(&mut self) {
        let Sample { shift } = self.sample();
        if self.copies.is_some() && self.objects() >> (shift + 1) >= LEAST_OBJECTS {
            self.begin(shift + 1);
        }
    }

    /// Takes in a request. One that is not in the sample says nothing.
    pub fn observe(&mut self, id: u64, facts: Facts) {
        if !self.sample().has(id) {
            return;
        }
        let Some(copies) = &mut self.copies else {
            self.look(facts);
            return;
        };
        let worth = self.plan.goal.worth(facts);
        self.tally.requests += 1;
        self.tally.worth += worth;
        let is_a_a = self.plan.candidate == Candidate::Baseline;
        let [learned, baseline] = &mut copies.dice;
        for (policy, saved, dice) in [
            (copies.learned.policy(), &mut self.tally.learned, learned),
            (&mut *copies.baseline, &mut self.tally.baseline, baseline),
        ] {
            let is_missed = is_a_a && dice.below(MISSED) == 0;
            let is_hit = if is_missed { policy.contains(id) } else { policy.hit(id) };
            if is_hit {
                *saved += worth;
            } else {
                policy.admit(id, facts.size, facts.cost, &mut self.gone);
                self.gone.clear();
            }
        }
        let (shift, held) = (copies.shift, copies.baseline.count() as u64);
        if held > EXCESS * self.most_objects() {
            // Objects are much smaller than they were.
            self.begin((shift + 1).min(u64::BITS - 2));
        }
    }

    /// What happened since this was last asked.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Forgets an object, for a purge.
    pub fn remove(&mut self, id: u64) {
        if self.sample().has(id)
            && let Some(copies) = &mut self.copies
        {
            copies.learned.policy().remove(id);
            copies.baseline.remove(id);
        }
    }

    /// The setting that adaptive eviction would run the cache with. None before it knows, or where it does not compete.
    #[must_use]
    pub fn setting(&self) -> Option<Setting> {
        match self.copies.as_ref()?.learned {
            Contender::Adaptive(ref adaptive) => Some(adaptive.setting()),
            Contender::Other(_) => None,
        }
    }

    /// The changes of the setting since the last call.
    pub fn take_verdicts(&mut self) -> Vec<Verdict> {
        match self.copies.as_mut().map(|copies| &mut copies.learned) {
            Some(Contender::Adaptive(adaptive)) => adaptive.take_verdicts().0,
            _ => Vec::new(),
        }
    }

    /// What other sizes of this cache, or of this shard, would save.
    #[must_use]
    pub fn curve(&self) -> Option<Curve> {
        let copies = self.copies.as_ref()?;
        let Contender::Adaptive(adaptive) = &copies.learned else { return None };
        let scaled = |point: CurvePoint| CurvePoint {
            capacity_bytes: point.capacity_bytes.saturating_mul(1 << copies.shift),
            ..point
        };
        Some(Curve(adaptive.curve()?.0.into_iter().map(scaled).collect()))
    }

    fn most_objects(&self) -> u64 {
        (MOST_OBJECTS / self.plan.shards.max(1) as u64).max(MOST_OBJECTS_OF_MANY)
    }

    fn look(&mut self, facts: Facts) {
        self.seen += 1;
        self.bytes = self.bytes.saturating_add(facts.size);
        if self.seen < FIRST_LOOK {
            return;
        }
        self.begin(self.fitting_shift());
    }

    fn fitting_shift(&self) -> u32 {
        // A few thousand are reached long before the last.
        (0..u64::BITS - 1).find(|shift| self.objects() >> shift <= self.most_objects()).unwrap_or(0)
    }

    /// That the cache can hold, about.
    fn objects(&self) -> u64 {
        self.capacity / (self.bytes / self.seen.max(1)).max(1)
    }

    /// Both begin anew, with one id in two to the power of `shift`.
    fn begin(&mut self, shift: u32) {
        let Plan { candidate, baseline, goal, .. } = self.plan;
        let capacity = (self.capacity >> shift).max(1);
        let learned = match candidate {
            Candidate::Adaptive => {
                Contender::Adaptive(Box::new(Adaptive::at_scale(capacity, goal, self.setting())))
            }
            Candidate::Baseline => Contender::Other(baseline.build(capacity)),
            #[cfg(test)]
            Candidate::Fixed(setting) => Contender::Other(setting.build(capacity)),
        };
        let dice = [Dice::new(1), Dice::new(2)];
        self.copies = Some(Copies { shift, learned, baseline: baseline.build(capacity), dice });
    }
}

#[cfg(test)]
mod tests;
