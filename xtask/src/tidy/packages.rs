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

/// Licences and duplicate versions of everything in `Cargo.lock`.
pub(crate) fn locked(root: &Path) -> Outcome<Vec<Finding>> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim_end()));
    }
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let outside = packages.iter().filter(|package| !package["source"].is_null());
    let packages: Vec<Package<'_>> = outside
        .map(|package| Package {
            name: package["name"].as_str().unwrap_or_default(),
            version: package["version"].as_str().unwrap_or_default(),
            licence: package["license"].as_str().unwrap_or_default(),
        })
        .collect();
    Ok(judge(&packages))
}

#[derive(Debug)]
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    licence: &'a str,
}

fn judge(packages: &[Package<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        versions.entry(package.name).or_default().insert(package.version);
        let excepted = |licence: &str| LICENCE_EXCEPTIONS.contains(&(package.name, licence));
        let allowed = |licence: &str| LICENCES.contains(&licence) || excepted(licence);
        if !satisfied(package.licence, &allowed) {
            let message = format!(
                "{} {} has the licence `{}`: choose another package, or say in tidy why it may stay",
                package.name, package.version, package.licence
            );
            findings.push(Finding::new("Cargo.lock", 0, message));
        }
    }
    for (name, versions) in &versions {
        let reason = DUPLICATES.iter().any(|(other, _)| other == name);
        let list = versions.iter().copied().collect::<Vec<_>>().join(" and ");
        if versions.len() > 1 && !reason {
            let message = format!(
                "{name} is there as {list}: `cargo tree -i {name}` shows why; agree on one, or give the reason in tidy"
            );
            findings.push(Finding::new("Cargo.lock", 0, message));
        }
        if versions.len() == 1 && reason {
            let message = format!("{name} is there once: remove it from DUPLICATES in tidy");
            findings.push(Finding::new("Cargo.lock", 0, message));
        }
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
    fn two_versions_and_a_foreign_licence_are_found() {
        let package = |name, version, licence| Package { name, version, licence };
        let packages =
            [package("a", "1.0.0", "MIT"), package("a", "2.0.0", "MIT"), package("b", "1.0.0", "AGPL-3.0")];
        let messages: Vec<String> = judge(&packages).into_iter().map(|finding| finding.message).collect();
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert!(messages[0].contains("AGPL-3.0") && messages[1].contains("1.0.0 and 2.0.0"));
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
