//! Follows the stream of purges on a connection of its own, and has this gateway do what others did, in the order of
//! the stream.

use super::Gateway;
use super::entry::Heard;
use super::event::{Event, Say};
use super::scripts::{Names, Position, Scripts};
use super::state::State;
use crate::tier::Notice;
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value, cmd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long one question waits for an entry.
pub(super) const BLOCK: Duration = Duration::from_secs(1);
/// Why a session ends whose epoch has ended.
const LOST: &str = "Redis does not know what it knew";
/// Entries that are taken at once.
const BATCH: usize = 512;
/// The position is remembered after that long at the earliest when it has changed, and when it has not: else it would
/// leave with what is old.
const REMEMBER: Duration = Duration::from_secs(1);
const REMEMBER_AGAIN: Duration = Duration::from_secs(60);
/// Times in a row that the clock may be ahead of an empty stream: an entry comes between the two questions.
const AHEAD: u32 = 3;

pub(super) struct Follower<'s> {
    pub(super) connection: MultiplexedConnection,
    pub(super) scripts: Scripts,
    pub(super) names: &'s Names,
    pub(super) state: &'s State,
    pub(super) gateway: &'s Arc<dyn Gateway>,
    pub(super) say: &'s Say,
    /// This gateway in entries.
    pub(super) me: &'s str,
    /// What was remembered last, and when.
    pub(super) remembered: Option<(u64, Instant)>,
}

/// What an entry asks for.
enum Act {
    Purge(Notice),
    Doubt,
}

impl Follower<'_> {
    /// Until that fails, or what Redis knows is not what it knew; why.
    pub(super) async fn run(mut self, known: &mut Position) -> String {
        let mut ahead = 0;
        loop {
            self.remember(known);
            let heard = match self.next(known.clock).await {
                Ok(heard) => heard,
                Err(error) => return error.to_string(),
            };
            if heard.is_empty() {
                let (epoch, clock) = match self.scripts.now().await {
                    Ok(now) => now,
                    Err(error) => return error.to_string(),
                };
                ahead = if clock > known.clock { ahead + 1 } else { 0 };
                if epoch != known.epoch || clock < known.clock || ahead >= AHEAD {
                    return LOST.to_owned();
                }
                continue;
            }
            if heard.iter().any(|entry| entry.epoch != known.epoch) {
                return LOST.to_owned();
            }
            if let Err(error) = self.obey(heard, known).await {
                return error;
            }
        }
    }

    async fn obey(&self, heard: Vec<Heard>, known: &mut Position) -> Result<(), String> {
        let mut reached = known.clone();
        let mut acts = Vec::new();
        for entry in heard {
            if entry.clock != reached.clock + 1 {
                // Trimmed before it was read here.
                (self.say)(&Event::Doubted);
                acts.push(Act::Doubt);
            }
            (reached.clock, reached.token) = (entry.clock, entry.token);
            if entry.from != self.me {
                acts.push(entry.notice.map_or(Act::Doubt, Act::Purge));
            }
        }
        if !acts.is_empty() {
            let gateway = Arc::clone(self.gateway);
            let all = acts.len();
            let doubts = acts.iter().filter(|act| matches!(act, Act::Doubt)).count();
            // It may look at every key in memory.
            let acting = move || {
                for act in acts {
                    match act {
                        Act::Purge(notice) => gateway.hear(&notice),
                        Act::Doubt => gateway.doubt(true),
                    }
                }
            };
            tokio::task::spawn_blocking(acting).await.map_err(|panic| panic.to_string())?;
            self.state.counts.purges_heard.fetch_add((all - doubts) as u64, Ordering::Relaxed);
            self.state.counts.doubts.fetch_add(doubts as u64, Ordering::Relaxed);
        }
        self.state.saw(reached.clock);
        *known = reached;
        Ok(())
    }

    /// What lies on this machine is up to date with the stream, as far as it is known.
    fn remember(&mut self, known: &Position) {
        let due = self.remembered.is_none_or(|(clock, at)| {
            at.elapsed() >= if clock == known.clock { REMEMBER_AGAIN } else { REMEMBER }
        });
        if due && self.gateway.remember(&known.write()) {
            self.remembered = Some((known.clock, Instant::now()));
        }
    }

    /// Entries after `clock`; none when there are none for a while.
    async fn next(&mut self, clock: u64) -> RedisResult<Vec<Heard>> {
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(BATCH).arg("BLOCK").arg(BLOCK.as_millis() as u64);
        read.arg("STREAMS").arg(&*self.names.stream).arg(format!("{clock}-0"));
        match read.query_async(&mut self.connection).await? {
            Value::Nil => Ok(Vec::new()),
            value => {
                let [(_, entries)]: [(String, Vec<Heard>); 1] = redis::from_redis_value(value)?;
                Ok(entries)
            }
        }
    }
}
