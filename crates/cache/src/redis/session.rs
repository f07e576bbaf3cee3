//! The thread of the tier: connects to Redis, again and again, and does what workers want of it for as long as that
//! lasts. What waits to be purged is written before anything is read or kept.

use super::catch_up::catch_up;
use super::event::{Event, Say};
use super::follow::{BLOCK, Follower};
use super::scripts::{Names, Position, Scripts};
use super::state::{Read, State, Write, count};
use super::value::{self, Frame};
use super::{Gateway, Settings, TlsFiles};
use crate::steady;
use crate::tier::{Kept, Put};
use headgate_policy::breaker::Outcome;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisError, RedisResult, TlsCertificates,
};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long Redis may take to be connected to, and for everything but reads.
const PATIENCE: Duration = Duration::from_secs(2);
/// First and longest pause between attempts to connect.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A session that has lasted that long makes the pause after it the first one again.
const LASTING: Duration = Duration::from_secs(1);
/// Purges that are written at once.
const BATCH: usize = 256;

/// What a worker wants.
pub(super) enum Job {
    Read { key: Box<[u8]>, deadline: Instant, read: Read, answer: oneshot::Sender<Kept> },
    Put { put: Put, write: Write },
    Forget { key: Box<[u8]>, write: Write },
}

pub(super) struct Runner {
    pub(super) settings: Settings,
    pub(super) names: Names,
    pub(super) state: Arc<State>,
    pub(super) gateway: Arc<dyn Gateway>,
    pub(super) jobs: mpsc::UnboundedReceiver<Job>,
    pub(super) closing: watch::Receiver<bool>,
    pub(super) say: Arc<Say>,
    /// This gateway in the stream.
    pub(super) me: String,
    /// The last entry of its own that Redis has taken.
    pub(super) written: Position,
    pub(super) is_up_to_date: bool,
}

/// Why a session has ended.
enum End {
    Closed,
    Failed(String),
}

