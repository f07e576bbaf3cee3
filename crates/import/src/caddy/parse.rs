//! The syntax of a Caddyfile: lines of words, blocks that open at the end of a line, quotes, comments.
//! It knows no directive.

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
    for (line, mut words) in lines(text, &mut faults) {
        if words == ["}"] {
            match stack.pop() {
                Some((mut parent, before)) => {
                    parent.block = std::mem::replace(&mut current, before);
                    current.push(parent);
                }
                None => faults.push((line, "a `}` without `{`")),
            }
            continue;
        }
        let opens = words.last().is_some_and(|word| word == "{");
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

fn lines(text: &str, faults: &mut Vec<(usize, &'static str)>) -> Vec<(usize, Vec<String>)> {
    let mut lines = Vec::new();
    let (mut words, mut start, mut line) = (Vec::new(), 1, 1);
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => {
                words.extend(word.take());
                line += 1;
                // A comma at the end of a line continues a list of addresses.
                if words.last().is_some_and(|word: &String| word.ends_with(',')) {
                    continue;
                }
                if !words.is_empty() {
                    lines.push((start, std::mem::take(&mut words)));
                }
                start = line;
            }
            c if c.is_whitespace() => words.extend(word.take()),
            '#' if word.is_none() => while chars.next_if(|&c| c != '\n').is_some() {},
            '\\' if word.is_none() && chars.next_if_eq(&'\n').is_some() => line += 1,
            quote @ ('"' | '`') if word.is_none() => {
                let (opened, mut text, mut closed) = (line, String::new(), false);
                while let Some(c) = chars.next() {
                    line += usize::from(c == '\n');
                    match c {
                        '\\' if quote == '"' => text.push(chars.next_if_eq(&'"').unwrap_or('\\')),
                        c if c == quote => {
                            closed = true;
                            break;
                        }
                        c => text.push(c),
                    }
                }
                if !closed {
                    faults.push((opened, "a quote that is not closed"));
                }
                words.push(text);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if !words.is_empty() {
        lines.push((start, words));
    }
    lines
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
}
