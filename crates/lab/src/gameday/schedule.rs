//! When each fault begins and ends, and whom it is aimed at: drawn from the seed before anything runs, so that
//! the same file and seed give the same game day.

use super::spec::GameDaySpec;
use crate::workload::Streams;
use headgate_model::dice::Dice;
use std::time::Duration;

/// One fault with its times from the beginning of the method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The action's, and which of its times where there are several: `one-dies.2`.
    pub name: String,
    /// Index of the action in the file.
    pub action: usize,
    pub begins: Duration,
    pub ends: Duration,
    /// Names of targets; empty where the fault is aimed at no single one.
    pub targets: Vec<String>,
}

/// All faults in the order of their beginnings.
pub(super) fn draw(spec: &GameDaySpec, seed: u64) -> Vec<Planned> {
    let streams = Streams::new(seed);
    let mut all = Vec::new();
    for (index, action) in spec.method.iter().enumerate() {
        for time in 0..u64::from(action.times) {
            let mut dice = streams.within("action", index as u64).dice("time", time);
            let begins = match (action.at, action.between) {
                (Some(at), _) => at.0,
                (None, Some([from, to])) => between(from.0, to.0, &mut dice),
                (None, None) => Duration::ZERO,
            };
            let name = match action.times {
                1 => action.name.clone(),
                _ => format!("{}.{}", action.name, time + 1),
            };
            let targets = pick(&action.targets, action.pick.unwrap_or(action.targets.len()), &mut dice);
            all.push(Planned { name, action: index, begins, ends: begins + action.lasts.0, targets });
        }
    }
    all.sort_by_key(|planned| planned.begins);
    all
}

/// Uniform, to the millisecond.
fn between(from: Duration, to: Duration, dice: &mut Dice) -> Duration {
    let width_ms = to.saturating_sub(from).as_millis() as u64;
    from + Duration::from_millis(dice.below(width_ms + 1))
}

/// `count` different ones, in the order of the file.
fn pick(names: &[String], count: usize, dice: &mut Dice) -> Vec<String> {
    let mut left: Vec<usize> = (0..names.len()).collect();
    let mut picked: Vec<usize> = (0..count.min(names.len()))
        .map(|_| left.swap_remove(dice.below(left.len() as u64) as usize))
        .collect();
    picked.sort_unstable();
    picked.into_iter().map(|index| names[index].clone()).collect()
}
