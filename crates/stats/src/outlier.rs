//! Tukey's fences: which values lie more than `k` interquartile ranges outside the quartiles. What is removed
//! is reported, with its place; nothing disappears silently.

use crate::check;
use crate::descriptive::{Percentile, pick, sorted};
use crate::error::Result;

/// The multiple that Tukey (1977) proposed and that box plots use.
pub const TUKEY_FENCE: f64 = 1.5;

/// A sample split by its fences.
#[derive(Clone, Debug, PartialEq)]
pub struct Filtered {
    /// Values on or within the fences, in their original order.
    pub kept: Vec<f64>,
    /// Place in the sample and value of each outlier, in original order.
    pub removed: Vec<(usize, f64)>,
    pub lower_fence: f64,
    pub upper_fence: f64,
    /// At least half of the sample is one value: the interquartile range is zero and everything else counts as
    /// an outlier. Report such a result with care.
    pub degenerate: bool,
}

/// Splits a sample of at least one finite value at `q1 - k IQR` and `q3 + k IQR`, quartiles by
/// [`Percentile::Linear`].
///
/// # Errors
/// An empty sample, a value that is not finite, `k` that is not positive.
pub fn iqr_filter(values: &[f64], k: f64) -> Result<Filtered> {
    check::sample("the sample", values, 1)?;
    check::positive("the multiple of the interquartile range", k)?;
    let sorted = sorted(values);
    let q1 = pick(&sorted, 0.25, Percentile::Linear);
    let q3 = pick(&sorted, 0.75, Percentile::Linear);
    // Infinite fences of huge values are right: nothing lies beyond them.
    let reach = k * (q3 - q1);
    let (lower_fence, upper_fence) = (q1 - reach, q3 + reach);
    let mut kept = Vec::with_capacity(values.len());
    let mut removed = Vec::new();
    for (index, &value) in values.iter().enumerate() {
        if (lower_fence..=upper_fence).contains(&value) {
            kept.push(value);
        } else {
            removed.push((index, value));
        }
    }
    Ok(Filtered { kept, removed, lower_fence, upper_fence, degenerate: q1 == q3 && values.len() > 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_is_removed_and_reported() {
        let filtered = iqr_filter(&[10.0, 12.0, 11.0, 95.0, 13.0, 12.0], TUKEY_FENCE).unwrap();
        assert_eq!(filtered.removed, [(3, 95.0)]);
        assert_eq!(filtered.kept, [10.0, 12.0, 11.0, 13.0, 12.0]);
        assert!(!filtered.degenerate);
    }

    #[test]
    fn a_value_on_the_fence_stays() {
        // Quartiles 1 and 3, so that the upper fence is 6.
        let filtered = iqr_filter(&[0.0, 1.0, 2.0, 3.0, 6.0], TUKEY_FENCE).unwrap();
        assert_eq!((filtered.upper_fence, filtered.removed.len()), (6.0, 0));
    }

    #[test]
    fn a_sample_of_mostly_one_value_says_so() {
        let filtered = iqr_filter(&[5.0, 5.0, 5.0, 5.0, 5.1], TUKEY_FENCE).unwrap();
        assert!(filtered.degenerate);
        assert_eq!(filtered.removed, [(4, 5.1)]);
        assert!(iqr_filter(&[1.0], 0.0).is_err());
        assert!(iqr_filter(&[], TUKEY_FENCE).is_err());
    }
}
