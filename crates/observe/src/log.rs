//! The process's own event log: one line per event on standard error. It is not the access log, and it is
//! not for a worker's every request: a line is written by the calling thread.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::escape;
use crate::timestamp::{Rfc3339, unix_us};

/// Lines that one kind of peer-caused event writes per second; the rest is counted.
pub const LINES_PER_SECOND: u64 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Info,
    Warn,
    Error,
}

static QUIET: AtomicBool = AtomicBool::new(false);

/// Writes no more [`Level::Info`]: standard error belongs to somebody's screen.
pub fn only_troubles() {
    QUIET.store(true, Relaxed);
}

/// What an event is about: keys with values.
pub type Fields<'a> = &'a [(&'a str, &'a dyn Display)];

/// Writes an event of Headgate's own making, such as a reload.
pub fn event(level: Level, message: &str, fields: Fields<'_>) {
    write_line(level, message, fields, 0);
}

/// Writes an event that a peer can cause, at most [`LINES_PER_SECOND`] per kind. What was left out is told
/// by the kind's next line or by [`report_suppressed`]. Nothing is formatted for a line that is left out.
pub fn peer_event(kind: &'static PeerEvent, level: Level, message: &str, fields: Fields<'_>) {
    match kind.admit(unix_us(SystemTime::now()) / 1_000_000) {
        Verdict::Write { suppressed } => write_line(level, message, fields, suppressed),
        Verdict::Suppress { first: true } => remember(kind),
        Verdict::Suppress { first: false } => {}
    }
}

/// Writes one line for each kind of event whose lines were left out and not told yet. To be called now and
/// then, and at the end.
pub fn report_suppressed() {
    for kind in std::mem::take(&mut *suppressing()) {
        let suppressed = kind.suppressed.swap(0, Relaxed);
        if suppressed > 0 {
            write_line(Level::Warn, "lines left out", &[("kind", &kind.name)], suppressed);
        }
    }
}

/// One kind of event that a peer can cause; a `static` beside the code that reports it.
#[derive(Debug)]
pub struct PeerEvent {
    name: &'static str,
    /// The second of the current window times 2^16, plus the lines written in it.
    window: AtomicU64,
    suppressed: AtomicU64,
}

impl PeerEvent {
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, window: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }

    fn admit(&self, now_s: u64) -> Verdict {
        let now = now_s << 16;
        let taken = self.window.fetch_update(Relaxed, Relaxed, |window| {
            let written = if window >> 16 == now_s { window & 0xffff } else { 0 };
            (written < LINES_PER_SECOND).then_some(now + written + 1)
        });
        match taken {
            Ok(_) => Verdict::Write { suppressed: self.suppressed.swap(0, Relaxed) },
            Err(_) => Verdict::Suppress { first: self.suppressed.fetch_add(1, Relaxed) == 0 },
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// With the lines that were left out before.
    Write { suppressed: u64 },
    /// `first` since the last line or report.
    Suppress { first: bool },
}

/// The kinds that may have something left out to tell, each once.
fn suppressing() -> MutexGuard<'static, Vec<&'static PeerEvent>> {
    static KINDS: Mutex<Vec<&'static PeerEvent>> = Mutex::new(Vec::new());
    KINDS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remember(kind: &'static PeerEvent) {
    let mut kinds = suppressing();
    if !kinds.iter().any(|known| std::ptr::eq(*known, kind)) {
        kinds.push(kind);
    }
}

fn write_line(level: Level, message: &str, fields: Fields<'_>, suppressed: u64) {
    if level == Level::Info && QUIET.load(Relaxed) {
        return;
    }
    let line = render(unix_us(SystemTime::now()), level, message, fields, suppressed);
    // There is no place left to tell that standard error is gone.
    let _ = io::stderr().lock().write_all(&line);
}

/// `TIME LEVEL MESSAGE KEY=VALUE ...`; a value is quoted as JSON where it would not stand alone.
fn render(unix_us: u64, level: Level, message: &str, fields: Fields<'_>, suppressed: u64) -> Vec<u8> {
    let level = match level {
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    let mut line = format!("{} {level} ", Rfc3339(unix_us)).into_bytes();
    escape::json_inside(message.as_bytes(), &mut line);
    for (key, value) in fields {
        render_field(key, &value.to_string(), &mut line);
    }
    if suppressed > 0 {
        render_field("suppressed", &suppressed.to_string(), &mut line);
    }
    line.push(b'\n');
    line
}

fn render_field(key: &str, value: &str, line: &mut Vec<u8>) {
    line.push(b' ');
    line.extend(key.as_bytes());
    line.push(b'=');
    let alone = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'=');
    if !value.is_empty() && value.bytes().all(alone) {
        line.extend(value.as_bytes());
    } else {
        escape::json_string(value.as_bytes(), line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_whatever_is_in_it() {
        let line =
            render(0, Level::Warn, "bad\nrequest", &[("from", &"::1"), ("head", &"a b\r\n\u{1b}=\"")], 3);
        let expected =
            r#"1970-01-01T00:00:00.000000Z warn bad\nrequest from=::1 head="a b\r\n\u001b=\"" suppressed=3"#;
        assert_eq!(String::from_utf8(line).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn a_flood_is_cut_and_counted() {
        let kind = PeerEvent::new("flood");
        for _ in 0..LINES_PER_SECOND {
            assert_eq!(kind.admit(100), Verdict::Write { suppressed: 0 });
        }
        assert_eq!(kind.admit(100), Verdict::Suppress { first: true });
        for _ in 1..500 {
            assert_eq!(kind.admit(100), Verdict::Suppress { first: false });
        }
        assert_eq!(kind.admit(101), Verdict::Write { suppressed: 500 });
        assert_eq!(kind.admit(101), Verdict::Write { suppressed: 0 });
    }

    #[test]
    fn a_clock_set_back_does_not_silence_a_kind() {
        let kind = PeerEvent::new("clock");
        assert_eq!((0..50).map(|_| kind.admit(1_000)).last(), Some(Verdict::Suppress { first: false }));
        assert!(matches!(kind.admit(3), Verdict::Write { .. }));
    }

    #[test]
    fn threads_share_one_limit() {
        let kind = PeerEvent::new("shared");
        let written: u64 = std::thread::scope(|scope| {
            let count = || (0..200).filter(|_| matches!(kind.admit(7), Verdict::Write { .. })).count() as u64;
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(written, LINES_PER_SECOND);
        assert_eq!(kind.suppressed.load(Relaxed), 800 - LINES_PER_SECOND);
    }
}
