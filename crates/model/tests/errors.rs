//! Every file in `tests/bad` is refused with exactly the text beside it. `UPDATE=1 cargo test` writes
//! the texts anew, for review.

#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use std::fs;
use std::path::{Path, PathBuf};

/// What the files see of the environment.
fn env(name: &str) -> Option<String> {
    let value = match name {
        "SHORT" => "tiny-key",
        "ADDR" => "hunter2 is the password",
        "EVIL" => "hunter2\r\ninjected: 1",
        "BRACES" => "{hunter2}",
        _ => return None,
    };
    Some(value.to_owned())
}

fn bad_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}

fn errors_of(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    match headgate_model::load(&text, "headgate.toml", &env) {
        Ok(_) => panic!("{} was accepted", path.display()),
        Err(errors) => errors.iter().map(|error| format!("{error}\n\n")).collect(),
    }
}

#[test]
fn bad_files_are_refused_with_these_words() {
    let files = bad_files();
    assert!(files.len() >= 25);
    for path in files {
        let (shown, expected) = (errors_of(&path), path.with_extension("txt"));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, &shown).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(shown, expected, "{}", path.display());
    }
}

#[test]
fn no_error_shows_a_secret_or_what_a_variable_holds() {
    for path in bad_files() {
        let shown = errors_of(&path);
        for secret in ["hunter2", "tiny-key", "correct horse"] {
            assert!(!shown.contains(secret), "{}: {shown}", path.display());
        }
    }
}
