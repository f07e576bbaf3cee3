//! The shadows: every setting as a cache of ids alone, on a share of the ids (spatial sampling as in SHARDS,
//! Waldspurger and others, FAST 2015) and with that share of the memory. Small caches are watched whole.

use super::judge::{Judge, Lead, Rules};
use super::setting::{Goal, Setting};
use crate::evict::{Evict, Facts};

/// Objects that a shadow holds, about; beyond it a sample is enough.
const MOST_OBJECTS: u64 = 8_192;
/// Requests after which the sizes of objects are known well enough to choose the share.
const FIRST_LOOK: u64 = 256;
/// Sizes differ if their standard deviation is above this share of their mean.
const SIZES_DIFFER: f64 = 0.5;
/// An epoch: requests in the sample, for each object that the leader holds there, and the bounds.
const EPOCH_SHARE: f64 = 0.125;
const EPOCH_LEAST: u64 = 32;
const EPOCH_MOST: u64 = 4_096;
const RULES: Rules = Rules { memory: 0.99, errors: 2.0, price: 0.5 };

pub(super) struct Bank {
    capacity: u64,
    goal: Goal,
    settings: Vec<Setting>,
    shadows: Vec<Box<dyn Evict + Send>>,
    /// One id in two to the power of this.
    shift: u32,
    /// The cache cannot keep what another policy would have let go.
    stakes_all: bool,
    leader: usize,
    judge: Judge,
    /// Requests in the sample, and sums of the sizes of their objects and of the squares.
    requests: u64,
    bytes: f64,
    squares: f64,
    in_epoch: u64,
    epoch: u64,
    /// Ids that left the leader with the last request.
    pub(super) gone: Vec<u64>,
    others_gone: Vec<u64>,
}

impl Bank {
    pub(super) fn new(capacity: u64, goal: Goal) -> Self {
        let settings = Setting::all(goal);
        Self {
            capacity,
            goal,
            shadows: settings.iter().map(|setting| setting.build(capacity)).collect(),
            shift: 0,
            stakes_all: false,
            leader: 0,
            judge: Judge::new(settings.len(), RULES),
            settings,
            requests: 0,
            bytes: 0.0,
            squares: 0.0,
            in_epoch: 0,
            epoch: EPOCH_LEAST,
            gone: Vec::new(),
            others_gone: Vec::new(),
        }
    }

    /// From now on the price of a move is all that the new setting holds.
    pub(super) fn stake_all(&mut self) {
        self.stakes_all = true;
    }

    pub(super) fn setting(&self, place: usize) -> Setting {
        self.settings[place]
    }

    pub(super) fn place_of(&self, setting: Setting) -> Option<usize> {
        self.settings.iter().position(|known| *known == setting)
    }

    pub(super) fn leader(&self) -> usize {
        self.leader
    }

    pub(super) fn lead(&mut self, place: usize) {
        self.leader = place;
    }

    pub(super) fn shadow(&self, place: usize) -> &dyn Evict {
        &*self.shadows[place]
    }

    pub(super) fn leading(&self) -> &dyn Evict {
        self.shadow(self.leader)
    }

    /// Share of the requests, bytes or costs that a setting saved lately in the sample.
    pub(super) fn saved(&self, place: usize) -> f64 {
        self.judge.saved(place)
    }

    /// The sample is one id in two to the power of this.
    pub(super) fn shift(&self) -> u32 {
        self.shift
    }

    pub(super) fn samples(&self, id: u64) -> bool {
        self.shift == 0 || spread(id) >> (u64::BITS - self.shift) == 0
    }

