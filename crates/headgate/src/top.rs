//! `headgate top`: polls a running Headgate once per second and shows what it carries, until `q`. What is
//! shown is laid out in `draw`; how a terminal is borrowed and given back is in `screen`.

mod draw;
mod screen;
mod table;

use crate::admin_client::ask;
use crate::say::{Failure, say};
use draw::{Sort, View};
use headgate_observe::top::TopSnapshot;
use screen::Screen;
use std::collections::VecDeque;
use std::io::{IsTerminal, Read, stdin, stdout};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

const PERIOD: Duration = Duration::from_secs(1);
/// The first look takes a second of its own.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the size of the terminal may be out of date.
const REDRAW: Duration = Duration::from_millis(250);
/// Seconds that the little chart goes back.
const HISTORY: usize = 60;

/// The flags of `headgate top`.
pub(crate) struct TopOptions {
    /// The admin address: `host:port`, or `:port` on this machine.
    pub admin: String,
    /// Print one look as plain text and end.
    pub once: bool,
}

/// # Errors
/// With `once`, when nobody answers; else only when the terminal fails: a Headgate that is away is waited for.
pub(crate) fn run(options: &TopOptions) -> Result<(), Failure> {
    if options.once {
        return say(draw::plain(&look(&options.admin)?).trim_end());
    }
    if !(stdin().is_terminal() && stdout().is_terminal()) {
        return Err("this is no terminal; --once prints a single look as plain text".into());
    }
    watch(&options.admin)
}

fn look(admin: &str) -> Result<TopSnapshot, Failure> {
    let answer = ask(admin, "GET", "/top", PATIENCE)?;
    if answer.status != 200 {
        return Err(format!("{admin} answered {}: {}", answer.status, answer.body.trim_end()).into());
    }
    TopSnapshot::from_json(&answer.body)
        .map_err(|error| format!("{admin} is of another version than this command: {error}").into())
}

/// What moves the display.
enum Event {
    Look(Result<TopSnapshot, Failure>),
    Key(u8),
    Quit,
}

fn watch(admin: &str) -> Result<(), Failure> {
    let (events, received) = sync_channel(1);
    // The threads wait for what may never come; they end with the process.
    let (asked, looks) = (admin.to_owned(), events.clone());
    thread::Builder::new().name("looks".to_owned()).spawn(move || send_looks(&asked, &looks))?;
    let keys = events.clone();
    thread::Builder::new().name("keys".to_owned()).spawn(move || send_keys(&keys))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        // Without signals there is still `q`.
        if runtime.block_on(stop_signal()).is_ok() {
            let _ = events.send(Event::Quit);
        }
    })?;

    let mut screen = Screen::enter()?;
    let mut state = Watched::default();
    loop {
        let (width, height) = screen.size();
        screen.draw(&draw::frame(&state.view(admin), width, height))?;
        match received.recv_timeout(REDRAW) {
            Ok(Event::Look(look)) => state.take(look),
            Ok(Event::Key(b's')) => state.sort = state.sort.next(),
            // Ctrl-C is a key while the terminal passes keys on one by one.
            Ok(Event::Key(b'q' | 0x03) | Event::Quit) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Ok(Event::Key(_)) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn send_looks(admin: &str, events: &SyncSender<Event>) {
    while events.send(Event::Look(look(admin))).is_ok() {
        thread::sleep(PERIOD);
    }
}

fn send_keys(events: &SyncSender<Event>) {
    for key in stdin().lock().bytes() {
        if !key.is_ok_and(|key| events.send(Event::Key(key)).is_ok()) {
            return;
        }
    }
}

async fn stop_signal() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// What has been seen so far.
#[derive(Default)]
struct Watched {
    top: TopSnapshot,
    requests_per_s: VecDeque<f64>,
    sort: Sort,
    trouble: Option<String>,
}

impl Watched {
    fn take(&mut self, look: Result<TopSnapshot, Failure>) {
        match look {
            Ok(top) => {
                if self.requests_per_s.len() == HISTORY {
                    self.requests_per_s.pop_front();
                }
                self.requests_per_s.push_back(top.requests.per_s);
                self.top = top;
                self.trouble = None;
            }
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }

    fn view<'a>(&'a self, admin: &'a str) -> View<'a> {
        View {
            admin,
            top: &self.top,
            requests_per_s: &self.requests_per_s,
            sort: self.sort,
            trouble: self.trouble.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin_client::tests::serve_once;

    #[test]
    fn a_look_that_fails_keeps_what_was_seen() {
        let mut watched = Watched::default();
        for second in 0..100_u32 {
            let mut top = TopSnapshot::default();
            top.requests.per_s = f64::from(second);
            watched.take(Ok(top));
        }
        watched.take(Err("gone".into()));
        assert_eq!(watched.requests_per_s, (40..100).map(f64::from).collect::<Vec<_>>());
        assert_eq!((watched.top.requests.per_s, watched.trouble.as_deref()), (99.0, Some("gone")));
        watched.take(Ok(TopSnapshot::default()));
        assert_eq!(watched.trouble, None);
    }

    #[test]
    fn another_version_is_said_to_be_one() {
        for (body, expected) in [("{\"x\":1}", "another version"), ("[]", "another version")] {
            let (address, serving) =
                serve_once(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
            let error = look(&address).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            serving.join().unwrap();
        }
    }
}
