//! A test whether differences lie to one side of zero, by betting that flipping their signs would matter (the
//! likelihood ratio against the sign-flip group: Koning, "Post-hoc and anytime valid permutation and group
//! invariance testing", 2023; Vovk and Wang, "Nonparametric e-tests of symmetry", 2024). It needs symmetry and
//! nothing else: no bounds, no variance, no mean. It says nothing of how large a difference is.

use super::best_run::BestRun;
use crate::check;
use crate::error::Result;

/// Share of the wealth that one bet may risk; less than all of it, so that one surprise ruins nobody.
const BOLDNESS: f64 = 0.95;
/// Values after which one counts half for the next bet: a quick gambler for what turns, a patient one for what is
/// small. Their mean wealth counts.
const HALF_LIVES: [f64; 2] = [4.0, 32.0];
/// Values of no difference that are imagined before the first, so that the first bets are small.
const CAUTION: f64 = 2.0;
/// Values beyond so many root mean squares count as if they were there, for the size of bets only.
const REACH: f64 = 4.0;

/// Gamblers who bet that differences are above, or below, zero.
///
/// Between equals that were measured alike each difference is as likely as its opposite whatever the measured values
/// are like, given all that came before; then the chance that a p-value ever falls to `alpha` is at most `alpha`,
/// exactly. A test of "not above zero" holds for every symmetric spread around zero or a point below it. Of a
/// skewed spread it judges neither mean nor median but something between them: add values up to means first.
/// Values that follow from one another have to be made independent first: see [`super::Blocks`].
#[derive(Clone, Debug, Default)]
pub struct SignFlipTest {
    count: u64,
    memories: [Memory; 2],
    above: Wealth,
    below: Wealth,
}

/// Number, sum and sum of squares of the values so far, faded.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    n: f64,
    sum: f64,
    squares: f64,
}

impl Memory {
    fn add(&mut self, value: f64, half_life: f64) {
        let fade = libm::exp2(-1.0 / half_life);
        self.n = self.n * fade + 1.0;
        self.sum = self.sum * fade + value;
        self.squares = self.squares * fade + value * value;
    }

    /// The stake that would be best for normal values: mean over variance, cautiously.
    fn stake(&self) -> f64 {
        let n = self.n.max(1.0);
        let square = self.squares / n * (1.0 + 1.0 / n);
        if square > 0.0 { self.sum / (self.n + CAUTION) / square } else { 0.0 }
    }
}

/// Logarithms of the wealth of a quick and a patient gambler, each of whom starts with 1; of their mean wealth now,
/// and of the largest there was without what its best run of values brought.
#[derive(Clone, Debug, Default)]
struct Wealth {
    each: [f64; 2],
    now: f64,
    largest: f64,
    spared: BestRun,
}

impl Wealth {
    /// Bets of `stakes` per unit of difference, in the gamblers' favour when `value` is above zero. The mean of each
    /// factor over a value and its opposite is 1.
    fn bet(&mut self, stakes: [f64; 2], value: f64) {
        for (wealth, stake) in self.each.iter_mut().zip(stakes) {
            *wealth += libm::log1p(BOLDNESS * libm::tanh(stake.max(0.0) * value));
        }
        let [quick, patient] = self.each;
        let now = quick.max(patient) + libm::log(0.5 + 0.5 * libm::exp(-(quick - patient).abs()));
        self.spared.add(now - self.now);
        self.now = now;
        self.largest = self.largest.max(self.now - self.spared.best());
    }

    fn begin(&mut self) {
        self.spared.begin();
        (self.each, self.now, self.largest) = Default::default();
    }
}

impl SignFlipTest {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A test whose p-values count nothing that the best `values` in a row have won, for differences among which
    /// bursts come: of one that is no longer than that nothing is concluded. The p-values are never smaller than without.
    #[must_use]
    pub fn sparing(values: u32) -> Self {
        let wealth = Wealth { spared: BestRun::of(values), ..Wealth::default() };
        Self { above: wealth.clone(), below: wealth, ..Self::default() }
    }

