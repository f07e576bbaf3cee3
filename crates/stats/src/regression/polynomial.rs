//! Regression on powers of one variable, a straight line included. Calculated on `x` moved and shrunk to
//! `[-1, 1]`, so that years and nanoseconds do no harm; coefficients are those of plain powers.

use super::qr::{Column, norm};
use super::table::{Design, Fit, fit, largest};
use crate::check;
use crate::dd::Dd;
use crate::dist::{Distribution, StudentT};
use crate::error::{Result, StatsError};
use crate::interval::Interval;
use crate::moments::Scale;

/// Highest power that may be fitted.
pub const MOST_DEGREE: usize = 20;

/// A fitted polynomial.
#[derive(Clone, Debug)]
pub struct Polynomial {
    /// Coefficients of 1, x, x², ... and the quality of the fit.
    pub fit: Fit,
    basis: Basis,
    /// Coefficients of powers of the moved and shrunk variable.
    coefficients: Vec<f64>,
    inverse: Vec<Vec<Dd>>,
}

/// Fits `y = b0 + b1 x` to at least three pairs.
///
/// # Errors
/// As [`polynomial`].
pub fn linear(x: &[f64], y: &[f64], confidence: f64) -> Result<Polynomial> {
    polynomial(x, y, 1, confidence)
}

/// Fits a polynomial of `degree` 1 to [`MOST_DEGREE`] to at least `degree + 2` pairs.
///
/// # Errors
/// Too few pairs, series of different length, a value that is not finite, `y` without variation, fewer different
/// `x` than coefficients (rank deficient, naming the first power that cannot be told from those before), results
/// that a double cannot hold.
pub fn polynomial(x: &[f64], y: &[f64], degree: usize, confidence: f64) -> Result<Polynomial> {
    if !(1..=MOST_DEGREE).contains(&degree) {
        let (name, value) = ("the degree of the polynomial", degree as f64);
        return Err(StatsError::Parameter { name, value, need: "from 1 to 20" });
    }
    check::pairs("x and y", x, y, degree + 2)?;
    let basis = Basis::of(x);
    let moved: Vec<Dd> = x.iter().map(|value| basis.moved(*value)).collect();
    let mut power = vec![Dd::ONE; x.len()];
    let mut columns = Vec::with_capacity(degree);
    for _ in 0..degree {
        power = power.iter().zip(&moved).map(|(power, value)| *power * *value).collect();
        columns.push(Column { norm_as_measured: norm(&power).value(), values: power.clone() });
    }
    let largest_x = largest(x);
    let powers = (0..=degree).map(|power| libm::pow(largest_x, power as f64)).collect();
    let design = Design { columns, back: basis.back(degree), largest: powers };
    let solved = fit(design, y, confidence)?;
    Ok(Polynomial { fit: solved.fit, basis, coefficients: solved.basis, inverse: solved.inverse })
}

impl Polynomial {
    /// The curve at `x`.
    ///
    /// # Errors
    /// `x` is not finite, or the value is beyond the range of a double.
    pub fn predict(&self, x: f64) -> Result<f64> {
        check::sample("x", &[x], 1)?;
        let moved = self.basis.moved(x).value();
        let value = self.coefficients.iter().rev().fold(0.0, |sum, one| sum * moved + one);
        check::finite("the predicted value", value)
    }

    /// Interval for the curve (the mean of `y`) at `x`.
    ///
    /// # Errors
    /// As [`Polynomial::predict`]; `confidence` not between 0 and 1.
    pub fn mean_interval(&self, x: f64, confidence: f64) -> Result<Interval> {
        check::open_unit("the confidence", confidence)?;
        let centre = self.predict(x)?;
        let moved = self.basis.moved(x);
        let powers: Vec<Dd> = std::iter::successors(Some(Dd::ONE), |power| Some(*power * moved))
            .take(self.inverse.len())
            .collect();
        let along = |column: usize| -> Dd {
            powers.iter().zip(&self.inverse).map(|(power, row)| *power * row[column]).sum()
        };
        let spread: Dd = (0..powers.len()).map(|column| along(column).square()).sum();
        let error = spread.sqrt().value() * self.fit.residual_sd;
        let critical = StudentT::new(self.fit.residual_df)?.upper_quantile(0.5 - 0.5 * confidence)?;
        Interval::around(centre, critical * error, confidence)
    }
}

/// `x` becomes `(x - centre) * factor`, both chosen so that this is exact in double-double arithmetic.
#[derive(Clone, Copy, Debug)]
struct Basis {
    centre: f64,
    factor: Scale,
}

