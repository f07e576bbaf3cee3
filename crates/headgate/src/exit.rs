//! What a command tells the shell. The numbers are in docs/command-line.md.

use std::process::ExitCode;

/// How a command ended. That the command line itself is wrong is 2, which `clap` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what was asked.
    Done,
    /// It could not; standard error says why.
    Failed,
    /// The answer is there but not a whole yes: no route matches, or a file was translated with losses.
    Incomplete,
    /// A file was translated, but not all of what restricts access.
    AccessLost,
    /// A game day was not begun, or did not run to its end. All faults were taken back.
    Aborted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Incomplete => 3,
            Exit::AccessLost => 4,
            Exit::Aborted => 5,
        })
    }
}
