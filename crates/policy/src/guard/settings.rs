//! What a guard compares and how careful it is, with defaults that are meant to be kept. It judges nothing.

use std::time::Duration;

use thiserror::Error;

use super::split::Mode;

/// Rails of one guard at most.
const RAILS_MAX: usize = 8;
/// Windows of a block at most.
const BLOCK_MAX: u32 = 1 << 10;
/// Bounds of a metric: squares of values within them stay far inside a double.
const LARGEST: f64 = 1e100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Higher,
    Lower,
}

/// A figure that both arms have for each unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    pub name: &'static str,
    /// For the journal; empty for counts.
    pub unit: &'static str,
    pub better: Better,
    /// Values beyond these bounds count as if they were on them, and are counted: one monster does not decide. A hit
    /// is 0 or 1; for latencies the timeout is a good upper bound.
    pub low: f64,
    pub high: f64,
}

/// A metric in which the learned policy may not be worse than the baseline by more than a share.
#[derive(Clone, Debug, PartialEq)]
pub struct Rail {
    pub metric: Metric,
    /// Per cent of the baseline's value.
    pub worse_percent: f64,
}

/// What a guard is to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What the learned policy is to be better in.
    pub goal: Metric,
    pub rails: Vec<Rail>,
    /// Where it begins, and begins again after a pause. Only pairs ([`super::Guard::observe_pair`]) tell in the shadow
    /// whether it is better; without pairs it has to begin with a share.
    pub start: Mode,
    /// How far it gets on evidence alone.
    pub most: Mode,
    /// Between shadow and on.
    pub share: f64,
    /// Share of the units that stays with the baseline in `on`, so that the comparison goes on.
    pub yardstick: f64,
    /// Chance that a policy which is as good as the baseline is taken back as worse, in one stay at a mode, however
    /// long; and the chance that one is promoted as better.
    pub alpha: f64,
    /// Values of one window are put together before they are compared, so that both arms see the same weather.
    pub window: Duration,
    /// Units that each arm needs in a window; it goes on until both have them.
    pub window_units: f64,
    /// Windows that the patient one of both readings judges as one: longer than windows follow from one another.
    pub block: u32,
    /// The swift reading has to hold without its best windows, so many in a row. For evidence from two arms, as long as
    /// what befalls one of them alone may last ([`Self::SPARED`]); pairs are told apart by nothing but the policies: 0.
    pub spared: u32,
    /// Windows in which the learned policy has to prove itself, or is taken back as no better.
    pub horizon: u32,
    /// After it was taken back the first time; doubled each time.
    pub pause: Duration,
    pub longest_pause: Duration,
    /// Taken back as worse once more than so often, it stays off until an operator says otherwise.
    pub relapses: u32,
    /// Both arms are the baseline: measures the guard's own false alarms.
    pub a_a: bool,
    /// Keeps the split apart from those of other guards.
    pub salt: u64,
}

impl Settings {
    /// Windows for [`Self::spared`] where the arms have units of their own: bursts of ten windows in the mean are seldom
    /// longer than three times that.
    pub const SPARED: u32 = 32;

    /// The defaults for one goal, and for pairs.
    #[must_use]
    pub fn new(goal: Metric) -> Self {
        Self {
            goal,
            rails: Vec::new(),
            start: Mode::Shadow,
            most: Mode::On,
            share: 0.1,
            yardstick: 0.05,
            alpha: 0.05,
            window: Duration::from_secs(10),
            window_units: 100.0,
            block: 12,
            spared: 0,
            horizon: 720,
            pause: Duration::from_secs(600),
            longest_pause: Duration::from_secs(86_400),
            relapses: 5,
            a_a: false,
            salt: 0,
        }
    }

    /// # Errors
    /// The first setting that makes no sense.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let wrong = |name, need| Err(SettingsError { name, need });
        let inside = |share: f64| share > 0.0 && share < 1.0;
        let acts = |mode: &Mode| !matches!(mode, Mode::Share(share) if !inside(*share));
        for metric in self.metrics() {
            if !(metric.low < metric.high && metric.low >= -LARGEST && metric.high <= LARGEST) {
                return wrong("bounds of a metric", "in order and within 1e100");
            }
        }
        if self.rails.len() > RAILS_MAX {
            return wrong("rails", "at most 8");
        }
        if self.rails.iter().any(|rail| !(0.0..=1e6).contains(&rail.worse_percent)) {
            return wrong("worse_percent", "from 0 to 1e6");
        }
        if ![self.share, self.yardstick, self.alpha].into_iter().all(inside) {
            return wrong("share, yardstick and alpha", "above 0 and below 1");
        }
        if !acts(&self.start) || !acts(&self.most) {
            return wrong("the share of a mode", "above 0 and below 1");
        }
        if self.start.rank() > self.most.rank() {
            return wrong("the mode to start with", "no further than the furthest one");
        }
        if !(self.window_units >= 1.0 && self.window_units.is_finite()) {
            return wrong("window_units", "at least 1");
        }
        if !(1..=BLOCK_MAX).contains(&self.block) {
            return wrong("block", "from 1 to 1024 windows");
        }
        if self.spared > BLOCK_MAX {
            return wrong("spared", "at most 1024 windows");
        }
        if self.horizon == 0 || self.pause > self.longest_pause {
            return wrong("horizon and pauses", "at least one window; the longest pause not below the first");
        }
        Ok(())
    }

    /// Goal first.
    pub(super) fn metrics(&self) -> impl Iterator<Item = &Metric> {
        std::iter::once(&self.goal).chain(self.rails.iter().map(|rail| &rail.metric))
    }
}

/// A setting that makes no sense.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("guard: {name} has to be {need}")]
pub struct SettingsError {
    name: &'static str,
    need: &'static str,
}
