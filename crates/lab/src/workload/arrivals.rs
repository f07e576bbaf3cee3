//! When requests are sent in the open model: evenly spaced or as a Poisson process, at a rate that follows
//! phases, a recorded trace and random bursts. It never waits for an answer; that is what makes it open.

use super::error::{SpecError, at_most, positive};
use super::normal;
use super::phases::{Phase, Phases, Stretch};
use super::trace::{Files, RATE_MAX, rates_of};
use headgate_model::dice::Dice;
use headgate_model::spec::Span;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Rates that a trace may have: an hour of seconds a thousand times over.
const RATES_MAX: usize = 4_000_000;

/// The open model: arrivals that do not wait for answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenSpec {
    /// What arrives.
    #[serde(default)]
    pub arrive: Arriving,
    #[serde(default)]
    pub spacing: Spacing,
    /// Levels are arrivals per second; with a trace, factors on it. Default with a trace: all of it, once.
    #[serde(default)]
    pub phases: Vec<Phase>,
    pub trace: Option<RateTrace>,
    pub bursts: Option<Bursts>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arriving {
    /// Single requests, each on a step drawn by weight.
    #[default]
    Requests,
    /// Sessions, each of which walks through the steps with its own think times (partly open model).
    Sessions,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spacing {
    /// Independent arrivals: exponential gaps.
    #[default]
    Poisson,
    /// Equal gaps while the rate is constant.
    Constant,
}

/// A recorded rate: exactly one of `file` and `rates`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateTrace {
    /// A file with one number per line, or with the number in the last column.
    pub file: Option<String>,
    #[serde(default)]
    pub rates: Vec<f64>,
    /// What a number counts: arrivals in one second or in one minute.
    #[serde(default)]
    pub per: Per,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    #[default]
    Second,
    Minute,
}

/// Random bursts that leave the mean rate as it is: a Markov-modulated process with two states. With
/// `ratio = inf` nothing arrives between bursts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bursts {
    /// Rate within a burst over the rate outside.
    pub ratio: f64,
    /// Mean length of a burst.
    #[serde(default)]
    pub burst: Span<1_000>,
    /// Mean time between bursts.
    #[serde(default)]
    pub calm: Span<10_000>,
}

/// The checked open model; makes any number of equal or different streams of times.
#[derive(Clone, Debug)]
pub struct Open {
    pub arriving: Arriving,
    spacing: Spacing,
    phases: Arc<Phases>,
    trace: Option<Trace>,
    bursts: Option<BurstRates>,
}

#[derive(Clone, Debug)]
struct Trace {
    per_second: Arc<[f64]>,
    bucket_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct BurstRates {
    /// Factors on the rate outside and within a burst.
    factors: [f64; 2],
    /// Mean length of either, in nanoseconds.
    means_ns: [f64; 2],
}

impl Open {
    /// Checks the description. `files` gives the text of a trace.
    pub fn new(spec: &OpenSpec, files: Files<'_>) -> Result<Self, SpecError> {
        let trace = spec.trace.as_ref().map(|trace| Trace::new(trace, files)).transpose();
        let trace = trace.map_err(|error| error.within("trace"))?;
        let whole = trace.as_ref().map(Trace::whole);
        let phases = if spec.phases.is_empty() { whole.as_slice() } else { spec.phases.as_slice() };
        let phases = Arc::new(Phases::new(phases, RATE_MAX)?);
        let bursts = spec.bursts.map(BurstRates::new).transpose().map_err(|error| error.within("bursts"))?;
        Ok(Self { arriving: spec.arrive, spacing: spec.spacing, phases, trace, bursts })
    }

    #[must_use]
    pub fn phases(&self) -> &Phases {
        &self.phases
    }

    /// The times of all arrivals, in nanoseconds from the start of the run, rising.
    #[must_use]
    pub fn times(&self, dice: Dice) -> Times {
        let mut times = Times {
            open: self.clone(),
            dice,
            until_burst_change_ns: u64::MAX,
            in_burst: false,
            stretch: Stretch { start_ns: 0, end_ns: 0, from: 0.0, to: 0.0 },
            now_ns: 0.0,
        };
        times.enter_bursts();
        times
    }
}

impl Trace {
    fn new(spec: &RateTrace, files: Files<'_>) -> Result<Self, SpecError> {
        let rates = match (&spec.file, spec.rates.is_empty()) {
            (Some(file), true) => rates_of(file, files)?,
            (None, false) => spec.rates.clone(),
            _ => {
                return Err(SpecError::new(
                    "",
                    "has both `file` and `rates`, or neither",
                    "write one of the two",
                ));
            }
        };
        at_most("rates", rates.len(), RATES_MAX)?;
        if let Some((index, rate)) =
            rates.iter().enumerate().find(|(_, rate)| !(0.0..=RATE_MAX).contains(*rate))
        {
            return Err(SpecError::new(
                format!("rates[{index}]"),
                format!("is {rate}"),
                "write a rate from 0 to 1e9",
            ));
        }
        let seconds = match spec.per {
            Per::Second => 1,
            Per::Minute => 60,
        };
        let per_second = rates.into_iter().map(|rate| rate / seconds as f64).collect();
        Ok(Self { per_second, bucket_ns: seconds * 1_000_000_000 })
    }

