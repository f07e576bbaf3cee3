//! The test of all pairs by Games and Howell (1976): like Tukey's, for groups whose variances differ.

use super::pairs::{self, Comparison};
use super::welch::varied;
use crate::check;
use crate::dist::{Distribution, StudentizedRange};
use crate::error::Result;
use crate::interval::Interval;

/// Compares all pairs of groups of at least two values each, at most [`super::MOST_GROUPS`] groups.
///
/// # Errors
/// As [`super::welch`]; too many groups; `confidence` not between 0 and 1.
pub fn games_howell<G: AsRef<[f64]>>(groups: &[G], confidence: f64) -> Result<Vec<Comparison>> {
    check::open_unit("the confidence", confidence)?;
    let all = pairs::all(groups.len())?;
    let (scale, moments) = varied(groups)?;
    all.map(|(first, second)| {
        let (a, b) = (&moments[first], &moments[second]);
        let (va, vb) = (a.variance_of_mean(), b.variance_of_mean());
        // Shares of the variance, not variances: squares of those could vanish.
        let share = va / (va + vb);
        let freedom = |share: f64, n: usize| share * share / (n as f64 - 1.0);
        // Welch and Satterthwaite; never below the smaller group's, but for rounding.
        let df = (1.0 / (freedom(share, a.n) + freedom(1.0 - share, b.n))).max(1.0);
        let error = (0.5 * (va + vb)).sqrt();
        let difference = (a.mean - b.mean).value();
        let q = difference.abs() / error;
        let range = StudentizedRange::new(groups.len(), df)?;
        let critical = range.upper_quantile(1.0 - confidence)?;
        let up = |value| check::finite("a difference of means", scale.up(value));
        let (difference, standard_error) = (up(difference)?, up(error)?);
        Ok(Comparison {
            first,
            second,
            difference,
            standard_error,
            q,
            df,
            p: range.upper_tail(q),
            interval: Interval::around(difference, up(critical * error)?, confidence)?,
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anova::welch;

    #[test]
    fn two_groups_are_welchs_test() {
        let groups = [vec![1.0, 2.0, 4.0], vec![3.0, 6.0, 7.0, 29.0]];
        let table = games_howell(&groups, 0.95).unwrap();
        let test = welch(&groups).unwrap();
        assert!((table[0].p - test.p).abs() < 1e-9, "{table:?} {test:?}");
        assert!((table[0].df - test.df_within).abs() < 1e-9);
        assert!(games_howell(&[vec![1.0, 1.0], vec![1.0, 2.0]], 0.95).is_err());
    }
}
