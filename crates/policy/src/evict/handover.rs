//! A policy that can be exchanged for another under its contents: the new one begins empty beside the old one, whose
//! contents move over with the next misses, some with each, in the order in which they would have left, and at once when
//! they are hit. Nothing is lost by the exchange. It does not decide when.

use super::{Evict, Facts};

/// Policies whose contents may wait at once, beside the one that runs.
const MOST_FORMER: u32 = 4;
/// Hits of the former contents between two misses that are noted; others move when they are hit again.
const MOST_MOVES: usize = 1_024;
/// Of the former contents, those that move with each miss, so that no request pays for all.
const MOVED_EACH: usize = 32;

/// The contents, under one policy or under two.
pub struct Handover {
    capacity: u64,
    now: Box<dyn Evict + Send>,
    /// What the cache holds beside `now`, under the policy that it had.
    before: Option<Box<dyn Evict + Send>>,
    /// Policies in it.
    former: u32,
    /// The one that `before` is for.
    former_capacity: u64,
    /// Of `before`, and hit: they go to `now` with the next miss, when there is somebody to tell what leaves.
    moves: Vec<u64>,
    /// Whether some of them have moved: what would leave first is in `now` then.
    is_moving: bool,
}

impl Handover {
    /// Under one policy, which is for `capacity` bytes.
    #[must_use]
    pub fn new(capacity: u64, now: Box<dyn Evict + Send>) -> Self {
        Self {
            capacity,
            now,
            before: None,
            former: 0,
            former_capacity: capacity,
            moves: Vec::new(),
            is_moving: false,
        }
    }

    /// Bytes that it may hold.
    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Whether the former contents are gone.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.before.is_none()
    }

    /// Lets `next`, which is empty and for `capacity` bytes, take over; false when too many have done so lately. Where
    /// there is less room than before, [`Self::trim`] takes out what is too much.
    pub fn turn(&mut self, next: Box<dyn Evict + Send>, capacity: u64) -> bool {
        if self.former == MOST_FORMER {
            return false;
        }
        self.moves.clear();
        let now = std::mem::replace(&mut self.now, next);
        self.former_capacity = std::mem::replace(&mut self.capacity, capacity);
        let is_moving = std::mem::take(&mut self.is_moving);
        self.former += 1;
        // Contents that still wait go on doing so, before those of the policy that was exchanged now.
        self.before = Some(match self.before.take() {
            None => now,
            before => Box::new(Self { before, is_moving, ..Self::new(self.former_capacity, now) }),
        });
        true
    }

    /// Gives the contents back to the policy that had them, with what it knows and the room that it had; those of the other
    /// one move over to it. What had moved to that is new to it, or comes back as what it has evicted. False when it has none left.
    pub fn turn_back(&mut self) -> bool {
        let Some(before) = &mut self.before else { return false };
        self.moves.clear();
        std::mem::swap(before, &mut self.now);
        std::mem::swap(&mut self.former_capacity, &mut self.capacity);
        self.is_moving = false;
        true
    }

    /// Takes out what is beyond the capacity, at most so many objects. False when there is more to do.
    pub fn trim(&mut self, most: usize, evicted: &mut Vec<u64>) -> bool {
        for _ in 0..most {
            if self.used() <= self.capacity {
                break;
            }
            let Some((gone, _)) = self.evict() else { break };
            evicted.push(gone);
        }
        self.drop_empty();
        self.used() <= self.capacity
    }

    fn take_before(&mut self, id: u64) -> bool {
        self.before.as_mut().is_some_and(|before| before.remove(id))
    }

    fn evict_before(&mut self) -> Option<(u64, Facts)> {
        self.before.as_mut().and_then(|before| before.evict())
    }

    fn move_over(&mut self, id: u64, facts: Facts, evicted: &mut Vec<u64>) {
        if !self.now.adopt(id, facts, evicted) {
            evicted.push(id);
        }
    }

    /// Some of the former contents move over, but not `id`, which comes anew.
    fn move_some(&mut self, id: u64, evicted: &mut Vec<u64>) {
        self.take_before(id);
        // As long as there is too much, it leaves from its cold end.
        if self.used() <= self.capacity {
            for _ in 0..MOVED_EACH {
                let Some((id, facts)) = self.evict_before() else { break };
                self.is_moving = true;
                self.move_over(id, facts, evicted);
            }
        }
        for id in std::mem::take(&mut self.moves) {
            match self.before.as_ref().and_then(|before| before.facts(id)) {
                Some(facts) => {
                    self.take_before(id);
                    self.move_over(id, facts, evicted);
                }
                // It has moved by itself since; the hit counts all the same.
                None => _ = self.now.hit(id),
            }
        }
    }

    /// Makes room for an object, and lets `enter` put it in.
    fn enter(
        &mut self,
        id: u64,
        size: u64,
        evicted: &mut Vec<u64>,
        enter: impl FnOnce(&mut dyn Evict, &mut Vec<u64>) -> bool,
    ) -> bool {
        self.take_before(id);
        // After the capacity was lowered there may be more; it does not become even more.
        let most = self.used().max(self.capacity);
        // Room first, so that what comes is not what leaves.
        if size <= self.capacity {
            self.evict_down_to(most - size, evicted);
        }
        let entered = enter(&mut *self.now, evicted);
        self.evict_down_to(most, evicted);
        self.drop_empty();
        entered
    }

    fn evict_down_to(&mut self, bytes: u64, evicted: &mut Vec<u64>) {
        while self.used() > bytes {
            let Some((gone, _)) = self.evict() else { break };
            evicted.push(gone);
        }
    }

    fn drop_empty(&mut self) {
        if self.before.as_ref().is_some_and(|before| before.count() == 0) {
            (self.before, self.former, self.is_moving) = (None, 0, false);
        }
    }
}

