//! Reads the configuration files of NGINX, HAProxy and Caddy and writes Headgate's. Nothing is dropped
//! in silence: what has no counterpart, or only a near one, is listed with its line and the reason.
//!
//! It translates text; it reads no files, so that an `include` is a note.

mod caddy;
mod draft;
mod emit;
mod haproxy;
mod nginx;
mod quantity;

pub use caddy::caddy;
pub use haproxy::haproxy;
pub use nginx::nginx;

use headgate_model::spec::Config;
use std::fmt;

/// The result of an import.
#[derive(Clone, Debug)]
pub struct Import {
    pub config: Config,
    /// The configuration as a file for people: block style, only what differs from a default.
    pub toml: String,
    /// What was not translated, or not exactly, in the order of the lines.
    pub notes: Vec<Note>,
}

/// One remark on a line of the imported file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// From 1; 0 for a remark on the whole.
    pub line: usize,
    pub text: String,
    pub kind: Kind,
}

/// How much of a line came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing: it has to be done by hand, or is not needed.
    Untranslated,
    /// Something near it; the text says the difference.
    Approximated,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Untranslated => "not translated",
            Kind::Approximated => "approximated",
        };
        write!(f, "line {}: {kind}: {}", self.line, self.text)
    }
}
