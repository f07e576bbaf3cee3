//! Environment variables in string values: `${NAME}`, `${NAME:-default}`, `$${` for a plain `${`. It
//! works on the parsed file, so that a variable's value is always text and never TOML.

use crate::source::{ConfigError, Source};
use std::borrow::Cow;
use std::ops::Range;
use toml::Spanned;
use toml::de::DeValue;

/// Looks a variable up.
pub(crate) type Lookup<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Replaces the variables in every string below `value`; adds an error for each that has no value.
pub(crate) fn substitute(
    value: &mut Spanned<DeValue<'_>>,
    source: &Source<'_>,
    lookup: Lookup<'_>,
    errors: &mut Vec<ConfigError>,
) {
    let span = value.span();
    match value.get_mut() {
        DeValue::String(text) if text.contains("${") => match expand(text, lookup) {
            Ok(expanded) => *text = Cow::Owned(expanded),
            Err(fault) => errors.push(fault.at(&span, source)),
        },
        DeValue::Array(array) => array.iter_mut().for_each(|child| substitute(child, source, lookup, errors)),
        DeValue::Table(table) => {
            table.iter_mut().for_each(|(_, child)| substitute(child, source, lookup, errors))
        }
        _ => {}
    }
}

/// What is wrong with a reference; holds text of the file only.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Unset(String),
    Unclosed,
    Name(String),
}

impl Fault {
    fn at(self, span: &Range<usize>, source: &Source<'_>) -> ConfigError {
        let (part, message, help) = match self {
            Self::Unset(name) => (
                format!("${{{name}"),
                format!("the environment variable {name} is not set"),
                format!("set it, or give a default: `${{{name}:-value}}`"),
            ),
            Self::Unclosed => (
                "${".to_owned(),
                "`${` without `}`".to_owned(),
                "close it, or write `$${` for the characters themselves".to_owned(),
            ),
            Self::Name(name) => (
                format!("${{{name}"),
                "not the name of an environment variable".to_owned(),
                "a name has letters, digits and `_`; write `$${` for the characters themselves".to_owned(),
            ),
        };
        source.error(&source.find(span, &part), message, Some(help))
    }
}

fn expand(text: &str, lookup: Lookup<'_>) -> Result<String, Fault> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = (&rest[..at], &rest[at + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = reference;
            continue;
        }
        out.push_str(before);
        let (inside, after) = reference.split_once('}').ok_or(Fault::Unclosed)?;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !crate::template::is_name(name) {
            return Err(Fault::Name(name.to_owned()));
        }
        // As in a shell, `:-` also replaces a variable that is set to nothing.
        let value = lookup(name).filter(|value| default.is_none() || !value.is_empty());
        match (value, default) {
            (Some(value), _) => out.push_str(&value),
            (None, Some(default)) => out.push_str(default),
            (None, None) => return Err(Fault::Unset(name.to_owned())),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, Fault> {
        expand(text, &|name| match name {
            "HOST" => Some("a.example".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn replaces_variables() {
        for (text, expected) in [
            ("http://${HOST}:80", "http://a.example:80"),
            ("${HOST}${HOST}", "a.examplea.example"),
            ("${PORT:-3000}", "3000"),
            ("${PORT:-}", ""),
            ("${EMPTY:-x}|${EMPTY}", "x|"),
            ("$${HOST} $HOST $ {}", "${HOST} $HOST $ {}"),
            ("${NESTED}", "${HOST}"),
        ] {
            assert_eq!(expanded(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn says_what_is_missing() {
        assert_eq!(expanded("${NONE}"), Err(Fault::Unset("NONE".to_owned())));
        assert_eq!(expanded("${HOST"), Err(Fault::Unclosed));
        assert_eq!(expanded("${a b}"), Err(Fault::Name("a b".to_owned())));
        assert_eq!(expanded("${}"), Err(Fault::Name(String::new())));
    }
}
