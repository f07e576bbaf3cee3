//! What one shard holds, and which of it leaves for something new: a policy of `policy::evict`, which can be exchanged,
//! with the keys that its ids stand for, and a duel that watches where one is wanted. It does not hold the objects.

use crate::key::Key;
use crate::rule::{Policy, Rule};
use headgate_policy::evict::adaptive::{Curve, Setting, Verdict};
use headgate_policy::evict::duel::{Duel, Plan, Tally};
use headgate_policy::evict::handover::Handover;
use headgate_policy::evict::{Evict, Facts, Kind};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Ids are hashes already.
#[derive(Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

pub(crate) struct Ledger {
    policy: Handover,
    rule: Rule,
    /// The one that has the rest of the contents, if there is a rest.
    former: Rule,
    duel: Option<Box<Duel>>,
    owners: HashMap<u64, Key, BuildHasherDefault<AsItIs>>,
    /// Ids that leave for the newest; kept for its allocation.
    leaving: Vec<u64>,
}

/// What became of an object that asked to be kept.
pub(crate) enum Admitted {
    Yes,
    /// The policy does not want it, or another object has its id.
    No,
}

impl Ledger {
    pub(crate) fn new(kind: Kind, capacity: u64) -> Self {
        let rule = Rule { policy: Policy::Plain(kind), capacity };
        Self {
            policy: Handover::new(capacity, rule.build()),
            rule,
            former: rule,
            duel: None,
            owners: HashMap::default(),
            leaving: Vec::new(),
        }
    }

    /// Another policy, or another size, takes over the contents; false when that cannot be yet, because the former
    /// change is not through. Takes no time: what is too much leaves with [`Self::trim`].
    pub(crate) fn follow(&mut self, rule: Rule) -> bool {
        if rule == self.rule {
            return true;
        }
        let turned = if rule == self.former && self.policy.turn_back() {
            true
        } else {
            self.policy.can_turn() && self.policy.turn(rule.build(), rule.capacity)
        };
        if turned {
            self.former = std::mem::replace(&mut self.rule, rule);
        }
        turned
    }

    pub(crate) fn rule(&self) -> Rule {
        self.rule
    }

    /// Lets go of what is beyond the capacity, at most so many objects; false when there is more to do.
    pub(crate) fn trim(&mut self, most: usize, mut leaves: impl FnMut(u64, &Key)) -> bool {
        let mut leaving = std::mem::take(&mut self.leaving);
        let is_done = self.policy.trim(most, &mut leaving);
        self.tell(&mut leaving, &mut leaves);
        self.leaving = leaving;
        is_done
    }

    /// Begins to watch, goes on, or stops.
    pub(crate) fn watch(&mut self, plan: Option<&Plan>, capacity: u64) {
        match plan {
            Some(plan) => match self.duel.as_mut().filter(|duel| duel.plan() == plan) {
                Some(duel) => duel.fit(capacity),
                None => self.duel = Some(Box::new(Duel::new(*plan, capacity))),
            },
            None => self.duel = None,
        }
    }

    /// What the duel saw since this was last asked, and what adaptive eviction decided meanwhile.
    pub(crate) fn take_duel(&mut self) -> (Tally, Vec<Verdict>) {
        let duel = self.duel.as_mut();
        duel.map_or_else(Default::default, |duel| (duel.take_tally(), duel.take_verdicts()))
    }

    /// What adaptive eviction would run this shard with.
    pub(crate) fn setting(&self) -> Option<Setting> {
        self.duel.as_ref()?.setting()
    }

    pub(crate) fn curve(&self) -> Option<Curve> {
        self.duel.as_ref()?.curve()
    }

    pub(crate) fn hit(&mut self, id: u64) {
        self.policy.hit(id);
        if let Some(duel) = self.duel.as_mut().filter(|duel| duel.sees(id))
            && let Some(facts) = self.policy.facts(id)
        {
            duel.observe(id, facts);
        }
    }

    fn tell(&mut self, leaving: &mut Vec<u64>, leaves: &mut impl FnMut(u64, &Key)) {
        for gone in leaving.drain(..) {
            if let Some(owner) = self.owners.remove(&gone) {
                leaves(gone, &owner);
            }
        }
    }

    /// Takes an object in and tells `leaves` who leaves for it.
    pub(crate) fn admit(
        &mut self,
        id: u64,
        key: &Key,
        size: u64,
        cost: f64,
        mut leaves: impl FnMut(u64, &Key),
    ) -> Admitted {
        // Two objects with one id: 64 bits of a keyed hash were not enough for once.
        if self.owners.get(&id).is_some_and(|owner| owner != key) {
            return Admitted::No;
        }
        let mut leaving = std::mem::take(&mut self.leaving);
        let admitted = self.policy.admit(id, size, cost, &mut leaving);
        if let Some(duel) = self.duel.as_mut().filter(|duel| duel.sees(id)) {
            duel.observe(id, Facts { size: size.max(1), cost });
        }
        self.tell(&mut leaving, &mut leaves);
        self.leaving = leaving;
        if !admitted {
            // It may have replaced an older one of the same id, which then is gone too.
            if !self.policy.contains(id)
                && let Some(owner) = self.owners.remove(&id)
            {
                leaves(id, &owner);
            }
            return Admitted::No;
        }
        self.owners.insert(id, Key::clone(key));
        Admitted::Yes
    }

    pub(crate) fn remove(&mut self, id: u64) {
        self.policy.remove(id);
        self.owners.remove(&id);
        if let Some(duel) = &mut self.duel {
            duel.remove(id);
        }
    }

    pub(crate) fn used(&self) -> u64 {
        self.policy.used()
    }

    pub(crate) fn count(&self) -> usize {
        self.policy.count()
    }
}
