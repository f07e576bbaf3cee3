//! One-way analysis of variance with effect sizes. Assumes independent values of equal variance; for unequal
//! variances there is `welch`.

use crate::check;
use crate::dd::Dd;
use crate::dist::{Distribution, FisherF};
use crate::error::{Result, StatsError};
use crate::moments::{Moments, Scale};

/// One row of the table: sum of squares, degrees of freedom and their ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Source {
    pub sum_of_squares: f64,
    pub df: f64,
    pub mean_square: f64,
}

/// The table of a one-way analysis of variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anova {
    pub between: Source,
    pub within: Source,
    pub total_sum_of_squares: f64,
    pub f: f64,
    /// Chance of an F at least this large if all groups had one mean.
    pub p: f64,
    /// Share of the variation in this sample that the groups explain (η², also R²).
    pub eta_squared: f64,
    /// The same for the population, less biased (ω², Hays 1963). Below zero when the groups explain less than
    /// chance would: read that as none.
    pub omega_squared: f64,
}

/// Analyses at least two groups, more values than groups. A group may have a single value.
///
/// # Errors
/// Too few groups or values, a value that is not finite, no variation within any group, sums of squares that a
/// double cannot hold.
pub fn one_way<G: AsRef<[f64]>>(groups: &[G]) -> Result<Anova> {
    let parts = Parts::of(groups)?;
    let (between, within) = (parts.between.value(), parts.within.value());
    let (df_between, df_within) = (parts.groups.len() as f64 - 1.0, parts.df_within);
    let total = (parts.between + parts.within).value();
    let mean_within = within / df_within;
    let f = check::finite("F", (parts.between / parts.within).value() * (df_within / df_between))?;
    let up = |value| parts.scale.up_squared(value).ok_or(StatsError::OutOfRange { what: "a sum of squares" });
    let row = |squares, df| -> Result<Source> {
        let sum_of_squares = up(squares)?;
        Ok(Source { sum_of_squares, df, mean_square: sum_of_squares / df })
    };
    Ok(Anova {
        between: row(between, df_between)?,
        within: row(within, df_within)?,
        total_sum_of_squares: up(total)?,
        f,
        p: FisherF::new(df_between, df_within)?.upper_tail(f),
        eta_squared: between / total,
        omega_squared: (between - df_between * mean_within) / (total + mean_within),
    })
}

/// The variation of checked groups, split in two; in scaled units.
pub(super) struct Parts {
    pub(super) scale: Scale,
    pub(super) groups: Vec<Moments>,
    pub(super) between: Dd,
    /// Never zero.
    pub(super) within: Dd,
    pub(super) df_within: f64,
}

impl Parts {
    pub(super) fn of<G: AsRef<[f64]>>(groups: &[G]) -> Result<Self> {
        check::groups(groups, 1)?;
        let n: usize = groups.iter().map(|group| group.as_ref().len()).sum();
        if n <= groups.len() {
            let what = "all groups together".to_owned();
            return Err(StatsError::TooFew { what, have: n, need: groups.len() + 1 });
        }
        let scale = Scale::of(groups.iter().flat_map(AsRef::as_ref));
        let groups: Vec<Moments> = groups.iter().map(|group| Moments::of(group.as_ref(), scale)).collect();
        let size = |group: &Moments| Dd::from(group.n as f64);
        let sum: Dd = groups.iter().map(|group| group.mean * size(group)).sum();
        let grand = sum / Dd::from(n as f64);
        let between = groups.iter().map(|group| (group.mean - grand).square() * size(group)).sum();
        let within: Dd = groups.iter().map(|group| group.squares).sum();
        if within.value() <= 0.0 {
            return Err(StatsError::NoVariation { what: "each group for itself".to_owned() });
        }
        let df_within = (n - groups.len()) as f64;
        Ok(Self { scale, groups, between, within, df_within })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_by_hand() {
        // Means 2, 3, 7; grand mean 4; between 3 (4 + 1 + 9) = 42, within 2 * 3 = 6.
        let table = one_way(&[[1.0, 2.0, 3.0], [2.0, 3.0, 4.0], [6.0, 7.0, 8.0]]).unwrap();
        assert_eq!((table.between.sum_of_squares, table.between.df), (42.0, 2.0));
        assert_eq!((table.within.sum_of_squares, table.within.mean_square), (6.0, 1.0));
        assert_eq!((table.total_sum_of_squares, table.f), (48.0, 21.0));
        assert!((table.eta_squared - 0.875).abs() < 1e-15);
        assert!((table.omega_squared - 40.0 / 49.0).abs() < 1e-15);
        // With two degrees of freedom above, the tail has a closed form.
        assert!((table.p - (1.0f64 + 2.0 * 21.0 / 6.0).powi(-3)).abs() < 1e-15);
    }

    #[test]
    fn what_cannot_be_analysed_is_named() {
        let error = |groups: &[&[f64]]| one_way(groups).unwrap_err().to_string();
        assert!(error(&[]).contains("list of groups has 0"));
        assert!(error(&[&[1.0, 2.0]]).contains("list of groups has 1"));
        assert!(error(&[&[1.0], &[2.0]]).contains("at least 3"));
        assert!(error(&[&[1.0, 2.0], &[]]).contains("group 1 has 0"));
        assert!(error(&[&[1.0, f64::NAN], &[1.0]]).contains("group 0: value 1 is NaN"));
        assert!(error(&[&[1.0, 1.0], &[2.0, 2.0]]).contains("no variation"));
        assert!(error(&[&[1e200, 2e200], &[3e200, 5e200]]).contains("another unit"));
        assert!(error(&[&[1e-200, 2e-200], &[3e-200, 5e-200]]).contains("another unit"));
    }

    #[test]
    fn single_values_may_be_groups_and_scale_does_not_matter() {
        let plain: [&[f64]; 3] = [&[1.0, 2.0, 4.0], &[9.0], &[3.0, 3.0]];
        let table = one_way(&plain).unwrap();
        let scaled: Vec<Vec<f64>> =
            plain.iter().map(|group| group.iter().map(|x| x * 1e100).collect()).collect();
        let other = one_way(&scaled).unwrap();
        assert!((table.f / other.f - 1.0).abs() < 1e-13);
        assert!((table.p / other.p - 1.0).abs() < 1e-12);
    }
}
