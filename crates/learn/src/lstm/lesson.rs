//! One lesson: a stretch of a session forward, each true next key held against false ones, and back again.

use super::Lstm;
use super::cell::{State, Trace};
use super::vector::{add_scaled, dot};
use crate::pool::softmax;

/// A stretch of one session to learn from.
#[derive(Clone, Debug)]
pub(super) struct Lesson {
    /// The state before the first key.
    pub(super) start: State,
    /// Each is the answer to the one before.
    pub(super) keys: Vec<u64>,
}

/// A lesson's rows of the output: the answers, then false ones. Derivatives lie in the same order.
struct Choices {
    rows: Vec<usize>,
    /// Logarithm of how many times each is expected in the draw, taken off its logit.
    expected: Vec<f32>,
    derivatives: Vec<f32>,
}

impl Lstm {
    /// Learns from at most `lessons` that wait; gives the mean loss for each answer, in nats against the drawn false
    /// answers, or none when nothing waited.
    pub fn train(&mut self, lessons: usize) -> Option<f32> {
        let (mut sum, mut count) = (0.0, 0usize);
        for _ in 0..lessons {
            let Some(lesson) = self.waiting.pop_front() else { break };
            let (loss, answers) = self.learn(&lesson);
            sum += loss;
            count += answers;
        }
        (count > 0).then(|| sum / count as f32)
    }

    fn learn(&mut self, lesson: &Lesson) -> (f32, usize) {
        // A key that lost its row meanwhile ends the stretch.
        let rows: Vec<usize> = lesson.keys.iter().map_while(|key| self.directory.find(*key)).collect();
        if rows.len() < 2 {
            return (0.0, 0);
        }
        let (inputs, answers) = (&rows[..rows.len() - 1], &rows[1..]);
        let mut choices = self.choices(answers);
        let width = self.shape.embedding;
        let mut state = lesson.start.clone();
        let mut traces = vec![Trace::default(); inputs.len()];
        let mut by_hidden = Vec::with_capacity(inputs.len());
        let mut loss = 0.0;
        for (at, row) in inputs.iter().enumerate() {
            let input = &self.embedding[row * width..(row + 1) * width];
            self.cell.forward(input, &mut state, &mut traces[at]);
            let (lost, down) = self.answer(&state.hidden, at, answers, &mut choices);
            loss += lost;
            by_hidden.push(down);
        }
        let mut by_input = vec![0.0; inputs.len() * width];
        self.gradient.weights.fill(0.0);
        let mut down = State::new(self.shape.hidden);
        for at in (0..inputs.len()).rev() {
            add_scaled(&mut down.hidden, 1.0, &by_hidden[at]);
            let input = &mut by_input[at * width..(at + 1) * width];
            self.cell.backward(&traces[at], &mut down, input, &mut self.gradient);
        }
        self.apply(inputs, &by_input, &choices);
        (loss, inputs.len())
    }

    /// False answers are drawn by how often keys were asked for lately, once for the whole lesson.
    fn choices(&mut self, answers: &[usize]) -> Choices {
        let mut rows = answers.to_vec();
        rows.sort_unstable();
        rows.dedup();
        let true_ones = rows.len();
        for _ in 0..self.shape.negatives {
            let row = self.recent[self.dice.below(self.recent.len() as u64) as usize];
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        rows[..true_ones].sort_unstable();
        let share = self.shape.negatives as f32 / self.recent.len() as f32;
        // The chance to be drawn at least once; the answers count as if drawn.
        let expected = |row: &usize| {
            let draws = share * f32::from(self.counts[*row].max(1));
            libm::logf(1.0 - libm::expf(-draws) + 1e-6)
        };
        let expected = rows.iter().map(expected).collect();
        let derivatives = vec![0.0; rows.len() * (self.shape.hidden + 1)];
        Choices { rows, expected, derivatives }
    }

    /// The loss of one step, and its derivatives by the hidden state.
    fn answer(&self, hidden: &[f32], at: usize, answers: &[usize], choices: &mut Choices) -> (f32, Vec<f32>) {
        let width = hidden.len() + 1;
        let logit = |(row, expected): (&usize, &f32)| {
            let output = &self.output[row * width..(row + 1) * width];
            dot(&output[..width - 1], hidden) + output[width - 1] - expected
        };
        let mut chances: Vec<f32> = choices.rows.iter().zip(&choices.expected).map(logit).collect();
        softmax(&mut chances);
        let mut down = vec![0.0; hidden.len()];
        let mut loss = 0.0;
        for (place, row) in choices.rows.iter().enumerate() {
            let is_true = *row == answers[at];
            if is_true {
                loss = -libm::logf(chances[place].max(1e-12));
            }
            let error = chances[place] - f32::from(u8::from(is_true));
            add_scaled(&mut down, error, &self.output[row * width..(row + 1) * width - 1]);
            let derivatives = &mut choices.derivatives[place * width..(place + 1) * width];
            add_scaled(&mut derivatives[..width - 1], error, hidden);
            derivatives[width - 1] += error;
        }
        (loss, down)
    }

    fn apply(&mut self, inputs: &[usize], by_input: &[f32], choices: &Choices) {
        self.steps += 1;
        let [embedding, output, cell] = &mut self.adam;
        cell.apply(self.steps, 0, &mut self.cell.weights, &self.gradient.weights);
        let width = self.shape.embedding;
        for (row, derivatives) in inputs.iter().zip(by_input.chunks_exact(width)) {
            let first = row * width;
            embedding.apply(self.steps, first, &mut self.embedding[first..first + width], derivatives);
        }
        let width = self.shape.hidden + 1;
        for (row, derivatives) in choices.rows.iter().zip(choices.derivatives.chunks_exact(width)) {
            let first = row * width;
            output.apply(self.steps, first, &mut self.output[first..first + width], derivatives);
        }
    }
}
