//! The text of a configuration file as errors show it: positions, the line with a caret under the
//! fault, and secrets blotted out.

use std::fmt;
use std::ops::Range;

/// One fault of a configuration file, with the place and, where there is one, the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong, without a full stop. Never holds the value of an environment variable.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    excerpt: Option<Excerpt>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    text: String,
    caret_at: usize,
    caret_width: usize,
}

impl ConfigError {
    /// `file:line:column: message; help` in one line, without the excerpt.
    #[must_use]
    pub fn summary(&self) -> String {
        let help = self.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{}:{}:{}: {}{help}", self.file, self.line, self.column, self.message)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        let Some(excerpt) = &self.excerpt else { return Ok(()) };
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let (indent, carets) = (" ".repeat(excerpt.caret_at), "^".repeat(excerpt.caret_width));
        write!(f, "\n{gutter} |\n{number} | {}\n{gutter} | {indent}{carets}", excerpt.text)
    }
}

impl std::error::Error for ConfigError {}

/// A file's text, and the parts of it that no error may show.
pub(crate) struct Source<'t> {
    file: &'t str,
    text: &'t str,
    secrets: Vec<Range<usize>>,
}

/// Longer lines are shown around the caret only.
const MAX_EXCERPT_CHARS: usize = 140;

impl<'t> Source<'t> {
    pub(crate) fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text, secrets: Vec::new() }
    }

    /// Blots out this part of the text in every excerpt from now on.
    pub(crate) fn hide(&mut self, secret: Range<usize>) {
        self.secrets.push(secret);
    }

    /// The text as written in the file; for a string without its quotes.
    pub(crate) fn slice(&self, span: &Range<usize>) -> &'t str {
        let text = self.text.get(span.clone()).unwrap_or_default();
        let quoted = |quote| text.len() >= 2 && text.starts_with(quote) && text.ends_with(quote);
        if quoted('"') || quoted('\'') { &text[1..text.len() - 1] } else { text }
    }

    /// Where in `span` the text `part` begins, or all of `span`.
    pub(crate) fn find(&self, span: &Range<usize>, part: &str) -> Range<usize> {
        match self.text.get(span.clone()).and_then(|text| text.find(part)) {
            Some(at) => span.start + at..span.start + at + part.len(),
            None => span.clone(),
        }
    }

    pub(crate) fn error(&self, span: &Range<usize>, message: String, help: Option<String>) -> ConfigError {
        let start = self.floor(span.start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[..start].matches('\n').count() + 1;
        let column = self.text[line_start..start].chars().count() + 1;
        let excerpt = self.excerpt(line_start, start, self.floor(span.end));
        ConfigError { file: self.file.to_owned(), line, column, message, help, excerpt }
    }

    /// An error of the grammar. Nothing is known of the value it stands in, so that a line that speaks
    /// of a secret is not shown at all.
    pub(crate) fn syntax_error(&self, span: &Range<usize>, message: String) -> ConfigError {
        let mut error = self.error(span, message, None);
        if error.excerpt.as_ref().is_some_and(|excerpt| excerpt.text.to_ascii_lowercase().contains("secret"))
        {
            error.excerpt = None;
        }
        error
    }

    fn excerpt(&self, line_start: usize, start: usize, end: usize) -> Option<Excerpt> {
        let line = self.text[line_start..].split('\n').next()?.trim_end();
        if line.is_empty() {
            return None;
        }
        let shown = |(at, c): (usize, char)| match c {
            _ if self.secrets.iter().any(|secret| secret.contains(&(line_start + at))) => '*',
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        };
        let chars: Vec<char> = line.char_indices().map(shown).collect();
        let at = self.text[line_start..start].chars().count().min(chars.len());
        let end = end.clamp(start, (line_start + line.len()).max(start));
        let width = self.text[start..end].chars().count().max(1);
        let from = if chars.len() > MAX_EXCERPT_CHARS { at.saturating_sub(MAX_EXCERPT_CHARS / 2) } else { 0 };
        let to = chars.len().min(from + MAX_EXCERPT_CHARS);
        let caret_at = at - from;
        let caret_width = width.min((to - from).saturating_sub(caret_at)).max(1);
        Some(Excerpt { text: chars[from..to].iter().collect(), caret_at, caret_width })
    }

    fn floor(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_line_and_blots_out_secrets() {
        let text = "a = 1\nkey = \"grün\", secret = \"hunter2\"\n";
        let mut source = Source::new("f.toml", text);
        let secret = text.find("\"hunter2\"").unwrap();
        source.hide(secret..secret + 9);
        let span = text.find("\"grün\"").unwrap();
        let error = source.error(&(span..span + 7), "wrong".to_owned(), Some("right".to_owned()));
        assert_eq!(
            error.to_string(),
            "f.toml:2:7: wrong; right\n  |\n2 | key = \"grün\", secret = *********\n  |       ^^^^^^"
        );
    }

    #[test]
    fn any_span_is_safe() {
        let text = "ä\t\u{1b}[31m\n\nü";
        let source = Source::new("f", text);
        for start in 0..12 {
            for end in 0..12 {
                let shown = source.error(&(start..end), String::new(), None).to_string();
                assert!(!shown.contains('\u{1b}'));
            }
        }
    }
}
