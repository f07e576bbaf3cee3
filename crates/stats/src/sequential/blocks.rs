//! Means of blocks of a series whose values follow from one another: blocks grow until neighbours are no longer
//! correlated, so that a test which needs independent values may take them (batch means: Law and Kelton, "Simulation
//! Modeling and Analysis"). It tests nothing itself.

use crate::check;
use crate::error::Result;

/// Blocks of one length are checked when there are so many of them; the last check begins a new row.
const CHECKS: [usize; 4] = [16, 32, 64, 128];
/// Values in a block at most.
const LONGEST: u32 = 1 << 10;

/// Puts a series together to means of blocks.
///
/// Neighbouring blocks count as correlated when the autocorrelation at lag 1 is more than two standard errors above
/// zero (`2 / √n`). Then blocks become twice as long. In a series of independent values that happens in about one of
/// forty checks, which costs speed and never correctness.
#[derive(Clone, Debug)]
pub struct Blocks {
    /// Values in a block.
    length: u32,
    filled: u32,
    sum: f64,
    /// Means since the length last changed, up to the last of the checks.
    means: Vec<f64>,
}

/// A block that is full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    pub mean: f64,
    /// Blocks so far were too short: what was concluded from them is worth nothing, and the next are longer.
    pub too_short: bool,
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
        Self { length: 1, filled: 0, sum: 0.0, means: Vec::new() }
    }

    /// Values in a block now.
    #[must_use]
    pub fn length(&self) -> u32 {
        self.length
    }

    /// Takes in the next value; a block when it is full.
    ///
    /// # Errors
    /// The value is not finite or the sum is beyond the range of a double; the state stays as it was.
    pub fn observe(&mut self, value: f64) -> Result<Option<Block>> {
        check::sample("the next value", &[value], 1)?;
        self.sum = check::finite("the sum of a block", self.sum + value)?;
        self.filled += 1;
        if self.filled < self.length {
            return Ok(None);
        }
        let mean = self.sum / f64::from(self.length);
        (self.filled, self.sum) = (0, 0.0);
        self.means.push(mean);
        let mut too_short = false;
        let n = self.means.len();
        if CHECKS.contains(&n) {
            too_short = self.length < LONGEST && autocorrelation(&self.means) > 2.0 / (n as f64).sqrt();
            if too_short {
                self.length *= 2;
            }
            if too_short || n == CHECKS[CHECKS.len() - 1] {
                self.means.clear();
            }
        }
        Ok(Some(Block { mean, too_short }))
    }
}

/// At lag 1; zero for values that are all equal.
fn autocorrelation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let products: f64 = values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    if squares > 0.0 { products / squares } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use headgate_model::dice::Dice;

    use super::*;
    use crate::dist::{Distribution, Normal};

    /// Length of the blocks after `n` values of an AR(1) series, in the mean of 200 of them.
    fn length_after(n: usize, follows: f64) -> f64 {
        let lengths = (0..200).map(|seed| {
            let (mut dice, mut blocks, mut value) = (Dice::new(seed), Blocks::new(), 0.0);
            for _ in 0..n {
                value = follows * value + Normal.quantile(dice.unit().max(1e-12)).unwrap();
                blocks.observe(value).unwrap();
            }
            f64::from(blocks.length())
        });
        lengths.sum::<f64>() / 200.0
    }

    #[test]
    fn blocks_grow_with_the_correlation() {
        let (none, some, much) = (length_after(500, 0.0), length_after(500, 0.5), length_after(2000, 0.9));
        assert!(none < 1.5, "{none}");
        assert!((2.0..8.0).contains(&some), "{some}");
        assert!((8.0..64.0).contains(&much), "{much}");
    }

    #[test]
    fn a_block_is_the_mean_of_its_values() {
        let mut blocks = Blocks { length: 4, ..Blocks::new() };
        for value in [1.0, 2.0, 3.0] {
            assert_eq!(blocks.observe(value), Ok(None));
        }
        assert!(blocks.observe(f64::NAN).is_err(), "and is not counted");
        assert_eq!(blocks.observe(6.0), Ok(Some(Block { mean: 3.0, too_short: false })));
    }

    #[test]
    fn hand_calculation() {
        // Mean 2; squares 4+1+0+1+4; products 2+0+0+2.
        assert!((autocorrelation(&[0.0, 1.0, 2.0, 3.0, 4.0]) - 0.4).abs() < 1e-15);
        assert_eq!(autocorrelation(&[1.0; 8]), 0.0);
    }
}
