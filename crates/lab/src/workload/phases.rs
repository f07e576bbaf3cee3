//! The plan of a run over time: phases that hold or ramp a level. The level is a number of users, a rate, or a
//! factor on a recorded rate; this file does not care which.

use super::error::{SpecError, at_least, at_most};
use headgate_model::spec::Span;
use serde::{Deserialize, Serialize};

/// Phases that a description may have.
const PHASES_MAX: usize = 10_000;
/// The longest run: with more, nanoseconds would leave the numbers that a float holds exactly.
const LENGTH_MAX_NS: u64 = 100 * 24 * 3_600 * 1_000_000_000;

/// One part of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    #[serde(default)]
    pub name: String,
    pub lasts: Span<0>,
    /// The level at the end: users, requests (or sessions) per second, or a factor on a trace.
    pub level: f64,
    /// The level at the start, from which a straight line leads to `level`. Default: `level`.
    pub from: Option<f64>,
    /// Whether results count. False for warm-up.
    #[serde(default = "yes")]
    pub measured: bool,
}

fn yes() -> bool {
    true
}

impl Phase {
    /// A measured phase with a constant level.
    #[must_use]
    pub fn steady(name: &str, lasts: std::time::Duration, level: f64) -> Self {
        Self { name: name.to_owned(), lasts: Span(lasts), level, from: None, measured: true }
    }

    /// The same phase, left out of the results.
    #[must_use]
    pub fn warm_up(self) -> Self {
        Self { measured: false, ..self }
    }
}

/// Checked phases on one time line that begins at zero.
#[derive(Clone, Debug)]
pub struct Phases {
    phases: Vec<Phase>,
    /// Where each ends, in nanoseconds; rising.
    ends_ns: Vec<u64>,
}

/// A stretch of time with a straight line of levels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

impl Phases {
    /// Checks the phases; `level_max` is the most that a level may be.
    pub fn new(phases: &[Phase], level_max: f64) -> Result<Self, SpecError> {
        const LEVEL: &str = "write a level of 0 or more";
        if phases.is_empty() {
            let remedy = "write at least one phase, like { lasts = \"1m\", level = 100 }";
            return Err(SpecError::new("phases", "is empty", remedy));
        }
        at_most("phases", phases.len(), PHASES_MAX)?;
        let mut end_ns = 0u64;
        let mut ends_ns = Vec::with_capacity(phases.len());
        for (index, phase) in phases.iter().enumerate() {
            for (name, level) in [("level", phase.level), ("from", phase.from.unwrap_or(0.0))] {
                let field = format!("phases[{index}].{name}");
                at_least(&field, level, 0.0, LEVEL)?;
                if level > level_max {
                    return Err(SpecError::new(
                        field,
                        format!("is {level}, above {level_max}"),
                        "write less",
                    ));
                }
            }
            let lasts_ns = u64::try_from(phase.lasts.0.as_nanos()).unwrap_or(u64::MAX);
            end_ns = end_ns.saturating_add(lasts_ns);
            let field = format!("phases[{index}].lasts");
            if lasts_ns == 0 {
                return Err(SpecError::new(field, "is zero", "write how long the phase lasts, like \"1m\""));
            }
            if end_ns > LENGTH_MAX_NS {
                return Err(SpecError::new(field, "ends later than 100 days", "write shorter phases"));
            }
            ends_ns.push(end_ns);
        }
        Ok(Self { phases: phases.to_vec(), ends_ns })
    }

    #[must_use]
    pub fn all(&self) -> &[Phase] {
        &self.phases
    }

    /// When the last phase ends.
    #[must_use]
    pub fn end_ns(&self) -> u64 {
        self.ends_ns.last().copied().unwrap_or(0)
    }

    /// Index of the phase at `now_ns`; `None` after the end.
    #[must_use]
    pub fn index_at(&self, now_ns: u64) -> Option<usize> {
        let index = self.ends_ns.partition_point(|&end| end <= now_ns);
        (index < self.phases.len()).then_some(index)
    }

    /// Start and end of a phase in nanoseconds.
    #[must_use]
    pub fn span_ns(&self, index: usize) -> (u64, u64) {
        let start = index.checked_sub(1).map_or(0, |before| self.ends_ns[before]);
        (start, self.ends_ns[index])
    }

    /// Whether what was planned for `now_ns` counts.
    #[must_use]
    pub fn measured_at(&self, now_ns: u64) -> bool {
        self.index_at(now_ns).is_some_and(|index| self.phases[index].measured)
    }