    /// One phase as long as the trace, at its own rate.
    fn whole(&self) -> Phase {
        let length =
            std::time::Duration::from_nanos(self.bucket_ns.saturating_mul(self.per_second.len() as u64));
        Phase::steady("trace", length, 1.0)
    }

    /// The part of a stretch that lies in one bucket, with the rate of that bucket as a factor. After its end
    /// the trace begins anew.
    fn apply(&self, stretch: Stretch, now_ns: u64) -> (u64, f64) {
        let bucket = now_ns / self.bucket_ns;
        let rate = self.per_second[(bucket % self.per_second.len() as u64) as usize];
        (stretch.end_ns.min((bucket + 1) * self.bucket_ns), rate)
    }
}

impl BurstRates {
    fn new(spec: Bursts) -> Result<Self, SpecError> {
        if spec.ratio.is_nan() || spec.ratio < 1.0 {
            let problem = format!("is {}", spec.ratio);
            return Err(SpecError::new(
                "ratio",
                problem,
                "write 1 or more, or inf for nothing between bursts",
            ));
        }
        let means_ns = [spec.calm.0, spec.burst.0].map(|mean| mean.as_nanos() as f64);
        positive("calm", means_ns[0], "write a mean time above zero, like \"10s\"")?;
        positive("burst", means_ns[1], "write a mean length above zero, like \"1s\"")?;
        let [calm, burst] = means_ns;
        let within = (calm + burst) / (calm / spec.ratio + burst);
        Ok(Self { factors: [within / spec.ratio, within], means_ns })
    }
}

/// Arrival times, lazily. A process of unit rate is stretched by the inverse of the integrated rate, so a
/// changing rate costs nothing and is exact.
#[derive(Clone, Debug)]
pub struct Times {
    open: Open,
    dice: Dice,
    until_burst_change_ns: u64,
    in_burst: bool,
    /// Where the rate is a straight line and `now_ns` lies.
    stretch: Stretch,
    /// The last arrival, or the start of the stretch.
    now_ns: f64,
}

impl Times {
    fn enter_bursts(&mut self) {
        if let Some(bursts) = self.open.bursts {
            let [calm, burst] = bursts.means_ns;
            // The first state by its share of time, so that the rate is right from the start.
            self.in_burst = self.dice.unit() < burst / (calm + burst);
            self.until_burst_change_ns = self.burst_change_after(0, bursts);
        }
    }

    fn burst_change_after(&mut self, now_ns: u64, bursts: BurstRates) -> u64 {
        let mean = bursts.means_ns[usize::from(self.in_burst)];
        now_ns.saturating_add((mean * normal::exponential(&mut self.dice)) as u64 + 1)
    }

