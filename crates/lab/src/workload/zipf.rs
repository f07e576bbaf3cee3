//! Zipf's law over any number of ranks in constant memory: rejection-inversion.
//!
//! Source: Hörmann and Derflinger, "Rejection-Inversion to Generate Variates from Monotone Discrete
//! Distributions", 1996.

use headgate_model::dice::Dice;

/// Draws ranks from 0 up to a bound; rank `k` with a probability proportional to `(k + 1)^-exponent`.
#[derive(Clone, Copy, Debug)]
pub struct Zipf {
    exponent: f64,
    ranks: f64,
    /// The integral of the hat function at the left end of rank one, and at the right end of the last.
    integral_first: f64,
    integral_last: f64,
    /// Below this distance from its rank a point is accepted without a look at the density.
    squeeze: f64,
}

impl Zipf {
    /// `ranks` of zero counts as one; `exponent` is zero (even) or more.
    #[must_use]
    pub fn new(ranks: u64, exponent: f64) -> Self {
        let ranks = ranks.max(1) as f64;
        Self {
            exponent,
            ranks,
            integral_first: integral(1.5, exponent) - 1.0,
            integral_last: integral(ranks + 0.5, exponent),
            squeeze: 2.0 - inverse(integral(2.5, exponent) - density(2.0, exponent), exponent),
        }
    }

    /// A rank from zero.
    #[inline]
    pub fn sample(&self, dice: &mut Dice) -> u64 {
        loop {
            let u = self.integral_last + dice.unit() * (self.integral_first - self.integral_last);
            let x = inverse(u, self.exponent);
            let rank = x.round().clamp(1.0, self.ranks);
            if rank - x <= self.squeeze
                || u >= integral(rank + 0.5, self.exponent) - density(rank, self.exponent)
            {
                return rank as u64 - 1;
            }
        }
    }
}

fn density(x: f64, exponent: f64) -> f64 {
    (-exponent * x.ln()).exp()
}

/// The integral of `x^-exponent` from 1, also where the exponent is near one.
fn integral(x: f64, exponent: f64) -> f64 {
    let log = x.ln();
    let power = (1.0 - exponent) * log;
    if power.abs() > 1e-8 { power.exp_m1() / power * log } else { log * (1.0 + power / 2.0) }
}

fn inverse(integral: f64, exponent: f64) -> f64 {
    let t = (integral * (1.0 - exponent)).max(-1.0);
    let log = if t.abs() > 1e-8 { t.ln_1p() / t * integral } else { integral * (1.0 - t / 2.0) };
    log.exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pearson's chi-square over the first ranks and all the rest.
    #[test]
    fn ranks_have_their_probabilities() {
        for (seed, exponent) in [0.0, 0.5, 0.99, 1.0, 1.2, 2.5].into_iter().enumerate() {
            let (ranks, draws) = (1_000usize, 300_000);
            let (zipf, mut dice) = (Zipf::new(ranks as u64, exponent), Dice::new(seed as u64));
            let total: f64 = (1..=ranks).map(|rank| (rank as f64).powf(-exponent)).sum();
            let mut counts = vec![0u32; ranks];
            (0..draws).for_each(|_| counts[zipf.sample(&mut dice) as usize] += 1);
            let mut cells = vec![(0.0, 0.0)];
            for (rank, &count) in counts.iter().enumerate() {
                let expected = f64::from(draws) * ((rank + 1) as f64).powf(-exponent) / total;
                let cell = cells.last_mut().unwrap();
                *cell = (cell.0 + f64::from(count), cell.1 + expected);
                if cell.1 >= 20.0 {
                    cells.push((0.0, 0.0));
                }
            }
            let rest = cells.pop().unwrap();
            let last = cells.last_mut().unwrap();
            *last = (last.0 + rest.0, last.1 + rest.1);
            let chi_square: f64 =
                cells.iter().map(|(seen, expected)| (seen - expected).powi(2) / expected).sum();
            // Five standard deviations above the mean of chi-square.
            let freedom = (cells.len() - 1) as f64;
            let limit = freedom + 5.0 * (2.0 * freedom).sqrt();
            assert!(chi_square < limit, "exponent {exponent}: {chi_square} above {limit}");
        }
    }

    #[test]
    fn huge_and_tiny_sets_stay_in_range() {
        let mut dice = Dice::new(2);
        for (ranks, exponent) in [(1, 1.0), (0, 0.9), (2, 50.0), (u64::MAX, 0.3), (1 << 40, 1.0)] {
            let zipf = Zipf::new(ranks, exponent);
            assert!((0..10_000).all(|_| zipf.sample(&mut dice) < ranks.max(1)), "{ranks} {exponent}");
        }
    }
}
