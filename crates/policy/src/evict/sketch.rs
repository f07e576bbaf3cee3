//! How often was this asked for lately, roughly: a count-min sketch of 4-bit counters in four rows behind a Bloom
//! filter that takes the first request of everything (TinyLFU, Einziger, Friedman and Manes, TOS 2017). All
//! counts are halved after a number of requests, so that it follows the traffic. It may say too much, never
//! too little since the last halving.

const ROWS: usize = 4;
const MOST: u64 = 15;
/// Requests between two halvings, for each object that the cache holds.
const SAMPLE: usize = 10;
const LEAST_WORDS: usize = 16;
const SEEDS: [u64; ROWS] =
    [0xc3a5_c85c_97cb_3127, 0xb492_b66f_be98_f273, 0x9ae1_6a3b_2f90_404f, 0xcbf2_9ce4_8422_2325];

/// The sketch.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    /// Sixteen counters a word; the rows share the table.
    words: Vec<u64>,
    /// Eight bits for each word of counters.
    door: Vec<u64>,
    additions: usize,
    sample: usize,
}

impl Sketch {
    pub(super) fn new() -> Self {
        Self::of_words(LEAST_WORDS)
    }

    fn of_words(words: usize) -> Self {
        Self { words: vec![0; words], door: vec![0; words], additions: 0, sample: words * SAMPLE }
    }

    /// Makes it large enough for a cache of `objects`, 16 counters for each. What was counted is lost then, which
    /// happens once for each doubling.
    pub(super) fn fit(&mut self, objects: usize) {
        if objects > self.words.len() {
            *self = Self::of_words(objects.next_power_of_two());
        }
    }

    pub(super) fn count(&mut self, id: u64) {
        if self.enter(id) {
            let least = self.counted(id);
            for (word, shift) in self.places(id) {
                // Only the least counters grow: conservative update, tighter than raising all.
                if (self.words[word] >> shift) & MOST == least && least < MOST {
                    self.words[word] += 1 << shift;
                }
            }
        }
        self.additions += 1;
        if self.additions >= self.sample {
            self.halve();
        }
    }

    pub(super) fn estimate(&self, id: u64) -> u64 {
        let (word, bit) = self.door_place(id);
        self.counted(id) + (self.door[word] >> bit & 1)
    }

    fn counted(&self, id: u64) -> u64 {
        self.places(id).map(|(word, shift)| (self.words[word] >> shift) & MOST).into_iter().min().unwrap_or(0)
    }

    /// Whether it was in the door's filter already; it is now.
    fn enter(&mut self, id: u64) -> bool {
        let (word, bit) = self.door_place(id);
        let known = self.door[word] >> bit & 1 == 1;
        self.door[word] |= 1 << bit;
        known
    }

    fn halve(&mut self) {
        for word in &mut self.words {
            *word = (*word >> 1) & 0x7777_7777_7777_7777;
        }
        self.door.fill(0);
        self.additions /= 2;
    }

    fn door_place(&self, id: u64) -> (usize, u32) {
        let hash = mix(id, 0x2545_f491_4f6c_dd1d);
        ((hash >> 6) as usize & (self.door.len() - 1), (hash & 63) as u32)
    }

    fn places(&self, id: u64) -> [(usize, u32); ROWS] {
        SEEDS.map(|seed| {
            let hash = mix(id, seed);
            ((hash >> 4) as usize & (self.words.len() - 1), (hash & 15) as u32 * 4)
        })
    }
}

/// One round of MurmurHash3's finalizer over the id and a seed.
fn mix(id: u64, seed: u64) -> u64 {
    let mut hash = id.wrapping_add(seed);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_up_to_its_limit_and_forgets_by_halves() {
        let mut sketch = Sketch::new();
        sketch.fit(1_000);
        assert_eq!(sketch.estimate(7), 0);
        sketch.count(7);
        assert_eq!(sketch.estimate(7), 1, "the door's filter counts");
        (0..40).for_each(|_| sketch.count(7));
        assert_eq!(sketch.estimate(7), MOST + 1);
        sketch.halve();
        assert_eq!(sketch.estimate(7), MOST / 2);
    }

    #[test]
    fn never_says_too_little_before_it_halves() {
        let mut sketch = Sketch::new();
        sketch.fit(512);
        for id in 0..600u64 {
            (0..id % 7).for_each(|_| sketch.count(id));
        }
        assert!(sketch.additions > 0 && (0..600).all(|id| sketch.estimate(id) >= id % 7));
        let exact = (0..600).filter(|id| sketch.estimate(*id) == id % 7).count();
        assert!(exact > 590, "{exact} of 600 exact");
    }
}