    /// Takes in one difference.
    ///
    /// # Errors
    /// The value is not finite or its square is not; the state stays as it was.
    pub fn observe(&mut self, value: f64) -> Result<()> {
        check::sample("the difference", &[value], 1)?;
        check::finite("the square of the difference", value * value)?;
        // Only what was known before this value.
        let stakes = self.memories.map(|memory| memory.stake());
        self.above.bet(stakes, value);
        self.below.bet(stakes.map(|stake| -stake), -value);
        let patient = self.memories[1];
        let reach = REACH * (patient.squares / patient.n.max(1.0)).sqrt();
        let known = if self.count >= 8 { value.clamp(-reach, reach) } else { value };
        for (memory, half_life) in self.memories.iter_mut().zip(HALF_LIVES) {
            memory.add(known, half_life);
        }
        self.count += 1;
        Ok(())
    }

    /// Values taken in.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Anytime-valid p-value of "differences are spread evenly around zero or a point below it".
    #[must_use]
    pub fn p_above(&self) -> f64 {
        libm::exp(-self.above.largest)
    }

    /// Anytime-valid p-value of "differences are spread evenly around zero or a point above it".
    #[must_use]
    pub fn p_below(&self) -> f64 {
        libm::exp(-self.below.largest)
    }

    /// Starts the gamblers again with nothing won or lost. What is known of the spread stays, so that they need not
    /// learn it again. Each start is a test of its own, with a chance of its own to be wrong.
    pub fn restart(&mut self) {
        self.above.begin();
        self.below.begin();
    }
}

#[cfg(test)]
mod tests {
    use headgate_model::dice::Dice;

    use super::*;
    use crate::dist::{Distribution, Normal};

    fn normal(dice: &mut Dice) -> f64 {
        Normal.quantile(dice.unit().max(1e-12)).unwrap()
    }

    /// Share of 2000 runs of 300 values in which the p-value ever falls to 5 %, and the median value at which it does.
    fn alarms(p: fn(&SignFlipTest) -> f64, draw: impl Fn(&mut Dice) -> f64) -> (f64, usize) {
        let runs = 2000;
        let mut at: Vec<usize> = (0..runs)
            .filter_map(|seed| {
                let (mut dice, mut test) = (Dice::new(seed), SignFlipTest::new());
                (1..=300).find(|_| {
                    test.observe(draw(&mut dice)).unwrap();
                    p(&test) <= 0.05
                })
            })
            .collect();
        at.sort_unstable();
        (at.len() as f64 / runs as f64, at.get(at.len() / 2).copied().unwrap_or_default())
    }

    /// The definition, in closed form: over all signs of the same magnitudes the mean wealth is 1.
    #[test]
    fn over_all_signs_the_mean_wealth_is_one() {
        let magnitudes: [f64; 10] = [1.0, 0.5, 3.0, 0.1, 40.0, 1.0, 2.0, 0.7, 5.0, 1.5];
        let (mut above, mut below) = (0.0, 0.0);
        for signs in 0..1 << magnitudes.len() {
            let mut test = SignFlipTest::new();
            for (at, magnitude) in magnitudes.iter().enumerate() {
                let sign = if signs >> at & 1 == 1 { 1.0 } else { -1.0 };
                test.observe(sign * magnitude).unwrap();
            }
            above += libm::exp(test.above.now) / 1024.0;
            below += libm::exp(test.below.now) / 1024.0;
        }
        assert!((above - 1.0).abs() < 1e-12 && (below - 1.0).abs() < 1e-12, "{above} {below}");
    }

    /// At full boldness the factor is the likelihood ratio of a normal value against its signs being flipped.
    #[test]
    fn a_bet_is_the_likelihood_ratio_of_the_sign() {
        let (mean, variance, value) = (0.3, 2.0, 1.7);
        let density = |x: f64| libm::exp(-(x - mean) * (x - mean) / (2.0 * variance));
        let ratio = 2.0 * density(value) / (density(value) + density(-value));
        assert!((1.0 + libm::tanh(mean / variance * value) - ratio).abs() < 1e-12);
    }

