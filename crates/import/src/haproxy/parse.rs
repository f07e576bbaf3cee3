//! The syntax of haproxy.cfg: sections of lines of words. It knows no keyword.

/// One line inside a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) words: Vec<String>,
}

impl Line {
    pub(super) fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", String::as_str)
    }

    pub(super) fn rest(&self, from: usize) -> &[String] {
        self.words.get(from..).unwrap_or(&[])
    }

    /// The line as it stood, for notes.
    pub(super) fn shown(&self) -> String {
        let text = self.words.join(" ");
        if text.chars().count() > 80 { text.chars().take(77).chain("...".chars()).collect() } else { text }
    }

    /// The words before `if` or `unless`, and those from there on.
    pub(super) fn split_condition(&self) -> (&[String], &[String]) {
        let at =
            self.words.iter().position(|word| word == "if" || word == "unless").unwrap_or(self.words.len());
        self.words.split_at(at)
    }
}

/// A section with its head (`frontend web`) and its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) head: Line,
    pub(super) lines: Vec<Line>,
}

const SECTIONS: [&str; 14] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "peers",
    "resolvers",
    "userlist",
    "mailers",
    "cache",
    "program",
    "http-errors",
    "ring",
    "crt-store",
];

/// The sections, and the lines before the first one.
pub(super) fn parse(text: &str) -> (Vec<Section>, Vec<Line>) {
    let (mut sections, mut stray) = (Vec::<Section>::new(), Vec::new());
    for (index, text) in text.lines().enumerate() {
        let line = Line { number: index + 1, words: words(text) };
        if line.words.is_empty() {
            continue;
        }
        if SECTIONS.contains(&line.word(0)) {
            sections.push(Section { head: line, lines: Vec::new() });
        } else if let Some(section) = sections.last_mut() {
            section.lines.push(line);
        } else {
            stray.push(line);
        }
    }
    (sections, stray)
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(chars.next()),
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('#', None) => break,
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_words_and_sections() {
        let (sections, stray) = parse(
            "x\nfrontend web # c\n  acl a path_beg /a\\ b \"c d\" 'e\\f'\n\nbackend b\n server s :1 if x",
        );
        assert_eq!(stray.len(), 1);
        assert_eq!(sections[0].lines[0].words, ["acl", "a", "path_beg", "/a b", "c d", "e\\f"]);
        assert_eq!((sections[0].lines[0].number, sections[1].head.word(1)), (3, "b"));
        assert_eq!(sections[1].lines[0].split_condition().1, ["if", "x"]);
    }
}
