//! For tests of this folder: endpoints as plain values, and the check that a spread is as expected.

use super::Endpoints;
use super::hash::hash;
use super::peak_ewma::PeakEwma;

#[derive(Clone, Debug)]
pub(super) struct Plain {
    pub(super) usable: Vec<bool>,
    pub(super) weights: Vec<u32>,
    pub(super) shares: Vec<f32>,
    pub(super) in_flight: Vec<u32>,
    pub(super) latency: Vec<PeakEwma>,
}

impl Plain {
    pub(super) fn even(count: usize) -> Self {
        Self::weighted(&vec![1; count])
    }

    pub(super) fn weighted(weights: &[u32]) -> Self {
        let count = weights.len();
        Self {
            usable: vec![true; count],
            weights: weights.to_vec(),
            shares: vec![1.0; count],
            in_flight: vec![0; count],
            latency: vec![PeakEwma::default(); count],
        }
    }
}

impl Endpoints for Plain {
    fn len(&self) -> usize {
        self.weights.len()
    }

    fn usable(&self, index: usize) -> bool {
        self.usable[index]
    }

    fn weight(&self, index: usize) -> u32 {
        self.weights[index]
    }

    fn share(&self, index: usize) -> f32 {
        self.shares[index]
    }

    fn in_flight(&self, index: usize) -> u32 {
        self.in_flight[index]
    }

    fn latency(&self, index: usize) -> PeakEwma {
        self.latency[index]
    }
}

pub(super) fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("10.0.{}.{}:8080", index / 250, index % 250)).collect()
}

pub(super) fn keys(count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(|key| hash(&key.to_le_bytes()))
}

/// Asserts that `choose` follows `shares` by Pearson's chi-square at the 0.1 % level, and never takes
/// what has none.
pub(super) fn assert_spread(shares: &[f64], throws: u32, mut choose: impl FnMut() -> Option<usize>) {
    let mut counts = vec![0u32; shares.len()];
    for _ in 0..throws {
        counts[choose().expect("something is usable")] += 1;
    }
    let total: f64 = shares.iter().sum();
    let (mut chi_square, mut categories) = (0.0, 0usize);
    for (&count, &share) in counts.iter().zip(shares) {
        let expected = f64::from(throws) * share / total;
        if share == 0.0 {
            assert_eq!(count, 0, "{counts:?}");
            continue;
        }
        chi_square += (f64::from(count) - expected).powi(2) / expected;
        categories += 1;
    }
    // 99.9 % points of chi-square with 1 to 7 degrees of freedom.
    let limits = [10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32];
    let limit = limits[categories.clamp(2, 8) - 2];
    assert!(chi_square < limit, "{counts:?} for {shares:?}: chi-square {chi_square:.1} above {limit}");
}
