//! One metric of both arms: windows become differences, differences become evidence. It decides nothing.

use headgate_model::decision::Figure;
use headgate_stats::sequential::{Blocks, MeanSequence, SignFlipTest};

use super::settings::{Better, Metric};
use super::split::Arm;

/// Differences of one round. A test that ran long between equals has lost what it could bet; each round begins anew.
const ROUND: u32 = 256;
/// The intervals in the journal: their error, and the number of differences where they are narrowest.
const INTERVAL: (f64, usize) = (0.05, 64);

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
    blocks: Blocks,
    test: SignFlipTest,
    interval: Option<MeanSequence>,
    /// Counted from 1, and the differences in it.
    round: u32,
    in_round: u32,
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
    pub(super) fn new(metric: &Metric, worse_percent: f64, block: Option<u32>) -> Self {
        let share = worse_percent / 100.0;
        let mut comparison = Self {
            allowed: if metric.better == Better::Higher { 1.0 - share } else { 1.0 + share },
            metric: metric.clone(),
            open: Default::default(),
            closed: Default::default(),
            windows: 0,
            blocks: block.map_or_else(Blocks::new, Blocks::fixed),
            test: SignFlipTest::new(),
            interval: None,
            round: 1,
            in_round: 0,
            lately: 0.0,
            clamped: 0,
        };
        comparison.begin();
        comparison
    }

    /// Starts the evidence again. What is known of spread and correlation stays.
    pub(super) fn begin(&mut self) {
        (self.open, self.closed) = Default::default();
        (self.windows, self.round, self.in_round, self.lately) = (0, 1, 0, 0.0);
        self.blocks.interrupt();
        self.test.restart();
        self.interval = MeanSequence::new(INTERVAL.0, INTERVAL.1).ok();
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
        self.compare(gain);
        true
    }

    fn compare(&mut self, gain: f64) {
        // Within its bounds a metric is finite, and so is what is made of it.
        let Ok(released) = self.blocks.observe(gain) else { return };
        if released.start_again {
            self.test = SignFlipTest::new();
            self.interval = MeanSequence::new(INTERVAL.0, INTERVAL.1).ok();
            (self.round, self.in_round) = (self.round + 1, 0);
        }
        for mean in released.means {
            let _ = self.test.observe(*mean);
            self.interval.as_mut().map(|interval| interval.observe(*mean));
            self.in_round += 1;
        }
    }

    /// Whether the learned arm is better by what was promised for this stay.
    pub(super) fn is_better(&self, alpha: f64) -> bool {
        self.test.p_above() <= self.spent(alpha)
    }

    /// Whether it is worse, or worse than allowed.
    pub(super) fn is_worse(&self, alpha: f64) -> bool {
        self.test.p_below() <= self.spent(alpha)
    }

    /// To be called after each window that was judged.
    pub(super) fn go_on(&mut self) {
        if self.in_round >= ROUND {
            (self.round, self.in_round) = (self.round + 1, 0);
            self.test.restart();
        }
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
            && let Some(Ok(Some(interval))) = self.interval.as_ref().map(MeanSequence::interval)
        {
            let middle = f64::midpoint(interval.low, interval.high);
            figures.push(Figure::new("gain", middle, unit));
            figures.push(Figure::new("95 % interval from", interval.low, unit));
            figures.push(Figure::new("95 % interval to", interval.high, unit));
        }
        figures.push(Figure::new("windows", f64::from(self.windows), ""));
        figures.push(Figure::new("units, learned", learned.units, ""));
        figures.push(Figure::new("units, baseline", baseline.units, ""));
        figures
    }

    /// Round `k` may spend `1 / (k (k + 1))` of `alpha`, which adds up to all of it for a stay without end.
    fn spent(&self, alpha: f64) -> f64 {
        let round = f64::from(self.round);
        alpha / (round * (round + 1.0))
    }
}
