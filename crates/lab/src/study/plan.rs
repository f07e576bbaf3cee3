//! Which runs a study consists of: every combination of levels as often as it is repeated, each run with a
//! seed that depends on nothing but the study's seed, the combination and the number of the repeat. One more
//! level therefore changes none of the other runs.

use super::spec::StudySpec;
use headgate_policy::balance::hash;
use std::collections::BTreeMap;
use std::fmt;

/// The level of one factor.
#[derive(Clone, Debug, PartialEq)]
pub enum Level {
    Number(f64),
    Named(String),
}

impl Level {
    /// The number of a level that is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(value) => Some(*value),
            Self::Named(_) => None,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => write!(f, "{value}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// One combination of levels.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Names of the factors, in the order of the study.
    pub factors: Vec<String>,
    /// A level for each.
    pub levels: Vec<Level>,
}

impl Cell {
    /// The levels by factor, as they are stored.
    #[must_use]
    pub fn by_factor(&self) -> BTreeMap<String, String> {
        self.factors.iter().cloned().zip(self.levels.iter().map(ToString::to_string)).collect()
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.factors.is_empty() {
            return f.write_str("the base alone");
        }
        for (index, (factor, level)) in self.factors.iter().zip(&self.levels).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{factor}={level}")?;
        }
        Ok(())
    }
}

/// One run to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Index into [`Plan::cells`].
    pub cell: usize,
    /// Counted from 1.
    pub repeat: u32,
    pub seed: u64,
}

/// All cells and runs of a study.
#[derive(Clone, Debug)]
pub struct Plan {
    cells: Vec<Cell>,
    repeats: u32,
    seed: u64,
}

impl Plan {
    pub(super) fn new(spec: &StudySpec) -> Self {
        let factors: Vec<String> = spec.factors.iter().map(|factor| factor.name.clone()).collect();
        let mut cells = vec![Vec::new()];
        for factor in &spec.factors {
            let numbers = factor.values.iter().map(|value| Level::Number(*value));
            let named = factor.levels.iter().map(|level| Level::Named(level.name.clone()));
            let levels: Vec<Level> = numbers.chain(named).collect();
            let with = |cell: &Vec<Level>| {
                let one = |level: &Level| cell.iter().chain([level]).cloned().collect();
                levels.iter().map(one).collect::<Vec<Vec<Level>>>()
            };
            cells = cells.iter().flat_map(with).collect();
        }
        let cells = cells.into_iter().map(|levels| Cell { factors: factors.clone(), levels }).collect();
        Self { cells, repeats: spec.repeats, seed: spec.seed }
    }

    /// In the order of the file, the last factor turning fastest.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Repeat by repeat, so that a study that is cut short has some of every cell.
    pub fn runs(&self) -> impl Iterator<Item = Run> {
        (1..=self.repeats).flat_map(move |repeat| {
            (0..self.cells.len()).map(move |cell| Run { cell, repeat, seed: self.seed_of(cell, repeat) })
        })
    }

    fn seed_of(&self, cell: usize, repeat: u32) -> u64 {
        let name = hash::hash(self.cells[cell].to_string().as_bytes());
        hash::mix(hash::mix(self.seed, name), u64::from(repeat))
    }
}
