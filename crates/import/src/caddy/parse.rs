//! The syntax of a Caddyfile: lines of words, blocks that open at the end of a line, quotes, comments.
//! It knows no directive.

use std::iter::Peekable;
use std::str::Chars;

/// One line with its words and, where it has one, its block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) line: usize,
    pub(super) words: Vec<String>,
    pub(super) block: Vec<Self>,
}

impl Directive {
    pub(super) fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", String::as_str)
    }

    pub(super) fn rest(&self, from: usize) -> &[String] {
        self.words.get(from..).unwrap_or(&[])
    }

    /// The line as it stood, without its block, for notes.
    pub(super) fn shown(&self) -> String {
        let text = self.words.join(" ");
        if text.chars().count() > 80 { text.chars().take(77).chain("...".chars()).collect() } else { text }
    }
}

/// Deeper than any real file; the tree is walked by recursion.
const MAX_DEPTH: usize = 32;

/// The lines at the top with their blocks, and what was wrong with the syntax.
pub(super) fn parse(text: &str) -> (Vec<Directive>, Vec<(usize, &'static str)>) {
    let mut faults = Vec::new();
    let mut stack: Vec<(Directive, Vec<Directive>)> = Vec::new();
    let mut current = Vec::new();
    for Words { line, mut words, braces } in lines(text, &mut faults) {
        if words == ["}"] && braces == [0] {
            match stack.pop() {
                Some((mut parent, before)) => {
                    parent.block = std::mem::replace(&mut current, before);
                    current.push(parent);
                }
                None => faults.push((line, "a `}` without `{`")),
            }
            continue;
        }
        let opens = braces == [words.len() - 1] && words.last().is_some_and(|word| word == "{");
        if !opens && !braces.is_empty() {
            faults.push((line, "`{` stands at the end of its line and `}` alone"));
        }
        if !opens {
            current.push(Directive { line, words, block: Vec::new() });
            continue;
        }
        if stack.len() >= MAX_DEPTH {
            faults.push((line, "blocks are nested too deep"));
            break;
        }
        words.pop();
        stack.push((Directive { line, words, block: Vec::new() }, std::mem::take(&mut current)));
    }
    while let Some((mut parent, before)) = stack.pop() {
        faults.push((parent.line, "a `{` without `}`"));
        parent.block = std::mem::replace(&mut current, before);
        current.push(parent);
    }
    (current, faults)
}

/// The words of a line, joined with those that continue it.
#[derive(Default)]
struct Words {
    line: usize,
    words: Vec<String>,
    /// Which words are a `{` or `}` outside of quotes.
    braces: Vec<usize>,
}

impl Words {
    fn end_word(&mut self, word: &mut Option<String>) {
        let Some(word) = word.take() else { return };
        if word == "{" || word == "}" {
            self.braces.push(self.words.len());
        }
        self.words.push(word);
    }
}

fn lines(text: &str, faults: &mut Vec<(usize, &'static str)>) -> Vec<Words> {
    let mut lines = Vec::new();
    let mut line = 1;
    let mut current = Words { line, ..Words::default() };
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => {
                current.end_word(&mut word);
                line += 1;
                // A comma at the end of a line continues a list of addresses.
                if current.words.last().is_some_and(|word: &String| word.ends_with(',')) {
                    continue;
                }
                let ended = std::mem::replace(&mut current, Words { line, ..Words::default() });
                lines.extend(Some(ended).filter(|ended| !ended.words.is_empty()));
            }
            c if c.is_whitespace() => current.end_word(&mut word),
            '#' if word.is_none() => while chars.next_if(|&c| c != '\n').is_some() {},
            '\\' if word.is_none() && chars.next_if_eq(&'\n').is_some() => line += 1,
            quote @ ('"' | '`') if word.is_none() => {
                let (text, closed) = quoted(quote, &mut chars);
                if !closed {
                    faults.push((line, "a quote that is not closed"));
                }
                line += text.matches('\n').count();
                current.words.push(text);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    current.end_word(&mut word);
    lines.extend(Some(current).filter(|last| !last.words.is_empty()));
    lines
}

/// What stands up to the closing quote, and whether there is one.
fn quoted(quote: char, chars: &mut Peekable<Chars<'_>>) -> (String, bool) {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quote == '"' => text.push(chars.next_if_eq(&'"').unwrap_or('\\')),
            c if c == quote => return (text, true),
            c => text.push(c),
        }
    }
    (text, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_blocks_quotes_and_placeholders() {
        let (tree, faults) = parse(
            "a.example,\nb.example {\n  respond \\\n \"x \\\"y\\\"\" 200 # c\n  @m {\n    path /a#b\n  }\n}\n",
        );
        assert_eq!(faults, []);
        assert_eq!(tree[0].words, ["a.example,", "b.example"]);
        assert_eq!(tree[0].block[0].words, ["respond", "x \"y\"", "200"]);
        assert_eq!((tree[0].block[1].line, tree[0].block[1].block[0].word(1)), (5, "/a#b"));
    }

    #[test]
    fn braces_end_their_lines_or_stand_in_quotes() {
        for broken in ["a {\n  handle /b* { respond 204 }\n}\n", "a {\n  x }\n}\n", "a {\n}  y\n"] {
            assert!(!parse(broken).1.is_empty(), "{broken}");
        }
        let (tree, faults) = parse("a {\n  respond \"{\"\n  respond \"}\"\n  respond {path}\n}\n");
        assert_eq!(faults, []);
        assert_eq!(tree[0].block.len(), 3);
    }
}
