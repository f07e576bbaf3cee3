//! Reads the configuration files of NGINX, HAProxy and Caddy and writes Headgate's. Nothing is dropped
//! in silence: what has no counterpart, or only a near one, is listed with its line and the reason. It
//! fails closed: what an access rule covered that has no counterpart is refused.
//!
//! It translates text and reads no files: an `include` of what it was not given is a note.

mod caddy;
mod denial;
mod dialect;
mod draft;
mod earlier;
mod emit;
mod haproxy;
mod nginx;
mod quantity;

pub use caddy::caddy;
pub use dialect::Dialect;
pub use haproxy::haproxy;
pub use nginx::{SourceFile, includes, is_dump, matches, nginx, nginx_files};

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

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It cannot be read: what it and the lines after it mean is not certain.
    Fault,
    /// It kept requests away that the result lets through.
    OpensAccess,
    /// It restricts access, which the result cannot do as it did: what it covered is refused.
    ClosesAccess,
    /// Nothing came over: it has to be done by hand.
    Untranslated,
    /// Something near it; the text says the difference.
    Approximated,
    /// Nothing, because nothing is missed: Headgate does so anyway, or the line had no effect.
    Unneeded,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fault => "cannot be read",
            Self::OpensAccess => "OPENS ACCESS",
            Self::ClosesAccess => "REFUSED UNTIL YOU DECIDE",
            Self::Untranslated => "not translated",
            Self::Approximated => "approximated",
            Self::Unneeded => "not needed",
        })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.kind, self.text)
    }
}
