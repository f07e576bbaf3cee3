//! The files of one configuration: those of an `nginx -T` dump, or as they were read from disk, and the
//! `include` directives that they take the place of. It reads no files.

use super::parse::{Directive, Fault, parse};

/// One file of a configuration.
#[derive(Clone, Copy, Debug)]
pub struct SourceFile<'t> {
    /// Its path, as it was included.
    pub name: &'t str,
    /// The number that its first line has in notes.
    pub first_line: usize,
    pub text: &'t str,
}

/// The files of a configuration, the main one first.
pub(super) struct Files<'t> {
    files: Vec<SourceFile<'t>>,
    /// Whether there are no others: a dump has them all.
    complete: bool,
}

/// Directives that all includes together may copy, and how deep files may include each other.
const MAX_COPIES: usize = 100_000;
const MAX_INCLUDES: usize = 16;

/// What `nginx -T` writes before each file.
const MARKER: &str = "# configuration file ";

impl<'t> Files<'t> {
    /// The files of a dump; a text without markers is one file.
    pub(super) fn of(text: &'t str, name: &'t str) -> Self {
        let mut starts = Vec::new();
        let (mut at, mut line) = (0, 1);
        for full in text.split_inclusive('\n') {
            let name = full.trim_end().strip_prefix(MARKER).and_then(|rest| rest.strip_suffix(':'));
            starts.extend(name.map(|name| (at, line, name)));
            at += full.len();
            line += 1;
        }
        if starts.is_empty() {
            return Self { files: vec![SourceFile { name, first_line: 1, text }], complete: false };
        }
        let ends = starts.iter().skip(1).map(|start| start.0).chain([text.len()]);
        let files = starts.iter().zip(ends).map(|(&(at, first_line, name), end)| SourceFile {
            name,
            first_line,
            text: &text[at..end],
        });
        Self { files: files.collect(), complete: true }
    }

    pub(super) fn read(files: &[SourceFile<'t>]) -> Self {
        Self { files: files.to_vec(), complete: false }
    }

    /// The directives of the main file with what it includes in place, and what is wrong with the syntax. An
    /// `include` whose files are not here stays.
    pub(super) fn tree(&self) -> (Vec<Directive>, Vec<Fault>) {
        // An include without any file is a block without directives, for the note on it.
        let mut faults = Vec::new();
        let mut trees = Vec::new();
        for file in &self.files {
            let (tree, found) = parse(file.text, file.first_line);
            faults.extend(found);
            trees.push(tree);
        }
        let mut tree = trees.first().cloned().unwrap_or_default();
        self.expand(&mut tree, &trees, 0, &mut 0);
        (tree, faults)
    }

    fn expand(&self, block: &mut Vec<Directive>, trees: &[Vec<Directive>], depth: usize, copies: &mut usize) {
        let mut out = Vec::with_capacity(block.len());
        for mut directive in std::mem::take(block) {
            if let Some(inner) = &mut directive.block {
                self.expand(inner, trees, depth, copies);
            }
            if directive.name != "include" || depth >= MAX_INCLUDES {
                out.push(directive);
                continue;
            }
            let pattern = self.absolute(directive.arg(0));
            let found: Vec<usize> =
                (0..self.files.len()).filter(|&at| matches(&pattern, self.files[at].name)).collect();
            let size: usize =
                found.iter().map(|&at| trees[at].iter().map(Directive::size).sum::<usize>()).sum();
            let none = self.complete && pattern.contains(['*', '?', '[']);
            if found.is_empty() && !none || *copies + size > MAX_COPIES {
                out.push(directive);
                continue;
            }
            *copies += size;
            if found.is_empty() {
                directive.block = Some(Vec::new());
                out.push(directive);
                continue;
            }
            for at in found {
                let mut copy = trees[at].clone();
                self.expand(&mut copy, trees, depth + 1, copies);
                out.append(&mut copy);
            }
        }
        *block = out;
    }

    /// Relative paths are relative to the folder of the main file.
    fn absolute(&self, path: &str) -> String {
        let folder = self.files.first().and_then(|file| file.name.rsplit_once('/')).map(|(folder, _)| folder);
        match folder {
            Some(folder) if !path.starts_with('/') => format!("{folder}/{path}"),
            _ => path.to_owned(),
        }
    }
}

/// Whether a text is what `nginx -T` prints: all files of a configuration.
#[must_use]
pub fn is_dump(text: &str) -> bool {
    text.lines().any(|line| line.starts_with(MARKER) && line.trim_end().ends_with(':'))
}

/// The paths that a file includes, as they stand.
#[must_use]
pub fn includes(text: &str) -> Vec<String> {
    fn collect(block: &[Directive], out: &mut Vec<String>) {
        for directive in block {
            if directive.name == "include" {
                out.push(directive.arg(0).to_owned());
            }
            collect(directive.block.as_deref().unwrap_or_default(), out);
        }
    }
    let mut out = Vec::new();
    collect(&parse(text, 1).0, &mut out);
    out
}

/// Whether a path fits a pattern with `*`, `?` and `[...]`, of which none stands for a slash.
#[must_use]
pub fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    let fits = |(pattern, name): (&&str, &&str)| fits(pattern.as_bytes(), name.as_bytes());
    pattern.len() == path.len() && pattern.iter().zip(&path).all(fits)
}

