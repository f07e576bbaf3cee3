//! Realistic files of each format, as people run them: no line is without consequence. Without it (and
//! others that say the same), or with another number in it where it says what is the default anyway, either
//! the configuration or the list of notes is another; or a block around it is listed as a whole. And what
//! comes out loads.

#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use headgate_import::{Dialect, Import, Kind};
use std::fs;
use std::path::Path;

/// The files of a format, with their names.
fn corpus(dialect: Dialect) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(dialect.to_string());
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .map(|path| (path.file_name().unwrap().display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() >= 8, "{dialect}");
    files
}

/// The lines, from 1, of the blocks or the section around a line.
fn around(dialect: Dialect, text: &str, line: usize) -> Vec<usize> {
    let mut open = Vec::new();
    for (at, text) in text.lines().take(line - 1).enumerate() {
        let text = text.trim_end();
        if dialect == Dialect::Haproxy {
            if !text.is_empty() && !text.starts_with([' ', '#']) {
                open = vec![at + 1];
            }
        } else if text.ends_with('{') {
            open.push(at + 1);
        } else if text.trim() == "}" {
            open.pop();
        }
    }
    open
}

/// Whether a line stands for itself: it is no comment, and opens and closes nothing that others stand in.
fn is_leaf(dialect: Dialect, line: &str) -> bool {
    let line = line.trim_end();
    let section = dialect == Dialect::Haproxy && !line.starts_with(' ');
    !line.trim().is_empty()
        && !line.trim().starts_with('#')
        && !line.ends_with('{')
        && line.trim() != "}"
        && !section
}

fn listed_as_a_whole(import: &Import, lines: &[usize]) -> bool {
    import.notes.iter().any(|note| {
        lines.contains(&note.line) && (note.text.contains("the whole ") || note.text.contains("this whole "))
    })
}

/// The line with its last digit replaced.
fn with_another_number(line: &str) -> String {
    match line.rfind(|c: char| c.is_ascii_digit()) {
        Some(at) => {
            format!("{}{}{}", &line[..at], if line[at..].starts_with('7') { 8 } else { 7 }, &line[at + 1..])
        }
        None => line.to_owned(),
    }
}

fn check(dialect: Dialect) {
    let mut silent = Vec::new();
    for (name, text) in corpus(dialect) {
        assert_eq!(Dialect::guess(&text).unwrap_or(dialect), dialect, "{name}");
        let import = dialect.import(&text, &name);
        assert!(import.notes.iter().all(|note| note.kind != Kind::Fault), "{name}: {:#?}", import.notes);
        let env = |name: &str| Some(format!("${{{name}}}"));
        if let Err(errors) = headgate_model::load(&import.toml, "headgate.toml", &env) {
            panic!("{name}: {}\n{}", errors[0], import.toml);
        }
        for (at, line) in text.lines().enumerate().filter(|(_, line)| is_leaf(dialect, line)) {
            if listed_as_a_whole(&import, &around(dialect, &text, at + 1)) {
                continue;
            }
            let same = |other: &str| {
                let lines = text.lines().map(|found| if found.trim() == line.trim() { other } else { found });
                let text: String = lines.flat_map(|line| [line, "\n"]).collect();
                let other = dialect.import(&text, &name);
                (&other.toml, &other.notes) == (&import.toml, &import.notes)
            };
            if same("") && same(&with_another_number(line)) {
                silent.push(format!("{name}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    assert!(
        silent.is_empty(),
        "{dialect}: {} lines are dropped in silence:\n{}",
        silent.len(),
        silent.join("\n")
    );
}

#[test]
fn nginx_files() {
    check(Dialect::Nginx);
}

#[test]
fn haproxy_files() {
    check(Dialect::Haproxy);
}

#[test]
fn caddy_files() {
    check(Dialect::Caddy);
}
