//! The station on the real clock: one thread that sleeps until something is due, exact to the microsecond where
//! the timers of the runtime round to milliseconds. What a call does is not known here.

use super::station::{Arrival, Station};
use headgate_lab::rig::Usage;
use rustix::thread::set_current_timer_slack;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::num::NonZeroU64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Nothing is due.
const NEVER: u64 = u64::MAX;

/// There is no place, and none to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Debug)]
pub(super) struct Pace {
    start: Instant,
    state: Mutex<State>,
    /// Something is due earlier than the thread knows, or it is to end.
    sooner: Condvar,
}

#[derive(Debug)]
struct State {
    station: Station,
    /// The usual speed, the share that a fault leaves of it, and that of a ramp.
    speed: [f64; 3],
    /// Pauses by their ends.
    pauses: BinaryHeap<Reverse<(u64, u32)>>,
    /// Whoever waits for a place, for work or for the end of a pause, by number.
    waiters: Vec<Option<oneshot::Sender<()>>>,
    free: Vec<u32>,
    /// When the thread wakes up.
    alarm_ns: u64,
    over: bool,
}

/// Which part of the speed is set.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Fault = 1,
    Ramp = 2,
}

impl Pace {
    /// Begins to keep time, until [`Self::end`].
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(super) fn start(cores: f64, speed: f64, places: usize, queue_max: usize) -> io::Result<Arc<Self>> {
        let state = State {
            station: Station::new(cores, speed, places, queue_max),
            speed: [speed, 1.0, 1.0],
            pauses: BinaryHeap::new(),
            waiters: Vec::new(),
            free: Vec::new(),
            alarm_ns: NEVER,
            over: false,
        };
        let pace = Arc::new(Self { start: Instant::now(), state: Mutex::new(state), sooner: Condvar::new() });
        let driven = Arc::clone(&pace);
        std::thread::Builder::new().name("pace".to_owned()).spawn(move || driven.drive())?;
        Ok(pace)
    }

    /// Wakes nobody any more.
    pub(super) fn end(&self) {
        self.lock().over = true;
        self.sooner.notify_one();
    }

    fn drive(&self) {
        // Without this the kernel may wake the thread 50 us late.
        let _ = set_current_timer_slack(Some(NonZeroU64::MIN));
        let mut state = self.lock();
        while !state.over {
            let now_ns = self.now_ns();
            state.turn(now_ns);
            state.alarm_ns = state.due_ns();
            state = match state.alarm_ns {
                NEVER => self.sooner.wait(state).unwrap_or_else(PoisonError::into_inner),
                due_ns => {
                    let wait = Duration::from_nanos(due_ns.saturating_sub(now_ns));
                    self.sooner.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Takes a place, or waits for one.
    pub(super) async fn enter(&self) -> Result<(), Full> {
        let waits = {
            let now_ns = self.now_ns();
            let mut state = self.lock();
            state.turn(now_ns);
            let (number, woken) = state.waiter();
            match state.station.arrive(now_ns, number) {
                Arrival::Waits => woken,
                arrival => {
                    state.wake(number);
                    return if arrival == Arrival::Inside { Ok(()) } else { Err(Full) };
                }
            }
        };
        // Its sender is kept until it is used.
        let _ = waits.await;
        Ok(())
    }

    /// Gives up the place.
    pub(super) fn leave(&self) {
        let now_ns = self.now_ns();
        let mut state = self.lock();
        state.turn(now_ns);
        if let Some(next) = state.station.leave(now_ns) {
            state.wake(next);
        }
    }

    /// Works for so many nanoseconds on one core of full speed.
    pub(super) async fn work(&self, work_ns: u64) {
        self.wait(|state, now_ns, number| state.station.work(now_ns, work_ns, number)).await;
    }

    /// Waits, using nothing.
    pub(super) async fn pause(&self, length: Duration) {
        if length.is_zero() {
            return;
        }
        let length_ns = u64::try_from(length.as_nanos()).unwrap_or(NEVER);
        self.wait(|state, now_ns, number| {
            state.pauses.push(Reverse((now_ns.saturating_add(length_ns), number)));
        })
        .await;
    }

    async fn wait(&self, begin: impl FnOnce(&mut State, u64, u32)) {
        let woken = {
            let now_ns = self.now_ns();
            let mut state = self.lock();
            state.turn(now_ns);
            let (number, woken) = state.waiter();
            begin(&mut state, now_ns, number);
            self.tell(&state);
            woken
        };
        // Its sender is kept until it is used.
        let _ = woken.await;
    }

    /// Sets one part of the speed; the parts are multiplied.
    pub(super) fn set_speed(&self, part: Part, share: f64) {
        let now_ns = self.now_ns();
        let mut state = self.lock();
        state.turn(now_ns);
        state.speed[part as usize] = share;
        let speed = state.speed.iter().product();
        state.station.set_speed(now_ns, speed);
        self.tell(&state);
    }

    pub(super) fn usage(&self) -> Usage {
        let now_ns = self.now_ns();
        let mut state = self.lock();
        state.turn(now_ns);
        state.station.usage(now_ns)
    }

    /// Calls that hold places, and calls that wait for one.
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.station.inside(), state.station.waiting())
    }

    fn now_ns(&self) -> u64 {
        // Wraps after 584 years.
        self.start.elapsed().as_nanos() as u64
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the thread when something is due before it would wake up. Later than that it looks anyway.
    fn tell(&self, state: &State) {
        if state.due_ns() < state.alarm_ns {
            self.sooner.notify_one();
        }
    }
}

impl State {
    /// Wakes all that is due.
    fn turn(&mut self, now_ns: u64) {
        let Self { station, waiters, free, pauses, .. } = self;
        station.advance(now_ns, |number| wake(waiters, free, number));
        while let Some(Reverse((_, number))) = pauses.peek().copied().filter(|Reverse((at, _))| *at <= now_ns)
        {
            pauses.pop();
            wake(waiters, free, number);
        }
    }

    fn due_ns(&self) -> u64 {
        let pause_ns = self.pauses.peek().map_or(NEVER, |Reverse((at_ns, _))| *at_ns);
        self.station.next_ns().min(pause_ns)
    }

    fn waiter(&mut self) -> (u32, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        let number = self.free.pop().unwrap_or_else(|| {
            self.waiters.push(None);
            self.waiters.len() as u32 - 1
        });
        self.waiters[number as usize] = Some(sender);
        (number, receiver)
    }

    fn wake(&mut self, number: u32) {
        wake(&mut self.waiters, &mut self.free, number);
    }
}

fn wake(waiters: &mut [Option<oneshot::Sender<()>>], free: &mut Vec<u32>, number: u32) {
    if let Some(sender) = waiters[number as usize].take() {
        free.push(number);
        // The call may be gone; its work was done all the same.
        let _ = sender.send(());
    }
}
