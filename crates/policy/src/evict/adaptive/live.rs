//! The live cache where the shadows see only a sample: it runs a policy of its own, and when it turns to another it
//! keeps its contents, which leave one by one as room is needed.

use super::setting::Setting;
use crate::evict::{Evict, Facts};

/// Hits of the former contents between two misses that are noted; others move when they are hit again.
const MOST_MOVES: usize = 1_024;

pub(super) struct Live {
    capacity: u64,
    now: Box<dyn Evict + Send>,
    /// What the cache holds beside `now`, under the policy that it had.
    before: Option<Box<dyn Evict + Send>>,
    /// Of `before`, and hit: they go to `now` with the next miss, when there is somebody to tell what leaves.
    moves: Vec<u64>,
}

impl Live {
    pub(super) fn new(capacity: u64, setting: Setting, before: Box<dyn Evict + Send>) -> Self {
        Self { capacity, now: setting.build(capacity), before: Some(before), moves: Vec::new() }
    }

    pub(super) fn hit(&mut self, id: u64) -> bool {
        if self.now.hit(id) {
            return true;
        }
        let is_there = self.before.as_ref().is_some_and(|before| before.contains(id));
        if is_there && self.moves.len() < MOST_MOVES {
            self.moves.push(id);
        }
        is_there
    }

    pub(super) fn admit(&mut self, id: u64, facts: Facts, evicted: &mut Vec<u64>) -> bool {
        if self.before.is_none() {
            return self.now.admit(id, facts.size, facts.cost, evicted);
        }
        self.take_before(id);
        for id in std::mem::take(&mut self.moves) {
            if let Some(facts) = self.before.as_ref().and_then(|before| before.facts(id)) {
                self.take_before(id);
                if !self.now.admit(id, facts.size, facts.cost, evicted) {
                    evicted.push(id);
                }
            }
        }
        let admitted = self.now.admit(id, facts.size, facts.cost, evicted);
        while self.used() > self.capacity {
            let Some(gone) = self.before.as_mut().and_then(|before| before.evict()) else { break };
            evicted.push(gone);
        }
        if self.before.as_ref().is_some_and(|before| before.count() == 0) {
            self.before = None;
        }
        admitted
    }

    fn take_before(&mut self, id: u64) -> bool {
        self.before.as_mut().is_some_and(|before| before.remove(id))
    }

    /// Whether it can obey another policy already: not before the former contents are gone.
    pub(super) fn can_turn(&self) -> bool {
        self.before.is_none()
    }

    pub(super) fn turn(&mut self, setting: Setting) {
        self.moves.clear();
        self.before = Some(std::mem::replace(&mut self.now, setting.build(self.capacity)));
    }

    pub(super) fn evict(&mut self) -> Option<u64> {
        self.before.as_mut().and_then(|before| before.evict()).or_else(|| self.now.evict())
    }

    pub(super) fn remove(&mut self, id: u64) -> bool {
        self.take_before(id) || self.now.remove(id)
    }

    pub(super) fn facts(&self, id: u64) -> Option<Facts> {
        self.now.facts(id).or_else(|| self.before.as_ref().and_then(|before| before.facts(id)))
    }

    pub(super) fn each(&self, visit: &mut dyn FnMut(u64)) {
        if let Some(before) = &self.before {
            before.each(visit);
        }
        self.now.each(visit);
    }

    pub(super) fn used(&self) -> u64 {
        self.now.used() + self.before.as_ref().map_or(0, |before| before.used())
    }

    pub(super) fn count(&self) -> usize {
        self.now.count() + self.before.as_ref().map_or(0, |before| before.count())
    }
}

impl Clone for Live {
    fn clone(&self) -> Self {
        let before = self.before.as_ref().map(|before| before.boxed());
        Self { capacity: self.capacity, now: self.now.boxed(), before, moves: self.moves.clone() }
    }
}
