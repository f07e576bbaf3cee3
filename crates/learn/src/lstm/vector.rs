//! The few vector operations of a small network, written so that compilers make SIMD of them. The order of every sum
//! is fixed, so results are the same on every machine.

const LANES: usize = 8;

/// The scalar product of two slices of one length.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// `into += factor * from`.
pub(super) fn add_scaled(into: &mut [f32], factor: f32, from: &[f32]) {
    into.iter_mut().zip(from).for_each(|(into, from)| *into += factor * from);
}

pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}

pub(super) fn tanh(x: f32) -> f32 {
    // By the exponential: half the time of the library's, and exact enough for a network.
    1.0 - 2.0 / (1.0 + libm::expf(2.0 * x))
}
