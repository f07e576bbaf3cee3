//! Which crate may use which, and what the pure crates may not touch.

use super::Finding;
use super::source::{Source, Tree};

/// Every crate with the crates it may use. A crate that is missing here is not part of the house yet.
const HOUSE: [(&str, &[&str]); 14] = [
    // Nouns. Everybody may use them, they use nobody.
    ("model", &[]),
    // Pure knowledge: no I/O, clock, thread, async or global dice.
    ("stats", &["model"]),
    ("learn", &["model"]),
    ("policy", &["model", "stats", "learn"]),
    // Three ways to touch the world; none knows another.
    ("observe", &["model", "policy"]),
    ("net", &["model", "policy"]),
    ("cache", &["model", "policy"]),
    // Requests and loops meet in `model` only.
    ("gateway", &["model", "policy", "observe", "net", "cache"]),
    ("control", &["model", "policy", "observe", "net"]),
    ("admin", &["model", "observe"]),
    ("import", &["model"]),
    ("lab", &["model", "stats", "learn", "policy", "observe"]),
    // The only place that wires everything together.
    (
        "headgate",
        &[
            "model", "stats", "learn", "policy", "observe", "net", "cache", "gateway", "control", "admin",
            "import", "lab",
        ],
    ),
    // The developer's command measures the product from outside.
    ("xtask", &[]),
];

/// Crates, and modules of crates, whose code is a function of its arguments.
const PURE: [&str; 10] = [
    "model",
    "stats",
    "learn",
    "policy",
    "cache/rules",
    "lab/fit",
    "lab/workload",
    "lab/sim",
    "lab/replay",
    "lab/guard_trial",
];

/// Words that a pure crate does not say, and what to do instead.
const IMPURE: [(&str, &str); 18] = [
    ("Instant", "take a `Tick` as an argument"),
    ("SystemTime", "take a `Tick` as an argument"),
    ("HashMap", "use `BTreeMap`: iteration order is behaviour"),
    ("HashSet", "use `BTreeSet`: iteration order is behaviour"),
    ("RandomState", "use a seeded hash: order is behaviour"),
    ("rand", "take `Dice` as an argument"),
    ("tokio", "move waiting to the crate that calls this one"),
    ("async", "move waiting to the crate that calls this one"),
    ("TcpStream", "only `net` opens sockets"),
    ("TcpListener", "only `net` opens sockets"),
    ("UdpSocket", "only `net` opens sockets"),
    ("ToSocketAddrs", "name resolution belongs to `net`"),
    ("UnixStream", "only `net` opens sockets"),
    ("UnixListener", "only `net` opens sockets"),
    ("std::fs", "take the text as an argument"),
    ("std::thread", "move it to the crate that calls this one"),
    ("std::process", "move it to the crate that calls this one"),
    ("std::env", "take a lookup function as an argument"),
];

/// Crates outside the workspace, that nothing of the product depends on.
const OUTSIDE: [&str; 2] = ["fuzz", "peers"];

/// Dependencies that point against the table.
pub(crate) fn arrows(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in &tree.manifests {
        let Some(home) = manifest.path.strip_suffix("/Cargo.toml").filter(|home| !OUTSIDE.contains(home))
        else {
            continue;
        };
        let name = home.rsplit('/').next().unwrap_or(home);
        let Some((_, allowed)) = HOUSE.iter().find(|(other, _)| *other == name) else {
            let message =
                format!("crate `{name}` is not in the house: add it with its arrows to HOUSE in tidy");
            findings.push(Finding::new(&manifest.path, 0, message));
            continue;
        };
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let used = manifest.table.get(section).and_then(|value| value.as_table());
            for dependency in used.into_iter().flat_map(|table| table.keys()) {
                let Some(other) = dependency.strip_prefix("headgate-") else { continue };
                if allowed.contains(&other) {
                    continue;
                }
                let line = manifest.text.lines().position(|line| line.starts_with(dependency.as_str()));
                let message = format!(
                    "`{name}` may not use `{other}` (it may use: {}): pass a plain value of `model` instead",
                    if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") },
                );
                findings.push(Finding::new(&manifest.path, line.map_or(0, |line| line + 1), message));
            }
        }
    }
    findings
}

