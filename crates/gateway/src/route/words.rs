//! A dictionary from a word within a scope to a value: open addressing over one text buffer. Written while
//! the table is built, then only read. It is not a general map: nothing is ever removed.
//!
//! The hash has no secret. The words come from the operator's configuration; clients only look up, and a
//! lookup probes no further than the cluster that the configuration made. So no client can slow it down
//! by choosing what it asks for, as it could in a map that it also fills.

/// Slot that holds no entry.
const FREE: u32 = u32::MAX;

pub(super) struct Words<V> {
    /// Indices into `entries`; a power of two of them, at most half of them taken.
    slots: Vec<u32>,
    entries: Vec<Entry<V>>,
    text: Vec<u8>,
    longest: usize,
}

struct Entry<V> {
    hash: u32,
    scope: u32,
    start: u32,
    len: u32,
    value: V,
}

impl<V> Default for Words<V> {
    fn default() -> Self {
        Self { slots: Vec::new(), entries: Vec::new(), text: Vec::new(), longest: 0 }
    }
}

impl<V: Copy> Words<V> {
    /// The value of `word` in `scope`. A word longer than every known one costs nothing to refuse.
    #[inline]
    pub(super) fn get(&self, scope: u32, word: &[u8]) -> Option<V> {
        if word.len() > self.longest || self.entries.is_empty() {
            return None;
        }
        self.find(hash(scope, word), scope, word).ok().map(|at| self.entries[at].value)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of `word` in `scope`, which becomes `new` when the word is not known yet.
    pub(super) fn slot(&mut self, scope: u32, word: &[u8], new: V) -> &mut V {
        if (self.entries.len() + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let hash = hash(scope, word);
        let at = match self.find(hash, scope, word) {
            Ok(at) => at,
            Err(slot) => {
                let at = self.entries.len();
                self.slots[slot] = at as u32;
                let (start, len) = (self.text.len() as u32, word.len() as u32);
                self.text.extend_from_slice(word);
                self.longest = self.longest.max(word.len());
                self.entries.push(Entry { hash, scope, start, len, value: new });
                at
            }
        };
        &mut self.entries[at].value
    }

    /// Gives back what was reserved for growth.
    pub(super) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
        self.text.shrink_to_fit();
    }

    /// The entry of a word, or the free slot where it belongs.
    #[inline]
    fn find(&self, hash: u32, scope: u32, word: &[u8]) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != FREE {
            let at = self.slots[slot] as usize;
            let entry = &self.entries[at];
            if entry.hash == hash && entry.scope == scope && self.word(entry) == word {
                return Ok(at);
            }
            slot = (slot + 1) & mask;
        }
        Err(slot)
    }

    fn word(&self, entry: &Entry<V>) -> &[u8] {
        &self.text[entry.start as usize..(entry.start + entry.len) as usize]
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(4);
        self.slots = vec![FREE; size];
        for (at, entry) in self.entries.iter().enumerate() {
            let mut slot = entry.hash as usize & (size - 1);
            while self.slots[slot] != FREE {
                slot = (slot + 1) & (size - 1);
            }
            self.slots[slot] = at as u32;
        }
    }

    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u32>()
            + self.entries.capacity() * size_of::<Entry<V>>()
            + self.text.capacity()
    }
}

/// Folds eight bytes at a time into the state by a full multiplication, high half onto low half.
#[inline]
fn hash(scope: u32, word: &[u8]) -> u32 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |state: u64, block: u64| {
        let product = u128::from(state ^ block) * u128::from(ODD);
        product as u64 ^ (product >> 64) as u64
    };
    let mut state = fold(u64::from(scope), !(word.len() as u64));
    let mut blocks = word.chunks_exact(8);
    for block in &mut blocks {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(block);
        state = fold(state, u64::from_le_bytes(bytes));
    }
    let last = blocks.remainder().iter().fold(0, |block, &byte| block << 8 | u64::from(byte));
    state = fold(state, last);
    (state ^ state >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;
    use std::collections::BTreeMap;

    #[test]
    fn agrees_with_a_map() {
        let mut dice = Dice::new(5);
        let mut words = Words::default();
        let mut map = BTreeMap::new();
        assert_eq!(words.get(0, b""), None);
        for value in 0..4_000_u32 {
            let scope = dice.below(3) as u32;
            let word: Vec<u8> =
                (0..dice.below(19)).map(|_| [0, b'a', b'b'][dice.below(3) as usize]).collect();
            assert_eq!(words.get(scope, &word), map.get(&(scope, word.clone())).copied());
            assert_eq!(*words.slot(scope, &word, value), *map.entry((scope, word)).or_insert(value));
        }
        for ((scope, word), value) in &map {
            assert_eq!(words.get(*scope, word), Some(*value));
        }
    }

    #[test]
    fn similar_words_do_not_cluster() {
        let mut words = Words::default();
        for number in 0..20_000_u32 {
            words.slot(0, format!("/api/service-{number}/items").as_bytes(), number);
        }
        let taken = |slot: &&[u32]| slot.iter().all(|&entry| entry != FREE);
        assert!(words.slots.chunks(64).all(|slots| !taken(&slots)), "a probe is shorter than 128 slots");
    }
}
