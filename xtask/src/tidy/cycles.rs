//! Modules of one crate that need each other both ways. Only top-level modules are compared, by the paths
//! `crate::a` and `super::a` that their code names; what a crate re-exports at its root is not followed.

use super::Finding;
use super::source::{Source, Tree};
use std::collections::{BTreeMap, BTreeSet};

/// Uses of one top-level module by another, with the first place that says so.
type Uses<'a> = BTreeMap<&'a str, BTreeMap<&'a str, (&'a str, usize)>>;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut crates: BTreeMap<&str, Vec<&Source>> = BTreeMap::new();
    for source in &tree.sources {
        if let Some((name, _)) = source.module() {
            crates.entry(name).or_default().push(source);
        }
    }
    crates.values().flat_map(|sources| check_crate(sources)).collect()
}

fn check_crate(sources: &[&Source]) -> Vec<Finding> {
    let modules: BTreeSet<&str> =
        sources.iter().filter_map(|source| source.module()?.1.first().copied()).collect();
    let mut uses = Uses::new();
    for source in sources {
        let Some((_, path)) = source.module() else { continue };
        let Some(own) = path.first() else { continue };
        for (number, name) in named_modules(source, path.len()) {
            if name != *own && modules.contains(name) {
                uses.entry(own).or_default().entry(name).or_insert((&source.path, number));
            }
        }
    }
    cycles(&uses)
        .into_iter()
        .map(|cycle| {
            let (path, line) = uses[cycle[0]][cycle[1 % cycle.len()]];
            let way = cycle.iter().chain(&cycle[..1]).copied().collect::<Vec<_>>().join(" -> ");
            let back = cycle.len() - 1;
            let (back_path, back_line) = uses[cycle[back]][cycle[0]];
            let message = format!(
                "modules need each other: {way} (back at {back_path}:{back_line}): \
                 move what both need below both, or make them one"
            );
            Finding::new(path, line, message)
        })
        .collect()
}

/// Top-level modules that the code of a file names, with their lines. `depth` is the file's own.
fn named_modules(source: &Source, depth: usize) -> Vec<(usize, &str)> {
    let up = "super::".repeat(depth);
    let mut named = Vec::new();
    let masked = &source.masked;
    for root in ["crate::", up.as_str()] {
        for (at, _) in masked.match_indices(root) {
            // `super::` inside a longer chain, `crate` inside a longer word.
            if masked[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let line = masked[..at].matches('\n').count() + 1;
            if source.is_test(line) {
                continue;
            }
            let rest = &masked[at + root.len()..];
            match rest.strip_prefix('{') {
                Some(group) => named.extend(group_heads(group).map(|name| (line, name))),
                None => named.push((line, word(rest))),
            }
        }
    }
    named
}

/// First words of the members of `a, b::c, d::{e, f}}`.
fn group_heads(group: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let mut start = 0;
    let mut heads = Vec::new();
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b',' if depth == 0 => {
                heads.push(&group[start..at]);
                start = at + 1;
            }
            b'}' if depth == 0 => {
                heads.push(&group[start..at]);
                break;
            }
            b'}' => depth -= 1,
            _ => {}
        }
    }
    heads.into_iter().map(|member| word(member.trim_start()))
}

fn word(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())]
}

/// One shortest cycle through each module that lies on one, without repeating the same set of modules.
fn cycles<'a>(uses: &Uses<'a>) -> Vec<Vec<&'a str>> {
    let mut found: Vec<Vec<&str>> = Vec::new();
    for &start in uses.keys() {
        let mut queue = vec![vec![start]];
        let mut seen = BTreeSet::new();
        let mut next = 0;
        while next < queue.len() {
            let way = queue[next].clone();
            next += 1;
            let last = way[way.len() - 1];
            for &to in uses.get(last).into_iter().flat_map(|targets| targets.keys()) {
                if to == start {
                    let members: BTreeSet<&str> = way.iter().copied().collect();
                    let known =
                        found.iter().any(|other| other.iter().copied().collect::<BTreeSet<_>>() == members);
                    if !known {
                        found.push(way.clone());
                    }
                    next = queue.len();
                    break;
                }
                if seen.insert(to) {
                    queue.push([way.as_slice(), &[to]].concat());
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(files: &[(&str, &str)]) -> Vec<Finding> {
        let sources = files
            .iter()
            .map(|(path, text)| Source::new(format!("crates/net/src/{path}"), (*text).to_owned()))
            .collect();
        check(&Tree { sources, ..Tree::default() })
    }

    #[test]
    fn one_way_is_fine() {
        let files = [
            ("a.rs", "use crate::b::X;\nuse std::fmt;"),
            ("b/mod.rs", "mod c;"),
            ("b/c.rs", "use super::X;"),
        ];
        assert_eq!(findings(&files), []);
    }

    #[test]
    fn both_ways_is_a_finding_whatever_the_spelling() {
        for back in [
            "use crate::{c, a::Y};",
            "use super::a;",
            "fn f(_: crate::a::Y) {}",
            "use crate::{c::{d, e}, a};",
        ] {
            let found = findings(&[("a.rs", "\nuse crate::b::X;"), ("b.rs", back)]);
            assert_eq!(found.len(), 1, "{back}: {found:?}");
            assert_eq!((found[0].path.as_str(), found[0].line), ("crates/net/src/a.rs", 2));
        }
    }

    #[test]
    fn a_cycle_of_three_and_one_inside_tests() {
        let three =
            [("a.rs", "use crate::b;"), ("b.rs", "use crate::c;"), ("c/d.rs", "use super::super::a;")];
        let found = findings(&three);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains("a -> b -> c -> a"), "{found:?}");
        let tests = [("a.rs", "use crate::b;"), ("b.rs", "#[cfg(test)]\nmod tests {\n    use crate::a;\n}")];
        assert_eq!(findings(&tests), []);
    }
}
