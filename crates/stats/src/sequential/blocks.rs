//! Means of blocks of a series whose values follow from one another: blocks grow until neighbours are no longer
//! correlated, so that a test which needs independent values may take them (batch means: Law and Kelton, "Simulation
//! Modeling and Analysis"). It tests nothing itself.

use crate::check;
use crate::error::Result;

/// Blocks that the first check of a length needs; until then none is given out.
const FIRST: usize = 64;
/// Further checks; after the last the older half is forgotten.
const AGAIN: [usize; 2] = [128, 256];
/// Steps beyond so many medians of their sizes count as if they were there: about 2.7 standard deviations.
const STEP_REACH: f64 = 4.0;
/// Values in a block at most.
const LONGEST: u32 = 1 << 10;
/// Neighbours count as correlated beyond so many standard errors. Few: blocks that are too long cost time, blocks that
/// are too short cost the promise (with 1.5, AR(1) 0.5 between equals alarmed in 7 % of the runs instead of 5).
const STRICTNESS: f64 = 0.7;

/// Puts a series together to means of blocks.
///
/// No block is given out before 64 of its length were seen not to follow from one another; then all of them are. If they do, or later turn out to, blocks become twice as
/// long. A series of independent values fails one of fifteen checks by chance, which costs speed and never correctness.
#[derive(Clone, Debug)]
pub struct Blocks {
    /// Values in a block.
    length: u32,
    filled: u32,
    sum: f64,
    /// The length was given, and is not looked into.
    is_fixed: bool,
    /// The first check of this length is passed.
    proven: bool,
    /// The last means of this length, 256 at most.
    means: Vec<f64>,
}

/// Blocks that may be used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Released<'a> {
    /// What was concluded from all blocks before is worth nothing: they were too short.
    pub start_again: bool,
    /// In their order in time.
    pub means: &'a [f64],
}

impl Default for Blocks {
    fn default() -> Self {
        Self::new()
    }
}

impl Blocks {
    /// Blocks of one value, until the series says otherwise.
    #[must_use]
    pub fn new() -> Self {
        Self { length: 1, filled: 0, sum: 0.0, is_fixed: false, proven: false, means: Vec::new() }
    }

    /// Blocks of `length` values, one at least, for a series of which it is known how long values follow from one another:
    /// each block is given out as soon as it is full. Right where what lasts comes seldom (bursts), which few blocks
    /// would not show.
    #[must_use]
    pub fn fixed(length: u32) -> Self {
        Self { length: length.max(1), is_fixed: true, ..Self::new() }
    }

    /// Values in a block now.
    #[must_use]
    pub fn length(&self) -> u32 {
        self.length
    }

    /// Takes in the next value.
    ///
    /// # Errors
    /// The value is not finite or the sum is beyond the range of a double; the state stays as it was.
    pub fn observe(&mut self, value: f64) -> Result<Released<'_>> {
        check::sample("the next value", &[value], 1)?;
        self.sum = check::finite("the sum of a block", self.sum + value)?;
        self.filled += 1;
        if self.filled < self.length {
            return Ok(Released { start_again: false, means: &[] });
        }
        if self.is_fixed {
            self.means.clear();
        }
        self.means.push(self.sum / f64::from(self.length));
        (self.filled, self.sum) = (0, 0.0);
        if self.is_fixed {
            return Ok(Released { start_again: false, means: &self.means });
        }
        let n = self.means.len();
        if self.proven && !AGAIN.contains(&n) {
            return Ok(Released { start_again: false, means: &self.means[n - 1..] });
        }
        if !self.proven && n < FIRST {
            return Ok(Released { start_again: false, means: &[] });
        }
        if self.proven && (self.length >= LONGEST || !follows(&self.means)) {
            let forgotten = if n == AGAIN[1] { n / 2 } else { 0 };
            self.means.drain(..forgotten);
            return Ok(Released { start_again: false, means: &self.means[n - forgotten - 1..] });
        }
        let start_again = self.proven;
        self.proven = false;
        while self.means.len() >= FIRST && !self.proven {
            if self.length >= LONGEST || !follows(&self.means) {
                self.proven = true;
            } else {
                self.length *= 2;
                self.means = self.means.chunks_exact(2).map(|pair| f64::midpoint(pair[0], pair[1])).collect();
            }
        }
        Ok(Released { start_again, means: if self.proven { &self.means } else { &[] } })
    }

    /// Forgets values that are not yet in a block; the length stays, and so does what proved it.
    pub fn interrupt(&mut self) {
        (self.filled, self.sum) = (0, 0.0);
        if self.proven {
            self.means.clear();
        }
    }
}

