//! Welch's analysis of variance ("On the comparison of several mean values", Biometrika 1951): like one-way
//! ANOVA, for groups whose variances differ.

use crate::check;
use crate::dd::Dd;
use crate::dist::{Distribution, FisherF};
use crate::error::{Result, StatsError};
use crate::moments::{Moments, Scale};

/// Result of Welch's test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Welch {
    pub f: f64,
    pub df_between: f64,
    /// Usually not whole.
    pub df_within: f64,
    pub p: f64,
}

/// Tests at least two groups of at least two values each.
///
/// # Errors
/// Too few groups or values, a value that is not finite, a group without variation.
pub fn welch<G: AsRef<[f64]>>(groups: &[G]) -> Result<Welch> {
    let (_, groups) = varied(groups)?;
    let k = groups.len() as f64;
    // Weights relative to the steadiest group: absolute ones could overflow.
    let least = groups.iter().map(Moments::variance_of_mean).fold(f64::INFINITY, f64::min);
    let weights: Vec<f64> = groups.iter().map(|group| least / group.variance_of_mean()).collect();
    let total: f64 = weights.iter().sum();
    let weighted = groups.iter().zip(&weights).map(|(group, weight)| group.mean * Dd::from(*weight));
    let centre = weighted.sum::<Dd>() / Dd::from(total);
    let mut between = 0.0;
    let mut uncertainty = 0.0;
    for (group, weight) in groups.iter().zip(&weights) {
        let distance = (group.mean - centre).value() / least.sqrt();
        between += weight * distance * distance;
        uncertainty += (1.0 - weight / total).powi(2) / (group.n as f64 - 1.0);
    }
    let f = between / (k - 1.0) / (1.0 + 2.0 * (k - 2.0) / (k * k - 1.0) * uncertainty);
    let df_within = (k * k - 1.0) / (3.0 * uncertainty);
    let p = FisherF::new(k - 1.0, df_within)?.upper_tail(check::finite("F", f)?);
    Ok(Welch { f, df_between: k - 1.0, df_within, p })
}

/// Moments of at least two groups that all vary, under a common scale.
pub(super) fn varied<G: AsRef<[f64]>>(groups: &[G]) -> Result<(Scale, Vec<Moments>)> {
    check::groups(groups, 2)?;
    let scale = Scale::of(groups.iter().flat_map(AsRef::as_ref));
    let moments: Vec<Moments> = groups.iter().map(|group| Moments::of(group.as_ref(), scale)).collect();
    match moments.iter().position(|group| !group.variance().is_normal()) {
        Some(index) => Err(StatsError::NoVariation { what: format!("group {index}") }),
        None => Ok((scale, moments)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_groups_are_the_square_of_welchs_t() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [10.0, 30.0, 20.0]);
        let result = welch(&[&a[..], &b[..]]).unwrap();
        let (va, vb) = (5.0 / 3.0 / 4.0, 100.0 / 3.0);
        let t = 17.5 / f64::sqrt(va + vb);
        let df = (va + vb) * (va + vb) / (va * va / 3.0 + vb * vb / 2.0);
        assert!((result.f - t * t).abs() < 1e-12);
        assert!((result.df_within - df).abs() < 1e-12);
        assert_eq!(
            welch(&[[1.0, 2.0], [3.0, 3.0]]),
            Err(StatsError::NoVariation { what: "group 1".to_owned() })
        );
        assert!(welch(&[&a[..], &[1.0]]).is_err());
    }
}
