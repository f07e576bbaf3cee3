//! Acts by the clock of a load that runs: each at its time, and a look at the processes in between. What is done
//! is up to the caller.

use super::error::RigError;
use crate::load::Tally;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long it sleeps at most before it looks at its flags.
const DOZE: Duration = Duration::from_millis(20);
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// See whether all processes are there.
    Check,
    /// Write down what has been used.
    Mark,
    /// A fault begins or ends, by its number.
    Begin(usize),
    End(usize),
}

pub(super) struct Schedule<'a> {
    pub(super) tally: &'a Tally,
    /// The load is over.
    pub(super) over: &'a AtomicBool,
    /// The load is to end.
    pub(super) halt: &'a AtomicBool,
    /// Somebody wants all of it to end.
    pub(super) stop: &'a AtomicBool,
    /// In order of time from the start of the load.
    pub(super) acts: Vec<(Duration, Act)>,
}

impl Schedule<'_> {
    /// Does everything at its time; what was to come after the end of the load is left out.
    pub(super) fn follow(
        &self,
        mut act: impl FnMut(Duration, Act) -> Result<(), RigError>,
    ) -> Result<(), RigError> {
        let Some(start) = start_of(self.tally, self.over) else { return Ok(()) };
        let mut acts = self.acts.iter().copied().peekable();
        let mut checked = Duration::ZERO;
        while !self.over.load(Relaxed) {
            if self.stop.load(Relaxed) {
                self.halt.store(true, Relaxed);
            }
            let now = start.elapsed();
            while let Some((_, what)) = acts.next_if(|(at, _)| *at <= now) {
                // Not the planned time: what was counted was counted now.
                act(start.elapsed(), what)?;
            }
            if now - checked >= CHECK_EVERY {
                checked = now;
                act(now, Act::Check)?;
            }
            let next = acts.peek().map_or(DOZE, |(at, _)| at.saturating_sub(start.elapsed()));
            std::thread::sleep(next.min(DOZE));
        }
        // The end of the last phase falls together with that of the load.
        for (_, what) in acts.filter(|(_, what)| *what == Act::Mark) {
            act(start.elapsed(), what)?;
        }
        Ok(())
    }
}

/// Time zero of the load; none when it is over before it began.
pub(super) fn start_of(tally: &Tally, over: &AtomicBool) -> Option<Instant> {
    while !over.load(Relaxed) {
        if let Some(start) = tally.start() {
            return Some(start);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    tally.start()
}
