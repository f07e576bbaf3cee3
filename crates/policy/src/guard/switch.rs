//! Where a learned policy stands, and what is told when that changes.

use std::fmt::{self, Display};
use std::time::Duration;

use headgate_model::decision::{Decision, Figure};
use headgate_model::units::Tick;

/// Where a learned policy stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stage {
    Off,
    Shadow,
    /// Acts for this share of the units.
    Share(f64),
    /// Acts for all units but the yardstick.
    On,
    /// Taken back; it may try again then.
    Paused {
        until: Tick,
    },
    /// Taken back too often; only an operator brings it back.
    Stopped,
}

impl Stage {
    /// Whether the learned policy decides for anybody.
    #[must_use]
    pub fn acts(self) -> bool {
        matches!(self, Self::Share(_) | Self::On)
    }
}

impl Display for Stage {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => to.write_str("off"),
            Self::Shadow => to.write_str("shadow"),
            Self::Share(share) => write!(to, "share of {:.1} %", share * 100.0),
            Self::On => to.write_str("on"),
            Self::Paused { .. } => to.write_str("paused"),
            Self::Stopped => to.write_str("off until an operator says otherwise"),
        }
    }
}

/// Why a guard changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Better in the goal, and within every rail.
    Better,
    /// Worse in the goal, by evidence.
    Worse,
    /// This rail is broken, by evidence.
    RailBroken(&'static str),
    /// Not proven better within the horizon, or no gain in two horizons in a row where it was before.
    NotBetter,
    PauseOver,
    Operator,
    /// It goes on where it stood before the process began.
    Restart,
    /// In an A/A test both arms are equal, and yet one seemed better or worse.
    FalseAlarm,
}

impl Display for Cause {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Better => to.write_str("better than the baseline"),
            Self::Worse => to.write_str("worse than the baseline"),
            Self::RailBroken(rail) => write!(to, "{rail} is worse than allowed"),
            Self::NotBetter => to.write_str("no better than the baseline within the horizon"),
            Self::PauseOver => to.write_str("the pause is over: it may prove itself again"),
            Self::Operator => to.write_str("an operator said so"),
            Self::Restart => to.write_str("so it was before the restart"),
            Self::FalseAlarm => to.write_str("a false alarm: both arms are the baseline"),
        }
    }
}

/// One change of stage, with what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Switch {
    pub at: Tick,
    pub from: Stage,
    pub to: Stage,
    pub cause: Cause,
    /// Of the stay that ends.
    pub evidence: Vec<Figure>,
    /// Times it was taken back, good service forgiven.
    pub relapses: u32,
}

impl Switch {
    /// For the journal: `policy` is the learned one's name, `subject` what it decides about.
    #[must_use]
    pub fn decision(&self, policy: &str, subject: &str, baseline: &str) -> Decision {
        let pause = match self.to {
            Stage::Paused { until } => {
                format!(" for {} s", until.since(self.at).max(Duration::ZERO).as_secs())
            }
            _ => String::new(),
        };
        let alternative = if self.to.acts() { baseline.to_owned() } else { format!("stay at {}", self.from) };
        Decision {
            policy: policy.into(),
            subject: subject.into(),
            decided: format!("{} -> {}{pause}", self.from, self.to).into(),
            because: format!("{}, against {baseline}", self.cause).into(),
            evidence: self.evidence.clone(),
            alternative: alternative.into(),
            expected_gain: self
                .evidence
                .iter()
                .find(|figure| &*figure.name == "gain" && self.to.acts())
                .cloned(),
        }
    }
}
