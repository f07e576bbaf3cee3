//! Packages from outside: each direct one has a line that says why, each licence is known, no package is
//! there in two versions without a reason.

use super::Finding;
use super::source::Tree;
use crate::Outcome;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Where the reasons are: one line `` - `name`: why `` for each direct dependency.
const REASONS: &str = "docs/dependencies.md";

/// Licences that ask for no more than a notice.
const LICENCES: [&str; 12] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0", // data only: the authorities of webpki-roots
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Zlib",
];

/// Licences of single packages beyond that.
const LICENCE_EXCEPTIONS: [(&str, &str); 1] = [
    // AWS-LC keeps OpenSSL's notice for the parts that came from it.
    ("aws-lc-sys", "OpenSSL"),
];

/// Packages that may be there in several versions, and why.
const DUPLICATES: [(&str, &str); 0] = [];

/// Direct dependencies and lines of the list, compared both ways.
pub(crate) fn documented(tree: &Tree) -> Vec<Finding> {
    let mut used: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for manifest in tree.manifests.iter().filter(|manifest| manifest.path != "Cargo.toml") {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let table = manifest.table.get(section).and_then(|value| value.as_table());
            for name in table.into_iter().flat_map(|table| table.keys()) {
                let line = manifest.text.lines().position(|line| line.starts_with(name.as_str()));
                used.entry(name).or_insert((&manifest.path, line.map_or(0, |line| line + 1)));
            }
        }
    }
    used.retain(|name, _| !name.starts_with("headgate"));
    let text = tree.texts.iter().find(|(path, _)| path == REASONS).map_or("", |(_, text)| text);
    let listed: BTreeMap<&str, usize> = text
        .lines()
        .enumerate()
        .filter_map(|(index, line)| Some((line.strip_prefix("- `")?.split_once("`: ")?.0, index + 1)))
        .collect();
    let missing = used.iter().filter(|(name, _)| !listed.contains_key(*name)).map(|(name, (path, line))| {
        Finding::new(path, *line, format!("`{name}` has no line in {REASONS}: say there why it is needed"))
    });
    let stale = listed
        .iter()
        .filter(|(name, _)| !used.contains_key(*name))
        .map(|(name, line)| Finding::new(REASONS, *line, format!("no crate uses `{name}`: remove the line")));
    missing.chain(stale).collect()
}

/// Licences of everything in `Cargo.lock`, and double versions of what is compiled on this platform.
pub(crate) fn locked(root: &Path) -> Outcome<Vec<Finding>> {
    let metadata = cargo(root, &["metadata", "--format-version", "1", "--locked"])?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let outside = packages.iter().filter(|package| !package["source"].is_null());
    let field = |package: &serde_json::Value, name| package[name].as_str().unwrap_or_default().to_owned();
    let mut findings = licences(outside.map(|package| (field(package, "name"), field(package, "license"))));
    let tree = ["tree", "--workspace", "--locked", "--prefix", "none", "--format", "{p}"];
    findings.extend(duplicates(&cargo(root, &tree)?));
    Ok(findings)
}

fn cargo(root: &Path, arguments: &[&str]) -> Outcome<String> {
    let output = Command::new("cargo")
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("cargo {}: {}", arguments[0], String::from_utf8_lossy(&output.stderr).trim_end()))
}

/// Packages, as name and licence, whose licence is not among the known ones.
fn licences(packages: impl Iterator<Item = (String, String)>) -> Vec<Finding> {
    packages
        .filter(|(name, licence)| {
            let excepted = |licence: &str| LICENCE_EXCEPTIONS.contains(&(name, licence));
            !satisfied(licence, &|licence| LICENCES.contains(&licence) || excepted(licence))
        })
        .map(|(name, licence)| {
            let message = format!(
                "{name} has the licence `{licence}`: choose another package, or say in tidy why it may stay"
            );
            Finding::new("Cargo.lock", 0, message)
        })
        .collect()
}

