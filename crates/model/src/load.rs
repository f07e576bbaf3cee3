//! From the text of a configuration file to a checked [`Config`]. Pure: who calls it reads the file and
//! the environment.

use crate::source::{ConfigError, Source};
use crate::spec::Config;
use crate::{env, place::Place, structure, validate};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reads a configuration. `file_name` is for error texts; `env` looks environment variables up.
///
/// # Errors
/// One syntax error; or every unset variable; or the unknown keys and wrong types; or everything that
/// is wrong with the values. Always at least one, in the order of the file.
pub fn load(
    text: &str,
    file_name: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Vec<ConfigError>> {
    let mut source = Source::new(file_name, text);
    let (table, syntax_errors) = DeTable::parse_recoverable(text);
    let span = table.span();
    let mut root = Spanned::new(span, DeValue::Table(table.into_inner()));
    hide_secrets(root.get_ref(), &mut source);
    // Later syntax errors are mostly consequences of the first.
    if let Some(error) = syntax_errors.first() {
        return Err(vec![source.syntax_error(&error.span().unwrap_or_default(), error.message().to_owned())]);
    }
    let mut errors = Vec::new();
    env::substitute(&mut root, &source, env, &mut errors);
    if errors.is_empty() {
        match structure::read::<Config>(&root, &source) {
            Ok(mut config) => {
                // It stays for as long as the configuration is in force, and there may be thousands.
                config.routes.shrink_to_fit();
                errors = validate::validate(&config, &Place::root(&root), &source);
                if errors.is_empty() {
                    return Ok(config);
                }
            }
            Err(found) => errors = found,
        }
    }
    errors.sort_by_key(|error| (error.line, error.column));
    Err(errors)
}

/// Blots out what could be a secret: values of `secret`, and of header fields that carry credentials, and URLs that
/// name who logs in.
/// A value that only names an environment variable may be shown.
pub(crate) fn hide_secrets(value: &DeValue<'_>, source: &mut Source<'_>) {
    match value {
        DeValue::Table(table) => {
            for (key, child) in table {
                let key = key.get_ref().to_ascii_lowercase();
                let credential = ["secret", "authorization", "token", "api-key", "password"]
                    .iter()
                    .any(|word| key.contains(word));
                match child.get_ref() {
                    DeValue::Table(_) | DeValue::Array(_) => hide_secrets(child.get_ref(), source),
                    value if credential && !is_reference(value) => source.hide(child.span()),
                    value if value.as_str().is_some_and(has_login) => source.hide(child.span()),
                    _ => {}
                }
            }
        }
        DeValue::Array(array) => array.iter().for_each(|child| hide_secrets(child.get_ref(), source)),
        _ => {}
    }
}

fn has_login(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

fn is_reference(value: &DeValue<'_>) -> bool {
    let name =
        value.as_str().and_then(|text| text.strip_prefix("${")).and_then(|text| text.strip_suffix('}'));
    name.is_some_and(crate::template::is_name)
}
