//! Weights of experts that each give a probability: exponentiated gradient on the log loss (Helmbold and others,
//! Machine Learning 27, 1997) with a fixed share for all (Herbster and Warmuth, Machine Learning 32, 1998). Over any
//! stretch the mixture loses little against the best expert of that stretch. It does not know what is predicted.

/// How fast weights follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Step of the exponentiated gradient.
    pub rate: f32,
    /// What all experts share evenly after each step, so that none is ever lost.
    pub share: f32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { rate: 0.02, share: 1e-4 }
    }
}

/// One set of weights for each of several situations.
#[derive(Clone, Debug)]
pub struct Mixture {
    experts: usize,
    pace: Pace,
    weights: Vec<f32>,
}

impl Mixture {
    /// Even weights. Both numbers are one at least.
    #[must_use]
    pub fn new(experts: usize, situations: usize, pace: Pace) -> Self {
        let experts = experts.max(1);
        Self { experts, pace, weights: vec![1.0 / experts as f32; experts * situations.max(1)] }
    }

    /// The weights in a situation; they sum up to one. A situation that is not there counts as the last.
    #[must_use]
    pub fn weights(&self, situation: usize) -> &[f32] {
        let first = self.first(situation);
        &self.weights[first..first + self.experts]
    }

    /// The probability that the experts together give; `opinions` has one of each.
    #[must_use]
    pub fn mix(&self, situation: usize, opinions: &[f32]) -> f32 {
        self.weights(situation).iter().zip(opinions).map(|(weight, opinion)| weight * opinion).sum()
    }

    /// After the outcome: the probability that each expert had given to it.
    pub fn learn(&mut self, situation: usize, opinions: &[f32]) {
        let mixed = self.mix(situation, opinions);
        // Nobody named it, or somebody gave no number: nothing to learn about their order.
        if !(mixed > 0.0 && mixed.is_finite()) {
            return;
        }
        let Pace { rate, share } = self.pace;
        let first = self.first(situation);
        let weights = &mut self.weights[first..first + self.experts];
        let mut sum = 0.0;
        for (weight, opinion) in weights.iter_mut().zip(opinions) {
            // The gradient is at most one over the weight, so the step is bounded.
            *weight *= libm::expf(rate * (opinion / mixed).min(50.0));
            sum += *weight;
        }
        let even = share / self.experts as f32;
        weights.iter_mut().for_each(|weight| *weight = *weight / sum * (1.0 - share) + even);
    }

    fn first(&self, situation: usize) -> usize {
        situation.min(self.weights.len() / self.experts - 1) * self.experts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    #[test]
    fn the_best_expert_of_the_day_gets_the_weight() {
        let mut mixture = Mixture::new(3, 2, Pace::default());
        (0..2_000).for_each(|_| mixture.learn(0, &[0.1, 0.6, 0.2]));
        assert!(mixture.weights(0)[1] > 0.95, "{:?}", mixture.weights(0));
        (0..2_000).for_each(|_| mixture.learn(0, &[0.7, 0.1, 0.2]));
        assert!(mixture.weights(0)[0] > 0.95, "it changes its mind: {:?}", mixture.weights(0));
        assert!(
            mixture.weights(1).iter().all(|weight| (weight - 1.0 / 3.0).abs() < 1e-6),
            "another situation"
        );
    }

    #[test]
    fn loses_little_against_the_best_expert_in_hindsight() {
        for seed in 0..10 {
            let mut dice = Dice::new(seed);
            let mut mixture = Mixture::new(4, 1, Pace::default());
            let (mut own, mut others) = (0.0f64, [0.0f64; 4]);
            for _ in 0..5_000 {
                let opinions: [f32; 4] =
                    std::array::from_fn(|at| (0.02 + 0.1 * at as f64 + 0.6 * dice.unit()) as f32);
                own -= f64::from(mixture.mix(0, &opinions)).ln();
                others.iter_mut().zip(opinions).for_each(|(loss, p)| *loss -= f64::from(p).ln());
                mixture.learn(0, &opinions);
            }
            let best = others.iter().copied().fold(f64::INFINITY, f64::min);
            assert!(own < best + 0.02 * 5_000.0, "seed {seed}: {own} against {best}");
        }
    }

    #[test]
    fn nonsense_changes_nothing_and_breaks_nothing() {
        let mut mixture = Mixture::new(2, 1, Pace::default());
        for opinions in [[0.0, 0.0], [f32::NAN, 0.5], [f32::INFINITY, 0.1]] {
            mixture.learn(0, &opinions);
        }
        assert_eq!(mixture.weights(7), [0.5, 0.5]);
        (0..100_000).for_each(|_| mixture.learn(0, &[1e-30, 1.0]));
        let sum: f32 = mixture.weights(0).iter().sum();
        assert!((sum - 1.0).abs() < 1e-5 && mixture.weights(0)[0] > 0.0);
    }
}