/// Packages in more than one version among the lines `name v1.2.3 ...` of cargo tree.
fn duplicates(tree: &str) -> Vec<Finding> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in tree.lines() {
        let mut words = line.split(' ');
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            versions.entry(name).or_default().insert(version);
        }
    }
    let mut findings = Vec::new();
    for (name, versions) in &versions {
        let reason = DUPLICATES.iter().any(|(other, _)| other == name);
        let list = versions.iter().copied().collect::<Vec<_>>().join(" and ");
        let message = match (versions.len() > 1, reason) {
            (true, false) => format!(
                "{name} is there as {list}: `cargo tree -i {name}@VERSION` shows why; agree on one, or give the \
                 reason in tidy"
            ),
            (false, true) => format!("{name} is there once: remove it from DUPLICATES in tidy"),
            _ => continue,
        };
        findings.push(Finding::new("Cargo.lock", 0, message));
    }
    findings
}

/// Whether an SPDX expression can be met with allowed licences; the old `/` means OR.
fn satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let expression =
        expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ").replace(" WITH ", "+WITH+");
    let tokens: Vec<&str> = expression.split_whitespace().collect();
    let mut at = 0;
    !tokens.is_empty() && any(&tokens, &mut at, allowed) && at == tokens.len()
}

/// Alternatives, which bind weaker than what must hold together. Reads on even when the answer is known.
fn any(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut result = all(tokens, at, allowed);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        result |= all(tokens, at, allowed);
    }
    result
}

fn all(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut result = one(tokens, at, allowed);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        result &= one(tokens, at, allowed);
    }
    result
}

fn one(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let Some(token) = tokens.get(*at) else { return false };
    *at += 1;
    if *token == "(" {
        let result = any(tokens, at, allowed);
        *at += 1;
        return result;
    }
    allowed(&token.replace("+WITH+", " WITH "))
}

#[cfg(test)]
mod tests {
    use super::super::source::Manifest;
    use super::*;

    #[test]
    fn licence_expressions() {
        let allowed = |licence: &str| LICENCES.contains(&licence);
        let good = [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-2.0 OR MIT",
            "ISC AND (Apache-2.0 OR GPL-3.0)",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        ];
        let bad = ["", "GPL-3.0", "MIT AND GPL-2.0", "Apache-2.0 WITH Something", "(MIT", "MIT MIT"];
        assert!(good.iter().all(|licence| satisfied(licence, &allowed)));
        for licence in bad {
            assert!(!satisfied(licence, &allowed), "{licence}");
        }
    }

    #[test]
    fn a_foreign_licence_is_found() {
        let packages = [("a", "MIT"), ("b", "AGPL-3.0"), ("aws-lc-sys", "ISC AND OpenSSL"), ("c", "OpenSSL")];
        let found =
            licences(packages.map(|(name, licence)| (name.to_owned(), licence.to_owned())).into_iter());
        let messages: Vec<&str> = found.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert!(messages[0].starts_with("b has") && messages[1].starts_with("c has"), "{messages:?}");
    }

    #[test]
    fn two_versions_of_a_package_are_found() {
        let tree = "a v1.0.0\nb v0.1.0 (proc-macro)\na v2.0.0\na v2.0.0 (*)\nb v0.1.0 (proc-macro) (*)\n\n";
        let found = duplicates(tree);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.starts_with("a is there as v1.0.0 and v2.0.0"), "{found:?}");
    }

    #[test]
    fn dependencies_and_their_reasons_must_match() {
        let text = "[dependencies]\nheadgate-model = {}\nbytes = \"1\"\nhttp = \"1\"\n";
        let manifest = Manifest {
            path: "crates/net/Cargo.toml".into(),
            text: text.into(),
            table: text.parse().unwrap(),
        };
        let list = "# Why\n\n- `http`: types\n- `gone`: no longer\n".to_owned();
        let tree = Tree { manifests: vec![manifest], texts: vec![(REASONS.into(), list)], ..Tree::default() };
        let places: Vec<(String, usize)> =
            documented(&tree).into_iter().map(|finding| (finding.path, finding.line)).collect();
        assert_eq!(places, [("crates/net/Cargo.toml".to_owned(), 3), (REASONS.to_owned(), 4)]);
    }
}
