//! The test of Mann and Whitney (1947): is a value of one sample larger than one of the other more often than
//! not? Exact for small samples without ties, otherwise by the normal approximation.

use super::rank::ranks;
use crate::check;
use crate::dist::{Distribution, Normal};
use crate::error::{Result, StatsError};

/// The smaller sample has at most so many values where [`Method::Auto`] counts exactly.
const SMALL: usize = 8;
/// Pairs that an exact count goes through at most.
const MOST_PAIRS: usize = 200_000;

/// How the p-value is found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Method {
    /// Exact if one sample has at most 8 values, there are no ties and the count is feasible.
    #[default]
    Auto,
    /// Counts all arrangements; refused with ties.
    Exact,
    /// Normal approximation with corrections for ties and continuity.
    Normal,
}

/// Result of the test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MannWhitney {
    /// Pairs in which the value of the first sample is the larger one; equal pairs count half.
    pub u: f64,
    /// Two-sided.
    pub p: f64,
    pub exact: bool,
    /// `u` as a share of all pairs: 0.5 where neither sample tends to be larger.
    pub first_larger: f64,
}

/// Compares two samples of at least one value each.
///
/// # Errors
/// An empty sample, a value that is not finite, all values equal, an exact count that was asked for and is
/// impossible.
pub fn mann_whitney(first: &[f64], second: &[f64], method: Method) -> Result<MannWhitney> {
    check::sample("the first sample", first, 1)?;
    check::sample("the second sample", second, 1)?;
    let pooled = [first, second].concat();
    let ranks = ranks(&pooled);
    let (n1, n2) = (first.len() as f64, second.len() as f64);
    let sum: f64 = ranks.ranks[..first.len()].iter().sum();
    let u = sum - 0.5 * n1 * (n1 + 1.0);
    let larger = u.max(n1 * n2 - u);
    let (few, many) = (first.len().min(second.len()), first.len().max(second.len()));
    let exact = match method {
        Method::Auto => ranks.ties == 0.0 && few <= SMALL && countable(few, many),
        Method::Normal => false,
        Method::Exact if ranks.ties > 0.0 => {
            let need = "without ties for an exact count: use the normal approximation";
            return Err(StatsError::Parameter {
                name: "the sum of t^3 - t over ties",
                value: ranks.ties,
                need,
            });
        }
        Method::Exact if !countable(few, many) => {
            let (what, have) = ("the smaller sample".to_owned(), few);
            let remedy = "that is for the normal approximation";
            return Err(StatsError::TooMany { what, have, limit: SMALL, remedy });
        }
        Method::Exact => true,
    };
    let p = if exact {
        exact_p(few, many, larger)
    } else {
        let n = n1 + n2;
        let variance = n1 * n2 / 12.0 * (n + 1.0 - ranks.ties / (n * (n - 1.0)));
        if variance <= 0.0 {
            return Err(StatsError::NoVariation { what: "both samples together".to_owned() });
        }
        2.0 * Normal.upper_tail((larger - 0.5 * n1 * n2 - 0.5) / variance.sqrt())
    };
    Ok(MannWhitney { u, p: p.min(1.0), exact, first_larger: u / (n1 * n2) })
}

/// Whether the number of arrangements fits into 128 bits and the count is short.
fn countable(few: usize, many: usize) -> bool {
    arrangements(few, many).is_some() && few.checked_mul(many).is_some_and(|pairs| pairs <= MOST_PAIRS)
}

/// `(few + many)! / few! / many!`
fn arrangements(few: usize, many: usize) -> Option<u128> {
    (1..=few as u128).try_fold(1u128, |count, i| Some(count.checked_mul(many as u128 + i)? / i))
}

/// `2 P(U >= larger)`, where `larger` is whole and at least half of `few * many`.
fn exact_p(few: usize, many: usize, larger: f64) -> f64 {
    // By symmetry, arrangements with U at most this.
    let most = few * many - larger as usize;
    // Coefficients of the Gaussian binomial: multiply by 1 - q^(many + i), divide by 1 - q^i. The steps between
    // may wrap around 2^128; the coefficients themselves fit, so they come out right.
    let mut counts = vec![0u128; most + 1];
    counts[0] = 1;
    for i in 1..=few {
        for place in (many + i..=most).rev() {
            counts[place] = counts[place].wrapping_sub(counts[place - many - i]);
        }
        for place in i..=most {
            counts[place] = counts[place].wrapping_add(counts[place - i]);
        }
    }
    let all = arrangements(few, many).map_or(f64::INFINITY, |count| count as f64);
    2.0 * (counts.iter().sum::<u128>() as f64 / all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_samples_are_counted() {
        // The most extreme of C(7, 3) = 35 arrangements.
        let result = mann_whitney(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0, 7.0], Method::Auto).unwrap();
        assert!(result.exact && (result.p - 2.0 / 35.0).abs() < 1e-15);
        assert_eq!((result.u, result.first_larger), (0.0, 0.0));
        let balanced = mann_whitney(&[1.0, 4.0], &[2.0, 3.0], Method::Exact).unwrap();
        assert_eq!((balanced.u, balanced.p), (2.0, 1.0));
    }

    #[test]
    fn counts_agree_with_enumeration() {
        // All subsets of ranks of size 4 out of 9.
        for target in 10..=20u32 {
            let subsets = (0u32..512).filter(|set| set.count_ones() == 4);
            let u = |set: u32| (0..9).filter(|bit| set >> bit & 1 == 1).map(|bit| bit + 1).sum::<u32>() - 10;
            let hits = subsets.filter(|set| u(*set) >= target).count() as f64;
            assert!((exact_p(4, 5, f64::from(target)) - 2.0 * hits / 126.0).abs() < 1e-15, "{target}");
        }
    }

    #[test]
    fn exact_and_normal_meet_and_limits_hold() {
        let a: Vec<f64> = (0..30).map(|i| f64::from(i * 7 % 31)).collect();
        let b: Vec<f64> = (0..30).map(|i| f64::from(i * 11 % 31) + 4.5).collect();
        let p = |method| mann_whitney(&a, &b, method).unwrap().p;
        assert!((p(Method::Exact) - p(Method::Normal)).abs() < 2e-3);
        assert!(!mann_whitney(&a, &b, Method::Auto).unwrap().exact);
        assert!(mann_whitney(&[1.0, 2.0], &[2.0, 3.0], Method::Exact).is_err());
        let (many, other): (Vec<f64>, Vec<f64>) =
            ((0..1000).map(f64::from).collect(), (0..1000).map(|i| f64::from(i) + 0.5).collect());
        assert!(matches!(mann_whitney(&many, &other, Method::Exact), Err(StatsError::TooMany { .. })));
        assert!(matches!(
            mann_whitney(&[1.0; 3], &[1.0; 9], Method::Auto),
            Err(StatsError::NoVariation { .. })
        ));
    }
}