impl Evict for Handover {
    fn hit(&mut self, id: u64) -> bool {
        if self.now.hit(id) {
            return true;
        }
        let is_there = self.before.as_ref().is_some_and(|before| before.contains(id));
        if is_there && self.moves.len() < MOST_MOVES {
            self.moves.push(id);
        }
        is_there
    }

    fn admit(&mut self, id: u64, size: u64, cost: f64, evicted: &mut Vec<u64>) -> bool {
        if self.before.is_none() {
            return self.now.admit(id, size, cost, evicted);
        }
        self.move_some(id, evicted);
        self.enter(id, size, evicted, |now, evicted| now.admit(id, size, cost, evicted))
    }

    /// Nothing else moves with it: that is for what comes from outside.
    fn adopt(&mut self, id: u64, facts: Facts, evicted: &mut Vec<u64>) -> bool {
        self.enter(id, facts.size, evicted, |now, evicted| now.adopt(id, facts, evicted))
    }

    fn evict(&mut self) -> Option<(u64, Facts)> {
        if self.is_moving {
            self.now.evict().or_else(|| self.evict_before())
        } else {
            self.evict_before().or_else(|| self.now.evict())
        }
    }

    fn remove(&mut self, id: u64) -> bool {
        self.take_before(id) || self.now.remove(id)
    }

    fn facts(&self, id: u64) -> Option<Facts> {
        self.now.facts(id).or_else(|| self.before.as_ref().and_then(|before| before.facts(id)))
    }

    fn each(&self, visit: &mut dyn FnMut(u64)) {
        if self.is_moving {
            self.now.each(visit);
        }
        if let Some(before) = &self.before {
            before.each(visit);
        }
        if !self.is_moving {
            self.now.each(visit);
        }
    }

    fn boxed(&self) -> Box<dyn Evict + Send> {
        Box::new(self.clone())
    }

    fn used(&self) -> u64 {
        self.now.used() + self.before.as_ref().map_or(0, |before| before.used())
    }

    fn count(&self) -> usize {
        self.now.count() + self.before.as_ref().map_or(0, |before| before.count())
    }
}

