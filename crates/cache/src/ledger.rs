//! What one shard holds, and which of it leaves for something new: a policy of `policy::evict` with the keys that
//! its ids stand for. It does not hold the objects.

use crate::key::Key;
use headgate_policy::evict::{Evict, Kind};
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
    policy: Box<dyn Evict + Send>,
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
        Self { policy: kind.build(capacity), owners: HashMap::default(), leaving: Vec::new() }
    }

    pub(crate) fn hit(&mut self, id: u64) {
        self.policy.hit(id);
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
        for gone in leaving.drain(..) {
            if let Some(owner) = self.owners.remove(&gone) {
                leaves(gone, &owner);
            }
        }
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
    }

    pub(crate) fn used(&self) -> u64 {
        self.policy.used()
    }

    pub(crate) fn count(&self) -> usize {
        self.policy.count()
    }
}
