//! The repository's files as tidy sees them. A Rust file has a masked text beside its own, in which comments
//! and literals are blank, so that a rule looks at code only; and it knows which of its lines are tests.

use crate::Outcome;
use std::fs;
use std::path::Path;

/// Folders that are not the project's own text.
const SKIPPED: [&str; 5] = ["target", ".git", "corpus", "artifacts", "node_modules"];

/// All files of the repository that rules look at.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) sources: Vec<Source>,
    /// Every `Cargo.toml`, parsed.
    pub(crate) manifests: Vec<Manifest>,
    /// Markdown and other TOML files: path and text.
    pub(crate) texts: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) table: toml::Table,
}

/// One Rust file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Path from the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Same length and lines as `text`, with blanks for comments and the insides of literals.
    pub(crate) masked: String,
    /// By line from 0: belongs to tests.
    test_lines: Vec<bool>,
}

impl Tree {
    pub(crate) fn read(root: &Path) -> Outcome<Self> {
        let mut tree = Self::default();
        tree.walk(root, "")?;
        tree.sources.sort_by(|one, other| one.path.cmp(&other.path));
        tree.mark_test_files();
        Ok(tree)
    }

    fn walk(&mut self, folder: &Path, prefix: &str) -> Outcome {
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            if entry.file_type().map_err(failed)?.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    self.walk(&entry.path(), &path)?;
                }
                continue;
            }
            let wanted = [".rs", ".toml", ".md"].iter().any(|ending| name.ends_with(ending));
            if !wanted {
                continue;
            }
            let text = fs::read_to_string(entry.path()).map_err(|error| format!("{path}: {error}"))?;
            if name.ends_with(".rs") {
                self.sources.push(Source::new(path, text));
            } else if name == "Cargo.toml" {
                let table = text.parse().map_err(|error| format!("{path}: {error}"))?;
                self.manifests.push(Manifest { path, text, table });
            } else {
                self.texts.push((path, text));
            }
        }
        Ok(())
    }

    /// A file declared as `#[cfg(test)] mod name;` is a test as a whole, and so is all below it.
    fn mark_test_files(&mut self) {
        let mut roots = Vec::new();
        for source in &self.sources {
            let folder = module_folder(&source.path);
            for (number, line) in source.masked.lines().enumerate() {
                let Some(name) = line.trim().strip_suffix(';').and_then(|line| line.split("mod ").nth(1))
                else {
                    continue;
                };
                if source.is_test(number + 1) {
                    roots.push(format!("{folder}/{}", name.trim()));
                }
            }
        }
        for source in &mut self.sources {
            let of_root = |root: &String| {
                source
                    .path
                    .strip_prefix(root.as_str())
                    .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            };
            let whole = ["/tests/", "/benches/", "fuzz/"].iter().any(|part| source.path.contains(part));
            if whole || roots.iter().any(of_root) {
                source.test_lines.fill(true);
            }
        }
    }
}

impl Source {
    pub(crate) fn new(path: String, text: String) -> Self {
        let masked = mask(&text);
        let test_lines = test_lines(&masked);
        Self { path, text, masked, test_lines }
    }

    /// Whether `line`, counted from 1, belongs to tests.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.test_lines.get(line - 1).copied().unwrap_or(false)
    }

    /// Lines of code outside tests, numbered from 1, with comments and literals blank.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.masked
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
            .filter(|(n, _)| !self.is_test(*n))
    }

    /// `("net", ["h1", "codec"])` for `crates/net/src/h1/codec.rs`; nothing for files outside a crate's `src`.
    pub(crate) fn module(&self) -> Option<(&str, Vec<&str>)> {
        let (home, inner) = self.path.split_once("/src/")?;
        let name = home.rsplit('/').next()?;
        let inner = inner.strip_suffix(".rs")?;
        let parts = inner.split('/').filter(|part| !["lib", "main", "mod"].contains(part)).collect();
        Some((name, parts))
    }
}

/// Where the modules that a file declares are: `a/lib.rs` and `a/mod.rs` in `a`, `a/b.rs` in `a/b`.
fn module_folder(path: &str) -> &str {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    match stem.rsplit_once('/') {
        Some((folder, "lib" | "main" | "mod")) => folder,
        _ => stem,
    }
}

