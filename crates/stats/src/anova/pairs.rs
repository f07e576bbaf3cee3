//! What the tests of all pairs have in common: the row of their table and the list of pairs.

use crate::error::{Result, StatsError};
use crate::interval::Interval;

/// Most groups that all pairs are formed of.
pub const MOST_GROUPS: usize = 200;

/// Two groups compared, with all other comparisons of the table taken into account.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Place of the groups, counted from 0.
    pub first: usize,
    pub second: usize,
    /// Mean of the first minus mean of the second.
    pub difference: f64,
    /// Of the studentized range: the usual standard error of the difference divided by √2.
    pub standard_error: f64,
    /// Studentized range statistic: difference over standard error, without sign.
    pub q: f64,
    pub df: f64,
    /// Adjusted for all pairs.
    pub p: f64,
    /// Of the difference, simultaneous for all pairs.
    pub interval: Interval,
}

/// All pairs of `k` groups, first before second.
pub(super) fn all(k: usize) -> Result<impl Iterator<Item = (usize, usize)>> {
    if k > MOST_GROUPS {
        let what = "the list of groups".to_owned();
        let remedy = "compare fewer groups at once";
        return Err(StatsError::TooMany { what, have: k, limit: MOST_GROUPS, remedy });
    }
    Ok((0..k).flat_map(move |first| (first + 1..k).map(move |second| (first, second))))
}