    /// Plays a request that is in the sample. True: an epoch is over.
    pub(super) fn observe(&mut self, id: u64, facts: Facts) -> bool {
        let mut hits = 0;
        self.gone.clear();
        for (place, shadow) in self.shadows.iter_mut().enumerate() {
            if shadow.hit(id) {
                hits |= 1 << place;
                continue;
            }
            let gone = if place == self.leader { &mut self.gone } else { &mut self.others_gone };
            shadow.admit(id, facts.size, facts.cost, gone);
            self.others_gone.clear();
        }
        self.judge.note(hits, self.goal.worth(facts));
        let size = facts.size as f64;
        self.requests += 1;
        self.bytes += size;
        self.squares += size * size;
        self.in_epoch += 1;
        self.in_epoch >= self.epoch
    }

    /// Some: the leader was replaced.
    pub(super) fn end_epoch(&mut self) -> Option<Lead> {
        self.in_epoch = 0;
        self.epoch = ((self.leading().count() as f64 * EPOCH_SHARE) as u64).clamp(EPOCH_LEAST, EPOCH_MOST);
        let (leading, shadows, goal) = (&*self.shadows[self.leader], &self.shadows, self.goal);
        // What only saw a sample begins anew in the cache: all that the shadow holds is at stake.
        let is_whole = self.shift == 0 && !self.stakes_all;
        let held = |place: usize| {
            let (shadow, mut worth) = (&*shadows[place], 0.0);
            shadow.each(&mut |id| {
                if !(is_whole && leading.contains(id)) {
                    worth += shadow.facts(id).map_or(0.0, |facts| goal.worth(facts));
                }
            });
            worth
        };
        let lead = self.judge.end_epoch(self.leader, &held)?;
        self.leader = lead.to;
        Some(lead)
    }

    /// Whether enough requests were seen to choose the share of the ids, just now.
    pub(super) fn is_first_look(&self) -> bool {
        self.requests == FIRST_LOOK
    }

    /// In bytes, of the objects of the requests so far.
    pub(super) fn mean_size(&self) -> u64 {
        (self.bytes / self.requests.max(1) as f64).max(1.0) as u64
    }

    /// Where sizes differ, the setting that minds them; it is no better elsewhere.
    pub(super) fn prior(&self) -> usize {
        let mean = self.bytes / self.requests.max(1) as f64;
        let deviation = (self.squares / self.requests.max(1) as f64 - mean * mean).max(0.0).sqrt();
        let minds = self.goal != Goal::Bytes && deviation > SIZES_DIFFER * mean;
        if minds { self.settings.len() - 1 } else { self.leader }
    }

    /// One id in two to the power of this is enough, by how many objects the cache can hold.
    pub(super) fn fitting_shift(&self) -> u32 {
        let objects = self.capacity / self.mean_size();
        (0..u64::BITS - 1).find(|shift| objects >> shift <= MOST_OBJECTS).unwrap_or(u64::BITS - 1)
    }

    /// From now on the shadows see that share of the ids; they begin anew.
    pub(super) fn sample(&mut self, shift: u32) {
        self.shift = shift;
        let capacity = (self.capacity >> shift).max(1);
        self.shadows = self.settings.iter().map(|setting| setting.build(capacity)).collect();
        self.judge = Judge::new(self.settings.len(), RULES);
    }

    /// The leader's next victim.
    pub(super) fn evict(&mut self) -> Option<u64> {
        self.shadows[self.leader].evict()
    }

    pub(super) fn remove(&mut self, id: u64) {
        if self.samples(id) {
            self.shadows.iter_mut().for_each(|shadow| {
                shadow.remove(id);
            });
        }
    }
}

impl Clone for Bank {
    fn clone(&self) -> Self {
        Self {
            shadows: self.shadows.iter().map(|shadow| shadow.boxed()).collect(),
            settings: self.settings.clone(),
            judge: self.judge.clone(),
            gone: self.gone.clone(),
            others_gone: Vec::new(),
            ..*self
        }
    }
}

/// Ids need not be hashes; this spreads them otherwise than the index does, so that a sample fills it evenly.
pub(super) fn spread(id: u64) -> u64 {
    let mixed = (id ^ (id >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}
