//! What a guard sees in a trial: traffic of two policies window by window, equal or with a planted difference.

use headgate_model::dice::Dice;
use headgate_policy::guard::{Arm, Better, Guard, Metric, Mode, Paired, Settings};

use crate::workload::normal;

/// A kind of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Both policies on the same 400 sampled requests per window: most are hits, or misses, of both.
    PairedHits,
    /// 400 requests per window and arm, hit or miss.
    Hits,
    /// 100 lognormal latencies per window and arm, coefficient of variation 1.3.
    Latency,
    /// The same for 1,900 requests of the learned arm and 100 of the yardstick, all of them counted.
    LatencyYardstick,
    /// 100 Pareto latencies (exponent 1.5: infinite variance) per window and arm, cut at a timeout.
    ParetoLatency,
    /// Each arm's window is normal noise of its own that follows the one before: AR(1) with 0.5.
    Following,
    /// The same with 0.8.
    FollowingMore,
    /// Each arm has bursts of its own, of ten windows in the mean, in which it is three times as slow.
    Bursts,
    /// Weather that both arms share: a level that wanders far, and noise of their own.
    SharedWeather,
}

impl Scenario {
    pub const ALL: [Self; 9] = [
        Self::PairedHits,
        Self::Hits,
        Self::Latency,
        Self::LatencyYardstick,
        Self::ParetoLatency,
        Self::Following,
        Self::FollowingMore,
        Self::Bursts,
        Self::SharedWeather,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PairedHits => "hits, paired",
            Self::Hits => "hits, two arms",
            Self::Latency => "latency, lognormal",
            Self::LatencyYardstick => "latency, 95 % against 5 %",
            Self::ParetoLatency => "latency, Pareto 1.5",
            Self::Following => "AR(1) 0.5",
            Self::FollowingMore => "AR(1) 0.8",
            Self::Bursts => "bursts per arm",
            Self::SharedWeather => "shared weather",
        }
    }

    /// Differences to plant: what they are, in words, and their sizes.
    #[must_use]
    pub fn effects(self) -> (&'static str, [f64; 4]) {
        match self {
            Self::PairedHits | Self::Hits => ("points of hit ratio", [0.5, 1.0, 2.0, 5.0]),
            Self::Following | Self::FollowingMore | Self::SharedWeather => {
                ("standard deviations of a window", [0.25, 0.5, 1.0, 2.0])
            }
            Self::Latency | Self::LatencyYardstick | Self::ParetoLatency | Self::Bursts => {
                ("% of latency", [5.0, 10.0, 20.0, 50.0])
            }
        }
    }

    /// The defaults of the guard for this kind of evidence.
    #[must_use]
    pub fn settings(self) -> Settings {
        let hits = Metric { name: "hit ratio", unit: "", better: Better::Higher, low: 0.0, high: 1.0 };
        let latency = Metric { name: "latency", unit: "ms", better: Better::Lower, low: 0.0, high: 1_000.0 };
        let level = Metric { name: "level", unit: "", better: Better::Higher, low: -1e6, high: 1e6 };
        let goal = match self.effects().0 {
            "points of hit ratio" => hits,
            "% of latency" => latency,
            _ => level,
        };
        Settings { start: Mode::On, ..Settings::new(goal) }
    }
}

/// One stream of evidence.
pub(super) struct Stream {
    scenario: Scenario,
    dice: Dice,
    /// Of the learned arm and the baseline: AR(1) noise, or whether a burst is on.
    noise: [f64; 2],
    burst: [bool; 2],
    weather: f64,
}

impl Stream {
    pub(super) fn new(scenario: Scenario, seed: u64) -> Self {
        Self { scenario, dice: Dice::new(seed), noise: [0.0; 2], burst: [false; 2], weather: 0.0 }
    }

    /// Shows `guard` one window in which the learned policy is better by `gain`, in the unit of the scenario.
    pub(super) fn window(&mut self, guard: &mut Guard, gain: f64) {
        match self.scenario {
            Scenario::PairedHits => self.paired_hits(guard, gain / 100.0),
            Scenario::Hits => self.arms(guard, [400, 400], |stream, arm| {
                let chance = if arm == Arm::Learned { 0.55 + gain / 100.0 } else { 0.55 };
                f64::from(stream.dice.unit() < chance)
            }),
            Scenario::Latency => {
                self.arms(guard, [100, 100], |stream, arm| stream.lognormal() * slower(arm, gain))
            }
            Scenario::LatencyYardstick => {
                self.arms(guard, [1_900, 100], |stream, arm| stream.lognormal() * slower(arm, gain));
            }
            Scenario::ParetoLatency => self.arms(guard, [100, 100], |stream, arm| {
                3.0 * (1.0 - stream.dice.unit()).powf(-1.0 / 1.5) * slower(arm, gain)
            }),
            Scenario::Following => self.following(guard, 0.5, gain),
            Scenario::FollowingMore => self.following(guard, 0.8, gain),
            Scenario::Bursts => {
                for arm in 0..2 {
                    let turn = if self.burst[arm] { 0.1 } else { 0.01 };
                    self.burst[arm] ^= self.dice.unit() < turn;
                }
                self.arms(guard, [100, 100], |stream, arm| {
                    let burst = if stream.burst[arm as usize] { 3.0 } else { 1.0 };
                    stream.lognormal() * burst * slower(arm, gain)
                });
            }
            Scenario::SharedWeather => {
                self.weather += 5.0 * normal::standard(&mut self.dice);
                let weather = self.weather;
                let mut level = || weather + normal::standard(&mut self.dice);
                let pair = Paired { learned: level() + gain, baseline: level(), units: 100.0 };
                guard.observe_pair(0, pair);
            }
        }
    }

    /// Of 400 requests 53 % are hits of both, 2 % of the baseline alone, and 2 % and the gain of the learned alone.
    fn paired_hits(&mut self, guard: &mut Guard, gain: f64) {
        // A loss larger than 2 % takes from the hits of both.
        let (alone, lost) = ((0.02 + gain).max(0.0), (-0.02 - gain).max(0.0));
        let (mut learned, mut baseline) = (0.0, 0.0);
        for _ in 0..400 {
            let place = self.dice.unit();
            learned += f64::from(place < 0.53 - lost || (0.55..0.55 + alone).contains(&place));
            baseline += f64::from(place < 0.55);
        }
        guard.observe_pair(0, Paired { learned: learned / 400.0, baseline: baseline / 400.0, units: 400.0 });
    }

    fn arms(&mut self, guard: &mut Guard, units: [u32; 2], mut draw: impl FnMut(&mut Self, Arm) -> f64) {
        for (arm, units) in [Arm::Learned, Arm::Baseline].into_iter().zip(units) {
            for _ in 0..units {
                let value = draw(self, arm);
                guard.observe(0, arm, value, 1.0);
            }
        }
    }

    fn following(&mut self, guard: &mut Guard, share: f64, gain: f64) {
        // The standard deviation of a window stays 1.
        let fresh = (1.0 - share * share).sqrt();
        for noise in &mut self.noise {
            *noise = share * *noise + fresh * normal::standard(&mut self.dice);
        }
        let [learned, baseline] = self.noise;
        guard.observe_pair(0, Paired { learned: learned + gain, baseline, units: 100.0 });
    }

    /// Mean 10 ms, coefficient of variation 1.3.
    fn lognormal(&mut self) -> f64 {
        f64::exp(1.807 + 0.995 * normal::standard(&mut self.dice))
    }
}

fn slower(arm: Arm, gain_percent: f64) -> f64 {
    if arm == Arm::Learned { 1.0 - gain_percent / 100.0 } else { 1.0 }
}
