//! A small recurrent network that says which key comes next: embedding, one LSTM cell, a softmax over whichever
//! keys are in question. It learns while it is used, in steps of a bounded size, and has no other dependency than a
//! few floating-point functions.

mod adam;
mod cell;
mod lesson;
#[cfg(test)]
mod tests;
mod vector;

use crate::directory::Directory;
use crate::pool::softmax;
use adam::Adam;
use cell::{Cell, State, Trace};
use headgate_model::dice::Dice;
use lesson::Lesson;
use std::collections::VecDeque;
use vector::dot;

/// Steps of a lesson: truncated backpropagation through time.
pub const LESSON: usize = 16;
/// Lessons that wait at most; the oldest gives way.
const WAITING: usize = 256;
/// Recent keys from which false answers are drawn.
const RECENT: usize = 4_096;

/// Sizes and pace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Keys with an embedding of their own; rounded up to a power of two. The rest have none.
    pub keys: usize,
    pub embedding: usize,
    pub hidden: usize,
    /// False answers against which each true one is held (sampled softmax, Bengio and Senécal, 2008).
    pub negatives: usize,
    /// Step size of Adam.
    pub rate: f32,
    pub seed: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self { keys: 8_192, embedding: 32, hidden: 64, negatives: 128, rate: 4e-3, seed: 1 }
    }
}

/// What a session carries for the network.
#[derive(Clone, Debug)]
pub struct Memory {
    state: State,
    /// The stretch since the last lesson.
    lesson: Lesson,
}

/// The network.
#[derive(Clone, Debug)]
pub struct Lstm {
    shape: Shape,
    directory: Directory,
    embedding: Vec<f32>,
    /// For each key a row over the hidden state, and its bias at the end.
    output: Vec<f32>,
    cell: Cell,
    gradient: Cell,
    /// Of embedding, output and cell.
    adam: [Adam; 3],
    steps: u32,
    recent: Vec<usize>,
    /// How often each row is among the recent.
    counts: Vec<u16>,
    keys_seen: usize,
    waiting: VecDeque<Lesson>,
    dropped: u64,
    dice: Dice,
    trace: Trace,
}

impl Lstm {
    /// Sizes beyond what is sensible are cut.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let directory = Directory::new(shape.keys.min(1 << 20));
        let shape = Shape {
            keys: directory.rows(),
            embedding: shape.embedding.clamp(1, 512),
            hidden: shape.hidden.clamp(1, 512),
            negatives: shape.negatives.clamp(1, RECENT),
            ..shape
        };
        let mut dice = Dice::new(shape.seed);
        let (embeddings, outputs) = (shape.keys * shape.embedding, shape.keys * (shape.hidden + 1));
        let cell = Cell::new(shape.embedding, shape.hidden, &mut dice);
        Self {
            embedding: vec![0.0; embeddings],
            output: vec![0.0; outputs],
            gradient: Cell::zero(shape.embedding, shape.hidden),
            adam: [embeddings, outputs, cell.weights.len()].map(|count| Adam::new(count, shape.rate)),
            cell,
            steps: 0,
            recent: Vec::with_capacity(RECENT),
            counts: vec![0; shape.keys],
            keys_seen: 0,
            waiting: VecDeque::with_capacity(WAITING),
            dropped: 0,
            dice,
            trace: Trace::default(),
            directory,
            shape,
        }
    }

    /// The memory of a session that has not begun.
    #[must_use]
    pub fn begin(&self) -> Memory {
        let state = State::new(self.shape.hidden);
        Memory { lesson: Lesson { start: state.clone(), keys: Vec::new() }, state }
    }

    /// Takes the next key of a session in. A stretch of [`LESSON`] steps becomes a lesson that waits.
    pub fn advance(&mut self, memory: &mut Memory, key: u64) {
        let claim = self.directory.claim(key);
        if claim.is_new {
            self.begin_row(claim.row);
        }
        self.note(claim.row);
        memory.lesson.keys.push(key);
        let before = (memory.lesson.keys.len() > LESSON).then(|| memory.state.clone());
        if let Some(start) = before {
            let next = Lesson { start, keys: vec![key] };
            self.wait(std::mem::replace(&mut memory.lesson, next));
        }
        let width = self.shape.embedding;
        let input = &self.embedding[claim.row * width..(claim.row + 1) * width];
        self.cell.forward(input, &mut memory.state, &mut self.trace);
    }

    /// The session is over: what it has left is a lesson too.
    pub fn end(&mut self, memory: Memory) {
        if memory.lesson.keys.len() > 1 {
            self.wait(memory.lesson);
        }
    }

    /// Writes the probability of each key to come next, if one of them does; zero for keys that are new to it.
    pub fn score(&self, memory: &Memory, keys: &[u64], out: &mut Vec<f32>) {
        out.clear();
        let logit = |key: &u64| {
            self.directory.find(*key).map_or(f32::NEG_INFINITY, |row| self.logit(row, &memory.state))
        };
        out.extend(keys.iter().map(logit));
        softmax(out);
    }

    /// Lessons that wait to be learned.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Lessons that gave way to newer ones, unlearned.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn logit(&self, row: usize, state: &State) -> f32 {
        let width = self.shape.hidden + 1;
        let output = &self.output[row * width..(row + 1) * width];
        dot(&output[..width - 1], &state.hidden) + output[width - 1]
    }

    fn wait(&mut self, lesson: Lesson) {
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(lesson);
    }

    /// A row that belonged to another key, or to none.
    fn begin_row(&mut self, row: usize) {
        let width = self.shape.embedding;
        let (first, last) = (row * width, (row + 1) * width);
        self.embedding[first..last]
            .iter_mut()
            .for_each(|weight| *weight = (2.0 * self.dice.unit() - 1.0) as f32);
        self.adam[0].reset(first, width);
        let width = self.shape.hidden + 1;
        self.output[row * width..(row + 1) * width].fill(0.0);
        self.adam[1].reset(row * width, width);
    }

    fn note(&mut self, row: usize) {
        self.counts[row] += 1; // at most RECENT
        if self.recent.len() < RECENT {
            self.recent.push(row);
        } else {
            let oldest = std::mem::replace(&mut self.recent[self.keys_seen % RECENT], row);
            self.counts[oldest] -= 1;
        }
        self.keys_seen += 1;
    }
}
