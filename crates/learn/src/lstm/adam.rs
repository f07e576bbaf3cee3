//! Adam (Kingma and Ba, ICLR 2015) for weights that are moved as a whole, or by rows of which few are touched in a
//! step: those not touched keep their moments.

const FIRST: f32 = 0.9;
const SECOND: f32 = 0.999;
const LEAST: f32 = 1e-8;
/// A derivative counts this much at most, so that one odd session moves nothing far.
const CLIP: f32 = 1.0;

/// The moments of as many weights.
#[derive(Clone, Debug)]
pub(super) struct Adam {
    rate: f32,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Adam {
    pub(super) fn new(weights: usize, rate: f32) -> Self {
        Self { rate, first: vec![0.0; weights], second: vec![0.0; weights] }
    }

    /// Moves the weights from place `from` on against their derivatives. `step` counts from one.
    pub(super) fn apply(&mut self, step: u32, from: usize, weights: &mut [f32], derivatives: &[f32]) {
        let step = step.min(100_000) as f32;
        let rate = self.rate * libm::sqrtf(1.0 - libm::powf(SECOND, step)) / (1.0 - libm::powf(FIRST, step));
        let first = &mut self.first[from..from + weights.len()];
        let second = &mut self.second[from..from + weights.len()];
        for (((weight, derivative), first), second) in
            weights.iter_mut().zip(derivatives).zip(first).zip(second)
        {
            let derivative = derivative.clamp(-CLIP, CLIP);
            *first += (1.0 - FIRST) * (derivative - *first);
            *second += (1.0 - SECOND) * (derivative * derivative - *second);
            *weight -= rate * *first / (second.sqrt() + LEAST);
        }
    }

    /// Forgets the moments of a row that begins anew.
    pub(super) fn reset(&mut self, from: usize, count: usize) {
        self.first[from..from + count].fill(0.0);
        self.second[from..from + count].fill(0.0);
    }
}
