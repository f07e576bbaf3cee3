//! How often each key is asked for lately, over all sessions: fading counts in a table of a fixed size.

use crate::directory::Directory;

/// What each event weighs more than the one before it: half of the weight is of the last 14,000.
const GROWTH: f32 = 1.000_05;
/// Where all counts are scaled down, far from the end of the numbers.
const RESCALE_AT: f32 = 1e6;

/// The counts.
#[derive(Clone, Debug)]
pub(super) struct Popularity {
    directory: Directory,
    counts: Vec<f32>,
    total: f32,
    weight: f32,
}

impl Popularity {
    pub(super) fn new(keys: usize) -> Self {
        let directory = Directory::new(keys);
        Self { counts: vec![0.0; directory.rows()], directory, total: 0.0, weight: 1.0 }
    }

    pub(super) fn learn(&mut self, key: u64) {
        let claim = self.directory.claim(key);
        let count = &mut self.counts[claim.row];
        if claim.is_new {
            *count = 0.0;
        }
        *count += self.weight;
        self.total += self.weight;
        self.weight *= GROWTH;
        if self.weight > RESCALE_AT {
            self.counts.iter_mut().for_each(|count| *count /= RESCALE_AT);
            self.total /= RESCALE_AT;
            self.weight /= RESCALE_AT;
        }
    }

    /// Its share of the requests lately.
    pub(super) fn share(&self, key: u64) -> f32 {
        let count = self.directory.find(key).map_or(0.0, |row| self.counts[row]);
        if self.total > 0.0 { count / self.total } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_times_and_stay_shares() {
        let mut popularity = Popularity::new(64);
        assert_eq!(popularity.share(1), 0.0);
        (0..100_000u64).for_each(|at| popularity.learn(at % 4));
        assert!((popularity.share(1) - 0.25).abs() < 0.01, "{}", popularity.share(1));
        (0..600_000).for_each(|_| popularity.learn(9));
        assert!(popularity.share(9) > 0.95 && popularity.share(9) <= 1.01 && popularity.share(1) < 0.01);
    }
}
