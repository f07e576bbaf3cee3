//! What of a guard outlives its process: the word of an operator, and how often and until when the policy was taken back.
//! Not the evidence, and nothing in favour of the policy: what was learned is gone, so it has to prove itself again.

use headgate_model::units::Tick;

use super::{Cause, Guard, Mode, SettingsError, Stage, Switch, stage};

/// More pauses and relapses than this make no difference to any guard.
const COUNT_MAX: u32 = 1 << 16;

/// To be kept for the next guard of the same policy and settings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Memory {
    /// The mode that an operator set, where one did.
    pub word: Option<Mode>,
    /// Pauses in close succession; those for being worse.
    pub pauses: u32,
    pub relapses: u32,
    pub hold: Hold,
}

/// What keeps the policy from acting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    #[default]
    None,
    Paused {
        until: Tick,
    },
    /// Only an operator brings it back.
    Stopped,
}

impl Guard {
    #[must_use]
    pub fn memory(&self) -> Memory {
        let hold = match self.stage {
            Stage::Paused { until } => Hold::Paused { until },
            Stage::Stopped => Hold::Stopped,
            Stage::Off | Stage::Shadow | Stage::Share(_) | Stage::On => Hold::None,
        };
        Memory { word: self.word, pauses: self.pauses, relapses: self.relapses, hold }
    }

    /// Takes up what its predecessor kept; to be called on a new guard. The switch, where it now stands elsewhere.
    ///
    /// # Errors
    /// The operator's word is no mode. Then nothing is taken up.
    pub fn resume(&mut self, memory: &Memory, now: Tick) -> Result<Option<Switch>, SettingsError> {
        let Memory { word, pauses, relapses, hold } = *memory;
        let from = self.stage;
        if let Some(mode) = word {
            self.set(mode, now)?;
        }
        (self.pauses, self.relapses) = (pauses.min(COUNT_MAX), relapses.min(COUNT_MAX));
        let to = match hold {
            Hold::Stopped => Stage::Stopped,
            Hold::Paused { until } => Stage::Paused { until: until.min(now + self.settings.longest_pause) },
            // Since it was forced it was taken back, and the pause is over: it proves itself from the start.
            Hold::None if self.pauses > 0 => stage(self.settings.start),
            Hold::None => self.stage,
        };
        let switch = self.enter(to, Cause::Restart, now);
        Ok((to != from).then_some(Switch { from, ..switch }))
    }
}