/// Blanks comments and the insides of string and character literals; keeps length and line breaks.
pub(crate) fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut masked = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        match end {
            Some(end) => {
                masked[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
                at = end;
            }
            None => at += 1,
        }
    }
    String::from_utf8(masked).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The end of the comment or literal that starts at `at`, if one does.
fn literal_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let until = |needle: &[u8], from: usize| {
        rest[from..].windows(needle.len()).position(|w| w == needle).map_or(bytes.len(), |p| at + from + p)
    };
    if rest.starts_with(b"//") {
        return Some(until(b"\n", 2));
    }
    if rest.starts_with(b"/*") {
        return Some((until(b"*/", 2) + 2).min(bytes.len()));
    }
    let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest[0] {
        b'r' if !in_word || bytes[at - 1] == b'b' => {
            let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
            if rest.get(1 + hashes) != Some(&b'"') {
                return None;
            }
            let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
            Some((until(&close, 2 + hashes) + close.len()).min(bytes.len()))
        }
        b'"' => {
            let mut end = 1;
            while end < rest.len() && rest[end] != b'"' {
                end += if rest[end] == b'\\' { 2 } else { 1 };
            }
            Some((at + end + 1).min(bytes.len()))
        }
        // A lifetime has no closing quote right after one character.
        b'\'' if rest.get(1) == Some(&b'\\') => Some((until(b"'", 3) + 1).min(bytes.len())),
        b'\'' => {
            let width = std::str::from_utf8(&rest[1..rest.len().min(5)]).map_or_else(
                |error| error.valid_up_to().clamp(1, 4),
                |text| text.chars().next().map_or(1, char::len_utf8),
            );
            (rest.get(1 + width) == Some(&b'\'')).then_some(at + width + 2)
        }
        _ => None,
    }
}

/// The line after the one on which the block or item starting at or after `from` ends.
pub(crate) fn block_end(lines: &[&str], from: usize) -> usize {
    let mut depth = 0usize;
    for (number, line) in lines.iter().enumerate().skip(from) {
        for byte in line.bytes() {
            match byte {
                b'{' => depth += 1,
                b'}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return number + 1;
                    }
                }
                b';' if depth == 0 => return number + 1,
                _ => {}
            }
        }
    }
    lines.len()
}

fn test_lines(masked: &str) -> Vec<bool> {
    let lines: Vec<&str> = masked.lines().collect();
    let mut marks = vec![false; lines.len()];
    for (number, line) in lines.iter().enumerate() {
        if line.contains("#[cfg(test)]") {
            let end = block_end(&lines, number);
            marks[number..end].fill(true);
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank_and_lines_stay() {
        let text =
            "let a = \"{ // no\"; // tail {\nlet b = '{'; let c: &'static str = r#\"}\"\n\"#; /* { */ d";
        let masked = mask(text);
        assert_eq!(masked.len(), text.len());
        assert_eq!(masked.lines().count(), text.lines().count());
        assert!(!masked.contains(['{', '}', '"']), "{masked}");
        assert!(masked.contains("&'static str") && masked.ends_with('d'), "{masked}");
    }

    #[test]
    fn an_escaped_quote_does_not_end_a_literal() {
        assert_eq!(
            mask(r#"f("a\"b{", '\'', '\u{41}', 'é') {"#).trim_end_matches('{').matches('{').count(),
            0
        );
    }

    #[test]
    fn a_test_module_is_marked_to_its_closing_brace() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let source = Source::new("crates/x/src/lib.rs".to_owned(), text.to_owned());
        let tests: Vec<bool> = (1..=6).map(|line| source.is_test(line)).collect();
        assert_eq!(tests, [false, true, true, true, true, false]);
    }

    #[test]
    fn a_file_knows_its_crate_and_module() {
        let of = |path: &str| {
            let source = Source::new(path.to_owned(), String::new());
            source.module().map(|(name, parts)| format!("{name}:{}", parts.join("::")))
        };
        assert_eq!(of("crates/net/src/h1/codec.rs").as_deref(), Some("net:h1::codec"));
        assert_eq!(of("crates/net/src/h1/mod.rs").as_deref(), Some("net:h1"));
        assert_eq!(of("xtask/src/main.rs").as_deref(), Some("xtask:"));
        assert_eq!(of("crates/net/tests/a.rs"), None);
    }
}
