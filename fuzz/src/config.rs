//! The configuration file. Promises: no panic; a refusal names at least one place, inside the text.

use headgate_model::load;

pub const SEEDS: &[&[u8]] = &[
    include_bytes!("../../examples/minimal.toml"),
    include_bytes!("../../examples/resilience.toml"),
    include_bytes!("../../examples/sticky.toml"),
    include_bytes!("../../examples/tls.toml"),
    include_bytes!("../../examples/weights.toml"),
    b"[[route]]\nmatch = \"a.test/x/{id}/*\"\nredirect = \"https://{host}{path}\"\n",
];

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let env = |name: &str| (name == "HOME").then(|| "/home/a".to_owned());
    let Err(errors) = load(text, "fuzz.toml", &env) else { return };
    assert!(!errors.is_empty());
    for error in errors {
        assert!(error.line <= text.lines().count() + 1, "{error}");
        assert!(!error.to_string().is_empty());
    }
}
