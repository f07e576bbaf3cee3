//! The checks that stand before every calculation: enough values, all finite, parameters in range.

use crate::error::{Result, StatsError};

/// `values` holds at least `need` finite numbers.
pub(crate) fn sample(what: &str, values: &[f64], need: usize) -> Result<()> {
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(StatsError::NotFinite { what: what.to_owned(), index, value: values[index] });
    }
    if values.len() < need {
        return Err(StatsError::TooFew { what: what.to_owned(), have: values.len(), need });
    }
    Ok(())
}

/// At least two groups, each with at least `need` finite numbers; groups are counted from 0 in errors.
pub(crate) fn groups<G: AsRef<[f64]>>(groups: &[G], need: usize) -> Result<()> {
    if groups.len() < 2 {
        return Err(StatsError::TooFew {
            what: "the list of groups".to_owned(),
            have: groups.len(),
            need: 2,
        });
    }
    for (index, group) in groups.iter().enumerate() {
        sample(&format!("group {index}"), group.as_ref(), need)?;
    }
    Ok(())
}

/// Two series of the same length, each with at least `need` finite numbers.
pub(crate) fn pairs(what: &'static str, x: &[f64], y: &[f64], need: usize) -> Result<()> {
    if x.len() != y.len() {
        return Err(StatsError::NotPairs { what, left: x.len(), right: y.len() });
    }
    sample("x", x, need)?;
    sample("y", y, need)
}

/// A probability strictly between 0 and 1: a confidence level, a significance level.
pub(crate) fn open_unit(name: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    Err(StatsError::Parameter { name, value, need: "between 0 and 1, both excluded" })
}

/// A finite number above zero.
pub(crate) fn positive(name: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(StatsError::Parameter { name, value, need: "finite and above 0" })
}

/// A result that a double can hold. `what` names it.
pub(crate) fn finite(what: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() { Ok(value) } else { Err(StatsError::OutOfRange { what }) }
}
