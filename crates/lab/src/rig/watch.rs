//! What becomes of a fault, seen from outside while it lasts: when the gateway leaves the struck processes out,
//! when requests are answered well again, when as many replicas serve as before. By the rules of the
//! simulator's watch; it looks and changes nothing.

use super::error::RigError;
use super::system::System;
use crate::load::Tally;
use crate::sim::Recovery;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How often answers are counted, and how often the gateway is asked.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Answers are judged by windows of this length.
const WINDOW: Duration = Duration::from_millis(100);
/// A window with a larger share of failures is bad.
const BAD_SHARE: f64 = 0.01;
/// Requests are answered well again when no window within this time is bad.
const CALM: Duration = Duration::from_secs(1);

/// The replicas of a system, to be told apart by name and address.
pub(super) struct Watched<'a> {
    pub(super) system: &'a System,
    pub(super) tally: &'a Tally,
    pub(super) struck: BTreeSet<&'a str>,
    /// Zero of the times of the result.
    pub(super) start: Instant,
    pub(super) begins: Duration,
    /// When the last fault that strikes them ends; none: never.
    pub(super) ends: Option<Duration>,
    /// How long a request that is hit may hang before it fails.
    pub(super) patience: Duration,
}

impl Watched<'_> {
    /// Watches from before the fault until all is well again, or until `is_over`.
    pub(super) fn follow(&self, is_over: impl Fn() -> bool) -> Result<Recovery, RigError> {
        let mut recovery =
            Recovery { begins_ns: ns(self.begins), detected_ns: None, answered_ns: None, restored_ns: None };
        let serving = self.serving(&self.system.out_of_use()?);
        while self.start.elapsed() < self.begins {
            if is_over() {
                return Ok(recovery);
            }
            std::thread::sleep(LOOK_EVERY.min(self.begins.saturating_sub(self.start.elapsed())));
        }
        let (mut window_at, mut before, mut asked_at) = (self.begins, self.tally.counts(), Duration::ZERO);
        let mut last_bad = self.begins;
        let mut over = false;
        while !(over || recovery.answered_ns.is_some() && recovery.restored_ns.is_some()) {
            std::thread::sleep(LOOK_EVERY);
            over = is_over();
            let now = self.start.elapsed();
            if now - window_at >= WINDOW || over {
                let (good, bad) = self.tally.counts();
                let (answered, failed) = (good - before.0, bad - before.1);
                if failed as f64 > BAD_SHARE * (answered + failed) as f64 {
                    last_bad = now;
                }
                (window_at, before) = (now, (good, bad));
            }
            if now - asked_at >= ASK_EVERY {
                asked_at = now;
                let out = self.system.out_of_use()?;
                if recovery.detected_ns.is_none() && self.is_spared_or_well(&out, now) {
                    recovery.detected_ns = Some(ns(now));
                }
                if recovery.detected_ns.is_some() && self.serving(&out) >= serving {
                    recovery.restored_ns.get_or_insert(ns(now));
                }
            }
            // What hung when the fault was detected may fail until its time is over, and no later than the end.
            let is_settled = |detected_ns: u64| over || ns(now) - detected_ns >= ns(self.patience);
            if recovery.detected_ns.is_some_and(is_settled) && now - last_bad >= CALM {
                recovery.answered_ns.get_or_insert(ns(last_bad));
            }
        }
        Ok(recovery)
    }

    /// No struck replica is in use, or the fault was over before anybody noticed.
    fn is_spared_or_well(&self, out: &BTreeSet<SocketAddr>, now: Duration) -> bool {
        let mut struck = self.struck.iter().filter_map(|name| self.system.replica(name));
        struck.all(|(_, address)| out.contains(&address))
            || self.ends.is_some_and(|ends| now >= ends)
                && self.struck.iter().all(|name| self.system.is_running(name))
    }

    /// Replicas that run and that the gateway sends calls to.
    fn serving(&self, out: &BTreeSet<SocketAddr>) -> usize {
        let in_use = |name: &&str| match self.system.replica(name) {
            Some((_, address)) => self.system.is_running(name) && !out.contains(&address),
            None => false,
        };
        self.system.names().filter(in_use).count()
    }
}

fn ns(time: Duration) -> u64 {
    time.as_nanos() as u64
}
