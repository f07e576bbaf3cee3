//! The connections of one generator thread: opened before the run, replaced when they close, and a queue of
//! those that are free. Whoever sends through them need not know which HTTP they speak.

use super::agenda::Turn;
use super::exchange::{Done, Failure, Outcome, Standing};
use super::http1::Http1;
use super::http2::Http2;
use super::request::Requests;
use super::wire::{TlsPeer, Wire};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// After a refused connection.
const RETRY_NS: u64 = 100_000_000;
const BUFFER: usize = 64 * 1024;
/// Events taken at once.
const EVENTS: usize = 64;

/// What all connections have in common.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) address: SocketAddr,
    pub(super) tls: Option<TlsPeer>,
    pub(super) http2: bool,
    /// Requests at once on one HTTP/2 connection.
    pub(super) streams: usize,
    pub(super) requests: Requests,
    pub(super) timeout_ns: u64,
}

pub(super) struct Connections<'a> {
    settings: &'a Settings,
    poller: OwnedFd,
    all: Vec<Connection>,
    /// Index and generation of a connection for each request that it can still take.
    free: VecDeque<(u32, u32)>,
    events: Vec<Event>,
    buffer: Box<[u8]>,
    refilled: bool,
    refused: u64,
    pub(super) reopened: u64,
    pub(super) last_failure: Option<String>,
}

struct Connection {
    state: State,
    /// Counts replacements, so that what is left in the queue of an old one is known to be stale.
    generation: u32,
    wants_write: bool,
}

enum State {
    /// To be opened at this time.
    Down {
        retry_ns: u64,
    },
    /// Connecting, or in the TLS handshake, since this time.
    Opening {
        wire: Wire,
        since_ns: u64,
    },
    Http1(Http1),
    Http2 {
        http2: Box<Http2>,
        offered: bool,
        since_ns: u64,
    },
}

impl<'a> Connections<'a> {
    /// Opens `count` connections and waits until all are up or have failed.
    ///
    /// # Errors
    /// When the kernel gives no epoll instance or denies a wait.
    pub(super) fn open(settings: &'a Settings, count: usize, patience: Duration) -> io::Result<Self> {
        let mut connections = Self {
            settings,
            poller: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            all: Vec::with_capacity(count),
            free: VecDeque::with_capacity(count),
            events: Vec::with_capacity(EVENTS),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            refilled: false,
            refused: 0,
            reopened: 0,
            last_failure: None,
        };
        for index in 0..count {
            let state = State::Down { retry_ns: 0 };
            connections.all.push(Connection { state, generation: 0, wants_write: false });
            connections.connect(index, 0);
        }
        let deadline = Instant::now() + patience;
        let pause = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        let mut none = Vec::new();
        while connections.all.iter().any(Connection::is_opening) && Instant::now() < deadline {
            connections.wait(&pause)?;
            for index in 0..connections.ready() {
                connections.serve(index, 0, &mut none);
            }
        }
        if connections.all.iter().any(Connection::is_opening) {
            let spoken = match (settings.http2, &settings.tls) {
                (true, _) => "HTTP/2",
                (false, Some(_)) => "TLS",
                (false, None) => "TCP",
            };
            let why = format!("no answer within the timeout; does it speak {spoken} there?");
            connections.last_failure.get_or_insert(why);
        }
        (connections.reopened, connections.refused, connections.refilled) = (0, 0, false);
        Ok(connections)
    }

    /// Connections that can carry requests.
    pub(super) fn up(&self) -> usize {
        self.all.iter().filter(|one| one.is_up()).count()
    }

    /// Whether a request can be sent now.
    pub(super) fn has_free(&mut self) -> bool {
        while let Some(&(index, generation)) = self.free.front() {
            if self.all[index as usize].generation == generation {
                return true;
            }
            self.free.pop_front();
        }
        false
    }

    /// Whether a connection has become free after none was; asked once.
    pub(super) fn take_refilled(&mut self) -> bool {
        std::mem::take(&mut self.refilled)
    }

