//! What is wrong with a description, where, and what to write instead.

/// A mistake in a description, by the path of its field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}; {remedy}")]
pub struct SpecError {
    /// Where: `open.phases[2].level`.
    pub field: String,
    /// What is wrong there.
    pub problem: String,
    /// What to write instead.
    pub remedy: &'static str,
}

impl SpecError {
    pub fn new(field: impl Into<String>, problem: impl Into<String>, remedy: &'static str) -> Self {
        Self { field: field.into(), problem: problem.into(), remedy }
    }

    /// The same mistake, seen from one level further out.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        let joint = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        self.field = format!("{outer}{joint}{}", self.field);
        self
    }
}

/// Refuses what is not a finite number of at least `least`.
pub(crate) fn at_least(field: &str, value: f64, least: f64, remedy: &'static str) -> Result<(), SpecError> {
    if value.is_finite() && value >= least {
        return Ok(());
    }
    Err(SpecError::new(field, format!("is {value}"), remedy))
}

/// Refuses what is not a finite number above zero.
pub(crate) fn positive(field: &str, value: f64, remedy: &'static str) -> Result<(), SpecError> {
    at_least(field, value, f64::MIN_POSITIVE, remedy)
}

/// Refuses what is not a share from 0 to 1.
pub(crate) fn share(field: &str, value: f64) -> Result<(), SpecError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(SpecError::new(field, format!("is {value}"), "write a share from 0 to 1"))
}

/// Refuses a list of more than `most` items.
pub(crate) fn at_most(field: &str, count: usize, most: usize) -> Result<(), SpecError> {
    if count <= most {
        return Ok(());
    }
    Err(SpecError::new(
        field,
        format!("has {count} items, more than {most}"),
        "leave some out, or split the study",
    ))
}
