//! Whole files of each format, with the configuration and the notes that they become. `UPDATE=1 cargo
//! test` writes the results anew, for review.

#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use headgate_import::{Import, caddy, haproxy, nginx};
use std::fs;
use std::path::{Path, PathBuf};

type Translate = fn(&str, &str) -> Import;

fn check(format: &str, translate: Translate) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "in"))
        .collect();
    files.sort();
    assert!(files.len() >= 6, "{format}");
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let import = translate(&text, &format!("{}", path.file_stem().unwrap().display()));
        let notes: String = import.notes.iter().map(|note| format!("{note}\n")).collect();
        let shown = format!("{}\n---\n{notes}", import.toml);
        let expected = path.with_extension("out");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, &shown).unwrap();
        }
        assert_eq!(shown, fs::read_to_string(&expected).unwrap_or_default(), "{}", path.display());
        // A variable that stands for itself makes the loaded configuration comparable.
        let env = |name: &str| Some(format!("${{{name}}}"));
        match headgate_model::load(&import.toml, "headgate.toml", &env) {
            Ok(config) => assert_eq!(config, import.config, "{}", path.display()),
            Err(errors) => panic!("{}: {}", path.display(), errors[0]),
        }
    }
}

#[test]
fn nginx_files() {
    check("nginx", nginx);
}

#[test]
fn haproxy_files() {
    check("haproxy", haproxy);
}

#[test]
fn caddy_files() {
    check("caddy", caddy);
}
