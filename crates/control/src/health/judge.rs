//! When a run of probes changes what is held of an endpoint: a counter and two thresholds. It probes nothing
//! and knows no time.

use headgate_model::state::HealthVerdict;

/// What is held of one endpoint, and how many probes in a row have spoken against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judge {
    verdict: HealthVerdict,
    contradictions: u16,
}

impl Judge {
    #[must_use]
    pub fn new(verdict: HealthVerdict) -> Self {
        Self { verdict, contradictions: 0 }
    }

    /// Takes the result of a probe; the new verdict when it changes. `healthy_after` successes in a row make
    /// an unhealthy endpoint healthy, `unhealthy_after` failures in a row the other way; zero counts as one.
    /// An endpoint of which nothing is known is used like a healthy one, so its first success settles that
    /// it is, and it takes as many failures as any other.
    pub fn observe(
        &mut self,
        passed: bool,
        healthy_after: u16,
        unhealthy_after: u16,
    ) -> Option<HealthVerdict> {
        let (agrees, needed) = match self.verdict {
            HealthVerdict::Healthy => (passed, unhealthy_after),
            HealthVerdict::Unhealthy => (!passed, healthy_after),
            HealthVerdict::Unknown => (false, if passed { 1 } else { unhealthy_after }),
        };
        if agrees {
            self.contradictions = 0;
            return None;
        }
        self.contradictions = self.contradictions.saturating_add(1);
        if self.contradictions < needed {
            return None;
        }
        self.contradictions = 0;
        self.verdict = if passed { HealthVerdict::Healthy } else { HealthVerdict::Unhealthy };
        Some(self.verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::Judge;
    use headgate_model::dice::Dice;
    use headgate_model::state::HealthVerdict::{self, Healthy, Unhealthy, Unknown};

    /// The changes over probes written as `+` and `-`, with two successes and three failures as thresholds.
    fn changes(first: HealthVerdict, probes: &str) -> Vec<(usize, HealthVerdict)> {
        let mut judge = Judge::new(first);
        let results = probes.bytes().map(|probe| judge.observe(probe == b'+', 2, 3));
        results.enumerate().filter_map(|(at, change)| Some((at, change?))).collect()
    }

    #[test]
    fn a_row_of_results_changes_the_verdict_and_a_mixed_one_does_not() {
        assert_eq!(changes(Healthy, "--+--+--+-"), []);
        assert_eq!(changes(Healthy, "+---"), [(3, Unhealthy)]);
        assert_eq!(changes(Unhealthy, "-+-+-+-"), []);
        assert_eq!(changes(Unhealthy, "-++---++"), [(2, Healthy), (5, Unhealthy), (7, Healthy)]);
    }

    #[test]
    fn of_the_unknown_the_first_success_is_believed() {
        assert_eq!(changes(Unknown, "+"), [(0, Healthy)]);
        assert_eq!(changes(Unknown, "--+"), [(2, Healthy)]);
        assert_eq!(changes(Unknown, "---"), [(2, Unhealthy)]);
    }

    #[test]
    fn a_threshold_of_zero_is_one() {
        let mut judge = Judge::new(Healthy);
        assert_eq!(judge.observe(false, 0, 0), Some(Unhealthy));
        assert_eq!(judge.observe(true, 0, 0), Some(Healthy));
    }

    /// Whatever the probes say: the verdict changes exactly when the last `n` results all speak against it.
    #[test]
    fn agrees_with_looking_back_over_random_probes() {
        for seed in 0..50 {
            let mut dice = Dice::new(seed);
            let (up, down) = (1 + dice.below(4) as u16, 1 + dice.below(4) as u16);
            let (mut judge, mut verdict) = (Judge::new(Healthy), Healthy);
            let mut since_change: Vec<bool> = Vec::new();
            for _ in 0..500 {
                let passed = dice.below(2) == 0;
                since_change.push(passed);
                let needed = usize::from(if verdict == Healthy { down } else { up });
                let against = since_change.iter().rev().take_while(|&&p| p != (verdict == Healthy)).count();
                let expected = (against >= needed).then(|| {
                    since_change.clear();
                    if passed { Healthy } else { Unhealthy }
                });
                assert_eq!(judge.observe(passed, up, down), expected, "seed {seed}");
                verdict = expected.unwrap_or(verdict);
            }
        }
    }
}
