//! How a command speaks to whoever called it: results on standard output, what went wrong on standard error.

use crate::mistakes::Mistakes;
use std::error::Error;
use std::io::{self, Write};

/// Whatever ends a command; printed with its causes.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Prints to standard output.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(())
}

/// Prints to standard error what is no result, where standard output is taken.
pub(crate) fn remark(text: &str) -> Result<(), Failure> {
    writeln!(io::stderr().lock(), "{text}")?;
    Ok(())
}

/// Whether a command ended because nobody reads its output any more, as in `headgate explain ... | head`.
pub(crate) fn is_unread(error: &Failure) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Prints a warning to standard error.
pub(crate) fn warn(warning: &impl std::fmt::Display) {
    // Nobody is left to be told when standard error is gone.
    let _ = writeln!(io::stderr().lock(), "warning: {warning}");
}

/// Prints an error and its causes to standard error.
pub(crate) fn complain(error: &Failure) {
    // A mistake in a file begins with its place, as editors expect it.
    let mut text = if error.is::<Mistakes>() { error.to_string() } else { format!("headgate: {error}") };
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!("\n  because: {error}"));
        cause = error.source();
    }
    // Nobody is left to be told when standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}