/// Whether neighbours are correlated, told by the steps between them, so that a level that shifts once, which is news and
/// no correlation, counts as one step. Steps of independent values have an autocorrelation of -1/2 with a standard error
/// of `1 / √(2 n)`; correlation at lag 1 of `ρ` makes it `-(1 - ρ) / 2` (of AR(1)).
fn follows(means: &[f64]) -> bool {
    let mut steps: Vec<f64> = means.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mut sizes: Vec<f64> = steps.iter().map(|step| step.abs()).collect();
    let middle = sizes.len() / 2;
    let (_, median, _) = sizes.select_nth_unstable_by(middle, f64::total_cmp);
    let reach = STEP_REACH * *median;
    steps.iter_mut().for_each(|step| *step = step.clamp(-reach, reach));
    let squares: f64 = steps.iter().map(|step| step * step).sum();
    let products: f64 = steps.windows(2).map(|pair| pair[0] * pair[1]).sum();
    squares > 0.0 && products / squares + 0.5 > STRICTNESS / (2.0 * means.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use headgate_model::dice::Dice;

    use super::*;
    use crate::dist::{Distribution, Normal};

    /// Length of the blocks after `n` values of an AR(1) series, in the mean of 50 of them.
    fn length_after(n: usize, follows: f64) -> f64 {
        let lengths = (0..50).map(|seed| {
            let (mut dice, mut blocks, mut value) = (Dice::new(seed), Blocks::new(), 0.0);
            for _ in 0..n {
                value = follows * value + Normal.quantile(dice.unit().max(1e-12)).unwrap();
                blocks.observe(value).unwrap();
            }
            f64::from(blocks.length())
        });
        lengths.sum::<f64>() / 50.0
    }

    #[test]
    fn blocks_grow_with_the_correlation() {
        let (none, some, much) = (length_after(1000, 0.0), length_after(1000, 0.5), length_after(4000, 0.9));
        assert!(none < 4.5, "{none}");
        assert!((none..12.0).contains(&some), "{some}");
        assert!((8.0..64.0).contains(&much), "{much}");
    }

    #[test]
    fn nothing_is_given_out_before_it_is_proven_and_nothing_is_lost_then() {
        let mut dice = Dice::new(2);
        let mut blocks = Blocks::new();
        let values: Vec<f64> = (0..80).map(|_| dice.unit()).collect();
        let mut given: Vec<f64> = Vec::new();
        for (at, value) in values.iter().enumerate() {
            let released = blocks.observe(*value).unwrap();
            assert_eq!(released.means.len(), [0, 64, 1][usize::from(at >= 63) + usize::from(at > 63)]);
            assert!(!released.start_again);
            given.extend(released.means);
        }
        assert_eq!(given, values);
        assert!(blocks.observe(f64::NAN).is_err());
        assert_eq!(blocks.observe(0.25).unwrap().means, [0.25]);
    }

    #[test]
    fn a_series_that_begins_to_follow_starts_again_with_longer_blocks() {
        // Some series of independent values look correlated at first: take one that does not.
        let calm = (0..100).find_map(|seed| {
            let (mut dice, mut blocks) = (Dice::new(seed), Blocks::new());
            let again = (0..80).any(|_| blocks.observe(dice.unit()).unwrap().start_again);
            (!again && blocks.length() == 1).then_some(blocks)
        });
        let mut blocks = calm.unwrap();
        let again = (0..400).find(|at| blocks.observe(f64::from(at / 4 % 2)).unwrap().start_again);
        assert!(again.is_some() && blocks.length() > 1, "{again:?}");
    }

    #[test]
    fn a_block_is_the_mean_of_its_values_and_an_interruption_drops_a_part_of_one() {
        let mut blocks = Blocks { length: 4, proven: true, ..Blocks::new() };
        let mut means = |values: &[f64]| -> Vec<f64> {
            values.iter().flat_map(|value| blocks.observe(*value).unwrap().means.to_vec()).collect()
        };
        assert_eq!(means(&[1.0, 2.0, 3.0, 6.0, 100.0]), [3.0]);
        blocks.interrupt();
        assert!(blocks.observe(1.0).unwrap().means.is_empty());
    }

    #[test]
    fn fixed_blocks_are_given_out_when_they_are_full_whatever_is_in_them() {
        let mut blocks = Blocks::fixed(3);
        let creeping =
            (0..300).filter_map(|at| blocks.observe(f64::from(at)).unwrap().means.first().copied());
        let means: Vec<f64> = creeping.collect();
        assert_eq!((means.len(), means[0], means[99], blocks.length()), (100, 1.0, 298.0, 3));
        blocks.observe(1e9).unwrap();
        blocks.interrupt();
        let mut means = |value| blocks.observe(value).unwrap().means.to_vec();
        assert_eq!([means(5.0), means(6.0), means(7.0)].concat(), [6.0]);
        assert_eq!(Blocks::fixed(0).observe(2.0).unwrap().means, [2.0]);
    }

    #[test]
    fn what_swings_is_independent_enough_and_what_creeps_is_not() {
        // Steps -1, 1, -1: autocorrelation -62/63. Steps of one: 62/63.
        let swings: Vec<f64> = (0..64).map(|at| f64::from(at % 2)).collect();
        let creeps: Vec<f64> = (0..64).map(f64::from).collect();
        assert!(!follows(&swings) && follows(&creeps) && !follows(&[1.0; 64]));
    }

    #[test]
    fn a_level_that_shifts_once_is_no_correlation() {
        let turned = (0..100).filter(|seed| {
            let (mut dice, mut blocks) = (Dice::new(*seed), Blocks::new());
            (0..400).for_each(|_| drop(blocks.observe(dice.unit())));
            let before = blocks.length();
            (0..64).for_each(|_| drop(blocks.observe(dice.unit() - 1.0)));
            blocks.length() != before
        });
        assert!(turned.count() <= 15);
    }
}
