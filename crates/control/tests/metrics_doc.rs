//! The last section of `docs/metrics.md` names exactly the metrics that this crate's source names.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Every `headgate_...` between two `quote`s.
fn names(text: &str, quote: char) -> BTreeSet<String> {
    text.split(quote)
        .filter(|word| word.starts_with("headgate_") && !word.contains(':'))
        .map(str::to_owned)
        .collect()
}

fn source(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source(&path, text);
        } else {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_document_names_what_the_loops_count() {
    let document = include_str!("../../../docs/metrics.md");
    let (_, section) = document.split_once("\n## Control loops\n").unwrap();
    let mut text = String::new();
    source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    assert_eq!(names(section, '`'), names(&text, '"'));
}
