//! `cargo xtask tidy`: the house rules that the compiler does not know. Each message names a place and the
//! remedy. The tables in `house` and `packages` are also the documentation of those rules.

mod cycles;
mod house;
mod packages;
mod shape;
mod source;

use crate::Outcome;
use source::Tree;
use std::fmt;
use std::path::Path;

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Path from the root.
    pub(crate) path: String,
    /// Line from 1; zero when it is about the whole file.
    pub(crate) line: usize,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// Checks the repository and prints what is not tidy.
pub(crate) fn run() -> Outcome {
    let root = crate::root();
    let findings = check(root)?;
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => Err(format!("{count} to mend")),
    }
}

fn check(root: &Path) -> Outcome<Vec<Finding>> {
    let tree = Tree::read(root)?;
    let mut findings = house::arrows(&tree);
    findings.extend(house::purity(&tree));
    findings.extend(shape::check(&tree));
    findings.extend(cycles::check(&tree));
    findings.extend(packages::documented(&tree));
    findings.extend(packages::locked(root)?);
    findings.sort();
    findings.dedup();
    Ok(findings)
}