impl Runner {
    /// Until the tier is closed.
    pub(super) async fn run(mut self) {
        let mut known = Position::default();
        let mut pause = PAUSE;
        let mut told = false;
        loop {
            let began = Instant::now();
            let end = self.session(&mut known).await;
            let was_on = self.state.end();
            let End::Failed(error) = end else {
                self.gateway.remember(&known.write());
                return;
            };
            // One that ends at once every time is no reason to begin at once every time.
            if began.elapsed() > LASTING {
                pause = PAUSE;
            }
            if was_on || !told {
                (self.say)(&Event::Off { error });
                told = true;
            }
            if self.is_closed_within(pause).await {
                return;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Waits, and lets those go who want something; true when the tier was closed meanwhile.
    async fn is_closed_within(&mut self, pause: Duration) -> bool {
        let mut slept = pin!(sleep(pause));
        loop {
            tokio::select! {
                () = &mut slept => return false,
                _ = self.closing.wait_for(|closing| *closing) => return true,
                // Dropped, it is answered with nothing.
                job = self.jobs.recv() => drop(job),
            }
        }
    }

    async fn session(&mut self, known: &mut Position) -> End {
        match self.try_session(known).await {
            Ok(end) => end,
            Err(error) => End::Failed(error.to_string()),
        }
    }

    async fn try_session(&mut self, known: &mut Position) -> RedisResult<End> {
        let mut closing = self.closing.clone();
        let opened = tokio::select! {
            opened = timeout(PATIENCE, self.open()) => opened.map_err(|_| late())??,
            _ = closing.wait_for(|closing| *closing) => return Ok(End::Closed),
        };
        let (mut scripts, following) = opened;
        // What Redis has taken from here may not have come back yet.
        let newest = if self.written.clock > known.clock && self.written.epoch == known.epoch {
            &self.written
        } else {
            &*known
        };
        let begun = timeout(PATIENCE, scripts.begin(&fresh_epoch(&self.me), newest)).await;
        let begun = begun.map_err(|_| late())??;
        let epoch: Arc<str> = begun.epoch.as_str().into();
        if begun.epoch != known.epoch {
            let is_first = known.epoch.is_empty();
            self.doubt(is_first).await;
            *known = begun.clone();
        }
        let told = self.write_pending(&mut scripts, &epoch).await?;
        let (state, gateway, me) = (Arc::clone(&self.state), Arc::clone(&self.gateway), self.me.clone());
        let mut catching_up = pin!(catch_up(scripts.clone(), &gateway, begun));
        let (names, say) = (self.names.clone(), Arc::clone(&self.say));
        let (fail, mut failures) = mpsc::unbounded_channel();
        let serving =
            Serving { scripts: scripts.clone(), epoch: Arc::clone(&epoch), fail, most: self.most() };
        let follower = Follower {
            connection: following,
            scripts: scripts.clone(),
            names: &names,
            state: &state,
            gateway: &gateway,
            say: &say,
            me: &me,
            remembered: None,
        };
        state.begin(known.clock);
        (self.say)(&Event::On { told });
        let mut follow = pin!(follower.run(known));
        loop {
            self.write_pending(&mut scripts, &epoch).await?;
            tokio::select! {
                biased;
                error = &mut follow => return Ok(End::Failed(error)),
                done = &mut catching_up, if !self.is_up_to_date => {
                    let exact = done?;
                    self.is_up_to_date = true;
                    (self.say)(&Event::CaughtUp { exact });
                }
                Some(error) = failures.recv() => return Ok(End::Failed(error)),
                _ = closing.wait_for(|closing| *closing) => {
                    self.write_pending(&mut scripts, &epoch).await?;
                    return Ok(End::Closed);
                }
                () = state.pending.added.notified() => {}
                Some(job) = self.jobs.recv() => {
                    // Whoever purged before it must not find what was purged.
                    self.write_pending(&mut scripts, &epoch).await?;
                    serving.clone().spawn(job, &state, &self.say);
                }
            }
        }
    }

    /// Longest value that is read.
    fn most(&self) -> usize {
        usize::try_from(self.settings.max_value).unwrap_or(usize::MAX).saturating_add(value::OVERHEAD)
    }

    /// A connection for everything, and one that waits for purges of others.
    async fn open(&self) -> RedisResult<(Scripts, MultiplexedConnection)> {
        let Settings { host, port, database, user, password, .. } = &self.settings;
        let mut login = RedisConnectionInfo::default()
            .set_db(i64::from(*database))
            .set_protocol(ProtocolVersion::RESP2)
            .set_skip_set_lib_name();
        if let Some(user) = user {
            login = login.set_username(user);
        }
        if let Some(password) = password {
            login = login.set_password(password);
        }
        let place = (host.as_str(), *port).into_connection_info()?.set_redis_settings(login);
        let client = match &self.settings.tls {
            None => Client::open(place)?,
            Some(files) => {
                let (host, port) = (host.clone(), *port);
                let place =
                    place.set_addr(ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None });
                Client::build_with_tls(place, certificates(files)?)?
            }
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(BLOCK + PATIENCE));
        let main = client.get_multiplexed_async_connection_with_config(&config).await?;
        let following = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok((Scripts::load(main, self.names.clone()).await?, following))
    }

    /// What others have purged is not all known. At the first time, what lies on disk is brought up to date.
    async fn doubt(&self, is_first: bool) {
        // At the start there is next to nothing to doubt.
        if !is_first {
            count(&self.state.counts.doubts);
            (self.say)(&Event::Doubted);
        }
        let gateway = Arc::clone(&self.gateway);
        // It looks at every key in memory. Should it panic, the process says so itself.
        let _ = tokio::task::spawn_blocking(move || gateway.doubt(!is_first)).await;
    }

    /// Writes all purges that wait; how many.
    async fn write_pending(&mut self, scripts: &mut Scripts, epoch: &str) -> RedisResult<usize> {
        let mut count = 0;
        while !self.state.pending.is_empty() {
            let (entries, number) = self.state.pending.next(BATCH);
            let clock = timeout(PATIENCE, scripts.purge(epoch, &self.me, &entries)).await;
            let clock = clock.map_err(|_| late())??;
            count += entries.len();
            self.state.counts.purges_sent.fetch_add(entries.len() as u64, Ordering::Relaxed);
            self.state.saw(clock);
            let token = entries.last().map(|entry| entry.token.clone()).unwrap_or_default();
            self.written = Position { epoch: epoch.to_owned(), clock, token };
            self.state.pending.written(&entries, number);
            self.state.moved.send_replace(());
        }
        Ok(count)
    }
}

/// What is in the files. An error names the file.
fn certificates(files: &TlsFiles) -> io::Result<TlsCertificates> {
    let read = |path: &Path| {
        std::fs::read(path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    };
    let client = |(certificate, key): &(PathBuf, PathBuf)| {
        io::Result::Ok(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
    };
    Ok(TlsCertificates {
        client_tls: files.client.as_ref().map(client).transpose()?,
        root_cert: files.ca.as_deref().map(read).transpose()?,
    })
}

fn late() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

/// No other has the same.
fn fresh_epoch(me: &str) -> String {
    format!("{me}.{}", steady::now_ms())
}

/// What a job needs of the session in which it is done.
#[derive(Clone)]
struct Serving {
    scripts: Scripts,
    epoch: Arc<str>,
    /// Ends the session.
    fail: mpsc::UnboundedSender<String>,
    most: usize,
}

impl Serving {
    /// Does it beside others; the bounds were kept by whoever asked.
    fn spawn(mut self, job: Job, state: &Arc<State>, say: &Arc<Say>) {
        let (state, say) = (Arc::clone(state), Arc::clone(say));
        tokio::spawn(async move {
            match job {
                Job::Read { key, deadline, read, answer } => {
                    let (outcome, kept) = self.read(&key, deadline, &state).await;
                    // Whoever asked may have gone.
                    let _ = kept.map(|kept| answer.send(kept));
                    match read.end(outcome) {
                        Some(Ok(pause)) => say(&Event::Paused { pause }),
                        Some(Err(())) => say(&Event::Resumed),
                        None => {}
                    }
                }
                Job::Put { put, write } => {
                    self.put(&put, &state).await;
                    drop(write);
                }
                Job::Forget { key, write } => {
                    let done = timeout(PATIENCE, self.scripts.forget(&self.epoch, &key)).await;
                    self.judge(&done.unwrap_or_else(|_| Err(late())));
                    drop(write);
                }
            }
        });
    }

    async fn read(&mut self, key: &[u8], deadline: Instant, state: &State) -> (Outcome, Option<Kept>) {
        let counts = &state.counts;
        let seen = state.moment().position;
        let read = timeout_at(deadline, self.scripts.read(&self.epoch, seen, key, self.most)).await;
        let Ok(read) = read else {
            count(&counts.late);
            return (Outcome::Failure, None);
        };
        self.judge(&read);
        let Ok(found) = read else {
            count(&counts.errors);
            return (Outcome::Failure, None);
        };
        let kept = found.and_then(|(value, left_ms)| value::read(value, left_ms, steady::now_ms()));
        count(if kept.is_some() { &counts.hits } else { &counts.misses });
        (Outcome::Success, kept)
    }

    async fn put(&mut self, put: &Put, state: &State) {
        let born = put.birth.moment;
        let counts = &state.counts;
        let Some(frame) = Frame::new(put, born, steady::now_ms()) else {
            return count(&counts.outdated);
        };
        let done = timeout(PATIENCE, self.scripts.put(&self.epoch, born, &put.key, &frame)).await;
        let done = done.unwrap_or_else(|_| Err(late()));
        self.judge(&done);
        count(match done {
            Ok(true) => &counts.put,
            Ok(false) => &counts.outdated,
            Err(_) => &counts.dropped_error,
        });
    }

    /// Ends the session after an error that will not pass by itself.
    fn judge<T>(&self, done: &RedisResult<T>) {
        const FATAL: [&str; 6] = ["EPOCH", "NOSCRIPT", "READONLY", "LOADING", "NOAUTH", "NOPERM"];
        if let Err(error) = done
            && !error.is_timeout()
            && (error.is_unrecoverable_error() || error.code().is_some_and(|code| FATAL.contains(&code)))
        {
            // The session may have ended for another reason.
            let _ = self.fail.send(error.to_string());
        }
    }
}