/// Uses of clocks, sockets, files, threads and hash order in the pure crates, tests excepted.
pub(crate) fn purity(tree: &Tree) -> Vec<Finding> {
    let pure = |source: &&Source| {
        let Some((name, path)) = source.module().filter(|_| source.path.starts_with("crates/")) else {
            return false;
        };
        let module = path.first().map(|module| format!("{name}/{module}")).unwrap_or_default();
        PURE.iter().any(|pure| *pure == name || *pure == module)
    };
    let mut findings = Vec::new();
    for source in tree.sources.iter().filter(pure) {
        for (number, line) in source.code() {
            for (word, remedy) in IMPURE.iter().filter(|(word, _)| says(line, word)) {
                let message = format!("`{word}` in pure code: {remedy}");
                findings.push(Finding::new(&source.path, number, message));
            }
        }
    }
    findings
}

/// Whether `line` has `path` as whole words, also as `std::{fs, ...}`.
fn says(line: &str, path: &str) -> bool {
    let word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let whole = |text: &str| {
        line.match_indices(text).any(|(at, _)| {
            let bytes = line.as_bytes();
            !word(at.checked_sub(1).and_then(|before| bytes.get(before))) && !word(bytes.get(at + text.len()))
        })
    };
    match path.strip_prefix("std::") {
        Some(module) => whole(path) || (line.contains("use std::{") && whole(module)),
        None => whole(path),
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Manifest;
    use super::*;

    fn manifest(name: &str, text: &str) -> Tree {
        let path = format!("crates/{name}/Cargo.toml");
        let manifest = Manifest { path, text: text.to_owned(), table: text.parse().unwrap() };
        Tree { manifests: vec![manifest], ..Tree::default() }
    }

    #[test]
    fn an_arrow_against_the_table_names_its_line() {
        let text = "[dependencies]\nheadgate-model.workspace = true\nheadgate-control.workspace = true\n";
        let findings = arrows(&manifest("gateway", text));
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].path.as_str(), findings[0].line), ("crates/gateway/Cargo.toml", 3));
        assert!(arrows(&manifest("headgate", text)).is_empty());
        assert_eq!(arrows(&manifest("shed", "")).len(), 1, "an unknown crate");
    }

    #[test]
    fn the_house_has_no_way_round() {
        for (at, (name, uses)) in HOUSE.iter().enumerate() {
            let earlier: Vec<&str> = HOUSE[..at].iter().map(|(name, _)| *name).collect();
            assert!(
                uses.iter().all(|used| earlier.contains(used)),
                "{name} uses a crate that stands below it"
            );
        }
    }

    #[test]
    fn impure_words_count_in_code_and_not_in_comments_or_tests() {
        let text = "//! Not an Instant.\nuse std::time::{Duration, Instant};\nfn a(brand: u8) {}\n\
                    use std::{fmt, fs};\n#[cfg(test)]\nmod tests {\n    use std::collections::HashMap;\n}\n";
        let source = Source::new("crates/policy/src/a.rs".to_owned(), text.to_owned());
        let tree = Tree { sources: vec![source], ..Tree::default() };
        let lines: Vec<usize> = purity(&tree).iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [2, 4]);
    }

    #[test]
    fn a_module_can_be_pure_in_a_crate_that_is_not() {
        let found = |path: &str| {
            let source = Source::new(path.to_owned(), "//! A.\nuse std::fs;\n".to_owned());
            purity(&Tree { sources: vec![source], ..Tree::default() }).len()
        };
        for (path, findings) in [
            ("crates/lab/src/sim/queue.rs", 1),
            ("crates/lab/src/workload/mod.rs", 1),
            ("crates/lab/src/lib.rs", 0),
            ("crates/lab/src/load/sim.rs", 0),
        ] {
            assert_eq!(found(path), findings, "{path}");
        }
    }
}
