//! The guard around a learned policy: the plain baseline runs beside it as a yardstick, and when the learned one is
//! worse, or not better, by its own statistics, the baseline takes over. It knows nothing of what the policies decide.
//!
//! Feed it with [`Guard::observe_pair`] (both policies saw the same units: shadow caches on sampled keys) or
//! [`Guard::observe`] (each unit had one policy), call [`Guard::tick`] now and then, and journal each [`Switch`].

mod comparison;
mod memory;
mod reading;
mod settings;
mod split;
mod switch;

#[cfg(test)]
mod tests;

pub use memory::{Hold, Memory};
pub use settings::{Better, Metric, Rail, Settings, SettingsError};
pub use split::{Arm, Assigned, Mode, Split};
pub use switch::{Cause, Stage, Switch};

use comparison::Comparison;
use headgate_model::decision::Figure;
use headgate_model::units::Tick;

/// A horizon without gain may be bad luck; so many in a row are not.
const HORIZONS_WITHOUT_GAIN: u32 = 2;

/// Both policies on the same `units`, as means: hits per request, milliseconds per request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paired {
    pub learned: f64,
    pub baseline: f64,
    pub units: f64,
}

/// What a guard counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Choices of the learned policy that were carried out.
    pub acted: u64,
    /// Choices in the shadow that differed from the baseline's.
    pub would_have: u64,
    /// Choices of the learned policy beyond its hard bounds; the baseline's took their place.
    pub out_of_bounds: u64,
    /// Values beyond a metric's bounds.
    pub clamped: u64,
    /// Values that were no numbers, of a metric that does not exist, or without units.
    pub refused: u64,
}

/// An A/A test: attempts that ended, and those of them in which equals seemed different. Each may be at most `alpha`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FalseAlarms {
    pub attempts: u64,
    pub worse: u64,
    pub better: u64,
}

/// A choice, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice<T> {
    pub value: T,
    pub assigned: Assigned,
}

/// The guard of one learned policy.
#[derive(Clone, Debug)]
pub struct Guard {
    settings: Settings,
    stage: Stage,
    /// Goal first, then the rails.
    comparisons: Vec<Comparison>,
    /// Set by the first tick.
    window_ends: Option<Tick>,
    /// Pauses in close succession; those for being worse.
    pauses: u32,
    relapses: u32,
    /// Windows at which the present horizon ends; horizons without gain in a row.
    horizon_ends: u32,
    without_gain: u32,
    /// What an operator said last.
    word: Option<Mode>,
    counts: Counts,
    false_alarms: FalseAlarms,
}

