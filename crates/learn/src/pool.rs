//! Opinions multiplied instead of added: a conditional logit (McFadden, 1974) over the logarithms of what each expert
//! says about each candidate, learned by gradient steps. Where a mixture believes whoever is right most often, this
//! ranks first what several find likely.

/// What an expert is taken to say about what it did not name.
const LEAST: f32 = 1e-4;

/// Exponents of `N` opinions.
#[derive(Clone, Debug)]
pub struct Pool<const N: usize> {
    exponents: [f32; N],
    rate: f32,
    logs: Vec<[f32; N]>,
}

impl<const N: usize> Pool<N> {
    /// Begins as the opinion at place `trusted` alone. `rate` is the step size.
    #[must_use]
    pub fn new(trusted: usize, rate: f32) -> Self {
        Self {
            exponents: std::array::from_fn(|at| f32::from(u8::from(at == trusted))),
            rate,
            logs: Vec::new(),
        }
    }

    #[must_use]
    pub fn exponents(&self) -> &[f32; N] {
        &self.exponents
    }

    /// Writes a probability for each candidate; together they make one.
    pub fn weigh(&mut self, opinions: impl Iterator<Item = [f32; N]>, out: &mut Vec<f32>) {
        self.logs.clear();
        self.logs
            .extend(opinions.map(|opinions| opinions.map(|opinion| libm::logf(opinion.max(0.0) + LEAST))));
        let score = |logs: &[f32; N]| {
            logs.iter().zip(&self.exponents).map(|(log, exponent)| log * exponent).sum::<f32>()
        };
        out.clear();
        out.extend(self.logs.iter().map(score));
        softmax(out);
    }

    /// After [`Self::weigh`] gave `probabilities`: the candidate at `place` it was.
    pub fn learn(&mut self, probabilities: &[f32], place: usize) {
        let Some(mut gradient) = self.logs.get(place).copied() else { return };
        for (logs, probability) in self.logs.iter().zip(probabilities) {
            gradient.iter_mut().zip(logs).for_each(|(sum, log)| *sum -= probability * log);
        }
        for (exponent, gradient) in self.exponents.iter_mut().zip(gradient) {
            if gradient.is_finite() {
                *exponent = (*exponent + self.rate * gradient).clamp(-4.0, 4.0);
            }
        }
    }
}

/// Scores become probabilities; all zero when none is finite.
pub(crate) fn softmax(scores: &mut [f32]) {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !highest.is_finite() {
        scores.fill(0.0);
        return;
    }
    scores.iter_mut().for_each(|score| *score = libm::expf(*score - highest));
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    #[test]
    fn two_who_agree_on_one_of_many_are_both_heard() {
        // Of ten candidates one expert names five, the other every second; they agree on the true one.
        let mut pool = Pool::<2>::new(0, 0.05);
        let mut dice = Dice::new(2);
        let mut out = Vec::new();
        let mut last = 0.0;
        for _ in 0..2_000 {
            let truth = dice.below(10);
            let one = |at: u64| if (at + 10 - truth) % 10 < 5 { 0.2 } else { 0.0 };
            let two = |at: u64| if (at + 10 - truth).is_multiple_of(5) { 0.5 } else { 0.0 };
            pool.weigh((0..10).map(|at| [one(at), two(at)]), &mut out);
            last = out[truth as usize];
            pool.learn(&out, truth as usize);
        }
        assert!(last > 0.95, "{last} with {:?}", pool.exponents());
    }

    #[test]
    fn begins_as_the_trusted_opinion_and_survives_nonsense() {
        let mut pool = Pool::<2>::new(1, 0.1);
        let mut out = Vec::new();
        pool.weigh([[0.9, 0.2], [0.1, 0.6]].into_iter(), &mut out);
        assert!((out[0] - 0.25).abs() < 1e-3, "{out:?}");
        pool.weigh([[f32::NAN, 0.2], [f32::INFINITY, 0.6]].into_iter(), &mut out);
        pool.learn(&out, 1);
        pool.learn(&out, 9);
        pool.weigh([[0.9, 0.2], [0.1, 0.6]].into_iter(), &mut out);
        assert!((out.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{out:?}");
        pool.weigh(std::iter::empty(), &mut out);
        assert!(out.is_empty());
    }
}