impl Clone for Handover {
    fn clone(&self) -> Self {
        let before = self.before.as_ref().map(|before| before.boxed());
        Self { now: self.now.boxed(), before, moves: self.moves.clone(), ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evict::Kind;
    use headgate_model::dice::Dice;
    use std::collections::{BTreeMap, BTreeSet};

    /// Full, with `all` objects of one byte that came in the order of their ids.
    fn full(kind: Kind, all: u64) -> (Handover, Vec<u64>) {
        let mut handover = Handover::new(all, kind.build(all));
        let mut gone = Vec::new();
        (0..all).for_each(|id| assert!(handover.admit(id, 1, 1.0, &mut gone)));
        (handover, gone)
    }

    /// Its objects in the order in which they leave.
    fn emptied(mut handover: Handover) -> Vec<u64> {
        std::iter::from_fn(|| Some(handover.evict()?.0)).collect()
    }

    /// Whatever turns there are, what it says it holds is what was admitted and neither evicted nor removed.
    #[test]
    fn nothing_is_lost_or_held_twice_through_turns_and_other_sizes() {
        for seed in 0..20 {
            let mut dice = Dice::new(seed);
            let mut handover = Handover::new(100_000, Kind::S3Fifo.build(100_000));
            // Their sizes by id.
            let (mut held, mut gone) = (BTreeMap::new(), Vec::new());
            let (mut capacity, mut former, mut turns) = (100_000, 100_000, 0);
            for _ in 0..20_000 {
                let id = dice.below(400);
                match dice.below(1_000) {
                    0 => {
                        let kind = Kind::ALL[dice.below(Kind::ALL.len() as u64) as usize];
                        let other = [50_000, 100_000, 200_000][dice.below(3) as usize];
                        if handover.turn(kind.build(other), other) {
                            (former, capacity, turns) = (capacity, other, turns + 1);
                        }
                    }
                    1 => {
                        if handover.turn_back() {
                            (former, capacity) = (capacity, former);
                        }
                    }
                    2..10 => assert_eq!(handover.remove(id), held.remove(&id).is_some()),
                    10..400 => assert_eq!(handover.hit(id), held.contains_key(&id), "seed {seed}"),
                    _ => {
                        let before = handover.used();
                        let size = 1 + dice.below(2_000);
                        let admitted = handover.admit(id, size, 1.0, &mut gone);
                        gone.iter().for_each(|gone| assert!(held.remove(gone).is_some(), "seed {seed}"));
                        held.remove(&id);
                        if admitted {
                            held.insert(id, size);
                        }
                        assert!(handover.used() <= capacity.max(before), "seed {seed}");
                        gone.clear();
                    }
                }
                let is_done = handover.trim(2, &mut gone);
                gone.drain(..).for_each(|gone| assert!(held.remove(&gone).is_some(), "seed {seed}"));
                assert_eq!(is_done, handover.used() <= capacity);
                assert_eq!(handover.count(), held.len(), "seed {seed}");
                assert_eq!(handover.used(), held.values().sum::<u64>(), "seed {seed}");
            }
            assert!(turns > 10, "seed {seed}: {turns}");
            let mut visited = BTreeSet::new();
            handover.each(&mut |id| assert!(visited.insert(id)));
            assert!(visited.iter().eq(held.keys()), "seed {seed}");
        }
    }

    #[test]
    fn the_contents_move_over_in_the_order_in_which_they_would_have_left_and_hits_count() {
        let all = 4 * MOVED_EACH as u64;
        let (mut handover, mut gone) = full(Kind::Fifo, all);
        assert!(handover.turn(Kind::Lru.build(all), all) && !handover.is_settled());
        assert!(handover.hit(1));
        (all..all + 5).for_each(|id| assert!(handover.admit(id, 1, 1.0, &mut gone)));
        assert!(handover.is_settled(), "{MOVED_EACH} with each");
        assert_eq!(gone, [0, 2, 3, 4, 5], "the oldest but for the one that was hit");
        let order = emptied(handover);
        assert_eq!(order.len() as u64, all);
        let hit = order.iter().position(|id| *id == 1).unwrap();
        assert_eq!(order[hit - 1], MOVED_EACH as u64 - 1, "before the next ones moved: {order:?}");
        assert!(order.iter().filter(|id| (2..all).contains(id)).is_sorted(), "{order:?}");
    }

    #[test]
    fn what_moves_to_a_policy_with_a_probation_has_passed_it() {
        let all = 100 * MOVED_EACH as u64;
        let (mut handover, mut gone) = full(Kind::Lru, all);
        assert!(handover.turn(Kind::S3Fifo.build(all), all));
        // A flood of what nobody asks for again.
        (all..3 * all).for_each(|id| assert!(handover.admit(id, 1, 1.0, &mut gone)));
        let stayed = (0..all).filter(|id| handover.contains(*id)).count() as u64;
        assert!(handover.is_settled() && stayed > all * 8 / 10, "{stayed} of {all}");
    }

    #[test]
    fn where_there_is_less_room_the_coldest_leave() {
        let all = 16 * MOVED_EACH as u64;
        let (mut handover, mut gone) = full(Kind::Lru, all);
        assert!(handover.turn(Kind::Lru.build(all / 2), all / 2));
        let mut came = 0;
        while !handover.trim(8, &mut gone) {
            // In between others come.
            came += 1;
            assert!(handover.admit(all + came, 1, 1.0, &mut gone));
        }
        assert_eq!(gone.len() as u64, all / 2 + came);
        assert!(gone.iter().all(|id| *id < all / 2 + came), "{gone:?}");
    }

    #[test]
    fn a_policy_that_comes_back_finds_what_it_knew_of_what_it_still_has() {
        let all = 4 * MOVED_EACH as u64;
        let (mut handover, mut gone) = full(Kind::Lru, all);
        // Newest of all.
        handover.hit(all - 3);
        assert!(handover.turn(Kind::Fifo.build(all), all));
        assert!(handover.admit(all, 1, 1.0, &mut gone) && handover.turn_back());
        (all + 1..all + 9).for_each(|id| assert!(handover.admit(id, 1, 1.0, &mut gone)));
        assert!(handover.is_settled() && !handover.turn_back());
        let order = emptied(handover);
        let place = |id: u64| order.iter().position(|other| *other == id).unwrap();
        assert!(place(all - 3) > place(all - 1) && place(all - 1) > place(all - 2), "{order:?}");
    }

    #[test]
    fn it_can_be_exchanged_again_before_all_is_handed_over_but_not_without_end() {
        let all = 8 * MOVED_EACH as u64;
        let (mut handover, mut gone) = full(Kind::Lru, all);
        for step in 0..u64::from(MOST_FORMER) {
            assert!(handover.turn(Kind::Fifo.build(all), all), "{step}");
            assert!(handover.admit(all + step, 1, 1.0, &mut gone));
        }
        assert!(!handover.turn(Kind::Fifo.build(all), all));
        (2 * all..2 * all + 9).for_each(|id| assert!(handover.admit(id, 1, 1.0, &mut gone)));
        assert!(handover.is_settled() && handover.count() as u64 == all);
        assert_eq!(gone, (0..13).collect::<Vec<u64>>(), "the oldest contents first");
        assert!(handover.turn(Kind::Lru.build(all), all));
    }
}
