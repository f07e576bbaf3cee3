//! What one shard holds, and which of it leaves for something new: a policy of `policy::evict`, which can be exchanged,
//! with the keys that its ids stand for, and a sample of what happened to them, for who wants it. It does not hold the
//! objects.

use crate::key::Key;
use crate::rule::{Policy, Rule};
use headgate_policy::evict::duel::Sample;
use headgate_policy::evict::prefetched::Prefetched;
use headgate_policy::evict::{Facts, Kind};
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

/// Of a shard, for what was fetched ahead and not asked for yet.
const AHEAD_SHARE: f64 = 0.08;

/// What happened to the ids of a sample, in its order.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// An id was asked for, and what is known of its object; or without facts, it was taken away.
    pub noted: Vec<(u64, Option<Facts>)>,
    /// There was no room for so many.
    pub dropped: u64,
}

/// Events that wait for who wants to see them.
const EVENTS_MAX: usize = 2_048;

impl Events {
    fn note(&mut self, id: u64, facts: Option<Facts>) {
        if self.noted.len() < EVENTS_MAX {
            self.noted.push((id, facts));
        } else {
            self.dropped += 1;
        }
    }
}

pub(crate) struct Ledger {
    policy: Prefetched,
    rule: Rule,
    /// The one that has the rest of the contents, if there is a rest.
    former: Rule,
    /// What somebody wants to see, and what there was of it.
    watched: Option<Sample>,
    pub(crate) events: Events,
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
            policy: Prefetched::new(capacity, AHEAD_SHARE, rule.build()),
            rule,
            former: rule,
            watched: None,
            events: Events::default(),
            owners: HashMap::default(),
            leaving: Vec::new(),
        }
    }

    /// Another policy, or another size, takes over the contents; false when there were too many changes
    /// lately. The contents move over with later admissions, and what is too much leaves with [`Self::trim`].
    pub(crate) fn follow(&mut self, rule: Rule) -> bool {
        if rule == self.rule {
            return true;
        }
        let turned = if rule == self.former && self.policy.turn_back() {
            true
        } else {
            self.policy.turn(rule.build(), rule.capacity)
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

    /// From now on notes what happens to the ids of a sample, or nothing.
    pub(crate) fn watch(&mut self, sample: Option<Sample>) {
        self.watched = sample;
    }

    /// Notes a hit, and tells `leaves` who leaves when what was fetched ahead becomes one of the others.
    pub(crate) fn hit(&mut self, id: u64, mut leaves: impl FnMut(u64, &Key)) {
        let mut leaving = std::mem::take(&mut self.leaving);
        self.policy.request(id, &mut leaving);
        self.tell(&mut leaving, &mut leaves);
        self.leaving = leaving;
        if self.is_watched(id)
            && let Some(facts) = self.policy.facts(id)
        {
            self.events.note(id, Some(facts));
        }
    }

    fn tell(&mut self, leaving: &mut Vec<u64>, leaves: &mut impl FnMut(u64, &Key)) {
        for gone in leaving.drain(..) {
            if let Some(owner) = self.owners.remove(&gone) {
                leaves(gone, &owner);
            }
        }
    }

    /// Takes an object in, in the queue of what nobody asked for where `ahead`, and tells `leaves` who leaves for it.
    pub(crate) fn admit(
        &mut self,
        id: u64,
        key: &Key,
        (size, cost): (u64, f64),
        ahead: bool,
        mut leaves: impl FnMut(u64, &Key),
    ) -> Admitted {
        // Two objects with one id: 64 bits of a keyed hash were not enough for once.
        if self.owners.get(&id).is_some_and(|owner| owner != key) {
            return Admitted::No;
        }
        let mut leaving = std::mem::take(&mut self.leaving);
        let admitted = if ahead {
            self.policy.admit_ahead(id, size, cost, &mut leaving)
        } else {
            self.policy.admit(id, size, cost, &mut leaving)
        };
        // Nobody has asked for what was fetched ahead.
        if !ahead && self.is_watched(id) {
            self.events.note(id, Some(Facts { size: size.max(1), cost }));
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
        if self.is_watched(id) {
            self.events.note(id, None);
        }
    }

    fn is_watched(&self, id: u64) -> bool {
        self.watched.is_some_and(|sample| sample.has(id))
    }

    pub(crate) fn used(&self) -> u64 {
        self.policy.used()
    }

    pub(crate) fn count(&self) -> usize {
        self.policy.count()
    }
}
