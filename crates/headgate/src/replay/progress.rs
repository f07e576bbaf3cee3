//! How far a replay is, on standard error. It counts nothing itself.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// One line that changes on a terminal, else a line now and then.
pub(super) struct Progress {
    terminal: bool,
    last: Instant,
    written: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { terminal: stderr().is_terminal(), last: Instant::now(), written: false }
    }

    pub(super) fn show(&mut self, text: &str) {
        let every = if self.terminal { Duration::from_millis(200) } else { Duration::from_secs(10) };
        if self.last.elapsed() < every {
            return;
        }
        self.last = Instant::now();
        self.written = true;
        // Nobody is left to be told when standard error is gone.
        let _ = if self.terminal { write!(stderr(), "\r\x1b[K{text}") } else { writeln!(stderr(), "{text}") };
    }

    pub(super) fn end(&mut self) {
        if self.terminal && std::mem::take(&mut self.written) {
            let _ = writeln!(stderr());
        }
    }
}
