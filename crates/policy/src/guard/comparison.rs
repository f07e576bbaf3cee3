//! One metric of both arms: windows become differences, differences become evidence. It decides nothing.

use headgate_model::decision::Figure;

use super::reading::Reading;
use super::settings::{Better, Metric, Settings};
use super::split::Arm;

/// The arms side by side.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    metric: Metric,
    /// Times the baseline's mean is what the learned one is held against; 1 for a goal.
    allowed: f64,
    /// Values of the window that is open: learned, baseline.
    open: [Sum; 2],
    /// Values of all windows since the stage began.
    closed: [Sum; 2],
    windows: u32,
    /// A swift one and a patient one; each may be wrong in half of the cases that were promised.
    readings: [Reading; 2],
    /// Differences since [`Self::lately`] was asked: their sum.
    lately: f64,
    /// Values that were on the wrong side of a bound.
    pub(super) clamped: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    value: f64,
    units: f64,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.value += other.value;
        self.units += other.units;
    }

    fn mean(self) -> f64 {
        if self.units > 0.0 { self.value / self.units } else { 0.0 }
    }
}

impl Comparison {
    pub(super) fn new(metric: &Metric, worse_percent: f64, settings: &Settings) -> Self {
        let share = worse_percent / 100.0;
        Self {
            allowed: if metric.better == Better::Higher { 1.0 - share } else { 1.0 + share },
            metric: metric.clone(),
            open: Default::default(),
            closed: Default::default(),
            windows: 0,
            readings: [Reading::swift(settings.spared), Reading::patient(settings.block)],
            lately: 0.0,
            clamped: 0,
        }
    }

    /// Starts the evidence again. What is known of spread and correlation stays.
    pub(super) fn begin(&mut self) {
        (self.open, self.closed) = Default::default();
        (self.windows, self.lately) = (0, 0.0);
        self.readings.iter_mut().for_each(Reading::begin);
    }

    /// `value` is the mean of `units` units; both are finite.
    pub(super) fn observe(&mut self, arm: Arm, value: f64, units: f64) {
        let inside = value.clamp(self.metric.low, self.metric.high);
        self.clamped += u64::from(inside != value);
        self.open[arm as usize].add(Sum { value: inside * units, units });
    }

    /// Closes the window if both arms have `need` units in it; whether it did.
    pub(super) fn close(&mut self, need: f64) -> bool {
        if self.open.iter().any(|arm| arm.units < need) {
            return false;
        }
        let [learned, baseline] = std::mem::take(&mut self.open);
        self.closed[0].add(learned);
        self.closed[1].add(baseline);
        self.windows += 1;
        let more = learned.mean() - self.allowed * baseline.mean();
        let gain = if self.metric.better == Better::Higher { more } else { -more };
        self.lately += gain;
        self.readings.iter_mut().for_each(|reading| reading.observe(gain));
        true
    }

    /// Whether the learned arm is better by what was promised for this stay.
    pub(super) fn is_better(&self, alpha: f64) -> bool {
        self.readings.iter().any(|reading| reading.is_above(alpha / 2.0))
    }

    /// Whether it is worse, or worse than allowed.
    pub(super) fn is_worse(&self, alpha: f64) -> bool {
        self.readings.iter().any(|reading| reading.is_below(alpha / 2.0))
    }

    /// To be called after each window that was judged.
    pub(super) fn go_on(&mut self) {
        self.readings.iter_mut().for_each(Reading::go_on);
    }

    /// Gain over the windows since this was last asked, as a sum: its sign is what counts.
    pub(super) fn lately(&mut self) -> f64 {
        std::mem::take(&mut self.lately)
    }

    /// The mean of all windows of this stay is on the good side. True before the first.
    pub(super) fn looks_good(&self) -> bool {
        let more = self.closed[0].mean() - self.allowed * self.closed[1].mean();
        if self.metric.better == Better::Higher { more >= 0.0 } else { more <= 0.0 }
    }

    pub(super) fn windows(&self) -> u32 {
        self.windows
    }

    /// What can be told of it: both means, the gain with its interval (which holds at any time), units.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let Metric { name, unit, .. } = self.metric;
        let [learned, baseline] = self.closed;
        let mut figures = vec![
            Figure::new(&format!("{name}, learned"), learned.mean(), unit),
            Figure::new(&format!("{name}, baseline"), baseline.mean(), unit),
        ];
        // That of a rail is a distance from what is allowed, and no gain.
        if self.allowed == 1.0
            && let Some((low, high)) = self.readings.iter().find_map(Reading::interval)
        {
            figures.push(Figure::new("gain", f64::midpoint(low, high), unit));
            figures.push(Figure::new("95 % interval from", low, unit));
            figures.push(Figure::new("95 % interval to", high, unit));
        }
        figures.push(Figure::new("windows", f64::from(self.windows), ""));
        figures.push(Figure::new("units, learned", learned.units, ""));
        figures.push(Figure::new("units, baseline", baseline.units, ""));
        figures
    }
}
