//! Text with `{name}` placeholders: the target of a redirect, a rewritten path. A plain value; who fills
//! it in decides what the names mean.

use std::str::FromStr;

/// A text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(String),
}

/// Why a text is not a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("a `{{` has no `}}`, or a `}}` no `{{`")]
    Brace,
    #[error("between `{{` and `}}` stands a name of letters, digits and `_`")]
    Name,
}

impl Template {
    /// The names of the placeholders, in order, with repetitions.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Appends the text to `out` with every placeholder replaced by its value; an unknown one by nothing.
    pub fn fill<'v>(&self, out: &mut String, value: impl Fn(&str) -> Option<&'v str>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Placeholder(name) => out.push_str(value(name).unwrap_or_default()),
            }
        }
    }

    /// The literal text before the first placeholder.
    #[must_use]
    pub fn literal_start(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// The literal pieces between the placeholders.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Placeholder(_) => None,
        })
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, after) = rest.split_once('{').map_or((rest, None), |(l, a)| (l, Some(a)));
            if literal.contains('}') {
                return Err(TemplateError::Brace);
            }
            if !literal.is_empty() {
                parts.push(Part::Text(literal.to_owned()));
            }
            let Some(after) = after else { break };
            let (name, after) = after.split_once('}').ok_or(TemplateError::Brace)?;
            if !is_name(name) {
                return Err(TemplateError::Name);
            }
            parts.push(Part::Placeholder(name.to_owned()));
            rest = after;
        }
        Ok(Self { parts })
    }
}

/// Whether `text` can name a capture: a letter or `_`, then letters, digits and `_`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.bytes()
        .enumerate()
        .all(|(at, b)| b == b'_' || b.is_ascii_alphabetic() || (at > 0 && b.is_ascii_digit()))
        && !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in() {
        let template: Template = "https://{host}/u/{id}{rest}".parse().unwrap();
        assert_eq!(template.placeholders().collect::<Vec<_>>(), ["host", "id", "rest"]);
        let mut out = String::new();
        template.fill(&mut out, |name| match name {
            "host" => Some("a.example"),
            "id" => Some("7"),
            _ => None,
        });
        assert_eq!(out, "https://a.example/u/7");
    }

    #[test]
    fn refuses_loose_braces() {
        for bad in ["{", "}", "a{b", "{a{b}}", "{}", "{a b}", "{1}", "a}b{c}"] {
            assert!(bad.parse::<Template>().is_err(), "{bad}");
        }
    }
}
