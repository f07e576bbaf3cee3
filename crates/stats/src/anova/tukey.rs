//! Tukey's honestly significant difference: which pairs of groups differ, with simultaneous intervals. Groups of
//! unequal size by Kramer (1956); for unequal variances there is `games_howell`.

use super::one_way::Parts;
use super::pairs::{self, Comparison};
use crate::check;
use crate::dist::{Distribution, StudentizedRange};
use crate::error::Result;
use crate::interval::Interval;

/// Compares all pairs of groups; same needs as [`super::one_way`], at most [`super::MOST_GROUPS`] groups.
///
/// # Errors
/// As [`super::one_way`]; too many groups; `confidence` not between 0 and 1.
pub fn tukey<G: AsRef<[f64]>>(groups: &[G], confidence: f64) -> Result<Vec<Comparison>> {
    check::open_unit("the confidence", confidence)?;
    let all = pairs::all(groups.len())?;
    let parts = Parts::of(groups)?;
    let df = parts.df_within;
    let variance = parts.within.value() / df;
    let range = StudentizedRange::new(groups.len(), df)?;
    let critical = range.upper_quantile(1.0 - confidence)?;
    all.map(|(first, second)| {
        let (a, b) = (&parts.groups[first], &parts.groups[second]);
        let error = (variance / 2.0 * (1.0 / a.n as f64 + 1.0 / b.n as f64)).sqrt();
        let difference = (a.mean - b.mean).value();
        let q = difference.abs() / error;
        let up = |value| check::finite("a difference of means", parts.scale.up(value));
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
    use crate::anova::one_way;
    use crate::error::StatsError;

    #[test]
    fn two_groups_are_the_f_test() {
        let groups = [vec![1.0, 2.0, 4.0], vec![3.0, 6.0, 7.0, 9.0]];
        let table = tukey(&groups, 0.95).unwrap();
        let anova = one_way(&groups).unwrap();
        assert_eq!(table.len(), 1);
        assert!((table[0].p / anova.p - 1.0).abs() < 1e-9, "{table:?} {anova:?}");
        assert_eq!(table[0].interval.contains(0.0), table[0].p > 0.05);
        assert!(table[0].difference < 0.0);
    }

    #[test]
    fn impossible_tables_are_refused() {
        assert!(matches!(tukey(&[[1.0], [2.0]], 0.95), Err(StatsError::TooFew { .. })));
        assert!(matches!(tukey(&[[1.0, 2.0], [2.0, 3.0]], 0.0), Err(StatsError::Parameter { .. })));
        let many = vec![[1.0, 2.0]; 201];
        assert!(matches!(tukey(&many, 0.95), Err(StatsError::TooMany { .. })));
    }
}