    /// The level at `now_ns`; zero after the end.
    #[must_use]
    pub fn level_at(&self, now_ns: u64) -> f64 {
        let Some(index) = self.index_at(now_ns) else { return 0.0 };
        let Stretch { start_ns, end_ns, from, to } = self.stretch(index);
        from + (to - from) * ((now_ns - start_ns) as f64 / (end_ns - start_ns) as f64)
    }

    pub(crate) fn stretch(&self, index: usize) -> Stretch {
        let (start_ns, end_ns) = self.span_ns(index);
        let phase = &self.phases[index];
        Stretch { start_ns, end_ns, from: phase.from.unwrap_or(phase.level), to: phase.level }
    }

    /// The highest level.
    #[must_use]
    pub fn peak(&self) -> f64 {
        self.phases.iter().flat_map(|phase| [phase.level, phase.from.unwrap_or(0.0)]).fold(0.0, f64::max)
    }

    /// The first time from `now_ns` on at which the level exceeds `rank`: when user number `rank` (from zero)
    /// is there. `None` when that never happens again.
    #[must_use]
    pub fn reaches(&self, rank: u32, now_ns: u64) -> Option<u64> {
        let rank = f64::from(rank);
        (self.index_at(now_ns)?..self.phases.len()).find_map(|index| {
            let Stretch { start_ns, end_ns, from, to } = self.stretch(index);
            let start = start_ns.max(now_ns);
            if self.level_at(start) > rank {
                return Some(start);
            }
            // Only a rising line can still exceed it.
            if to <= from || to <= rank {
                return None;
            }
            let length = (end_ns - start_ns) as f64;
            let at = start_ns + ((rank - from) / (to - from) * length) as u64 + 1;
            (at < end_ns).then_some(at.max(start))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const S: u64 = 1_000_000_000;

    fn phases() -> Phases {
        let ramp = Phase { from: Some(0.0), ..Phase::steady("ramp", Duration::from_secs(10), 100.0) };
        let hold = Phase::steady("hold", Duration::from_secs(60), 100.0);
        let down = Phase { from: Some(100.0), ..Phase::steady("down", Duration::from_secs(10), 0.0) };
        Phases::new(&[ramp.warm_up(), hold, down], 1e6).unwrap()
    }

    #[test]
    fn levels_ramp_and_hold() {
        let phases = phases();
        for (second, level) in [(0, 0.0), (5, 50.0), (10, 100.0), (69, 100.0), (75, 50.0), (80, 0.0)] {
            assert!((phases.level_at(second * S) - level).abs() < 1e-6, "{second} s");
        }
        assert_eq!((phases.end_ns(), phases.peak()), (80 * S, 100.0));
        assert_eq!([9, 10, 80].map(|second| phases.measured_at(second * S)), [false, true, false]);
        assert_eq!(phases.index_at(80 * S), None);
    }

    #[test]
    fn users_come_with_the_ramp_and_go_with_it() {
        let phases = phases();
        for rank in [0, 1, 50, 99] {
            let at = phases.reaches(rank, 0).unwrap();
            assert!(phases.level_at(at) > f64::from(rank), "user {rank} at {at}");
            assert!(
                phases.level_at(at.saturating_sub(10)) <= f64::from(rank) + 1e-6,
                "user {rank} comes no earlier"
            );
            assert_eq!(phases.reaches(rank, 20 * S), Some(20 * S), "is there while it holds");
        }
        let falling = Phase { from: Some(9.0), ..Phase::steady("", Duration::from_secs(1), 5.0) };
        let held = Phases::new(&[falling, Phase::steady("", Duration::from_secs(1), 5.0)], 1e6).unwrap();
        assert_eq!(
            [held.reaches(5, S / 2), held.reaches(6, S), held.reaches(5, S)],
            [Some(S / 2), None, None]
        );
        assert_eq!(phases.reaches(100, 0), None);
        assert_eq!(phases.reaches(60, 75 * S), None, "has gone for good");
        assert!(phases.reaches(10, 75 * S).is_some());
    }

    #[test]
    fn mistakes_are_named() {
        let steady = |seconds, level| Phase::steady("", Duration::from_secs(seconds), level);
        for (phases, expected) in [
            (vec![], "phases: is empty; "),
            (vec![steady(1, 1.0), steady(0, 1.0)], "phases[1].lasts: is zero; "),
            (vec![steady(1, -1.0)], "phases[0].level: is -1; write a level of 0 or more"),
            (vec![steady(1, f64::NAN)], "phases[0].level: is NaN; "),
            (vec![steady(1, 2e6)], "phases[0].level: is 2000000, above 1000000; write less"),
            (vec![steady(101 * 86_400, 1.0)], "phases[0].lasts: ends later than 100 days; "),
        ] {
            let error = Phases::new(&phases, 1e6).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
