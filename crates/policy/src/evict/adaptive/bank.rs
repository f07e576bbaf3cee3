//! The shadows: every setting as a cache of ids alone, on a share of the ids (spatial sampling as in SHARDS,
//! Waldspurger and others, FAST 2015) and with that share of the memory. Small caches are watched whole.

use super::ensemble::Set;
use super::judge::{Judge, Lead};
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
const EPOCH_LEAST: u64 = 64;
const EPOCH_MOST: u64 = 4_096;
/// Of the objects that a setting holds and the cache does not: by how many hits it must have led. A cache that cannot imitate
/// the shadows is taken to have none of them.
const PRICE: f64 = 0.1;
const PRICE_OF_ALL: f64 = 0.2;

pub(super) struct Bank {
    capacity: u64,
    goal: Goal,
    settings: Vec<Setting>,
    shadows: Vec<Box<dyn Evict + Send>>,
    /// One id in two to the power of this.
    shift: u32,
    leader: usize,
    judge: Judge,
    /// Requests in the sample, and sums of the sizes of their objects and of the squares.
    requests: u64,
    bytes: f64,
    squares: f64,
    in_epoch: u64,
    epoch: u64,
    /// With the last request: who holds its object now, and the ids that left by whom they left.
    pub(super) holders: Set,
    pub(super) gone: Vec<(usize, u64)>,
    left: Vec<u64>,
}

impl Bank {
    pub(super) fn new(capacity: u64, goal: Goal) -> Self {
        let settings = Setting::all(goal);
        Self {
            capacity,
            goal,
            shadows: settings.iter().map(|setting| setting.build(capacity)).collect(),
            shift: 0,
            leader: 0,
            judge: Judge::new(settings.len(), 0),
            settings,
            requests: 0,
            bytes: 0.0,
            squares: 0.0,
            in_epoch: 0,
            epoch: EPOCH_LEAST,
            holders: 0,
            gone: Vec::new(),
            left: Vec::new(),
        }
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

    /// Before there is evidence.
    pub(super) fn lead(&mut self, place: usize) {
        self.leader = place;
        self.judge.prefer(place);
    }

    /// How much the votes of each setting count.
    pub(super) fn weights(&self) -> Vec<f64> {
        self.judge.weights(self.leader)
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
        self.holders = 0;
        self.gone.clear();
        for (place, shadow) in self.shadows.iter_mut().enumerate() {
            if shadow.hit(id) {
                hits |= 1 << place;
                continue;
            }
            self.holders |= Set::from(shadow.admit(id, facts.size, facts.cost, &mut self.left)) << place;
            self.gone.extend(self.left.drain(..).map(|gone| (place, gone)));
        }
        self.holders |= hits;
        self.judge.note(hits, self.goal.worth(facts));
        let size = facts.size as f64;
        self.requests += 1;
        self.bytes += size;
        self.squares += size * size;
        self.in_epoch += 1;
        self.in_epoch >= self.epoch
    }

    /// Some: the leader was replaced. `shared` says how many of the objects of a setting the cache has; none where it
    /// cannot imitate the shadows.
    pub(super) fn end_epoch(&mut self, shared: Option<&dyn Fn(usize) -> u64>) -> Option<Lead> {
        self.in_epoch = 0;
        self.epoch = ((self.leading().count() as f64 * EPOCH_SHARE) as u64).clamp(EPOCH_LEAST, EPOCH_MOST);
        let (leader, shadows) = (self.leader, &self.shadows);
        let to_fetch = |place: usize| {
            let held = shadows[place].count() as u64;
            match shared {
                Some(shared) => PRICE * held.saturating_sub(shared(place)) as f64,
                None if place == leader => 0.0,
                None => PRICE_OF_ALL * held as f64,
            }
        };
        let lead = self.judge.end_epoch(leader, &to_fetch, shared.is_none())?;
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
        self.judge = Judge::new(self.settings.len(), self.leader);
    }

    /// The leader's next victim.
    pub(super) fn evict(&mut self) -> Option<u64> {
        self.shadows[self.leader].evict().map(|(id, _)| id)
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
            left: Vec::new(),
            ..*self
        }
    }
}

/// Ids need not be hashes; this spreads them otherwise than the index does, so that a sample fills it evenly.
pub(super) fn spread(id: u64) -> u64 {
    let mixed = (id ^ (id >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}
