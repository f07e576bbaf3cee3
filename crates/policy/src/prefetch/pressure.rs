//! How busy a service is, by what its answers show: slower than it used to be, or failing. Limits that are nearly
//! reached are told by whoever knows them. It decides nothing.

/// Answers over which "now" and "usually" are averaged, roughly.
const NOW: f64 = 1.0 / 20.0;
const USUALLY: f64 = 1.0 / 500.0;
/// Twice and a half as slow as usual is as busy as counts.
const SLOW: f64 = 2.5;
/// So are failures of one in ten.
const FAILING: f64 = 0.1;
/// Load that both stand for: from there on nothing is fetched ahead.
const BUSY: f64 = 0.8;

/// One service. Times are compared as logarithms, since they differ by powers between routes.
#[derive(Clone, Debug, Default)]
pub struct Pressure {
    now: Option<f64>,
    usually: f64,
    failing: f64,
    told: f64,
}

impl Pressure {
    /// One answer of the origin: how long it took, whether it was a failure, and the load that limits show, 0 to 1.
    pub fn answered(&mut self, latency_us: f64, failed: bool, load: f64) {
        // What is no number counts as full.
        self.told = if load.is_finite() { load.clamp(0.0, 1.0) } else { 1.0 };
        self.failing += NOW * (f64::from(u8::from(failed)) - self.failing);
        // A refusal comes quickly, and says nothing about speed.
        if failed || !(latency_us.is_finite() && latency_us > 0.0) {
            return;
        }
        let log = latency_us.max(1.0).ln();
        match &mut self.now {
            Some(now) => {
                *now += NOW * (log - *now);
                self.usually += USUALLY * (log - self.usually);
            }
            None => (self.now, self.usually) = (Some(log), log),
        }
    }

    /// 0 to 1; from 0.8 on it is busy.
    #[must_use]
    pub fn load(&self) -> f64 {
        let times = self.now.map_or(1.0, |now| (now - self.usually).exp());
        let slow = BUSY * ((times - 1.0) / (SLOW - 1.0)).clamp(0.0, 1.0);
        let failing = BUSY * (self.failing / FAILING).min(1.0);
        self.told.max(slow).max(failing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady() -> Pressure {
        let mut pressure = Pressure::default();
        (0..1_000).for_each(|_| pressure.answered(10_000.0, false, 0.1));
        pressure
    }

    #[test]
    fn slower_answers_failures_and_limits_each_make_it_busy() {
        let calm = steady();
        assert!(calm.load() < 0.15, "{}", calm.load());
        let mut slow = calm.clone();
        (0..100).for_each(|_| slow.answered(40_000.0, false, 0.1));
        assert!(slow.load() >= BUSY, "{}", slow.load());
        let mut failing = calm.clone();
        (0..10).for_each(|_| failing.answered(300.0, true, 0.1));
        assert!(failing.load() >= BUSY, "{}", failing.load());
        (0..100).for_each(|_| failing.answered(10_000.0, false, 0.1));
        assert!(failing.load() < 0.15, "it is over: {}", failing.load());
        let mut full = calm;
        full.answered(10_000.0, false, 0.95);
        assert!(full.load() >= 0.95);
    }

    #[test]
    fn nonsense_counts_as_full_and_breaks_nothing() {
        let mut pressure = Pressure::default();
        for latency_us in [f64::NAN, -1.0, 0.0, f64::INFINITY, 1e300] {
            pressure.answered(latency_us, false, f64::NAN);
            assert_eq!(pressure.load(), 1.0);
        }
        pressure.answered(1.0, false, 0.0);
        assert!((0.0..=1.0).contains(&pressure.load()));
    }
}
