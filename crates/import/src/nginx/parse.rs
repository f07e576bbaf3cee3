//! The syntax of nginx.conf: words, quotes, comments, `;` and blocks. It knows no directive.

/// One directive with its words and, where it has one, its block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) args: Vec<String>,
    pub(super) block: Option<Vec<Self>>,
}

impl Directive {
    pub(super) fn arg(&self, index: usize) -> &str {
        self.args.get(index).map_or("", String::as_str)
    }

    /// Directives in it, itself included.
    pub(super) fn size(&self) -> usize {
        1 + self.block.iter().flatten().map(Self::size).sum::<usize>()
    }

    /// The directive as it stood, without its block, for notes.
    pub(super) fn shown(&self) -> String {
        let mut text = self.name.clone();
        for arg in &self.args {
            text.push(' ');
            text.push_str(arg);
        }
        if text.chars().count() > 80 {
            text = text.chars().take(77).chain("...".chars()).collect();
        }
        text
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Open,
    Close,
    End,
}

/// What is wrong with the syntax, with its line.
pub(super) type Fault = (usize, &'static str);

/// Deeper than any real file; the tree is walked by recursion.
const MAX_DEPTH: usize = 32;

/// The directives, and what was wrong with the syntax, with lines that are counted from `first_line`.
pub(super) fn parse(text: &str, first_line: usize) -> (Vec<Directive>, Vec<Fault>) {
    let (tokens, mut faults) = tokens(text, first_line);
    let mut stack: Vec<(Directive, Vec<Directive>)> = Vec::new();
    let mut current: Vec<Directive> = Vec::new();
    let mut directive = Directive::default();
    for (line, token) in tokens {
        match token {
            Token::Word(word) if directive.name.is_empty() && directive.args.is_empty() => {
                directive = Directive { line, name: word, ..Directive::default() };
            }
            Token::Word(word) => directive.args.push(word),
            Token::End if directive.name.is_empty() => {}
            Token::End => current.push(std::mem::take(&mut directive)),
            Token::Open if stack.len() >= MAX_DEPTH => {
                faults.push((line, "blocks are nested too deep"));
                break;
            }
            Token::Open => {
                directive.line = if directive.name.is_empty() { line } else { directive.line };
                stack.push((std::mem::take(&mut directive), std::mem::take(&mut current)));
            }
            Token::Close => {
                if !directive.name.is_empty() {
                    faults.push((directive.line, "a directive without `;`"));
                    current.push(std::mem::take(&mut directive));
                }
                match stack.pop() {
                    Some((mut parent, before)) => {
                        parent.block = Some(std::mem::replace(&mut current, before));
                        current.push(parent);
                    }
                    None => faults.push((line, "a `}` without `{`")),
                }
            }
        }
    }
    if !directive.name.is_empty() {
        faults.push((directive.line, "a directive without `;`"));
        current.push(directive);
    }
    while let Some((mut parent, before)) = stack.pop() {
        faults.push((parent.line, "a `{` without `}`"));
        parent.block = Some(std::mem::replace(&mut current, before));
        current.push(parent);
    }
    (current, faults)
}

fn tokens(text: &str, first_line: usize) -> (Vec<(usize, Token)>, Vec<Fault>) {
    let (mut tokens, mut faults) = (Vec::new(), Vec::new());
    let mut chars = text.chars().peekable();
    let mut line = first_line;
    while let Some(c) = chars.next() {
        match c {
            '\n' => line += 1,
            c if c.is_whitespace() => {}
            '#' => while chars.next_if(|&c| c != '\n').is_some() {},
            ';' => tokens.push((line, Token::End)),
            '{' => tokens.push((line, Token::Open)),
            '}' => tokens.push((line, Token::Close)),
            quote @ ('"' | '\'') => {
                let (start, mut word, mut closed) = (line, String::new(), false);
                while let Some(c) = chars.next() {
                    line += usize::from(c == '\n');
                    match c {
                        '\\' => match chars.next_if(|&c| c == quote || "\\nrt".contains(c)) {
                            Some('n') => word.push('\n'),
                            Some('r') => word.push('\r'),
                            Some('t') => word.push('\t'),
                            Some(escaped) => word.push(escaped),
                            None => word.push('\\'),
                        },
                        c if c == quote => {
                            closed = true;
                            break;
                        }
                        c => word.push(c),
                    }
                }
                if !closed {
                    faults.push((start, "a quote that is not closed"));
                }
                tokens.push((start, Token::Word(word)));
            }
            first => {
                let mut word = String::from(first);
                while let Some(&c) = chars.peek() {
                    // `${name}` is one word, the only brace that does not begin a block.
                    let variable = c == '{' && word.ends_with('$');
                    if !variable && (c.is_whitespace() || matches!(c, ';' | '{')) {
                        break;
                    }
                    if c == '}' && !word.contains("${") {
                        break;
                    }
                    word.push(c);
                    chars.next();
                    if c == '\\'
                        && let Some(escaped) = chars.next_if(|c| !c.is_whitespace())
                    {
                        word.push(escaped);
                    }
                }
                tokens.push((line, Token::Word(word)));
            }
        }
    }
    (tokens, faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_blocks_quotes_comments_and_variables() {
        let (tree, faults) =
            parse("a 'b c' \"d\\\"e\"; # f {\nserver { # g\n  h ${i}j;\n  location ~ \\.php$ { k; }\n}\n", 1);
        assert_eq!(faults, []);
        assert_eq!(tree[0].args, ["b c", "d\"e"]);
        let server = tree[1].block.as_ref().unwrap();
        assert_eq!((server[0].line, server[0].arg(0)), (3, "${i}j"));
        assert_eq!(server[1].args, ["~", "\\.php$"]);
        assert_eq!(server[1].block.as_ref().unwrap()[0].name, "k");
    }

    #[test]
    fn keeps_what_it_can_of_broken_files() {
        let (tree, faults) = parse("a { b; c }\n}\nd \"e", 1);
        assert_eq!(tree.len(), 2);
        assert_eq!(faults.len(), 4);
        assert_eq!(parse(&"{".repeat(1_000), 1).1.len(), 1 + MAX_DEPTH);
    }
}
