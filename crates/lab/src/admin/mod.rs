//! The gateway's admin listener as the lab speaks to it.

pub(crate) mod ask;
pub(crate) mod rules;

use std::time::Duration;

/// How long an answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
