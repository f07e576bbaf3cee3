//! The test of Kruskal and Wallis (1952): one-way analysis of variance on ranks, corrected for ties.

use super::rank::ranks;
use crate::check;
use crate::dist::{ChiSquared, Distribution};
use crate::error::{Result, StatsError};

/// Result of the test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KruskalWallis {
    pub h: f64,
    pub df: f64,
    /// By the chi-squared approximation; rough below about five values per group.
    pub p: f64,
    /// ε²: share of the variation of the ranks that the groups explain, 0 to 1.
    pub epsilon_squared: f64,
}

/// Tests at least two groups of at least one value each, three values in all.
///
/// # Errors
/// Too few groups or values, a value that is not finite, all values equal.
pub fn kruskal_wallis<G: AsRef<[f64]>>(groups: &[G]) -> Result<KruskalWallis> {
    check::groups(groups, 1)?;
    let pooled: Vec<f64> = groups.iter().flat_map(|group| group.as_ref().iter().copied()).collect();
    check::sample("all groups together", &pooled, 3)?;
    let ranks = ranks(&pooled);
    let n = pooled.len() as f64;
    let correction = 1.0 - ranks.ties / (n * n * n - n);
    if correction <= 0.0 {
        return Err(StatsError::NoVariation { what: "all groups together".to_owned() });
    }
    let mut rest = ranks.ranks.as_slice();
    let mut between = 0.0;
    for group in groups {
        let (own, others) = rest.split_at(group.as_ref().len());
        rest = others;
        let size = own.len() as f64;
        let distance = own.iter().sum::<f64>() / size - 0.5 * (n + 1.0);
        between += size * distance * distance;
    }
    let h = 12.0 / (n * (n + 1.0)) * between / correction;
    let df = groups.len() as f64 - 1.0;
    Ok(KruskalWallis { h, df, p: ChiSquared::new(df)?.upper_tail(h), epsilon_squared: h / (n - 1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_degrees_of_freedom_by_hand() {
        // Rank sums 6, 15, 24: H = 12 / 90 * (12 + 75 + 192) - 30 = 7.2.
        let groups = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 900.0]];
        let result = kruskal_wallis(&groups).unwrap();
        assert!((result.h - 7.2).abs() < 1e-12 && (result.p - (-3.6f64).exp()).abs() < 1e-12);
        assert!(matches!(kruskal_wallis(&[[2.0; 3], [2.0; 3]]), Err(StatsError::NoVariation { .. })));
        assert!(matches!(kruskal_wallis(&[[1.0], [2.0]]), Err(StatsError::TooFew { .. })));
    }
}
