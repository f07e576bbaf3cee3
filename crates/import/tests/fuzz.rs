//! Whatever the text, an import answers, and what it writes is TOML that says no more than it built.

use headgate_import::{Import, caddy, haproxy, nginx};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

type Translate = fn(&str, &str) -> Import;

const FORMATS: [(&str, Translate); 3] = [("nginx", nginx), ("haproxy", haproxy), ("caddy", caddy)];

/// Imports and loads the result. A result that is refused for more than a missing listener is a gap of
/// the importer, which checks every part before it takes it.
fn survive(translate: Translate, text: &str) {
    let import = translate(text, "file");
    let lines = text.lines().count() + 1;
    assert!(import.notes.iter().all(|note| note.line <= lines), "{:?}", import.notes);
    let env = |name: &str| Some(format!("${{{name}}}"));
    match headgate_model::load(&import.toml, "headgate.toml", &env) {
        Ok(config) => assert_eq!(config, import.config, "{}", import.toml),
        Err(errors) => {
            assert!(import.config.listeners.is_empty(), "{text}\n{}\n{}", import.toml, errors[0]);
            assert!(!import.notes.is_empty());
        }
    }
}

#[test]
fn deep_and_endless_files() {
    for (_, translate) in FORMATS {
        for piece in ["{", "a {\n", "}", "\"", "a b c;\n", "server { location / {", "listen x\n bind :1\n"] {
            survive(translate, &piece.repeat(5_000));
        }
    }
}

fn inputs() -> Vec<(Translate, String)> {
    let mut all = Vec::new();
    for (format, translate) in FORMATS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format);
        let Ok(entries) = fs::read_dir(folder) else { continue };
        let files = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "in"));
        let mut files: Vec<_> = files.collect();
        files.sort();
        all.extend(
            files.iter().filter_map(|path| fs::read_to_string(path).ok()).map(|text| (translate, text)),
        );
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text(text in ".{0,200}") {
        for (_, translate) in FORMATS {
            survive(translate, &text);
        }
    }

    #[test]
    fn mutated_files(file in any::<prop::sample::Index>(), edits in prop::collection::vec(
        (any::<prop::sample::Index>(), 0..4usize, 0..20usize, "[ -~\n{}]{0,4}"), 1..6,
    )) {
        let inputs = inputs();
        let (translate, text) = file.get(&inputs);
        let mut text = text.clone();
        for (at, operation, length, insert) in edits {
            let boundary = |mut at: usize| {
                at = at.min(text.len());
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                at
            };
            let start = boundary(at.index(text.len() + 1));
            let end = boundary(start + length);
            match operation {
                0 => text.replace_range(start..end, ""),
                1 => text.insert_str(start, &insert),
                2 => text.replace_range(start..end, &insert),
                _ => {
                    let piece = text[start..end].to_owned();
                    text.insert_str(start, &piece);
                }
            }
        }
        survive(*translate, &text);
    }
}
