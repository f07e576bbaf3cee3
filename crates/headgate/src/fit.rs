//! `headgate lab fit`: services for a study, from spans of real requests. What spans say is the lab's own matter.

use crate::open;
use crate::say::{Failure, say, warn};
use headgate_lab::fit::span::Spans;
use headgate_lab::fit::{infer, write};
use std::io::Read;
use std::path::PathBuf;

/// Text of one file, decoded.
const FILE_MAX: u64 = 1 << 30;

/// Writes the tables on standard output, and what was wrong with the spans on standard error.
///
/// # Errors
/// When a file cannot be read, has none of the forms, or there is no span in all of them.
pub(crate) fn run(files: &[PathBuf]) -> Result<(), Failure> {
    let mut spans = Spans::default();
    for file in files {
        let name = file.display();
        let mut bytes = Vec::new();
        open::open(file)
            .and_then(|content| content.take(FILE_MAX + 1).read_to_end(&mut bytes))
            .map_err(|error| format!("cannot read {name}: {error}"))?;
        if bytes.len() as u64 > FILE_MAX {
            return Err(format!("{name}: longer than 1 GiB; give a part of it").into());
        }
        let text = String::from_utf8(bytes).map_err(|_| format!("{name}: not text"))?;
        spans.read(&text).map_err(|error| format!("{name}: {error}"))?;
    }
    if spans.spans.is_empty() {
        return Err(format!("no spans; {} records are damaged", spans.damaged).into());
    }
    let fit = infer::fit(&spans);
    for (count, what) in [
        (spans.damaged, "records are no spans, or lack what is needed"),
        (spans.left_out, "spans are left out: that many are not held"),
        (fit.orphans, "spans have a parent that is not there; they count as beginnings"),
        (fit.beyond, "calls reach beyond their caller's span; what is within counts"),
    ] {
        if count > 0 {
            warn(&format!("{count} {what}"));
        }
    }
    say(&format!(
        "# {} spans of {} traces. Own time holds waiting inside a service: from a system under load it is more than\n\
         # its work.\n\n{}",
        spans.spans.len(),
        spans.traces(),
        write::toml(&fit).trim_end()
    ))
}
