//! Where a session has been lately: a short memory of keys, newest last.

/// Keys that a trail remembers.
pub const TRAIL: usize = 64;

/// The recent keys of one session.
#[derive(Clone, Debug)]
pub struct Trail {
    keys: [u64; TRAIL],
    /// Keys so far, forgotten ones included.
    length: usize,
}

impl Default for Trail {
    fn default() -> Self {
        Self { keys: [0; TRAIL], length: 0 }
    }
}

impl Trail {
    pub fn push(&mut self, key: u64) {
        self.keys[self.length % TRAIL] = key;
        self.length += 1;
    }

    /// Keys so far, forgotten ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The key `back` steps before the newest.
    #[must_use]
    pub fn back(&self, back: usize) -> Option<u64> {
        (back < self.length.min(TRAIL)).then(|| self.keys[(self.length - 1 - back) % TRAIL])
    }

    /// From the newest key to the oldest that is remembered.
    pub fn recent(&self) -> impl Iterator<Item = u64> {
        (0..self.length.min(TRAIL)).map(|back| self.keys[(self.length - 1 - back) % TRAIL])
    }

    /// How many steps ago the key was asked for last.
    #[must_use]
    pub fn age(&self, key: u64) -> Option<usize> {
        self.recent().position(|other| other == key)
    }

    /// A number for the last `order` keys together; none when there are fewer.
    #[must_use]
    pub fn context(&self, order: usize) -> Option<u64> {
        (order > 0 && order <= self.length.min(TRAIL)).then(|| {
            (0..order).fold(order as u64, |hash, back| mix(hash, self.keys[(self.length - 1 - back) % TRAIL]))
        })
    }
}

/// Folds `value` into `hash` (the finalizer of SplitMix64, Steele and others, OOPSLA 2014).
#[must_use]
pub fn mix(hash: u64, value: u64) -> u64 {
    let mut z = (hash ^ value).wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_newest_and_forgets_the_oldest() {
        let mut trail = Trail::default();
        assert_eq!((trail.back(0), trail.context(1)), (None, None));
        (0..100).for_each(|key| trail.push(key));
        assert_eq!((trail.back(0), trail.back(63), trail.back(64)), (Some(99), Some(36), None));
        assert_eq!((trail.age(97), trail.age(35)), (Some(2), None));
        assert!(trail.recent().eq((36..100).rev()));
    }

    #[test]
    fn contexts_tell_order_and_sequence_apart() {
        let context = |keys: &[u64], order| {
            let mut trail = Trail::default();
            keys.iter().for_each(|key| trail.push(*key));
            trail.context(order)
        };
        assert_eq!(context(&[9, 1, 2], 2), context(&[8, 1, 2], 2));
        assert_ne!(context(&[1, 2], 2), context(&[2, 1], 2));
        assert_ne!(context(&[2, 2], 1), context(&[2, 2], 2));
        assert_eq!(context(&[1, 2], 3), None);
    }
}
