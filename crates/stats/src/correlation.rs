//! Pearson's correlation: how close two measures are to a straight line. Says nothing of cause, and little of
//! curves.

use crate::check;
use crate::dd::Dd;
use crate::dist::{Distribution, Normal, StudentT};
use crate::error::{Result, StatsError};
use crate::interval::Interval;
use crate::moments::{Moments, Scale};

/// A correlation with its test and interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    pub n: usize,
    /// From -1 to 1.
    pub r: f64,
    /// `r √((n - 2) / (1 - r²))`; infinite for points on a line.
    pub t: f64,
    /// Two-sided, by Student's t with `n - 2` degrees of freedom.
    pub p: f64,
    /// By Fisher's transformation (1921). With three pairs it is -1 to 1: three pairs tell nothing.
    pub interval: Interval,
}

/// Correlates at least three pairs.
///
/// # Errors
/// Series of different length, too few pairs, a value that is not finite, a series without variation,
/// `confidence` not between 0 and 1.
pub fn pearson(x: &[f64], y: &[f64], confidence: f64) -> Result<Correlation> {
    check::open_unit("the confidence", confidence)?;
    check::pairs("x and y", x, y, 3)?;
    let (scale_x, scale_y) = (Scale::of(x), Scale::of(y));
    let (moments_x, moments_y) = (Moments::of(x, scale_x), Moments::of(y, scale_y));
    for (moments, what) in [(moments_x, "x"), (moments_y, "y")] {
        if moments.squares.value() <= 0.0 {
            return Err(StatsError::NoVariation { what: what.to_owned() });
        }
    }
    let product = |(x, y): (&f64, &f64)| {
        let x = Dd::from(scale_x.down(*x)) - moments_x.mean;
        let y = Dd::from(scale_y.down(*y)) - moments_y.mean;
        x * y
    };
    let products: Dd = x.iter().zip(y).map(product).sum();
    let exact = products / (moments_x.squares.sqrt() * moments_y.squares.sqrt());
    let r = exact.value().clamp(-1.0, 1.0);
    // What r lacks to 1, before rounding; below 1e-28 it is rounding.
    let rest = (Dd::ONE - exact.square()).value();
    let rest = if rest < 1e-28 { 0.0 } else { rest };
    let df = (x.len() - 2) as f64;
    let t = r * (df / rest).sqrt();
    let p = StudentT::new(df)?.two_sided(t);
    Ok(Correlation { n: x.len(), r, t, p, interval: fisher(r, rest, x.len(), confidence)? })
}

fn fisher(r: f64, rest: f64, n: usize, confidence: f64) -> Result<Interval> {
    if n == 3 {
        return Ok(Interval { low: -1.0, high: 1.0, confidence });
    }
    if rest == 0.0 {
        return Ok(Interval { low: r, high: r, confidence });
    }
    // artanh r, by (1 + r)² / (1 - r²) so that nothing cancels near 1.
    let transformed = (0.5 * libm::log((1.0 + r.abs()).powi(2) / rest)).copysign(r);
    let reach = Normal.upper_quantile(0.5 - 0.5 * confidence)? / (n as f64 - 3.0).sqrt();
    Ok(Interval { low: libm::tanh(transformed - reach), high: libm::tanh(transformed + reach), confidence })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_on_a_line_and_off_it() {
        let x = [1.0, 2.0, 3.0, 4.0];
        let down = pearson(&x, &[8.0, 6.0, 4.0, 2.0], 0.95).unwrap();
        assert_eq!((down.r, down.p, down.interval.high), (-1.0, 0.0, -1.0));
        assert_eq!(down.t, f64::NEG_INFINITY);
        let cross = pearson(&x, &[1.0, -1.0, -1.0, 1.0], 0.95).unwrap();
        assert_eq!((cross.r, cross.t, cross.p), (0.0, 0.0, 1.0));
        assert!((cross.interval.high + cross.interval.low).abs() < 1e-15);
        let three = pearson(&x[..3], &[1.0, 3.0, 2.0], 0.95).unwrap();
        assert_eq!((three.interval.low, three.interval.high), (-1.0, 1.0));
        assert!((three.r - 0.5).abs() < 1e-15 && (three.p - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn scale_and_offset_change_nothing() {
        let (x, y) = ([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 1.0, 4.0, 3.0, 5.0]);
        let plain = pearson(&x, &y, 0.95).unwrap();
        let moved = pearson(&x.map(|x| 1e15 + x), &y.map(|y| y * 1e-250), 0.95).unwrap();
        assert!((plain.r - moved.r).abs() < 1e-15 && (plain.p - moved.p).abs() < 1e-12);
    }

    #[test]
    fn bad_pairs_are_named() {
        assert!(matches!(pearson(&[1.0, 2.0], &[1.0, 2.0], 0.9), Err(StatsError::TooFew { .. })));
        assert!(matches!(
            pearson(&[1.0; 4], &[1.0, 2.0, 3.0, 4.0], 0.9),
            Err(StatsError::NoVariation { .. })
        ));
        assert!(matches!(pearson(&[1.0; 4], &[1.0; 3], 0.9), Err(StatsError::NotPairs { .. })));
    }
}
