//! One long short-term memory cell (Hochreiter and Schmidhuber, Neural Computation 9, 1997; forget gate by Gers and
//! others, 2000): a step forward, and the same step backward.

use super::vector::{add_scaled, dot, sigmoid, tanh};
use headgate_model::dice::Dice;

/// Gates in their order: input, forget, candidate, output.
const GATES: usize = 4;

/// What a cell carries from step to step.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub(super) hidden: Vec<f32>,
    pub(super) cell: Vec<f32>,
}

impl State {
    /// The state before the first step.
    pub(super) fn new(size: usize) -> Self {
        Self { hidden: vec![0.0; size], cell: vec![0.0; size] }
    }
}

/// The weights, or their gradient.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    input: usize,
    size: usize,
    /// For each gate and unit a row over input and hidden state, then all biases.
    pub(super) weights: Vec<f32>,
}

/// What a step forward leaves for the step backward.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    /// Input, then hidden state before.
    joined: Vec<f32>,
    gates: Vec<f32>,
    cell_before: Vec<f32>,
    cell_tanh: Vec<f32>,
}

impl Cell {
    /// Uniform weights as Glorot and Bengio (AISTATS 2010) have them; the forget gate starts open.
    pub(super) fn new(input: usize, size: usize, dice: &mut Dice) -> Self {
        let mut cell = Self::zero(input, size);
        let bound = libm::sqrt(6.0 / (input + 2 * size) as f64);
        let biases = GATES * size * (input + size);
        cell.weights[..biases]
            .iter_mut()
            .for_each(|weight| *weight = (bound * (2.0 * dice.unit() - 1.0)) as f32);
        cell.weights[biases + size..biases + 2 * size].fill(1.0);
        cell
    }

    pub(super) fn zero(input: usize, size: usize) -> Self {
        Self { input, size, weights: vec![0.0; GATES * size * (input + size + 1)] }
    }

    /// One step. The trace is needed only by [`Self::backward`].
    pub(super) fn forward(&self, input: &[f32], state: &mut State, trace: &mut Trace) {
        let (size, width) = (self.size, self.input + self.size);
        trace.joined.clear();
        trace.joined.extend_from_slice(input);
        trace.joined.extend_from_slice(&state.hidden);
        let (rows, biases) = self.weights.split_at(GATES * size * width);
        trace.gates.clear();
        trace.gates.extend(rows.chunks_exact(width).zip(biases).enumerate().map(|(at, (row, bias))| {
            let sum = dot(row, &trace.joined) + bias;
            if at / size == 2 { tanh(sum) } else { sigmoid(sum) }
        }));
        trace.cell_before.clone_from(&state.cell);
        trace.cell_tanh.clear();
        for unit in 0..size {
            let gate = |gate: usize| trace.gates[gate * size + unit];
            let cell = gate(1) * state.cell[unit] + gate(0) * gate(2);
            state.cell[unit] = cell;
            trace.cell_tanh.push(tanh(cell));
            state.hidden[unit] = gate(3) * trace.cell_tanh[unit];
        }
    }

    /// One step back. `down` comes with the loss's derivatives by the state after the step and leaves with those by
    /// the state before it; `input` takes those by the input; the weights' are added to `gradient`.
    pub(super) fn backward(&self, trace: &Trace, down: &mut State, input: &mut [f32], gradient: &mut Self) {
        let (size, width) = (self.size, self.input + self.size);
        let mut sums = vec![0.0; GATES * size];
        for unit in 0..size {
            let gate = |gate: usize| trace.gates[gate * size + unit];
            let (enter, forget, candidate, output) = (gate(0), gate(1), gate(2), gate(3));
            let squashed = trace.cell_tanh[unit];
            let cell = down.cell[unit] + down.hidden[unit] * output * (1.0 - squashed * squashed);
            sums[unit] = cell * candidate * enter * (1.0 - enter);
            sums[size + unit] = cell * trace.cell_before[unit] * forget * (1.0 - forget);
            sums[2 * size + unit] = cell * enter * (1.0 - candidate * candidate);
            sums[3 * size + unit] = down.hidden[unit] * squashed * output * (1.0 - output);
            down.cell[unit] = cell * forget;
        }
        let mut joined = vec![0.0; width];
        let biases = GATES * size * width;
        for (at, sum) in sums.iter().enumerate() {
            add_scaled(&mut joined, *sum, &self.weights[at * width..(at + 1) * width]);
            add_scaled(&mut gradient.weights[at * width..(at + 1) * width], *sum, &trace.joined);
            gradient.weights[biases + at] += sum;
        }
        input.copy_from_slice(&joined[..self.input]);
        down.hidden.copy_from_slice(&joined[self.input..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Over three steps: the loss is a fixed weighing of all hidden states and the last cell state.
    fn loss(cell: &Cell, inputs: &[Vec<f32>], pull: &[f32]) -> f32 {
        let mut state = State::new(cell.size);
        let mut sum = 0.0;
        for input in inputs {
            cell.forward(input, &mut state, &mut Trace::default());
            sum += dot(&state.hidden, pull);
        }
        sum + dot(&state.cell, pull)
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let mut dice = Dice::new(4);
        let mut draw =
            |count: usize| -> Vec<f32> { (0..count).map(|_| (2.0 * dice.unit() - 1.0) as f32).collect() };
        let (inputs, pull) = (vec![draw(3), draw(3), draw(3)], draw(5));
        let cell = Cell::new(3, 5, &mut Dice::new(5));
        let mut gradient = Cell::zero(3, 5);
        let mut state = State::new(5);
        let traces: Vec<Trace> = inputs
            .iter()
            .map(|input| {
                let mut trace = Trace::default();
                cell.forward(input, &mut state, &mut trace);
                trace
            })
            .collect();
        let mut down = State { hidden: vec![0.0; 5], cell: pull.clone() };
        let mut by_input = vec![vec![0.0; 3]; 3];
        for step in (0..3).rev() {
            add_scaled(&mut down.hidden, 1.0, &pull);
            cell.backward(&traces[step], &mut down, &mut by_input[step], &mut gradient);
        }
        let step = 1e-2;
        let close = |own: f32, above: f32, below: f32, what: &str| {
            let found = (above - below) / (2.0 * step);
            assert!((own - found).abs() < 2e-3 + 0.02 * found.abs(), "{what}: {own} against {found}");
        };
        for at in 0..cell.weights.len() {
            let moved = |by: f32| {
                let mut cell = cell.clone();
                cell.weights[at] += by;
                loss(&cell, &inputs, &pull)
            };
            close(gradient.weights[at], moved(step), moved(-step), &format!("weight {at}"));
        }
        for (at, own) in by_input.iter().enumerate() {
            for unit in 0..3 {
                let moved = |by: f32| {
                    let mut inputs = inputs.clone();
                    inputs[at][unit] += by;
                    loss(&cell, &inputs, &pull)
                };
                close(own[unit], moved(step), moved(-step), &format!("input {at}, {unit}"));
            }
        }
    }
}