impl Guard {
    /// A guard in the mode that its settings start with.
    ///
    /// # Errors
    /// A setting makes no sense.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        let allowed = std::iter::once(0.0).chain(settings.rails.iter().map(|rail| rail.worse_percent));
        let comparison = |(metric, worse)| Comparison::new(metric, worse, &settings);
        let comparisons = settings.metrics().zip(allowed).map(comparison).collect();
        Ok(Self {
            stage: stage(settings.start),
            comparisons,
            window_ends: None,
            pauses: 0,
            relapses: 0,
            horizon_ends: settings.horizon,
            without_gain: 0,
            word: None,
            counts: Counts::default(),
            false_alarms: FalseAlarms::default(),
            settings,
        })
    }

    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The split for the traffic, until the next [`Switch`].
    #[must_use]
    pub fn split(&self) -> Split {
        let share = match self.stage {
            Stage::Share(share) => share,
            Stage::On => 1.0 - self.settings.yardstick,
            _ => 0.0,
        };
        Split::new(share, self.settings.salt, self.settings.a_a)
    }

    /// What becomes of one unit.
    #[must_use]
    pub fn decide(&self, unit_hash: u64) -> Assigned {
        self.split().assign(unit_hash)
    }

    /// The choice for one unit. The learned policy is asked only where it acts or in the shadow; what it says beyond
    /// its hard bounds is replaced by the baseline's choice and counted. The outcome still belongs to the arm
    /// in [`Choice::assigned`]: to say nonsense is part of how good a policy is.
    pub fn choose<T: PartialEq>(
        &mut self,
        unit_hash: u64,
        baseline: T,
        learned: impl FnOnce() -> T,
        within_bounds: impl FnOnce(&T) -> bool,
    ) -> Choice<T> {
        let assigned = self.decide(unit_hash);
        let acts = assigned.acts == Arm::Learned;
        if !acts && self.stage != Stage::Shadow {
            return Choice { value: baseline, assigned };
        }
        let value = learned();
        if !within_bounds(&value) {
            self.counts.out_of_bounds += 1;
            return Choice { value: baseline, assigned };
        }
        if acts {
            self.counts.acted += 1;
            return Choice { value, assigned };
        }
        self.counts.would_have += u64::from(value != baseline);
        Choice { value: baseline, assigned }
    }

    /// Takes in what both policies made of the same units. `metric` is 0 for the goal, then the rails in order.
    pub fn observe_pair(&mut self, metric: usize, pair: Paired) {
        let Paired { learned, baseline, units } = pair;
        // Half a pair is none.
        if learned.is_finite() && baseline.is_finite() {
            self.observe(metric, Arm::Learned, learned, units);
            self.observe(metric, Arm::Baseline, baseline, units);
        } else {
            self.counts.refused += 1;
        }
    }

    /// Takes in what one policy made of its own `units`, as a mean.
    pub fn observe(&mut self, metric: usize, arm: Arm, value: f64, units: f64) {
        let sound = value.is_finite() && units > 0.0 && units <= 1e15;
        match self.comparisons.get_mut(metric).filter(|_| sound) {
            Some(comparison) => comparison.observe(arm, value, units),
            None => self.counts.refused += 1,
        }
    }

    /// Judges, once a window is over; to be called about once per window, off the hot path.
    pub fn tick(&mut self, now: Tick) -> Option<Switch> {
        match self.stage {
            Stage::Paused { until } if now >= until => {
                return Some(self.enter(stage(self.settings.start), Cause::PauseOver, now));
            }
            Stage::Paused { .. } | Stage::Off | Stage::Stopped => return None,
            Stage::Shadow | Stage::Share(_) | Stage::On => {}
        }
        let ends = *self.window_ends.get_or_insert(now + self.settings.window);
        if now < ends {
            return None;
        }
        self.window_ends = Some(now + self.settings.window);
        let need = self.settings.window_units;
        let closed = self.comparisons.iter_mut().map(|comparison| comparison.close(need));
        if closed.filter(|closed| *closed).count() == 0 {
            return None;
        }
        let switch = if self.settings.a_a { self.judge_equals(now) } else { self.judge(now) };
        self.comparisons.iter_mut().for_each(Comparison::go_on);
        switch
    }

    /// An operator's word: enters `mode` at once, as the furthest it may go; past relapses are forgiven.
    ///
    /// # Errors
    /// A share that is none.
    pub fn set(&mut self, mode: Mode, now: Tick) -> Result<Switch, SettingsError> {
        let before = self.settings.start;
        let start = if before.rank() > mode.rank() { mode } else { before };
        let settings = Settings { start, most: mode, ..self.settings.clone() };
        settings.check()?;
        self.settings = settings;
        self.word = Some(mode);
        (self.pauses, self.relapses) = (0, 0);
        Ok(self.enter(stage(mode), Cause::Operator, now))
    }

    /// The comparison so far in this stay, goal first: also the outcome of the last switch.
    #[must_use]
    pub fn evidence(&self) -> Vec<Figure> {
        self.comparisons.iter().flat_map(Comparison::figures).collect()
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        let clamped = self.comparisons.iter().map(|comparison| comparison.clamped).sum();
        Counts { clamped, ..self.counts }
    }

    /// What an A/A test has found of the guard itself.
    #[must_use]
    pub fn false_alarms(&self) -> FalseAlarms {
        self.false_alarms
    }

    fn judge(&mut self, now: Tick) -> Option<Switch> {
        if self.stage.acts()
            && let Some(cause) = self.harm()
        {
            self.relapses += 1;
            return Some(self.take_back(cause, now));
        }
        let goal = &self.comparisons[0];
        let rails_hold = self.comparisons.iter().all(Comparison::looks_good);
        let next = self.next_stage();
        if let Some(next) = next
            && goal.is_better(self.settings.alpha)
            && rails_hold
        {
            return Some(self.enter(next, Cause::Better, now));
        }
        if !self.stage.acts() || goal.windows() < self.horizon_ends {
            return None;
        }
        self.horizon_ends = goal.windows().saturating_add(self.settings.horizon);
        if self.comparisons[0].lately() > 0.0 {
            self.without_gain = 0;
            // Good service forgives.
            if next.is_none() {
                self.pauses = self.pauses.saturating_sub(1);
                self.relapses = self.relapses.saturating_sub(1);
            }
        } else {
            self.without_gain += 1;
        }
        let given_up = next.is_some() || self.without_gain >= HORIZONS_WITHOUT_GAIN;
        given_up.then(|| self.take_back(Cause::NotBetter, now))
    }

    /// What shows that the learned policy does harm.
    fn harm(&self) -> Option<Cause> {
        let alpha = self.settings.alpha / self.comparisons.len() as f64;
        let worst = self.comparisons.iter().position(|comparison| comparison.is_worse(alpha))?;
        Some(match worst.checked_sub(1) {
            Some(rail) => Cause::RailBroken(self.settings.rails[rail].metric.name),
            None => Cause::Worse,
        })
    }

    fn judge_equals(&mut self, now: Tick) -> Option<Switch> {
        let (worse, goal) = (self.harm().is_some(), &self.comparisons[0]);
        let better = !worse && goal.is_better(self.settings.alpha);
        if !(worse || better) && goal.windows() < self.settings.horizon {
            return None;
        }
        self.false_alarms.attempts += 1;
        self.false_alarms.worse += u64::from(worse);
        self.false_alarms.better += u64::from(better);
        let switch = self.enter(self.stage, Cause::FalseAlarm, now);
        (worse || better).then_some(switch)
    }

    /// Where evidence may bring it from here.
    fn next_stage(&self) -> Option<Stage> {
        let share = match self.settings.most {
            Mode::Share(share) => share,
            _ => self.settings.share,
        };
        match (self.stage, self.settings.most) {
            (Stage::Shadow, Mode::Share(_) | Mode::On) => Some(Stage::Share(share)),
            (Stage::Share(_), Mode::On) => Some(Stage::On),
            _ => None,
        }
    }

    fn take_back(&mut self, cause: Cause, now: Tick) -> Switch {
        let doubled = 1u32 << self.pauses.min(20);
        self.pauses += 1;
        let pause = self.settings.pause.saturating_mul(doubled).min(self.settings.longest_pause);
        let stopped = self.relapses > self.settings.relapses;
        let to = if stopped { Stage::Stopped } else { Stage::Paused { until: now + pause } };
        self.enter(to, cause, now)
    }

    fn enter(&mut self, to: Stage, cause: Cause, now: Tick) -> Switch {
        let evidence = self.evidence();
        let from = std::mem::replace(&mut self.stage, to);
        self.comparisons.iter_mut().for_each(Comparison::begin);
        (self.horizon_ends, self.without_gain) = (self.settings.horizon, 0);
        self.window_ends = Some(now + self.settings.window);
        Switch { at: now, from, to, cause, evidence, relapses: self.relapses }
    }
}

fn stage(mode: Mode) -> Stage {
    match mode {
        Mode::Off => Stage::Off,
        Mode::Shadow => Stage::Shadow,
        Mode::Share(share) => Stage::Share(share),
        Mode::On => Stage::On,
    }
}
