//! The candidates for one prediction, each with the opinion of every expert. Bounded: what comes after the last
//! place is not a candidate.

use super::trail::{Trail, mix};

/// Candidates of one prediction.
pub const CANDIDATES: usize = 256;
const CELLS: usize = 4 * CANDIDATES;
const EMPTY: u16 = u16::MAX;

/// Who gives probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expert {
    Order1,
    Order2,
    Order3,
    Association,
    Popularity,
    /// Whoever calls the predictor and knows more than keys.
    Caller,
    Lstm,
}

pub const EXPERTS: usize = 7;

impl Expert {
    pub const ALL: [Self; EXPERTS] = [
        Self::Order1,
        Self::Order2,
        Self::Order3,
        Self::Association,
        Self::Popularity,
        Self::Caller,
        Self::Lstm,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Order1 => "order-1",
            Self::Order2 => "order-2",
            Self::Order3 => "order-3",
            Self::Association => "association",
            Self::Popularity => "popularity",
            Self::Caller => "caller",
            Self::Lstm => "lstm",
        }
    }
}

/// A key that may come next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guess {
    pub key: u64,
    pub probability: f32,
}

/// The candidates.
#[derive(Clone, Debug)]
pub(super) struct Slate {
    pub(super) keys: Vec<u64>,
    pub(super) opinions: Vec<[f32; EXPERTS]>,
    /// When the session was last at each key, after [`Slate::mark`].
    pub(super) ages: Vec<u8>,
    cells: Vec<u16>,
}

impl Default for Slate {
    fn default() -> Self {
        Self {
            keys: Vec::with_capacity(CANDIDATES),
            opinions: Vec::with_capacity(CANDIDATES),
            ages: Vec::new(),
            cells: vec![EMPTY; CELLS],
        }
    }
}

impl Slate {
    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.opinions.clear();
        self.cells.fill(EMPTY);
    }

    /// Raises the opinion of one expert about a key.
    pub(super) fn add(&mut self, expert: Expert, key: u64, probability: f32) {
        if let Some(at) = self.place(key) {
            self.opinions[at][expert as usize] += probability;
        }
    }

    pub(super) fn find(&self, key: u64) -> Option<usize> {
        let cell = self.cells[self.seek(key)];
        (cell != EMPTY).then_some(usize::from(cell))
    }

    /// Notes the ages: 0 for keys that are not in the trail, else by powers of two of the steps since.
    pub(super) fn mark(&mut self, trail: &Trail) {
        self.ages.clear();
        self.ages.resize(self.keys.len(), 0);
        for (steps, key) in trail.recent().enumerate() {
            if let Some(at) = self.find(key).filter(|at| self.ages[*at] == 0) {
                self.ages[at] = 1 + (usize::BITS - steps.leading_zeros()) as u8;
            }
        }
    }

    fn place(&mut self, key: u64) -> Option<usize> {
        let cell = self.seek(key);
        if self.cells[cell] != EMPTY {
            return Some(usize::from(self.cells[cell]));
        }
        if self.keys.len() == CANDIDATES {
            return None;
        }
        self.cells[cell] = self.keys.len() as u16; // below CANDIDATES
        self.keys.push(key);
        self.opinions.push([0.0; EXPERTS]);
        Some(self.keys.len() - 1)
    }

    /// The cell of a key, or the empty one where it would go; three of four are always empty.
    fn seek(&self, key: u64) -> usize {
        let mut at = mix(0, key) as usize % CELLS;
        while self.cells[at] != EMPTY && self.keys[usize::from(self.cells[at])] != key {
            at = (at + 1) % CELLS;
        }
        at
    }
}
