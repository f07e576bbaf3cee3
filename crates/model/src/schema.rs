//! The JSON Schema of the configuration, for editors. It describes shapes only; what `load` checks
//! beyond them (names that exist, patterns, addresses) a schema cannot say.

use crate::spec::Config;

/// The JSON Schema of [`Config`], as published in `docs/headgate.schema.json`.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}
