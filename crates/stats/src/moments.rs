//! Mean and sum of squared deviations of a sample, by two passes in double-double arithmetic on values scaled
//! by a power of two. Not for streams: it needs the values twice.

use crate::dd::Dd;

/// Values are multiplied by this power of two before they are squared, so that squares neither overflow nor
/// vanish. Scaling by it is exact except for values that do not matter beside the largest one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale(f64);

impl Scale {
    /// The scale that brings the largest magnitude of `values` near 1.
    pub(crate) fn of<'a>(values: impl IntoIterator<Item = &'a f64>) -> Self {
        let largest = values.into_iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        if largest == 0.0 {
            return Self(1.0);
        }
        let (_, exponent) = libm::frexp(largest);
        // The bounds keep the scale and its inverse normal numbers.
        Self(libm::ldexp(1.0, (-exponent).clamp(-1000, 1000)))
    }

    pub(crate) fn down(self, value: f64) -> f64 {
        value * self.0
    }

    pub(crate) fn up(self, value: f64) -> f64 {
        value / self.0
    }

    /// Undoes the scale of a squared quantity; `None` if a double cannot hold it.
    pub(crate) fn up_squared(self, value: f64) -> Option<f64> {
        let result = value / self.0 / self.0;
        (result.is_finite() && (result.is_normal() || value == 0.0)).then_some(result)
    }
}

/// First and second moment of a sample that is not empty, in scaled units.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments {
    pub(crate) n: usize,
    pub(crate) mean: Dd,
    /// Sum of squared deviations from the mean.
    pub(crate) squares: Dd,
}

impl Moments {
    pub(crate) fn of(values: &[f64], scale: Scale) -> Self {
        let n = Dd::from(values.len() as f64);
        let sum: Dd = values.iter().map(|value| Dd::from(scale.down(*value))).sum();
        let mean = sum / n;
        let deviations = || values.iter().map(|value| Dd::from(scale.down(*value)) - mean);
        let squares: Dd = deviations().map(Dd::square).sum();
        let constant = values.iter().all(|value| *value == values[0]);
        Self { n: values.len(), mean, squares: if constant { Dd::ZERO } else { squares } }
    }

    /// Sample variance; the caller has at least two values.
    pub(crate) fn variance(&self) -> f64 {
        self.squares.value() / (self.n as f64 - 1.0)
    }

    /// Variance of the mean.
    pub(crate) fn variance_of_mean(&self) -> f64 {
        self.variance() / self.n as f64
    }
}
