//! A cache in front of a service: a fixed share of the reads, or the keys read last. It keeps keys, not bodies.

use super::spec::CacheSpec;
use crate::workload::SpecError;
use headgate_model::dice::Dice;
use headgate_policy::balance::hash::mix;

/// Keys that a simulated cache may keep.
const KEYS_MAX: u32 = 1 << 24;
const NONE: u32 = u32::MAX;

#[derive(Clone, Debug)]
pub(super) enum Cache {
    Ratio(f64),
    Lru(Lru),
}

impl Cache {
    pub(super) fn new(spec: &CacheSpec) -> Result<Self, SpecError> {
        match spec {
            CacheSpec::Ratio(ratio) if (0.0..=1.0).contains(ratio) => Ok(Self::Ratio(*ratio)),
            CacheSpec::Ratio(ratio) => {
                Err(SpecError::new("ratio", format!("is {ratio}"), "write a share from 0 to 1"))
            }
            CacheSpec::Lru(keys) if (1..=KEYS_MAX).contains(keys) => Ok(Self::Lru(Lru::new(*keys))),
            CacheSpec::Lru(keys) => {
                Err(SpecError::new("lru", format!("is {keys}"), "write a number of keys from 1 to 16777216"))
            }
        }
    }

    /// Whether a read of `key` is answered from here.
    pub(super) fn has(&mut self, key: u64, dice: &mut Dice) -> bool {
        match self {
            Self::Ratio(ratio) => dice.unit() < *ratio,
            Self::Lru(lru) => lru.touch(key),
        }
    }

    /// The service has answered a read of `key`.
    pub(super) fn store(&mut self, key: u64) {
        if let Self::Lru(lru) = self {
            lru.insert(key);
        }
    }

    /// The key has been written.
    pub(super) fn purge(&mut self, key: u64) {
        if let Self::Lru(lru) = self {
            lru.remove(key);
        }
    }
}

/// Least recently used: a hash table of chains over a fixed array of entries in order of use.
#[derive(Clone, Debug)]
pub(super) struct Lru {
    entries: Vec<Entry>,
    /// First entry of each chain.
    chains: Vec<u32>,
    capacity: usize,
    newest: u32,
    oldest: u32,
    /// First entry that was removed and not used again.
    free: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: u64,
    newer: u32,
    older: u32,
    /// The next of its chain, or the next free one.
    next: u32,
}

impl Lru {
    fn new(capacity: u32) -> Self {
        let chains = (capacity as usize).next_power_of_two();
        let entries = Vec::new();
        Self {
            entries,
            chains: vec![NONE; chains],
            capacity: capacity as usize,
            newest: NONE,
            oldest: NONE,
            free: NONE,
        }
    }

    /// Whether the key is there; if so it is now the newest.
    fn touch(&mut self, key: u64) -> bool {
        let Some(index) = self.find(key) else { return false };
        self.unlink(index);
        self.link(index);
        true
    }

    fn insert(&mut self, key: u64) {
        if self.touch(key) {
            return;
        }
        if self.free == NONE && self.entries.len() >= self.capacity {
            let oldest = self.entries[self.oldest as usize].key;
            self.remove(oldest);
        }
        let chain = self.chain(key);
        let entry = Entry { key, newer: NONE, older: NONE, next: self.chains[chain] };
        let index = match self.free {
            NONE => {
                self.entries.push(entry);
                self.entries.len() as u32 - 1
            }
            free => {
                self.free = self.entries[free as usize].next;
                self.entries[free as usize] = entry;
                free
            }
        };
        self.chains[chain] = index;
        self.link(index);
    }

    fn remove(&mut self, key: u64) {
        let Some(index) = self.find(key) else { return };
        self.unlink(index);
        let next = self.entries[index as usize].next;
        let chain = self.chain(key);
        let mut at = self.chains[chain];
        if at == index {
            self.chains[chain] = next;
        } else {
            while self.entries[at as usize].next != index {
                at = self.entries[at as usize].next;
            }
            self.entries[at as usize].next = next;
        }
        self.entries[index as usize].next = self.free;
        self.free = index;
    }

    fn find(&self, key: u64) -> Option<u32> {
        let mut at = self.chains[self.chain(key)];
        while at != NONE {
            let entry = &self.entries[at as usize];
            if entry.key == key {
                return Some(at);
            }
            at = entry.next;
        }
        None
    }

    fn chain(&self, key: u64) -> usize {
        mix(key, 0x9e37_79b9_7f4a_7c15) as usize & (self.chains.len() - 1)
    }

    fn unlink(&mut self, index: u32) {
        let Entry { newer, older, .. } = self.entries[index as usize];
        match newer {
            NONE => self.newest = older,
            newer => self.entries[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.entries[older as usize].newer = newer,
        }
    }

    fn link(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        (entry.newer, entry.older) = (NONE, self.newest);
        match self.newest {
            NONE => self.oldest = index,
            newest => self.entries[newest as usize].newer = index,
        }
        self.newest = index;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a list in order of use.
    #[test]
    fn keeps_the_keys_that_were_used_last() {
        for seed in 0..30 {
            let mut dice = Dice::new(seed);
            let capacity = 1 + dice.below(12) as u32;
            let (mut lru, mut plain) = (Lru::new(capacity), Vec::<u64>::new());
            for _ in 0..3_000 {
                let key = dice.below(20);
                let there = plain.iter().position(|other| *other == key);
                match dice.below(8) {
                    0 => {
                        lru.remove(key);
                        there.map(|at| plain.remove(at));
                    }
                    1..4 => {
                        lru.insert(key);
                        there.map(|at| plain.remove(at));
                        plain.push(key);
                        if plain.len() > capacity as usize {
                            plain.remove(0);
                        }
                    }
                    _ => {
                        assert_eq!(lru.touch(key), there.is_some(), "seed {seed}");
                        if let Some(at) = there {
                            plain.remove(at);
                            plain.push(key);
                        }
                    }
                }
                assert!(lru.entries.len() <= capacity as usize);
            }
        }
    }
}
