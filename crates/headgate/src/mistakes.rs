//! What is wrong with a configuration file, as one error.

use headgate_model::ConfigError;
use std::error::Error;
use std::fmt;

/// What is wrong with a configuration file, each with its place.
#[derive(Debug)]
pub(crate) struct Mistakes(pub(crate) Vec<ConfigError>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            let gap = if at > 0 { "\n" } else { "" };
            write!(f, "{gap}{error}")?;
        }
        Ok(())
    }
}

impl Error for Mistakes {}

/// An error in one line, for a log.
pub(crate) fn one_line(error: &(dyn Error + Send + Sync + 'static)) -> String {
    match error.downcast_ref::<Mistakes>() {
        Some(Mistakes(errors)) => errors.iter().map(ConfigError::summary).collect::<Vec<_>>().join(" | "),
        None => error.to_string(),
    }
}
