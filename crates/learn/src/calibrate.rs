//! From a score to an honest probability: bins on the logit scale, each with a fading count of what was claimed and of
//! what came true, read with a line between neighbours. It corrects, and ranks nothing anew but by chance.

const BINS: usize = 24;
/// The logits of the first and last bin.
const LOWEST: f32 = -9.0;
const HIGHEST: f32 = 6.0;
/// Claims that a bin counts before it is believed more than the score itself.
const PRIOR: f32 = 20.0;
/// A bin remembers about this many claims.
const MEMORY: f32 = 20_000.0;

/// The bins.
#[derive(Clone, Debug)]
pub struct Calibration {
    claims: [f32; BINS],
    claimed: [f32; BINS],
    came: [f32; BINS],
}

impl Default for Calibration {
    fn default() -> Self {
        Self { claims: [0.0; BINS], claimed: [0.0; BINS], came: [0.0; BINS] }
    }
}

impl Calibration {
    /// Notes a claimed probability and whether it came true.
    pub fn learn(&mut self, probability: f32, came_true: bool) {
        let (bin, above) = place(probability);
        for (bin, share) in [(bin, 1.0 - above), (bin + 1, above)] {
            let keep = 1.0 - share / MEMORY;
            self.claims[bin] = self.claims[bin] * keep + share;
            self.claimed[bin] = self.claimed[bin] * keep + share * sane(probability);
            self.came[bin] = self.came[bin] * keep + if came_true { share } else { 0.0 };
        }
    }

    /// How often a claim of `probability` comes true.
    #[must_use]
    pub fn honest(&self, probability: f32) -> f32 {
        let (bin, above) = place(probability);
        let probability = sane(probability);
        // Claims of one bin differ: what is corrected is the factor, not the value.
        let factor = |bin: usize| {
            (self.came[bin] + PRIOR * probability) / (self.claimed[bin] + PRIOR * probability).max(1e-9)
        };
        let (low, high) = (factor(bin), factor(bin + 1));
        (probability * (low + (high - low) * above)).clamp(0.0, 1.0)
    }
}

fn sane(probability: f32) -> f32 {
    if probability.is_nan() { 0.0 } else { probability.clamp(0.0, 1.0) }
}

/// The bin below, and how far on the way to the next one.
fn place(probability: f32) -> (usize, f32) {
    let probability = sane(probability).clamp(1e-6, 1.0 - 1e-6);
    let logit = libm::logf(probability / (1.0 - probability)).clamp(LOWEST, HIGHEST);
    let position = (logit - LOWEST) / (HIGHEST - LOWEST) * (BINS - 1) as f32;
    let bin = (position as usize).min(BINS - 2);
    (bin, position - bin as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    #[test]
    fn boasts_are_corrected() {
        let mut calibration = Calibration::default();
        let mut dice = Dice::new(3);
        for _ in 0..200_000 {
            let claimed = dice.unit() as f32;
            calibration.learn(claimed, dice.unit() < f64::from(claimed * claimed));
        }
        for claimed in [0.1, 0.3, 0.5, 0.7, 0.9, 0.97f32] {
            let honest = calibration.honest(claimed);
            assert!((honest - claimed * claimed).abs() < 0.04, "{claimed}: {honest}");
        }
    }

    #[test]
    fn without_experience_a_claim_stands_and_nonsense_stays_a_probability() {
        let mut calibration = Calibration::default();
        assert!((calibration.honest(0.3) - 0.3).abs() < 1e-6);
        for wrong in [f32::NAN, f32::INFINITY, -1.0, 2.0, 0.0, 1.0] {
            calibration.learn(wrong, true);
            assert!((0.0..=1.0).contains(&calibration.honest(wrong)), "{wrong}");
        }
    }
}