    #[test]
    fn peeking_after_every_value_keeps_the_promise_whatever_the_tails() {
        // Binomial error of 2000 runs at 5 %: 0.5 points.
        let cauchy = |dice: &mut Dice| libm::tan(std::f64::consts::PI * (dice.unit() - 0.5));
        let twins = |dice: &mut Dice| libm::pow(1.0 - dice.unit(), -2.0) - libm::pow(1.0 - dice.unit(), -2.0);
        for p in [SignFlipTest::p_above, SignFlipTest::p_below] {
            for (rate, _) in [alarms(p, normal), alarms(p, cauchy), alarms(p, twins)] {
                assert!(rate > 0.005 && rate <= 0.05 + 0.015, "{rate}");
            }
        }
    }

    #[test]
    fn a_shift_is_found_and_its_side_is_named() {
        let (found, median) = alarms(SignFlipTest::p_below, |dice| normal(dice) - 1.0);
        assert!(found > 0.999 && median <= 20, "{found}, median {median}");
        let (other, _) = alarms(SignFlipTest::p_above, |dice| normal(dice) - 1.0);
        assert!(other <= 0.05, "{other}");
    }

    #[test]
    fn what_was_good_for_long_is_found_when_it_turns() {
        let mut dice = Dice::new(5);
        let mut test = SignFlipTest::new();
        (0..500).for_each(|_| test.observe(normal(&mut dice) + 0.5).unwrap());
        assert!(test.p_above() < 1e-6 && test.p_below() > 0.05);
        let turned = (1..200).find(|_| {
            test.observe(normal(&mut dice) - 1.0).unwrap();
            test.p_below() <= 0.001
        });
        assert!(turned.is_some_and(|after| after < 90), "{turned:?}");
    }

    #[test]
    fn a_burst_that_is_spared_is_no_evidence_and_what_lasts_is() {
        let mut dice = Dice::new(9);
        let mut tests = [SignFlipTest::new(), SignFlipTest::sparing(20)];
        let mut observe = |mean: f64| {
            let value = normal(&mut dice) + mean;
            tests.iter_mut().for_each(|test| test.observe(value).unwrap());
            [tests[0].p_below(), tests[1].p_below()]
        };
        (0..100).for_each(|_| _ = observe(0.0));
        let [plain, spared] = (0..20).map(|_| observe(-3.0)).last().unwrap();
        assert!(plain < 0.05 && spared > 0.05, "{plain} {spared}");
        (0..100).for_each(|_| _ = observe(0.0));
        let [_, spared] = (0..50).map(|_| observe(-2.0)).last().unwrap();
        assert!(spared < 0.01, "{spared}");
    }

    #[test]
    fn equal_values_and_faulty_ones_are_no_evidence() {
        let mut test = SignFlipTest::new();
        (0..100).for_each(|_| test.observe(0.0).unwrap());
        assert!(test.observe(f64::NAN).is_err() && test.observe(1e300).is_err());
        assert_eq!((test.count(), test.p_above(), test.p_below()), (100, 1.0, 1.0));
        for value in [1e-160, 1e150, -1e150, 1.0] {
            test.observe(value).unwrap();
        }
        assert!(test.p_above().is_finite() && test.p_below().is_finite());
    }

    #[test]
    fn a_restart_forgets_the_evidence_and_keeps_the_spread() {
        let mut test = SignFlipTest::new();
        (0..50).for_each(|at| test.observe(1.0 + f64::from(at % 2)).unwrap());
        assert!(test.p_above() < 1e-6);
        test.restart();
        assert_eq!(test.p_above(), 1.0);
        test.observe(1.0).unwrap();
        assert!(test.p_above() < 0.75, "the first bet is a bold one: {}", test.p_above());
    }
}
