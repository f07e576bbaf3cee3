//! From the TOML tree to the spec types: unknown keys and wrong types, several in one go, in words for
//! people. What the values mean is checked elsewhere.

use crate::place::{self, Step};
use crate::source::{ConfigError, Source};
use crate::suggest::nearest;
use serde::Deserialize;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// A file with more faults than this is told about the first ones.
const MAX_ERRORS: usize = 20;

/// Reads the tree. A fault is noted, what it stands in taken out, and the reading tried again.
pub(crate) fn read<T: for<'de> Deserialize<'de>>(
    root: &Spanned<DeValue<'_>>,
    source: &Source<'_>,
) -> Result<T, Vec<ConfigError>> {
    let first = match T::deserialize(ValueDeserializer::from(root.clone())) {
        Ok(read) => return Ok(read),
        Err(error) => error,
    };
    let mut errors = Vec::new();
    let mut rest = root.clone();
    let mut next = Some(first);
    while let Some(error) = next {
        let span = error.span().unwrap_or_default();
        errors.extend(describe(&error, &span, source, root.get_ref()));
        let steps = place::path_to(rest.get_ref(), &span).unwrap_or_default();
        if errors.len() >= MAX_ERRORS || !place::remove(rest.get_mut(), &steps) {
            break;
        }
        next = T::deserialize(ValueDeserializer::from(rest.clone())).err();
    }
    Err(errors)
}

fn describe(
    error: &toml::de::Error,
    span: &Range<usize>,
    source: &Source<'_>,
    root: &DeValue<'_>,
) -> Option<ConfigError> {
    let steps = place::path_to(root, span).unwrap_or_default();
    let table = || place::table_name(&steps[..steps.len().saturating_sub(1)]);
    let (message, help) = match split(error.message()) {
        Said::UnknownKey(valid) => {
            let key = source.slice(span);
            (format!("unknown key `{key}` in {}", table()), did_you_mean(key, &valid, "the keys here are"))
        }
        Said::UnknownValue(valid) => {
            let text = source.slice(span);
            (format!("unknown value `{text}`"), did_you_mean(text, &valid, "the values are"))
        }
        // A key that was taken out for its own fault is not missing.
        Said::MissingKey(key) if table_at(root, &steps).is_some_and(|table| table.contains_key(key)) => {
            return None;
        }
        Said::MissingKey(key) => (format!("`{key}` is missing in {}", place::table_name(&steps)), None),
        // A key that was taken out for its own fault was the one that is wanted.
        Said::NotOneKey if table_at(root, &steps).is_some_and(|table| table.len() == 1) => return None,
        Said::NotOneKey => (format!("exactly one key is wanted in {}", place::table_name(&steps)), None),
        Said::WrongType(expected) => {
            let found = value_at(root, &steps).map(|value| format!(", found {}", kind(value)));
            (format!("expected {}{}", in_words(expected), found.unwrap_or_default()), None)
        }
        Said::OutOfRange("u8") if is_percentage(&steps) => {
            ("out of range: expected a whole number from 0 to 100".to_owned(), None)
        }
        Said::OutOfRange(expected) => (format!("out of range: expected {}", in_words(expected)), None),
        Said::Other(text) => match text.split_once("; ") {
            Some((message, help)) => (message.to_owned(), Some(help.to_owned())),
            None => (text.to_owned(), None),
        },
    };
    Some(source.error(span, message, help))
}

/// What the deserialiser said. The wrong value that it repeats is left out: it may come from the
/// environment.
enum Said<'m> {
    UnknownKey(Vec<&'m str>),
    UnknownValue(Vec<&'m str>),
    MissingKey(&'m str),
    /// Of a table that stands for one of several kinds.
    NotOneKey,
    WrongType(&'m str),
    OutOfRange(&'m str),
    Other(&'m str),
}

fn split(message: &str) -> Said<'_> {
    let expected = message.rsplit_once(", expected ").map_or("", |(_, expected)| expected);
    let names = || expected.split('`').skip(1).step_by(2).collect();
    if message.starts_with("unknown field") {
        Said::UnknownKey(names())
    } else if message.starts_with("unknown variant") {
        Said::UnknownValue(names())
    } else if let Some(rest) = message.strip_prefix("missing field `") {
        Said::MissingKey(rest.trim_end_matches('`'))
    } else if message.starts_with("wanted exactly 1 element") {
        Said::NotOneKey
    } else if message.starts_with("invalid type") {
        Said::WrongType(expected)
    } else if message.starts_with("invalid value") {
        Said::OutOfRange(expected)
    } else {
        Said::Other(message)
    }
}

fn in_words(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a map" => "a table",
        "a sequence" => "an array",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

/// Whether the value ends earlier than its type does.
fn is_percentage(steps: &[Step]) -> bool {
    matches!(steps.last(), Some(Step::Key(key)) if key.ends_with("percent"))
}

fn value_at<'d>(root: &'d DeValue<'d>, steps: &[Step]) -> Option<&'d DeValue<'d>> {
    steps.iter().try_fold(root, |value, step| match step {
        Step::Key(key) => value.as_table()?.get(key.as_str()).map(Spanned::get_ref),
        Step::Index(at) => value.as_array()?.get(*at).map(Spanned::get_ref),
    })
}

fn table_at<'d>(root: &'d DeValue<'d>, steps: &[Step]) -> Option<&'d DeTable<'d>> {
    value_at(root, steps)?.as_table()
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

fn did_you_mean(wrong: &str, valid: &[&str], otherwise: &str) -> Option<String> {
    match nearest(wrong, valid.iter().copied()) {
        Some(name) => Some(format!("did you mean `{name}`?")),
        None if valid.is_empty() => None,
        None => Some(format!("{otherwise} {}", valid.join(", "))),
    }
}
