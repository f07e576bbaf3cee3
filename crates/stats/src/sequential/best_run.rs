//! The most that neighbouring steps of a series have brought together. A test that leaves it out concludes nothing from
//! one burst.

/// Over all runs of so many steps.
#[derive(Clone, Debug, Default)]
pub(super) struct BestRun {
    /// The last steps, in a ring; empty for no run at all.
    last: Vec<f64>,
    next: usize,
    /// Of the steps in the ring.
    sum: f64,
    best: f64,
}

impl BestRun {
    pub(super) fn of(steps: u32) -> Self {
        Self { last: vec![0.0; steps as usize], ..Self::default() }
    }

    pub(super) fn add(&mut self, step: f64) {
        let Some(oldest) = self.last.get_mut(self.next) else { return };
        self.sum += step - std::mem::replace(oldest, step);
        self.next = (self.next + 1) % self.last.len();
        self.best = self.best.max(self.sum);
    }

    /// Zero or above.
    pub(super) fn best(&self) -> f64 {
        self.best
    }

    /// Forgets all steps.
    pub(super) fn begin(&mut self) {
        self.last.fill(0.0);
        (self.next, self.sum, self.best) = (0, 0.0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    #[test]
    fn it_is_the_largest_sum_of_so_many_neighbours_or_fewer_at_the_start() {
        let mut dice = Dice::new(3);
        let steps: Vec<f64> = (0..200).map(|_| dice.unit() - 0.6).collect();
        for length in [1, 2, 7, 50] {
            let mut run = BestRun::of(length);
            let (mut best, length): (f64, usize) = (0.0, length as usize);
            for end in 1..=steps.len() {
                run.add(steps[end - 1]);
                best = best.max(steps[end.saturating_sub(length)..end].iter().sum());
                assert!((run.best() - best).abs() < 1e-9, "{length} at {end}");
            }
            run.begin();
            assert_eq!(run.best(), 0.0);
        }
        let mut none = BestRun::default();
        none.add(5.0);
        assert_eq!(none.best(), 0.0);
    }
}
