//! The cells of one guard: where its learned policy stands, what both arms make, and how often that changed. This file
//! counts and decides nothing.

use std::sync::Arc;

use crate::counter::{Counter, Gauge};
use crate::registry::WorkerMetrics;

/// The values of `stage`, in the order of [`GuardStage`].
const STAGES: [&str; 6] = ["off", "shadow", "share", "on", "paused", "stopped"];
/// The values of `cause`, in the order of [`SwitchCause`].
const CAUSES: &[&str; 8] =
    &["better", "worse", "rail", "not_better", "pause_over", "operator", "false_alarm", "restart"];

/// The values of `result`: what tests of equals ended with.
const EQUALS: &[&str; 3] = &["attempt", "worse", "better"];

/// Where a learned policy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum GuardStage {
    Off,
    Shadow,
    Share,
    On,
    Paused,
    Stopped,
}

/// Why that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SwitchCause {
    Better,
    Worse,
    Rail,
    NotBetter,
    PauseOver,
    Operator,
    FalseAlarm,
    Restart,
}

/// What is shown of one guard.
#[derive(Debug)]
pub struct GuardMetrics {
    stages: [Arc<Gauge>; STAGES.len()],
    share: Arc<Gauge>,
    learned: Arc<Gauge>,
    baseline: Arc<Gauge>,
    units: Arc<Counter>,
    switches: Arc<[Counter]>,
    equals: Arc<[Counter]>,
}

impl GuardMetrics {
    /// `policy` is the learned one's name. Only once per registry and name, because a gauge shows the sum over all who
    /// set it.
    #[must_use]
    pub fn new(cells: &WorkerMetrics, policy: &str) -> Self {
        let stage = |stage| {
            let help = "1 for the stage at which a learned policy stands.";
            cells.gauge("headgate_guard_stage", help, &[("policy", policy), ("stage", stage)])
        };
        let goal = |arm| {
            let help = "What an arm made of the goal since the last switch: the mean, in millionths.";
            cells.gauge("headgate_guard_goal_millionths", help, &[("policy", policy), ("arm", arm)])
        };
        let policy = &[("policy", policy)];
        let share = "Per cent of the units for which a learned policy acts.";
        let units = "Units of which both arms were compared, of the arm that has fewer.";
        let switches = "Changes of stage, by their cause.";
        let equals = "A/A tests that ended, and those of them in which equals seemed worse or better.";
        Self {
            stages: STAGES.map(stage),
            share: cells.gauge("headgate_guard_share_percent", share, policy),
            learned: goal("learned"),
            baseline: goal("baseline"),
            units: cells.counter("headgate_guard_units_total", units, policy),
            switches: cells.counters("headgate_guard_switches_total", switches, policy, ("cause", CAUSES)),
            equals: cells.counters("headgate_guard_equals_total", equals, policy, ("result", EQUALS)),
        }
    }

    /// `share` is of the units for which it acts, 0 to 1.
    pub fn stand(&self, stage: GuardStage, share: f64) {
        for (at, gauge) in self.stages.iter().enumerate() {
            gauge.set(i64::from(at == stage as usize));
        }
        self.share.set((share * 100.0).round() as i64); // at most 100
    }

    /// Means of the goal since the last switch, and the units that were new.
    pub fn compare(&self, learned: f64, baseline: f64, units: u64) {
        // Casts of floating numbers saturate.
        self.learned.set((learned * 1e6).round() as i64);
        self.baseline.set((baseline * 1e6).round() as i64);
        self.units.add(units);
    }

    /// Counts of A/A tests since the guard was made: attempts, and alarms of either side among them.
    pub fn tested_equals(&self, counts: [u64; EQUALS.len()], before: [u64; EQUALS.len()]) {
        for (counter, (now, before)) in self.equals.iter().zip(counts.into_iter().zip(before)) {
            counter.add(now.saturating_sub(before));
        }
    }

    pub fn switched(&self, cause: SwitchCause) {
        self.switches[cause as usize].inc();
    }
}