    /// Enters the next stretch; false at the end.
    fn advance(&mut self) -> bool {
        let start_ns = self.stretch.end_ns;
        let Some(index) = self.open.phases.index_at(start_ns) else { return false };
        let whole = self.open.phases.stretch(index);
        let (mut end_ns, mut factor) = (whole.end_ns, 1.0);
        if let Some(trace) = &self.open.trace {
            (end_ns, factor) = trace.apply(whole, start_ns);
        }
        if let Some(bursts) = self.open.bursts {
            if self.until_burst_change_ns <= start_ns {
                self.in_burst = !self.in_burst;
                self.until_burst_change_ns = self.burst_change_after(start_ns, bursts);
            }
            end_ns = end_ns.min(self.until_burst_change_ns);
            factor *= bursts.factors[usize::from(self.in_burst)];
        }
        let at = |ns: u64| {
            let progress = (ns - whole.start_ns) as f64 / (whole.end_ns - whole.start_ns) as f64;
            (whole.from + (whole.to - whole.from) * progress) * factor
        };
        self.stretch = Stretch { start_ns, end_ns, from: at(start_ns), to: at(end_ns) };
        self.now_ns = start_ns as f64;
        true
    }
}

impl Iterator for Times {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let mut arrivals = match self.open.spacing {
            Spacing::Poisson => normal::exponential(&mut self.dice),
            Spacing::Constant => 1.0,
        };
        loop {
            let Stretch { start_ns, end_ns, from, to } = self.stretch;
            let left_s = (end_ns as f64 - self.now_ns) * 1e-9;
            if left_s > 0.0 {
                let slope = (to - from) / ((end_ns - start_ns) as f64 * 1e-9);
                let rate = from + slope * (self.now_ns - start_ns as f64) * 1e-9;
                let here = (rate + slope * left_s / 2.0) * left_s;
                if here > arrivals {
                    // The root of rate * t + slope * t^2 / 2 = arrivals, in the form that does not cancel.
                    let root = (rate * rate + 2.0 * slope * arrivals).max(0.0).sqrt();
                    self.now_ns += 2.0 * arrivals / (rate + root) * 1e9;
                    return Some(self.now_ns as u64);
                }
                arrivals -= here.max(0.0);
            }
            if !self.advance() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trace::no_files;
    use super::*;

    const S: u64 = 1_000_000_000;

    fn times(text: &str, seed: u64) -> Vec<u64> {
        let spec: OpenSpec = toml::from_str(text).unwrap();
        Open::new(&spec, &mut no_files()).unwrap().times(Dice::new(seed)).collect()
    }

    fn mean_and_variance(counts: &[f64]) -> (f64, f64) {
        let mean = counts.iter().sum::<f64>() / counts.len() as f64;
        (mean, counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / counts.len() as f64)
    }

    fn per_second(times: &[u64], seconds: usize) -> Vec<f64> {
        let mut counts = vec![0.0; seconds];
        times.iter().for_each(|at| counts[(at / S) as usize] += 1.0);
        counts
    }

    #[test]
    fn constant_pace_is_even_and_a_ramp_has_its_area() {
        let times = times("spacing = \"constant\"\nphases = [{ lasts = \"2s\", level = 10 }]", 1);
        assert_eq!(times.len(), 19);
        assert!(times.iter().enumerate().all(|(index, at)| at.abs_diff((index as u64 + 1) * S / 10) <= 1));
        let ramp = "spacing = \"constant\"\nphases = [{ lasts = \"100s\", from = 0, level = 100 }]";
        let times = self::times(ramp, 1);
        assert!((4_998..=5_000).contains(&times.len()), "{}", times.len());
        let first_half = times.iter().filter(|at| **at < 50 * S).count();
        assert!((1_249..=1_251).contains(&first_half), "{first_half}");
    }

    #[test]
    fn poisson_counts_have_equal_mean_and_variance() {
        let times = times("phases = [{ lasts = \"2000s\", level = 100 }]", 7);
        assert!(times.is_sorted());
        let (mean, variance) = mean_and_variance(&per_second(&times, 2_000));
        assert!((mean - 100.0).abs() < 1.2 && (variance / mean - 1.0).abs() < 0.15, "{mean} {variance}");
    }

    #[test]
    fn bursts_keep_the_mean_and_raise_the_variance() {
        for ratio in ["8.0", "inf"] {
            let bursts = format!("bursts = {{ ratio = {ratio}, burst = \"1s\", calm = \"4s\" }}");
            let times = times(&format!("phases = [{{ lasts = \"10000s\", level = 50 }}]\n{bursts}"), 3);
            let (mean, variance) = mean_and_variance(&per_second(&times, 10_000));
            assert!((mean - 50.0).abs() < 2.5, "ratio {ratio}: {mean}");
            assert!(variance > 5.0 * mean, "ratio {ratio}: {variance}");
        }
    }

    #[test]
    fn a_trace_is_followed_second_by_second_and_scaled_by_the_phases() {
        let trace = "trace = { rates = [100, 0, 300] }";
        let counts = per_second(&times(&format!("spacing = \"constant\"\n{trace}"), 1), 3);
        assert!((counts[0] - 100.0).abs() <= 1.0 && counts[1] == 0.0 && (counts[2] - 300.0).abs() <= 1.0);
        let double = format!("spacing = \"constant\"\nphases = [{{ lasts = \"6s\", level = 2 }}]\n{trace}");
        let counts = per_second(&times(&double, 1), 6);
        assert!((counts[5] - 600.0).abs() <= 1.0 && (counts[3] - 200.0).abs() <= 1.0, "{counts:?}");
        let minutes = "spacing = \"constant\"\ntrace = { rates = [600, 1200], per = \"minute\" }";
        assert!((1_799..=1_800).contains(&times(minutes, 1).len()));
    }

    #[test]
    fn the_same_dice_give_the_same_times() {
        let text = "phases = [{ lasts = \"60s\", from = 5, level = 50 }]\nbursts = { ratio = 4, burst = \"1s\", calm = \"3s\" }";
        assert_eq!(times(text, 5), times(text, 5));
        assert_ne!(times(text, 5), times(text, 6));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("", "phases: is empty"),
            ("trace = {}", "trace: has both `file` and `rates`, or neither; write one of the two"),
            ("trace = { rates = [1, -1] }", "trace.rates[1]: is -1; write a rate from 0 to 1e9"),
            ("trace = { file = \"gone\" }", "trace.file: cannot be read: gone; name a readable file"),
            (
                "phases = [{ lasts = \"1s\", level = 1 }]\nbursts = { ratio = 0.5, burst = \"1s\", calm = \"1s\" }",
                "bursts.ratio: is 0.5; ",
            ),
        ] {
            let spec: OpenSpec = toml::from_str(text).unwrap();
            let error = Open::new(&spec, &mut no_files()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
        assert!(toml::from_str::<OpenSpec>("rate = 5").unwrap_err().to_string().contains("unknown field"));
    }
}
