//! Files beside the configuration (game days, name servers), read as strictly: every unknown key, wrong type
//! and wrong value with its place and the remedy. What the values mean is their readers' matter.

use crate::load::hide_secrets;
use crate::place::Place;
use crate::source::{ConfigError, Source};
use crate::{env, structure};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file that was read, kept with its text so that later errors can be put at their place.
#[derive(Clone, Debug)]
pub struct StrictFile {
    name: String,
    text: String,
}

impl StrictFile {
    /// `name` is for error texts.
    #[must_use]
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned() }
    }

    /// Reads the file as a `T`, with `${NAME}` taken from `lookup`.
    ///
    /// # Errors
    /// One syntax error; or every unset variable; or the unknown keys and wrong types. At least one.
    pub fn read<T: for<'de> Deserialize<'de>>(
        &self,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<T, Vec<ConfigError>> {
        let mut source = Source::new(&self.name, &self.text);
        let (table, syntax_errors) = DeTable::parse_recoverable(&self.text);
        let span = table.span();
        let mut root = Spanned::new(span, DeValue::Table(table.into_inner()));
        hide_secrets(root.get_ref(), &mut source);
        if let Some(error) = syntax_errors.first() {
            let span = error.span().unwrap_or_default();
            return Err(vec![source.syntax_error(&span, error.message().to_owned())]);
        }
        let mut errors = Vec::new();
        env::substitute(&mut root, &source, lookup, &mut errors);
        if errors.is_empty() {
            match structure::read(&root, &source) {
                Ok(value) => return Ok(value),
                Err(found) => errors = found,
            }
        }
        errors.sort_by_key(|error| (error.line, error.column));
        Err(errors)
    }

    /// An error at the value that these steps lead to: keys, and numbers into arrays, from zero. A step to what
    /// is not there stays at the nearest place that is.
    #[must_use]
    pub fn error_at(&self, steps: &[&str], message: impl Into<String>, help: Option<String>) -> ConfigError {
        let mut source = Source::new(&self.name, &self.text);
        let (table, _) = DeTable::parse_recoverable(&self.text);
        let span = table.span();
        let root = Spanned::new(span, DeValue::Table(table.into_inner()));
        hide_secrets(root.get_ref(), &mut source);
        let start = Place::root(&root);
        let place = steps.iter().fold(start, |place, step| match step.parse() {
            Ok(index) if place.is_array() => place.at(index),
            _ => place.get(step),
        });
        source.error(&place.span, message.into(), help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        probe: Vec<Probe>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Probe {
        url: String,
    }

    #[test]
    fn mistakes_have_their_place_and_their_remedy() {
        let file = StrictFile::new("f.toml", "[[probe]]\nurl = \"${X}\"\n[[probe]]\nulr = \"b\"\n");
        let errors = file.read::<File>(&|_| Some(String::new())).unwrap_err();
        let wanted = "f.toml:4:1: unknown key `ulr` in [[probe]] number 2; did you mean `url`?";
        assert!(errors.iter().any(|error| error.summary() == wanted), "{errors:?}");
        let fine: File =
            StrictFile::new("f", "probe = [{ url = \"${X}\" }]").read(&|_| Some("a".into())).unwrap();
        assert_eq!(fine.probe[0].url, "a");
        let errors = file.read::<File>(&|_| None).unwrap_err();
        assert!(errors[0].summary().contains("f.toml:2:"), "{}", errors[0]);
        let at = file.error_at(&["probe", "0", "url"], "odd", None);
        assert_eq!((at.line, at.column), (2, 7));
        assert_eq!(file.error_at(&["nowhere"], "odd", None).line, 1);
    }
}
