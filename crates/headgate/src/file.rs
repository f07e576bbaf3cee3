//! The configuration file, read and checked.

use crate::say::Failure;
use headgate_model::spec::Config;
use std::path::Path;

/// Reads `file`; the error lists every mistake with its place.
pub(crate) fn load(file: &Path) -> Result<Config, Failure> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {name}: {error}"))?;
    headgate_model::load(&text, &name, &|variable| std::env::var(variable).ok())
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n").into())
}
