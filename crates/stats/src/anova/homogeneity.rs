//! Levene's test of equal variances (1960), around the median by Brown and Forsythe (1974): an analysis of
//! variance of the distances from each group's centre.

use super::one_way::one_way;
use crate::check;
use crate::descriptive::{mean, median};
use crate::error::{Result, StatsError};

/// What distances are measured from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Centre {
    /// Brown and Forsythe: holds its level for skewed values too.
    #[default]
    Median,
    /// Levene's original: more power for symmetric values.
    Mean,
}

/// Result of Levene's test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Homogeneity {
    pub w: f64,
    pub df_between: f64,
    pub df_within: f64,
    /// Small: the variances differ, use Welch and Games-Howell.
    pub p: f64,
}

/// Tests at least two groups.
///
/// # Errors
/// Too few groups or values, a value that is not finite, distances without variation within the groups (always
/// so for groups of at most two values).
pub fn levene<G: AsRef<[f64]>>(groups: &[G], centre: Centre) -> Result<Homogeneity> {
    check::groups(groups, 1)?;
    let distances = |group: &G| -> Result<Vec<f64>> {
        let values = group.as_ref();
        // Two values are equally far from their centre; rounding must not make that a difference.
        if let [one, other] = values {
            return Ok(vec![check::finite("a distance", (one / 2.0 - other / 2.0).abs())?; 2]);
        }
        let middle = match centre {
            Centre::Median => median(values)?,
            Centre::Mean => mean(values)?,
        };
        values.iter().map(|value| check::finite("a distance", (value - middle).abs())).collect()
    };
    let distances: Vec<Vec<f64>> = groups.iter().map(distances).collect::<Result<_>>()?;
    let table = one_way(&distances).map_err(|error| match error {
        StatsError::NoVariation { .. } => {
            StatsError::NoVariation { what: "the distances from each group's centre".to_owned() }
        }
        other => other,
    })?;
    Ok(Homogeneity { w: table.f, df_between: table.between.df, df_within: table.within.df, p: table.p })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_group_is_noticed_and_a_shifted_one_is_not() {
        let narrow = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        let wide = narrow.map(|x| 20.0 * x);
        let shifted = narrow.map(|x| x + 1000.0);
        for centre in [Centre::Median, Centre::Mean] {
            assert!(levene(&[narrow, wide], centre).unwrap().p < 0.01);
            assert!(levene(&[narrow, shifted], centre).unwrap().p > 0.999);
        }
        // Their middle is not a double: by it, rounding alone would give a p of nearly 0.
        for groups in [[[1.0, 1.0], [2.0, 2.0]], [[5.1, 4.9], [20.7, 20.3]], [[0.1, 0.3], [0.7, 0.2]]] {
            let error = levene(&groups, Centre::Median).unwrap_err();
            assert!(error.to_string().contains("distances"), "{groups:?}: {error}");
        }
    }
}
