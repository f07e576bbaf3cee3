//! The range of `k` standard normals with known variance: the inner integral of the studentized range
//! (Pearson and Hartley 1942), by the trapezoid rule, which converges exponentially for such integrands.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Distance of the rule's points for a maximum as wide as a normal, and the most it may be.
const STEP: f64 = 0.50;
const STEP_MAX: f64 = 0.50;
/// Terms of less than `exp(-NEGLIGIBLE)` are left out.
const NEGLIGIBLE: f64 = 39.0;
/// The range is larger than this with a probability that no double can hold.
pub(super) const LARGEST: f64 = 53.0;
/// Beyond the middle of a large range plus or minus this lies nothing of its tail.
const TAIL_REACH: f64 = 6.5;

/// One point of the rule: where the largest of the normals is.
#[derive(Clone, Copy, Debug)]
struct Node {
    z: f64,
    /// Step times `k φ(z) Φ(z)^(k-1)`: the share of maxima that this point stands for.
    weight: f64,
    /// `1 / Φ(z)`.
    inverse: f64,
}

/// Tail probabilities of the range of `k` standard normals.
#[derive(Clone, Debug)]
pub(super) struct Range {
    others: f64,
    step: f64,
    /// In ascending order of `z`.
    nodes: Vec<Node>,
    /// Nodes below this place matter for small ranges; all others only for large ones.
    ordinary: usize,
}

impl Range {
    /// `k` of at least 2.
    pub(super) fn new(k: f64) -> Self {
        let others = k - 1.0;
        // The maximum of k normals gets narrower with k, and the rule has to follow.
        let step = (STEP / (2.0 * libm::log(k)).sqrt()).min(STEP_MAX);
        let highest = (2.0 * (NEGLIGIBLE + libm::log(k))).sqrt();
        let mut nodes = Vec::new();
        let mut z = LARGEST / 2.0 + TAIL_REACH;
        while z > -highest {
            let log_others = others * libm::log1p(-0.5 * libm::erfc(z * FRAC_1_SQRT_2));
            if log_others < -NEGLIGIBLE {
                break;
            }
            let weight = step * k * libm::exp(log_others - 0.5 * z * z) / (2.0 * PI).sqrt();
            nodes.push(Node { z, weight, inverse: 2.0 / libm::erfc(-z * FRAC_1_SQRT_2) });
            z -= step;
        }
        nodes.reverse();
        let ordinary = nodes.partition_point(|node| node.z < highest);
        Self { others, step, nodes, ordinary }
    }

    /// `P(range <= w)`.
    pub(super) fn lower(&self, w: f64) -> f64 {
        self.sum(&self.nodes[..self.ordinary], w, libm::exp)
    }

    /// `P(range > w)`, with its relative accuracy where it is small.
    pub(super) fn upper(&self, w: f64) -> f64 {
        let place = |z: f64| ((z - self.nodes[0].z) / self.step).ceil().max(0.0) as usize;
        let to = place(w / 2.0 + TAIL_REACH).max(self.ordinary).min(self.nodes.len());
        let from = place(w / 2.0 - TAIL_REACH).min(to);
        self.sum(&self.nodes[from..to], w, |log| -libm::expm1(log))
    }

    /// Sums `weight * share(ln chance)` where, given the maximum `z`, `chance` is that of the others to lie all
    /// above `z - w`.
    fn sum(&self, nodes: &[Node], w: f64, share: impl Fn(f64) -> f64) -> f64 {
        let part = |node: &Node| {
            let outside = 0.5 * libm::erfc((w - node.z) * FRAC_1_SQRT_2) * node.inverse;
            node.weight * share(self.others * libm::log1p(-outside.min(1.0)))
        };
        nodes.iter().map(part).sum::<f64>().min(1.0)
    }
}
