//! One generator thread: an epoll loop that sends what is due, takes what is answered, and keeps its
//! connections up. It is late only when its core is, and says by how much.

use super::agenda::{Agenda, Turn};
use super::clock::Clock;
use super::connections::{Connections, Settings};
use super::exchange::{Done, Failure, Outcome};
use super::record::{Record, Second};
use super::tally::Tally;
use crate::workload::Phases;
use rustix::event::Timespec;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// How long before a due time the thread stops sleeping and polls.
const POLL_BEFORE_NS: u64 = 200_000;
/// How often deadlines, broken connections and the stop flag are looked at, at the least.
const SWEEP_NS: u64 = 10_000_000;
const SECOND_NS: u64 = 1_000_000_000;
/// Answers taken before the plan is looked at again.
const BATCH: usize = 64;

/// What a thread did in a second of the run.
#[derive(Debug)]
pub(super) struct Tick {
    pub(super) thread: usize,
    pub(super) second: u64,
    pub(super) what: Second,
    pub(super) effort: Effort,
}

/// Where a thread's time went, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Effort {
    pub(super) elapsed_ns: u64,
    /// Asleep, or polling before a due time.
    pub(super) idle_ns: u64,
    /// Ready to run without a core.
    pub(super) preempted_ns: u64,
}

/// What a thread has to say at its end.
#[derive(Debug)]
pub(super) struct Finished {
    /// One for each phase.
    pub(super) records: Vec<Record>,
    pub(super) effort: Effort,
    /// Connections opened after the start, in place of closed ones.
    pub(super) reconnects: u64,
    pub(super) connect_failure: Option<String>,
}

pub(super) struct Engine<'a> {
    pub(super) clock: Clock,
    pub(super) thread: usize,
    pub(super) agenda: Agenda,
    pub(super) phases: &'a Phases,
    pub(super) settings: &'a Settings,
    pub(super) connections: Connections<'a>,
    pub(super) ticks: SyncSender<Tick>,
    pub(super) stop: &'a AtomicBool,
    pub(super) tally: Option<&'a Tally>,
    /// Whether there is a core to poll on.
    pub(super) polls: bool,
}

/// What changes while the loop runs.
struct Running {
    records: Vec<Record>,
    second: Second,
    second_number: u64,
    done: Vec<Done>,
    /// When a connection became free after none was.
    freed_ns: u64,
    in_flight: usize,
    idle_ns: u64,
    stopping: bool,
}