/// Greedy with one step back to the last `*`: no more than pattern times name.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    // As in a shell, a hidden file has to be asked for.
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    while read < name.len() {
        let step = match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
                continue;
            }
            Some(b'?') => Some(1),
            Some(b'[') => class(&pattern[at..], name[read]),
            Some(byte) if *byte == name[read] => Some(1),
            _ => None,
        };
        match (step, star) {
            (Some(step), _) => {
                at += step;
                read += 1;
            }
            (None, Some((back, from))) => {
                star = Some((back, from + 1));
                (at, read) = (back + 1, from + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// The length of `[a-c]` or `[!x]` when the byte is one of it.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let end = pattern.iter().skip(2).position(|byte| *byte == b']')? + 2;
    let inside = &pattern[1..end];
    let (negated, mut set) = match inside.strip_prefix(b"!").or(inside.strip_prefix(b"^")) {
        Some(set) => (true, set),
        None => (false, inside),
    };
    let mut found = false;
    while let Some((&first, rest)) = set.split_first() {
        if let [b'-', last, rest @ ..] = rest {
            found |= (first..=*last).contains(&byte);
            set = rest;
        } else {
            found |= first == byte;
            set = rest;
        }
    }
    (found != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_files() {
        for (pattern, path) in [
            ("/etc/nginx/conf.d/*.conf", "/etc/nginx/conf.d/a.b.conf"),
            ("sites-enabled/*", "sites-enabled/shop"),
            ("a?c", "abc"),
            ("[a-c]x[!0-9]", "bxy"),
            ("*a*b*", "xaxxbx"),
            ("a", "a"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("conf.d/*.conf", "conf.d/x/a.conf"),
            ("*", ".hidden"),
            ("[a-c]", "d"),
            ("[!a]", "a"),
            ("[a", "a"),
            ("*a*b", "xaxx"),
            ("a", "aa"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
        assert!(!matches(&"*a".repeat(2_000), &"a".repeat(1_000)));
    }

    #[test]
    fn includes_of_a_dump_are_its_files() {
        let dump = "# configuration file /etc/nginx/nginx.conf:\nhttp { include conf.d/*.conf; include mods/*; include gone; }\n\
                    # configuration file /etc/nginx/conf.d/a.conf:\na 1;\ninclude /etc/nginx/more;\n\
                    # configuration file /etc/nginx/more:\nb 2;\n";
        let (tree, faults) = Files::of(dump, "dump").tree();
        assert!(faults.is_empty());
        let http = tree[0].block.as_ref().unwrap();
        let shown: Vec<_> = http.iter().map(|directive| (directive.line, directive.shown())).collect();
        let shown: Vec<_> = shown.iter().map(|(line, text)| (*line, text.as_str())).collect();
        assert_eq!(shown, [(4, "a 1"), (7, "b 2"), (2, "include mods/*"), (2, "include gone")]);
        assert_eq!((&http[2].block, &http[3].block), (&Some(Vec::new()), &None));
        let endless = "# configuration file /a:\ninclude /a; include /a; x;\n";
        assert!(
            Files::of(endless, "dump").tree().0.iter().map(Directive::size).sum::<usize>() <= 2 * MAX_COPIES
        );
    }
}
