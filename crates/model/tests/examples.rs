//! Every example loads, and so does every block of TOML in the configuration reference.

use headgate_model::load;
use std::fs;
use std::path::Path;

fn env(name: &str) -> Option<String> {
    (name == "STICKY_SECRET").then(|| "0123456789abcdef".to_owned())
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn loads(text: &str, name: &str) {
    if let Err(errors) = load(text, name, &env) {
        let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
        panic!("{}", shown.join("\n\n"));
    }
}

#[test]
fn examples_load() {
    for name in ["minimal", "tls", "weights", "sticky", "grpc", "resilience", "gamedays/by-name"] {
        let path = root().join("examples").join(name).with_extension("toml");
        loads(&fs::read_to_string(&path).unwrap(), &path.display().to_string());
    }
}

/// A block is completed with what it leaves out: a listener, and the services that it speaks of.
#[test]
fn blocks_of_the_reference_load() {
    let text = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let blocks: Vec<&str> =
        text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 8);
    for block in blocks {
        let mut whole = block.to_owned();
        if !block.contains("[listen.") {
            whole.push_str("\n[listen.web]\nbind = \":8080\"\n");
        }
        for name in ["catalog", "orders", "spare"] {
            if block.contains(&format!("\"{name}\"")) && !block.contains(&format!("[service.{name}]")) {
                whole.push_str(&format!("\n[service.{name}]\nendpoints = [\":3000\"]\n"));
            }
        }
        loads(&whole, "docs/configuration.md");
    }
}
