//! Whatever the text, `load` answers: it neither panics nor accepts what it cannot read again.

use headgate_model::load;
use proptest::prelude::*;

const VALID: &str = include_str!("good/everything.toml");

fn env(name: &str) -> Option<String> {
    (name == "STICKY_SECRET").then(|| "0123456789abcdef".to_owned())
}

/// Loads, and shows every error, which is code that can be wrong as well.
fn survive(text: &str) {
    if let Err(errors) = load(text, "headgate.toml", &env) {
        assert!(!errors.is_empty());
        for error in errors {
            assert!(error.line >= 1 && error.line <= text.matches('\n').count() + 1, "{error}");
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn the_file_that_is_mutated_is_valid() {
    load(VALID, "everything.toml", &env).unwrap_or_else(|errors| {
        let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
        panic!("{}", shown.join("\n"))
    });
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    for text in [
        format!("{}b = 1", "a.".repeat(200_000)),
        format!("[{}b]\nc = 1", "a.".repeat(200_000)),
        format!("a = {}", "[".repeat(200_000)),
        format!("a = {}", "{a=".repeat(200_000)),
        format!("a = {}1{}", "{a.a.a.a.a.a.a.a=".repeat(70), "}".repeat(70)),
        format!("a = {{ {}b = 1 }}", "a.".repeat(200_000)),
    ] {
        survive(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text(text in ".{0,200}") {
        survive(&text);
    }

    #[test]
    fn arbitrary_toml(lines in prop::collection::vec(
        "(\\[listen\\.web\\]|\\[service\\.a\\]|\\[\\[route\\]\\]|bind = \":80\"|endpoints = \\[\"[a:0-9/]{0,6}\"\\]|match = \"[/*{}a]{0,6}\"|service = \"[ab]\"|[a-z_]{1,9} = [0-9\"{}\\[\\]a]{0,4})",
        0..12,
    )) {
        survive(&lines.join("\n"));
    }

    #[test]
    fn mutated_valid_file(edits in prop::collection::vec((0..VALID.len(), 0..5usize, any::<prop::sample::Index>(), ".{0,3}"), 1..4)) {
        let mut text = VALID.to_owned();
        for (at, operation, other, insert) in edits {
            let boundary = |mut at: usize| {
                at = at.min(text.len());
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                at
            };
            let (start, end) = (boundary(at), boundary(at + 1 + other.index(12)));
            match operation {
                0 => text.replace_range(start..end, ""),
                1 => text.insert_str(start, &insert),
                2 => text.replace_range(start..end, &insert),
                3 => text.truncate(start),
                _ => {
                    let from = boundary(other.index(VALID.len()));
                    let piece = text[from..boundary(from + 20)].to_owned();
                    text.insert_str(start, &piece);
                }
            }
        }
        survive(&text);
    }
}
