//! Standard normal and exponential numbers by the ziggurat method: the density is cut into layers of equal
//! area, and all but one draw in a hundred is one table look-up and one multiplication.
//!
//! Source: Marsaglia and Tsang, "The Ziggurat Method for Generating Random Variables", 2000, with 256 layers
//! and, as Doornik (2005) advises, separate bits for the layer and the position.

use headgate_model::dice::Dice;
use std::sync::LazyLock;

const LAYERS: usize = 256;

/// Right edge of the base layer and area of each layer, from the paper.
const NORMAL_EDGE: f64 = 3.654_152_885_361_009;
const NORMAL_AREA: f64 = 0.004_928_673_233_974_655;
const EXPONENTIAL_EDGE: f64 = 7.697_117_470_131_05;
const EXPONENTIAL_AREA: f64 = 0.003_949_659_822_581_557;

/// Right edges of the layers from the base up, and the density there.
struct Ziggurat {
    x: [f64; LAYERS + 1],
    y: [f64; LAYERS + 1],
}

impl Ziggurat {
    fn new(edge: f64, area: f64, density: fn(f64) -> f64, inverse: fn(f64) -> f64) -> Self {
        let mut x = [0.0; LAYERS + 1];
        // The base has the tail beyond `edge`, so a rectangle of its area is wider.
        x[0] = area / density(edge);
        x[1] = edge;
        for layer in 2..LAYERS {
            x[layer] = inverse(area / x[layer - 1] + density(x[layer - 1]));
        }
        Self { x, y: x.map(density) }
    }
}

static NORMAL: LazyLock<Ziggurat> = LazyLock::new(|| {
    Ziggurat::new(NORMAL_EDGE, NORMAL_AREA, |x| (-x * x / 2.0).exp(), |y| (-2.0 * y.ln()).sqrt())
});
static EXPONENTIAL: LazyLock<Ziggurat> =
    LazyLock::new(|| Ziggurat::new(EXPONENTIAL_EDGE, EXPONENTIAL_AREA, |x| (-x).exp(), |y| -y.ln()));

/// A standard normal number.
#[inline]
pub(crate) fn standard(dice: &mut Dice) -> f64 {
    let table = &*NORMAL;
    loop {
        let bits = dice.bits();
        let layer = (bits & 0xff) as usize;
        // 53 bits in [-1, 1).
        let position = (bits >> 11) as f64 * (1.0 / (1u64 << 52) as f64) - 1.0;
        let x = position * table.x[layer];
        if x.abs() < table.x[layer + 1] {
            return x;
        }
        if layer == 0 {
            return normal_tail(dice).copysign(position);
        }
        if accepted(table, layer, dice, (-x * x / 2.0).exp()) {
            return x;
        }
    }
}

/// An exponential number of mean one.
#[inline]
pub(crate) fn exponential(dice: &mut Dice) -> f64 {
    let table = &*EXPONENTIAL;
    let mut beyond = 0.0;
    loop {
        let bits = dice.bits();
        let layer = (bits & 0xff) as usize;
        let x = (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64) * table.x[layer];
        if x < table.x[layer + 1] {
            return beyond + x;
        }
        if layer == 0 {
            // Without memory: what lies beyond the edge is spread like the whole.
            beyond += EXPONENTIAL_EDGE;
        } else if accepted(table, layer, dice, (-x).exp()) {
            return beyond + x;
        }
    }
}

/// Whether a point at random height in the layer lies under the density.
#[cold]
fn accepted(table: &Ziggurat, layer: usize, dice: &mut Dice, density: f64) -> bool {
    let (low, high) = (table.y[layer], table.y[layer + 1]);
    low + dice.unit() * (high - low) < density
}

/// Marsaglia's tail beyond the edge.
#[cold]
fn normal_tail(dice: &mut Dice) -> f64 {
    loop {
        let x = -(1.0 - dice.unit()).ln() / NORMAL_EDGE;
        let y = -(1.0 - dice.unit()).ln();
        if y + y > x * x {
            return NORMAL_EDGE + x;
        }
    }
}

/// The mean of `max(0, X)` for a normal X.
pub(crate) fn mean_of_positive_part(mean: f64, deviation: f64) -> f64 {
    if deviation == 0.0 {
        return mean.max(0.0);
    }
    let z = mean / deviation;
    let density = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
    mean * cumulative(z) + deviation * density
}

/// The normal distribution function, within 1.5e-7: Abramowitz and Stegun (1964), 7.1.26.
fn cumulative(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let polynomial = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592]
        .iter()
        .fold(0.0, |sum, coefficient| (sum + coefficient) * t);
    let error_function = 1.0 - polynomial * (-x * x).exp();
    0.5 * (1.0 + error_function.copysign(z))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 2_000_000;

    /// Shares below a few points, within five standard errors.
    fn assert_shares(draw: fn(&mut Dice) -> f64, expected: &[(f64, f64)]) {
        let mut dice = Dice::new(11);
        let mut draws: Vec<f64> = (0..DRAWS).map(|_| draw(&mut dice)).collect();
        draws.sort_by(f64::total_cmp);
        for &(point, share) in expected {
            let below = draws.partition_point(|&x| x < point) as f64 / DRAWS as f64;
            let error = (share * (1.0 - share) / DRAWS as f64).sqrt();
            assert!((below - share).abs() < 5.0 * error, "below {point}: {below} instead of {share}");
        }
    }

    #[test]
    fn normal_numbers_are_normal_also_in_the_tail() {
        assert_shares(
            standard,
            &[
                (-3.7, 1.077_997e-4),
                (-2.0, 0.022_750_13),
                (-0.5, 0.308_537_54),
                (0.0, 0.5),
                (0.1, 0.539_827_84),
                (1.0, 0.841_344_75),
                (3.0, 0.998_650_1),
                (3.8, 0.999_927_65),
            ],
        );
    }

    #[test]
    fn exponential_numbers_are_exponential_also_in_the_tail() {
        let points = [0.001, 0.1, 0.5, 1.0, 2.0, 4.0, 7.0, 7.8, 9.0];
        assert_shares(exponential, &points.map(|point: f64| (point, 1.0 - (-point).exp())));
    }

    #[test]
    fn the_positive_part_has_its_mean() {
        assert!((mean_of_positive_part(1.0, 1.0) - 1.083_315_47).abs() < 1e-6);
        assert!((mean_of_positive_part(5.0, 0.0) - 5.0).abs() < 1e-12);
        assert!((mean_of_positive_part(-1.0, 1.0) - 0.083_315_47).abs() < 1e-6);
    }
}
