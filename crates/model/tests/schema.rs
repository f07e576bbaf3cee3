//! The published JSON Schema is the one that the types have.

use std::fs;
use std::path::Path;

#[test]
fn published_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/headgate.schema.json");
    let current = headgate_model::schema::json_schema();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, format!("{current:#}\n")).unwrap();
    }
    let published: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert!(published == current, "stale: run `headgate schema > docs/headgate.schema.json`");
}

#[test]
fn schema_has_every_section_and_refuses_unknown_keys() {
    let schema = headgate_model::schema::json_schema();
    assert_eq!(schema["additionalProperties"], false);
    for key in ["profile", "workers", "drain", "admin", "log", "trace", "listen", "service", "route", "chaos"]
    {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
}
