//! `headgate import nginx|haproxy|caddy FILE`: prints the configuration as Headgate would write it, and
//! after it, on standard error, everything that could not be translated.

use crate::say::{Failure, say};
use headgate_import::Kind;
use std::io::Write;
use std::path::Path;

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Format {
    Nginx,
    Haproxy,
    Caddy,
}

pub(crate) fn import(format: Format, file: &Path) -> Result<(), Failure> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {name}: {error}"))?;
    let import = match format {
        Format::Nginx => headgate_import::nginx(&text, &name),
        Format::Haproxy => headgate_import::haproxy(&text, &name),
        Format::Caddy => headgate_import::caddy(&text, &name),
    };
    say(import.toml.trim_end())?;
    let mut errors = std::io::stderr().lock();
    let untranslated = import.notes.iter().filter(|note| note.kind == Kind::Untranslated).count();
    for note in &import.notes {
        writeln!(errors, "{name}: {note}")?;
    }
    writeln!(
        errors,
        "{name}: {untranslated} not translated, {} approximated",
        import.notes.len() - untranslated
    )?;
    Ok(())
}