    /// Refused connections since the last call.
    pub(super) fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    /// Sends on the connection that has been free for longest; there must be one.
    pub(super) fn send(&mut self, turn: Turn, done: &mut Vec<Done>) {
        let Some((index, _)) = self.free.pop_front() else {
            return done.push(Done { turn, outcome: Outcome::Failed(Failure::Dropped) });
        };
        let (index, before) = (index as usize, done.len());
        let requests = &self.settings.requests;
        let standing = match &mut self.all[index].state {
            State::Http1(http1) => http1.send(turn, requests, done),
            State::Http2 { http2, .. } => http2.send(turn, requests, done),
            State::Down { .. } | State::Opening { .. } => {
                done.push(Done { turn, outcome: Outcome::Failed(Failure::Closed) });
                return;
            }
        };
        self.conclude(index, standing, done.len() - before, turn.sent_ns);
    }

    /// Sleeps until a socket is ready, or the time is up.
    pub(super) fn wait(&mut self, timeout: &Timespec) -> io::Result<()> {
        self.events.clear();
        match epoll::wait(&self.poller, spare_capacity(&mut self.events), Some(timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sockets that the last wait found ready.
    pub(super) fn ready(&self) -> usize {
        self.events.len()
    }

    /// Reads and writes on one of the ready sockets.
    pub(super) fn serve(&mut self, event: usize, now_ns: u64, done: &mut Vec<Done>) {
        let data = self.events[event].data.u64();
        let (index, generation) = ((data >> 32) as usize, data as u32);
        if self.all[index].generation != generation {
            return;
        }
        self.serve_one(index, now_ns, done);
    }

    /// Ends what takes too long, and opens again what is down.
    pub(super) fn sweep(&mut self, now_ns: u64, done: &mut Vec<Done>) {
        let limit_ns = now_ns.saturating_sub(self.settings.timeout_ns);
        for index in 0..self.all.len() {
            let before = done.len();
            match &mut self.all[index].state {
                State::Down { retry_ns } if *retry_ns <= now_ns => self.connect(index, now_ns),
                State::Opening { since_ns, .. } if *since_ns < limit_ns => {
                    self.down(index, now_ns, "no connection within the timeout");
                }
                State::Http2 { offered: false, since_ns, .. } if *since_ns < limit_ns => {
                    self.down(index, now_ns, "no HTTP/2 settings within the timeout");
                }
                State::Http1(http1) if http1.turn().is_some_and(|turn| turn.sent_ns < limit_ns) => {
                    let turn = http1.abandon();
                    done.extend(turn.map(|turn| Done { turn, outcome: Outcome::Failed(Failure::Timeout) }));
                    self.replace(index, now_ns);
                }
                State::Http2 { http2, .. } if http2.turns().any(|turn| turn.sent_ns < limit_ns) => {
                    http2.expire(limit_ns, done);
                    let standing = http2.serve(&self.settings.requests, done);
                    self.conclude(index, standing, done.len() - before, now_ns);
                }
                _ => {}
            }
        }
    }

    /// Gives up everything under way, as the run is stopped.
    pub(super) fn abandon(&mut self, done: &mut Vec<Done>) {
        let stopped = |turn| Done { turn, outcome: Outcome::Failed(Failure::Stopped) };
        for connection in &mut self.all {
            match &mut connection.state {
                State::Http1(http1) => done.extend(http1.abandon().map(stopped)),
                State::Http2 { http2, .. } => done.extend(http2.abandon().map(stopped)),
                State::Down { .. } | State::Opening { .. } => {}
            }
        }
    }

    fn serve_one(&mut self, index: usize, now_ns: u64, done: &mut Vec<Done>) {
        let before = done.len();
        let requests = &self.settings.requests;
        let standing = match &mut self.all[index].state {
            State::Down { .. } => return,
            State::Opening { wire, .. } => {
                return match wire.progress() {
                    Ok(true) => self.up_now(index, now_ns, done),
                    Ok(false) => {
                        let wants_write = wire.wants_write();
                        self.watch(index, wants_write);
                    }
                    Err(error) => self.down(index, now_ns, &error.to_string()),
                };
            }
            State::Http1(http1) => http1.serve(requests, &mut self.buffer, done),
            State::Http2 { http2, offered, .. } => {
                let standing = http2.serve(requests, done);
                let room = http2.room();
                if !*offered && room > 0 {
                    *offered = true;
                    self.offer(index, room);
                }
                standing
            }
        };
        self.conclude(index, standing, done.len() - before, now_ns);
    }

    /// `ended` requests are over on a connection that now stands like this.
    fn conclude(&mut self, index: usize, standing: Standing, ended: usize, now_ns: u64) {
        match standing {
            Standing::Over => match &self.all[index].state {
                State::Http2 { offered: false, .. } => {
                    self.down(index, now_ns, "the target closed it: it does not speak HTTP/2 here");
                }
                _ => self.replace(index, now_ns),
            },
            Standing::Open { wants_write } => {
                self.watch(index, wants_write);
                self.offer(index, ended);
            }
        }
    }

    fn offer(&mut self, index: usize, requests: usize) {
        if requests == 0 {
            return;
        }
        let was_empty = !self.has_free();
        if self.free.len() > 2 * self.all.len() * self.settings.streams {
            let all = &self.all;
            self.free.retain(|(index, generation)| all[*index as usize].generation == *generation);
        }
        let entry = (index as u32, self.all[index].generation);
        self.free.extend(std::iter::repeat_n(entry, requests));
        self.refilled |= was_empty;
    }

    /// A closed connection gives way to a new one.
    fn replace(&mut self, index: usize, now_ns: u64) {
        self.reopened += 1;
        self.connect(index, now_ns);
    }

    fn connect(&mut self, index: usize, now_ns: u64) {
        // Dropping the old socket takes it out of the poller.
        self.all[index].generation += 1;
        self.all[index].state = State::Down { retry_ns: now_ns };
        let generation = self.all[index].generation;
        let opened = Wire::connect(self.settings.address, self.settings.tls.as_ref()).and_then(|wire| {
            let data = EventData::new_u64((index as u64) << 32 | u64::from(generation));
            epoll::add(&self.poller, &wire, data, EventFlags::IN | EventFlags::OUT)?;
            Ok(wire)
        });
        match opened {
            Ok(wire) => {
                self.all[index].state = State::Opening { wire, since_ns: now_ns };
                self.all[index].wants_write = true;
            }
            Err(error) => self.down(index, now_ns, &error.to_string()),
        }
    }

    fn down(&mut self, index: usize, now_ns: u64, why: &str) {
        self.all[index].generation += 1;
        self.all[index].state = State::Down { retry_ns: now_ns + RETRY_NS };
        self.refused += 1;
        self.last_failure = Some(why.to_owned());
    }

    /// The handshakes are done: from here on it speaks HTTP.
    fn up_now(&mut self, index: usize, now_ns: u64, done: &mut Vec<Done>) {
        let state = std::mem::replace(&mut self.all[index].state, State::Down { retry_ns: now_ns });
        let State::Opening { wire, .. } = state else { return };
        if !self.settings.http2 {
            self.all[index].state = State::Http1(Http1::new(wire));
            self.watch(index, false);
            return self.offer(index, 1);
        }
        if wire.is_tls() && wire.protocol() != Some(b"h2") {
            return self.down(index, now_ns, "the target does not offer HTTP/2 over TLS; leave out --http2");
        }
        let http2 = Box::new(Http2::new(wire, self.settings.streams));
        self.all[index].state = State::Http2 { http2, offered: false, since_ns: now_ns };
        self.serve_one(index, now_ns, done);
    }

    /// Whether the poller should tell when the socket can be written to.
    fn watch(&mut self, index: usize, wants_write: bool) {
        let Connection { state, generation, wants_write: wanted } = &mut self.all[index];
        if *wanted == wants_write {
            return;
        }
        let data = EventData::new_u64((index as u64) << 32 | u64::from(*generation));
        let flags = if wants_write { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        let modified = match state {
            State::Http1(http1) => epoll::modify(&self.poller, http1.wire(), data, flags),
            State::Http2 { http2, .. } => epoll::modify(&self.poller, &*http2.wire().borrow(), data, flags),
            State::Opening { wire, .. } => epoll::modify(&self.poller, &*wire, data, flags),
            State::Down { .. } => Ok(()),
        };
        // A socket that is registered can be modified; if not, the timeout ends its request.
        if modified.is_ok() {
            *wanted = wants_write;
        }
    }
}

impl Connection {
    fn is_opening(&self) -> bool {
        matches!(self.state, State::Opening { .. } | State::Http2 { offered: false, .. })
    }

    fn is_up(&self) -> bool {
        matches!(self.state, State::Http1(_) | State::Http2 { offered: true, .. })
    }
}
