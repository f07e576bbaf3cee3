//! `headgate import nginx|haproxy|caddy FILE`: prints the configuration as Headgate would write it, and
//! after it, on standard error, everything that could not be translated, what opens access first.

mod sources;

use crate::exit::Exit;
use crate::say::{Failure, say};
use headgate_import::{Dialect, Import, Kind};
use sources::Sources;
use std::io::Write;
use std::path::Path;

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Format {
    Nginx,
    Haproxy,
    Caddy,
}

impl From<Format> for Dialect {
    fn from(format: Format) -> Self {
        match format {
            Format::Nginx => Self::Nginx,
            Format::Haproxy => Self::Haproxy,
            Format::Caddy => Self::Caddy,
        }
    }
}

/// The sections of the report, the most urgent first.
const SECTIONS: [(Kind, &str); 5] = [
    (Kind::OpensAccess, "OPENS ACCESS: the result lets through what the old gateway kept away"),
    (
        Kind::ClosesAccess,
        "REFUSED UNTIL YOU DECIDE: rules on access that cannot be translated; what they covered is answered 403 \
         where the line says nothing else",
    ),
    (Kind::Untranslated, "Not translated: to be done by hand, or to be done without"),
    (Kind::Approximated, "Approximated: something near it came over"),
    (
        Kind::Unneeded,
        "Not needed: Headgate does so anyway, or the line had no effect or has none for a proxy",
    ),
];

/// # Errors
/// When the file cannot be read, is another gateway's, or says nothing that could be run.
pub(crate) fn import(format: Format, file: &Path) -> Result<Exit, Failure> {
    let name = file.display().to_string();
    let sources = Sources::read(file)?;
    let text = &sources.files[0].text;
    let dialect = Dialect::from(format);
    match Dialect::guess(text) {
        Some(likely) if likely != dialect => {
            return Err(format!(
                "{name} does not look like a file of {dialect} but like one of {likely}: \
                 headgate import {likely} {name}"
            )
            .into());
        }
        _ => {}
    }
    let sources = if dialect == Dialect::Nginx { sources.with_included() } else { sources };
    let import = sources.import(dialect, &name);
    let of = |kind: Kind| import.notes.iter().filter(move |note| note.kind == kind);
    let faults: Vec<String> =
        of(Kind::Fault).map(|note| format!("{}: {}", sources.place(note.line), note.text)).collect();
    if !faults.is_empty() {
        return Err(
            format!("{}\nnothing is translated of a file that cannot be read", faults.join("\n")).into()
        );
    }
    if import.config.listeners.is_empty() || import.config.routes.is_empty() {
        report(&name, &sources, &import)?;
        return Err(format!("{name} has no listener with a route that could be translated").into());
    }
    say(import.toml.trim_end())?;
    report(&name, &sources, &import)?;
    Ok(if of(Kind::OpensAccess).chain(of(Kind::ClosesAccess)).next().is_some() {
        Exit::AccessLost
    } else if of(Kind::Untranslated).next().is_some() {
        Exit::Incomplete
    } else {
        Exit::Done
    })
}

fn report(name: &str, sources: &Sources, import: &Import) -> Result<(), Failure> {
    let mut out = std::io::stderr().lock();
    let mut counts = Vec::new();
    for (kind, heading) in SECTIONS {
        let notes: Vec<_> = import.notes.iter().filter(|note| note.kind == kind).collect();
        counts.push(notes.len());
        if notes.is_empty() {
            continue;
        }
        writeln!(out, "\n{heading}:")?;
        for note in notes {
            writeln!(out, "  {}: {}", sources.place(note.line), note.text)?;
        }
    }
    let [opens, closes, lost, near, unneeded] = counts[..] else { return Ok(()) };
    writeln!(
        out,
        "\n{name}: {opens} open access, {closes} refused until you decide, {lost} not translated, {near} approximated, {unneeded} not needed"
    )?;
    Ok(())
}
