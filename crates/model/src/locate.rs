//! Puts an error that came up after loading, about a file that is named in the configuration, at the place
//! that names it.

use crate::load::hide_secrets;
use crate::place::Place;
use crate::source::{ConfigError, Source};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// `message` at the place of `text` that it is about: of the strings below `place` the longest that the
/// message repeats, otherwise the place itself. `place` is written as compiling says it: `service.shop.tls`,
/// `route 3`, `chaos 1`.
#[must_use]
pub fn locate(text: &str, file_name: &str, place: &str, message: &str) -> ConfigError {
    let mut source = Source::new(file_name, text);
    let (table, _) = DeTable::parse_recoverable(text);
    let span = table.span();
    let root = Spanned::new(span, DeValue::Table(table.into_inner()));
    hide_secrets(root.get_ref(), &mut source);
    let mut at = Place::root(&root);
    let mut key = at.span.clone();
    let mut value = root.get_ref();
    if let Some((list, index)) = numbered(place) {
        at = at.get(list).at(index);
        key = at.span.clone();
        if let Some(found) = value.get(list).and_then(|list| list.get_ref().get(index)) {
            value = found.get_ref();
        }
    } else {
        let mut rest = place;
        // A name may hold dots, so that the longest key that fits is taken.
        while let Some(name) = longest_key(value, rest) {
            key = at.key(name).span;
            at = at.get(name);
            let Some(found) = value.get(name) else { break };
            value = found.get_ref();
            rest = rest[name.len()..].strip_prefix('.').unwrap_or_default();
        }
    }
    let mut best: Option<(usize, Range<usize>)> = None;
    named_by(value, message, &mut best);
    source.error(&best.map_or(key, |(_, span)| span), message.to_owned(), None)
}

/// A place like `route 3`: the list, and which of it, from zero.
fn numbered(place: &str) -> Option<(&str, usize)> {
    let (list, number) = place.split_once(' ')?;
    Some((list, number.parse::<usize>().ok()?.saturating_sub(1)))
}

fn longest_key<'d>(value: &'d DeValue<'_>, path: &str) -> Option<&'d str> {
    let fits =
        |key: &str| path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let keys = value.as_table()?.keys().map(|key| key.get_ref().as_ref());
    keys.filter(|key| fits(key)).max_by_key(|key| key.len())
}

/// The longest string in `value` that stands in `message`.
fn named_by(value: &DeValue<'_>, message: &str, best: &mut Option<(usize, Range<usize>)>) {
    let mut look = |child: &Spanned<DeValue<'_>>| match child.get_ref() {
        DeValue::String(text) => {
            let longer = best.as_ref().is_none_or(|(len, _)| text.len() > *len);
            if longer && !text.is_empty() && message.contains(text.as_ref()) {
                *best = Some((text.len(), child.span()));
            }
        }
        inner => named_by(inner, message, best),
    };
    match value {
        DeValue::Table(table) => table.values().for_each(look),
        DeValue::Array(array) => array.iter().for_each(&mut look),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::locate;

    const TEXT: &str = "[listen.web]\nbind = \":1\"\n[listen.web.tls]\ncertificates = [\n  { cert = \"a.pem\", key = \"a.key\" },\n]\n\
                        [service.\"a.b\"]\nfallback = { file = \"gone.html\" }\n[[route]]\nmatch = \"/x\"\n";

    #[test]
    fn names_the_line_of_the_file_or_of_the_table() {
        let place = |place: &str, message: &str| {
            let error = locate(TEXT, "f.toml", place, message);
            (error.line, error.column)
        };
        assert_eq!(place("listen.web.tls", "cannot read a.key: gone"), (5, 27));
        assert_eq!(place("listen.web.tls", "no certificate"), (3, 13));
        assert_eq!(place("service.a.b", "the file `gone.html` is gone"), (8, 21));
        assert_eq!(place("route 1", "too long"), (9, 1));
        assert_eq!(place("nowhere", "odd"), (1, 1));
    }
}
