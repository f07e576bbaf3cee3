//! Borrows the terminal for a full-screen display and gives it back as it was: at the end, on an error, and
//! before a panic's message. It knows nothing of what is shown.

use super::draw::{Line, Style};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{self, Write, stdin, stdout};
use std::panic;

/// To the alternate screen, without cursor, and long lines cut instead of wrapped (xterm's private modes).
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &[u8] = b"\x1b[?7h\x1b[?25h\x1b[?1049l";

pub(super) struct Screen {
    before: Termios,
}

impl Screen {
    /// Once per process: the panic hook that gives the terminal back stays.
    ///
    /// # Errors
    /// When standard input or output is no terminal.
    pub(super) fn enter() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let for_panic = before.clone();
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            give_back(&for_panic);
            report(info);
        }));
        let screen = Self { before };
        let mut keys = screen.before.clone();
        // Keys one by one, unseen, and Ctrl-C and Ctrl-Z among them.
        keys.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        tcsetattr(stdin(), OptionalActions::Now, &keys)?;
        stdout().lock().write_all(ENTER)?;
        Ok(screen)
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        match tcgetwinsize(stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
            _ => (80, 24),
        }
    }

    /// Shows `lines` from the top and nothing else. They must fit the size.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn draw(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut out = stdout().lock();
        out.write_all(render(lines).as_bytes())?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back(&self.before);
    }
}

fn give_back(before: &Termios) {
    // When the terminal is gone there is nothing to give back.
    let mut out = stdout().lock();
    let _ = out.write_all(LEAVE).and_then(|()| out.flush());
    let _ = tcsetattr(stdin(), OptionalActions::Now, before);
}

/// One write per frame, over the last frame and not after clearing it: nothing flickers.
fn render(lines: &[Line]) -> String {
    let mut frame = "\x1b[H".to_owned();
    for (at, line) in lines.iter().enumerate() {
        let style = match line.style {
            Style::Plain => "",
            Style::Bold => "\x1b[1m",
            Style::Heading => "\x1b[7m",
            Style::Alert => "\x1b[1;31m",
        };
        let next = if at == 0 { "" } else { "\r\n" };
        frame.push_str(&format!("{next}{style}{}\x1b[0m\x1b[K", line.text));
    }
    frame.push_str("\x1b[J");
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_replaces_the_last_one_and_does_not_scroll() {
        let lines = [("a", Style::Heading), ("b", Style::Plain)]
            .map(|(text, style)| Line { text: text.to_owned(), style });
        assert_eq!(render(&lines), "\x1b[H\x1b[7ma\x1b[0m\x1b[K\r\nb\x1b[0m\x1b[K\x1b[J");
    }
}
