//! The game days among the examples, and the files in docs/gamedays.md, can be used as they stand.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use headgate_lab::dns::ZoneSpec;
use headgate_lab::gameday::GameDay;
use headgate_lab::workload::no_files;
use std::fs;
use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[track_caller]
fn reads(text: &str, name: &str) {
    let shown = |errors: Vec<headgate_model::ConfigError>| {
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
    };
    let read = if text.contains("hypothesis = ") {
        GameDay::read(text, name, None, &|_| None, &mut no_files()).map(drop)
    } else {
        ZoneSpec::read(text, name).map(drop)
    };
    if let Err(errors) = read {
        panic!("{}", shown(errors));
    }
}

#[test]
fn examples_can_be_used() {
    let mut count = 0;
    for entry in fs::read_dir(root().join("examples/gamedays")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        // That one is a gateway's configuration.
        if !text.contains("[[route]]") {
            reads(&text, &path.display().to_string());
            count += 1;
        }
    }
    assert!(count >= 5, "{count} files");
}

#[test]
fn what_the_documentation_shows_can_be_used() {
    let text = fs::read_to_string(root().join("docs/gamedays.md")).unwrap();
    let blocks: Vec<&str> =
        text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        reads(block, "docs/gamedays.md");
    }
}