impl Engine<'_> {
    /// Runs the plan to its end, or until told to stop.
    ///
    /// # Errors
    /// When the kernel denies a wait.
    pub(super) fn run(mut self) -> io::Result<Finished> {
        std::thread::sleep(self.clock.until_start());
        let preempted_before_ns = super::clock::waited_for_core_ns();
        let mut run = Running {
            records: self.phases.all().iter().map(|_| Record::new()).collect(),
            second: Second::new(),
            second_number: 0,
            done: Vec::with_capacity(BATCH),
            freed_ns: 0,
            in_flight: 0,
            idle_ns: 0,
            stopping: false,
        };
        let mut next_sweep_ns = 0;
        loop {
            let mut now_ns = self.clock.now_ns();
            if now_ns >= next_sweep_ns {
                self.sweep(now_ns, &mut run);
                next_sweep_ns = now_ns + SWEEP_NS;
            }
            if now_ns / SECOND_NS > run.second_number {
                self.tell(now_ns, preempted_before_ns, &mut run);
            }
            now_ns = self.send_due(now_ns, &mut run);
            if self.is_over(&run) {
                break;
            }
            let due_ns = self.agenda.due_ns().filter(|_| self.connections.has_free());
            // A core takes its time to wake up; what is due is worth being awake for.
            let early_ns = if self.polls { POLL_BEFORE_NS } else { 0 };
            let due_ns = due_ns.map_or(u64::MAX, |due_ns| due_ns.saturating_sub(early_ns));
            self.wait(now_ns, due_ns.min(next_sweep_ns), &mut run)?;
        }
        let now_ns = self.clock.now_ns();
        self.tell(now_ns, preempted_before_ns, &mut run);
        Ok(Finished {
            effort: self.effort(now_ns, preempted_before_ns, &run),
            records: run.records,
            reconnects: self.connections.reopened,
            connect_failure: self.connections.last_failure.take(),
        })
    }

    fn is_over(&self, run: &Running) -> bool {
        run.in_flight == 0 && (run.stopping || self.agenda.due_ns().is_none())
    }

    /// Sends all that is due and has a connection. Gives the time after it.
    fn send_due(&mut self, mut now_ns: u64, run: &mut Running) -> u64 {
        while !run.stopping && self.agenda.due_ns().is_some_and(|due_ns| due_ns <= now_ns) {
            if !self.connections.has_free() {
                break;
            }
            let Some(mut turn) = self.agenda.take() else { break };
            turn.sent_ns = self.clock.now_ns();
            run.in_flight += 1;
            run.second.planned += 1;
            let could_ns = turn.planned_ns.max(run.freed_ns);
            let record = run.record_of(&turn, self.phases);
            record.counts.planned += 1;
            record.sent(turn.planned_ns, could_ns, turn.sent_ns);
            self.connections.send(turn, &mut run.done);
            now_ns = self.settle(run);
        }
        now_ns
    }

    /// Waits for the sockets until `wake_ns`, and serves those that are ready.
    fn wait(&mut self, now_ns: u64, wake_ns: u64, run: &mut Running) -> io::Result<()> {
        let asleep_ns = wake_ns.saturating_sub(now_ns);
        // The conversion fails for centuries only.
        let timeout = Timespec::try_from(Duration::from_nanos(asleep_ns)).unwrap_or_default();
        self.connections.wait(&timeout)?;
        let ready = self.connections.ready();
        let before_ns = now_ns;
        let mut now_ns = self.clock.now_ns();
        if ready == 0 || asleep_ns > 0 {
            run.idle_ns += now_ns - before_ns;
        }
        for index in 0..ready {
            self.connections.serve(index, now_ns, &mut run.done);
            now_ns = self.settle(run);
            if self.agenda.due_ns().is_some_and(|due_ns| due_ns <= now_ns) {
                now_ns = self.send_due(now_ns, run);
            }
        }
        Ok(())
    }

    /// Enters what is over into the books.
    fn settle(&mut self, run: &mut Running) -> u64 {
        let now_ns = self.clock.now_ns();
        while let Some(done) = run.done.pop() {
            run.in_flight -= 1;
            self.enter(&done, now_ns, run);
        }
        if self.connections.take_refilled() {
            run.freed_ns = now_ns;
        }
        now_ns
    }

    fn enter(&mut self, done: &Done, now_ns: u64, run: &mut Running) {
        run.record_of(&done.turn, self.phases).done(done, now_ns);
        run.second.done(done, now_ns);
        if let Some(tally) = self.tally {
            tally.count(done.is_good());
        }
        self.agenda.finished(&done.turn, now_ns);
    }

    /// A planned request that is never sent.
    fn lose(&mut self, turn: Turn, failure: Failure, now_ns: u64, run: &mut Running) {
        run.second.planned += 1;
        run.record_of(&turn, self.phases).counts.planned += 1;
        self.enter(&Done { turn, outcome: Outcome::Failed(failure) }, now_ns, run);
    }

    fn sweep(&mut self, now_ns: u64, run: &mut Running) {
        let timeout_ns = self.settings.timeout_ns;
        self.connections.sweep(now_ns, &mut run.done);
        self.settle(run);
        // Each refusal by the target is one request that found nobody.
        for _ in 0..self.connections.take_refused() {
            if !self.connections.has_free()
                && let Some(turn) = self.due_turn(now_ns)
            {
                self.lose(turn, Failure::Connect, now_ns, run);
            }
        }
        while self.agenda.due_ns().is_some_and(|due_ns| due_ns.saturating_add(timeout_ns) < now_ns) {
            let Some(turn) = self.agenda.take() else { break };
            self.lose(turn, Failure::Dropped, now_ns, run);
        }
        if !run.stopping && self.stop.load(Relaxed) {
            run.stopping = true;
            while let Some(turn) = self.due_turn(now_ns) {
                self.lose(turn, Failure::Stopped, now_ns, run);
            }
            self.connections.abandon(&mut run.done);
            self.settle(run);
        }
    }

    fn due_turn(&mut self, now_ns: u64) -> Option<Turn> {
        self.agenda.due_ns().filter(|due_ns| *due_ns <= now_ns)?;
        self.agenda.take()
    }

    /// Sends off what the last second brought, if whoever shows it keeps up; else it goes with the next one.
    fn tell(&mut self, now_ns: u64, preempted_before_ns: u64, run: &mut Running) {
        let what = std::mem::replace(&mut run.second, Second::new());
        let effort = self.effort(now_ns, preempted_before_ns, run);
        let tick = Tick { thread: self.thread, second: run.second_number, what, effort };
        if let Err(kept) = self.ticks.try_send(tick) {
            let (std::sync::mpsc::TrySendError::Full(tick)
            | std::sync::mpsc::TrySendError::Disconnected(tick)) = kept;
            run.second = tick.what;
        }
        run.second_number = now_ns / SECOND_NS;
    }

    fn effort(&self, now_ns: u64, preempted_before_ns: u64, run: &Running) -> Effort {
        let preempted_ns = super::clock::waited_for_core_ns().saturating_sub(preempted_before_ns);
        Effort { elapsed_ns: now_ns, idle_ns: run.idle_ns, preempted_ns }
    }
}

impl Running {
    /// Requests belong to the phase for which they were planned.
    #[inline]
    fn record_of(&mut self, turn: &Turn, phases: &Phases) -> &mut Record {
        let last = self.records.len() - 1;
        &mut self.records[phases.index_at(turn.planned_ns).unwrap_or(last)]
    }
}