impl Basis {
    fn of(x: &[f64]) -> Self {
        let low = x.iter().copied().fold(f64::INFINITY, f64::min);
        let high = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let centre = low / 2.0 + high / 2.0;
        // A power of two: no rounding.
        Self { centre, factor: Scale::of(&[(high - centre).max(centre - low)]) }
    }

    fn moved(&self, x: f64) -> Dd {
        Dd::difference(x, self.centre) * Dd::from(self.factor.down(1.0))
    }

    /// Coefficients of plain powers from those of moved ones, by the binomial theorem.
    fn back(&self, degree: usize) -> Vec<Vec<Dd>> {
        let mut back = vec![vec![Dd::ZERO; degree + 1]; degree + 1];
        // Column by column: (x - centre) * factor times the column before.
        back[0][0] = Dd::ONE;
        let factor = Dd::from(self.factor.down(1.0));
        for power in 1..=degree {
            for row in 0..=power {
                let carried = if row == 0 { Dd::ZERO } else { back[row - 1][power - 1] };
                back[row][power] = (carried - back[row][power - 1] * Dd::from(self.centre)) * factor;
            }
        }
        back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parabola_over_nanosecond_timestamps() {
        // 1.7e18 + i * 2^20 is exact in a double, and so are these values of y.
        let x: Vec<f64> = (0..9).map(|i| 1.7e18 + f64::from(i) * 1_048_576.0).collect();
        let y: Vec<f64> = (0..9).map(|i| 3.0 + 2.0 * f64::from(i) + 0.5 * f64::from(i * i)).collect();
        let curve = polynomial(&x, &y, 2, 0.95).unwrap();
        assert!(curve.fit.r_squared > 1.0 - 1e-15);
        let middle = curve.predict(1.7e18 + 4.0 * 1_048_576.0).unwrap();
        assert!((middle - 19.0).abs() < 1e-12, "{middle}");
        let line = linear(&x, &y, 0.95).unwrap();
        assert!(line.mean_interval(x[4], 0.95).unwrap().contains(line.predict(x[4]).unwrap()));
    }

    #[test]
    fn a_perfect_line_has_no_error() {
        let line = linear(&[1.0, 2.0, 3.0], &[3.0, 5.0, 7.0], 0.95).unwrap().fit;
        assert_eq!((line.coefficients[0].estimate, line.coefficients[1].estimate), (1.0, 2.0));
        assert_eq!((line.r_squared, line.f, line.p), (1.0, f64::INFINITY, 0.0));
        assert_eq!((line.coefficients[1].standard_error, line.coefficients[1].p), (0.0, 0.0));
        let through_zero = linear(&[1.0, 2.0, 3.0], &[0.1, 0.2, 0.1 * 3.0], 0.95).unwrap().fit;
        assert!(through_zero.r_squared > 0.999_999);
        let no_square = polynomial(&[1.0, 2.0, 3.0, 4.0], &[3.0, 5.0, 7.0, 9.0], 2, 0.95).unwrap().fit;
        let square = no_square.coefficients[2];
        assert_eq!((square.estimate, square.t, square.p), (0.0, 0.0, 1.0));
    }

    #[test]
    fn what_cannot_be_fitted_is_named() {
        let (x, y) = ([1.0, 1.0, 2.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0, 5.0]);
        let fails = |x: &[f64], y: &[f64], degree| polynomial(x, y, degree, 0.95).unwrap_err();
        assert_eq!(fails(&x, &y, 2), StatsError::RankDeficient { column: 2 });
        assert_eq!(fails(&[3.0; 5], &y, 1), StatsError::RankDeficient { column: 1 });
        assert!(matches!(fails(&y, &[3.0; 5], 1), StatsError::NoVariation { .. }));
        assert!(matches!(fails(&x, &y[..4], 1), StatsError::NotPairs { .. }));
        assert!(matches!(fails(&x, &y, 0), StatsError::Parameter { .. }));
        assert!(matches!(fails(&x[..2], &y[..2], 1), StatsError::TooFew { need: 3, .. }));
        assert!(matches!(fails(&[0.0, 1e-200, 2e-200, 4e-200], &y[..4], 2), StatsError::OutOfRange { .. }));
        assert!(matches!(fails(&x, &[1.0, 2.0, f64::NAN, 1.0, 1.0], 1), StatsError::NotFinite { .. }));
    }
}
