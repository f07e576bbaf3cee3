//! The shape of files: an opening sentence, length, no leftovers, no glob imports of a parent.

use super::Finding;
use super::source::{Source, Tree, block_end};

/// Lines a file may have; beyond it nobody holds it in the head.
const FILE_LINES: usize = 600;
/// Lines a function may have.
const FUNCTION_LINES: usize = 100;

/// Files that may be longer, each up to its own mark. The list only ever shrinks.
const LONGER_FILES: [(&str, usize); 0] = [];
/// Functions that may be longer: file, name, mark.
const LONGER_FUNCTIONS: [(&str, &str, usize); 0] = [];

/// Words of unfinished work, in two parts so that this file does not hold them itself.
const LEFTOVERS: [(&str, &str); 5] =
    [("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("dbg", "!("), ("todo", "!(")];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        opening(source, &mut findings);
        lengths(source, &mut findings);
        leftovers(&source.path, &source.text, &mut findings);
        for (number, line) in source.code() {
            if line.contains("use super::*") {
                let message = "`use super::*` hides who needs what: name the imports";
                findings.push(Finding::new(&source.path, number, message));
            }
        }
    }
    for (path, text) in &tree.texts {
        leftovers(path, text, &mut findings);
    }
    findings
}

fn opening(source: &Source, findings: &mut Vec<Finding>) {
    if !source.text.starts_with("//!") {
        let message = "starts without `//!`: say in one or two sentences what the file is and is not";
        findings.push(Finding::new(&source.path, 1, message));
    }
}

fn lengths(source: &Source, findings: &mut Vec<Finding>) {
    let lines: Vec<&str> = source.masked.lines().collect();
    let longer = LONGER_FILES.iter().find(|(path, _)| *path == source.path);
    let limit = longer.map_or(FILE_LINES, |(_, mark)| *mark);
    if lines.len() > limit {
        let message = format!("{} lines, at most {limit}: split it by idea", lines.len());
        findings.push(Finding::new(&source.path, 0, message));
    }
    if longer.is_some() && lines.len() <= FILE_LINES {
        let message = "short enough by now: remove it from LONGER_FILES in tidy";
        findings.push(Finding::new(&source.path, 0, message));
    }
    for (number, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let length = block_end(&lines, number) - number;
        let mark =
            LONGER_FUNCTIONS.iter().find(|(path, function, _)| *path == source.path && *function == name);
        let limit = mark.map_or(FUNCTION_LINES, |(_, _, mark)| *mark);
        if length > limit {
            let message =
                format!("`{name}` has {length} lines, at most {limit}: name its steps as functions");
            findings.push(Finding::new(&source.path, number + 1, message));
        }
    }
}

/// The name of the function whose signature starts on this masked line.
fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let starts_item = before.split_whitespace().all(|word| {
        ["async", "const", "unsafe", "extern", "pub", "pub(crate)", "pub(super)"].contains(&word)
            || word.starts_with("pub(")
            || word.ends_with(')')
    });
    let end = after.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (starts_item && end > 0).then(|| &after[..end])
}

fn leftovers(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (number, line) in text.lines().enumerate() {
        for (first, second) in LEFTOVERS {
            let word = [first, second].concat();
            if line.contains(&word) {
                let message = format!("`{word}` left over: finish it, or write an issue");
                findings.push(Finding::new(path, number + 1, message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<Finding> {
        let sources = vec![Source::new("crates/net/src/a.rs".to_owned(), text.to_owned())];
        check(&Tree { sources, ..Tree::default() })
    }

    #[test]
    fn a_tidy_file_has_no_findings() {
        let text = "//! Says what it is.\n\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n}\n";
        assert_eq!(findings(text), []);
    }

    #[test]
    fn each_rule_is_found_at_its_line() {
        let marker = ["FIX", "ME"].concat();
        let text = format!("fn a() {{}}\n// {marker} later\nuse super::*;\n");
        let found: Vec<usize> = findings(&text).iter().map(|finding| finding.line).collect();
        assert_eq!(found.len(), 3);
        assert!([1, 2, 3].iter().all(|line| found.contains(line)), "{found:?}");
    }

    #[test]
    fn long_files_and_functions_are_found_and_braces_in_text_do_not_matter() {
        let body = "    let a = \"}\";\n".repeat(FUNCTION_LINES);
        let found = findings(&format!("//! A.\npub(crate) async fn long() {{\n{body}}}\nfn short() {{}}\n"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains("`long` has 102 lines"), "{found:?}");
        let found = findings(&format!("//! A.\n{}", "\n".repeat(FILE_LINES)));
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
