//! A run from its first connection to its last answer: starts the threads together, collects what they tell
//! each second, and adds up what they counted.

use super::agenda::Agenda;
use super::clock::Clock;
use super::connections::{Connections, Settings};
use super::engine::{Engine, Finished, Tick};
use super::error::LoadError;
use super::plan::Plan;
use super::request::Requests;
use super::summary::Summary;
use super::tally::Tally;
use super::timeline::{Moment, Timeline};
use super::{record, tls};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Barrier, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// From the moment at which all threads are ready to the start of the run.
const LEAD: Duration = Duration::from_millis(20);
/// How long the first look at each address of the target may take.
const REACH: Duration = Duration::from_secs(10);
/// Seconds that a thread may be ahead of whoever shows them.
const TICKS: usize = 4;

/// Runs a plan to its end, or until `stop` is set. `show` is called once a second.
///
/// # Errors
/// When the plan cannot be carried out or its target not be reached. What fails after the start is counted.
pub fn run(plan: &Plan, stop: &AtomicBool, show: &mut dyn FnMut(&Moment)) -> Result<Summary, LoadError> {
    plan.check()?;
    let requests = Requests::new(&plan.requests, &plan.target, plan.workload.journey())?;
    let tls = tls::peer(&plan.target, &plan.trust, plan.http2)?;
    let address = plan.target.reach(plan.timeout.min(REACH))?;
    let settings = Settings {
        address,
        tls,
        http2: plan.http2,
        streams: if plan.http2 { plan.streams } else { 1 },
        requests,
        timeout_ns: plan.timeout.as_nanos() as u64,
    };
    let gate = Gate::new(plan.threads);
    let (ticks, told) = sync_channel(TICKS * plan.threads);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.threads)
            .map(|thread| {
                let (ticks, settings, gate) = (ticks.clone(), &settings, &gate);
                scope.spawn(move || generate(plan, thread, settings, gate, ticks, stop))
            })
            .collect();
        drop(ticks);
        let opened = gate.start(address, plan.tally.as_deref())?;
        let timeline = follow(plan, &told, show);
        let mut finished = Vec::with_capacity(plan.threads);
        for thread in threads {
            let ended =
                thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread of the generator panicked")));
            let ended =
                ended.map_err(|source| LoadError::System { what: "the generator stopped", source })?;
            finished.extend(ended);
        }
        Ok(Summary::new(plan, address, opened, &finished, &timeline, stop))
    })
}

/// The body of one thread; nothing when the run does not begin.
fn generate(
    plan: &Plan,
    thread: usize,
    settings: &Settings,
    gate: &Gate,
    ticks: std::sync::mpsc::SyncSender<Tick>,
    stop: &AtomicBool,
) -> io::Result<Option<Finished>> {
    // Without this the kernel may wake the thread 50 us late.
    let _ = rustix::thread::set_current_timer_slack(Some(NonZeroU64::MIN));
    let share = (thread..plan.connections()).step_by(plan.threads).len();
    let connections = Connections::open(settings, share, plan.timeout);
    let agenda = Agenda::new(&plan.workload, thread, plan.threads);
    let start = gate.ready(match &connections {
        Ok(connections) => {
            Opened { up: connections.up(), wanted: share, failure: connections.last_failure.clone() }
        }
        Err(error) => Opened { up: 0, wanted: share, failure: Some(error.to_string()) },
    });
    let (Some(start), connections) = (start, connections?) else { return Ok(None) };
    let engine = Engine {
        clock: Clock::starting_at(start),
        thread,
        agenda,
        phases: plan.workload.phases(),
        settings,
        connections,
        ticks,
        stop,
        tally: plan.tally.as_deref(),
        polls: super::clock::cores() > plan.threads,
    };
    engine.run().map(Some)
}

/// Shows each second when all threads have told theirs.
fn follow(plan: &Plan, told: &Receiver<Tick>, show: &mut dyn FnMut(&Moment)) -> Timeline {
    let mut timeline = Timeline::new(plan.threads);
    while let Ok(tick) = told.recv() {
        timeline.take(tick);
        while let Some(moment) = timeline.next_moment(plan.workload.phases()) {
            show(&moment);
        }
    }
    while let Some(moment) = timeline.next_of_rest(plan.workload.phases()) {
        show(&moment);
    }
    timeline
}

/// Connections of a thread, or of all, before the start.
#[derive(Clone, Debug, Default)]
pub(super) struct Opened {
    pub(super) up: usize,
    pub(super) wanted: usize,
    pub(super) failure: Option<String>,
}

/// Where the threads wait for each other before the start.
struct Gate {
    barrier: Barrier,
    opened: Mutex<Opened>,
    start: OnceLock<Instant>,
}

impl Gate {
    fn new(threads: usize) -> Self {
        Self { barrier: Barrier::new(threads + 1), opened: Mutex::default(), start: OnceLock::new() }
    }

    /// A thread is ready; gives the start of the run, if it begins.
    fn ready(&self, opened: Opened) -> Option<Instant> {
        {
            let mut all = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            all.up += opened.up;
            all.wanted += opened.wanted;
            all.failure = all.failure.take().or(opened.failure);
        }
        self.barrier.wait();
        self.barrier.wait();
        self.start.get().copied()
    }

    /// Starts all threads, if any of their connections came to be.
    fn start(&self, address: SocketAddr, tally: Option<&Tally>) -> Result<Opened, LoadError> {
        self.barrier.wait();
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if opened.up > 0 {
            let start = *self.start.get_or_init(|| Instant::now() + LEAD);
            if let Some(tally) = tally {
                tally.begin(start);
            }
        }
        self.barrier.wait();
        if opened.up > 0 {
            return Ok(opened);
        }
        let why = opened.failure.unwrap_or_else(|| "no answer within the timeout".to_owned());
        Err(LoadError::NoConnection { count: opened.wanted, address, why })
    }
}

/// Adds up the records of all threads, phase by phase.
pub(super) fn merged(finished: &[Finished]) -> Vec<record::Record> {
    let mut sum: Vec<record::Record> = Vec::new();
    for one in finished {
        for (index, record) in one.records.iter().enumerate() {
            match sum.get_mut(index) {
                Some(sum) => sum.add(record),
                None => sum.push(record.clone()),
            }
        }
    }
    sum
}
