//! How far a replay is, on standard error: a bar with the time that is left, where the end is known. It counts nothing
//! itself.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// Characters of the bar.
const WIDTH: usize = 24;

/// One line that changes on a terminal, else a line now and then.
pub(super) struct Progress {
    terminal: bool,
    /// Of what is under way now.
    began: Instant,
    last: Instant,
    written: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { terminal: stderr().is_terminal(), began: now, last: now, written: false }
    }

    /// `share`: of what is under way, 0 to 1.
    pub(super) fn show(&mut self, share: Option<f64>, text: &str) {
        let every = if self.terminal { Duration::from_millis(200) } else { Duration::from_secs(10) };
        if self.last.elapsed() < every {
            return;
        }
        self.last = Instant::now();
        let text = match share {
            Some(share) => format!("{} {text}", bar(share, self.began.elapsed())),
            None => text.to_owned(),
        };
        self.written = true;
        // Nobody is left to be told when standard error is gone.
        let _ = if self.terminal { write!(stderr(), "\r\x1b[K{text}") } else { writeln!(stderr(), "{text}") };
    }

    /// Something else is under way from here on.
    pub(super) fn end(&mut self) {
        self.began = Instant::now();
        if self.terminal && std::mem::take(&mut self.written) {
            let _ = writeln!(stderr());
        }
    }
}

/// As `[######------------------]  25 %, 12 s left:`; `took`: until now.
fn bar(share: f64, took: Duration) -> String {
    let share = share.clamp(0.0, 1.0);
    let full = (share * WIDTH as f64) as usize;
    let left = match share > 0.0 {
        true => format!(", {:.0} s left", took.as_secs_f64() * (1.0 - share) / share),
        false => String::new(),
    };
    format!("[{}{}] {:3.0} %{left}:", "#".repeat(full), "-".repeat(WIDTH - full), 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_and_says_what_is_left() {
        let took = Duration::from_secs(4);
        assert_eq!(bar(0.25, took), "[######------------------]  25 %, 12 s left:");
        assert_eq!(bar(1.0, took), "[########################] 100 %, 0 s left:");
        assert_eq!(bar(0.0, took), "[------------------------]   0 %:");
        assert_eq!(bar(7.0, took), bar(1.0, took));
    }
}
