//! The event queue beside two others under the hold model (Jones, 1986): as many events as there are waiting,
//! take the first, put one in at a random time after it.

use super::{show, spread};
use headgate_lab::sim::Queue;
use headgate_model::dice::Dice;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt::Write as _;
use std::time::Instant;

const HOLDS: u32 = 2_000_000;
/// Mean time from an event to the one that follows from it.
const MEAN_NS: f64 = 1e6;

trait Events {
    fn put(&mut self, at_ns: u64, what: u32);
    fn take(&mut self) -> (u64, u32);
}

impl Events for Queue {
    fn put(&mut self, at_ns: u64, what: u32) {
        self.push(at_ns, what);
    }

    fn take(&mut self) -> (u64, u32) {
        self.pop().expect("never empty here")
    }
}

#[derive(Default)]
struct Binary {
    heap: BinaryHeap<Reverse<(u64, u32, u32)>>,
    pushed: u32,
}

impl Events for Binary {
    fn put(&mut self, at_ns: u64, what: u32) {
        self.pushed = self.pushed.wrapping_add(1);
        self.heap.push(Reverse((at_ns, self.pushed, what)));
    }

    fn take(&mut self) -> (u64, u32) {
        let Reverse((at_ns, _, what)) = self.heap.pop().expect("never empty here");
        (at_ns, what)
    }
}

/// Brown's calendar (1988) with a fixed number of days, each as long as the mean gap of the load: the best that
/// a calendar can be, since it need not find out.
struct Calendar {
    days: Vec<VecDeque<(u64, u32)>>,
    day_ns: u64,
    now_ns: u64,
}

impl Calendar {
    fn new(waiting: usize) -> Self {
        let days = waiting.next_power_of_two().max(16);
        Self {
            days: vec![VecDeque::new(); days],
            day_ns: (MEAN_NS / waiting as f64).max(1.0) as u64,
            now_ns: 0,
        }
    }
}

impl Events for Calendar {
    fn put(&mut self, at_ns: u64, what: u32) {
        let day = (at_ns / self.day_ns) as usize % self.days.len();
        let day = &mut self.days[day];
        let mut place = day.len();
        while place > 0 && day[place - 1].0 > at_ns {
            place -= 1;
        }
        day.insert(place, (at_ns, what));
    }

    fn take(&mut self) -> (u64, u32) {
        let mut today = self.now_ns / self.day_ns;
        loop {
            let count = self.days.len();
            let day = &mut self.days[today as usize % count];
            if let Some(&(at_ns, what)) = day.front()
                && at_ns / self.day_ns == today
            {
                day.pop_front();
                self.now_ns = at_ns;
                return (at_ns, what);
            }
            today += 1;
        }
    }
}

/// Nanoseconds of one hold.
fn hold(queue: &mut impl Events, waiting: u32) -> f64 {
    let mut dice = Dice::new(7);
    let mut gap = || (-(1.0 - dice.unit()).ln() * MEAN_NS) as u64;
    (0..waiting).for_each(|what| queue.put(gap(), what));
    let start = Instant::now();
    for _ in 0..HOLDS {
        let (at_ns, what) = queue.take();
        queue.put(at_ns + gap(), what);
    }
    start.elapsed().as_nanos() as f64 / f64::from(HOLDS)
}

pub(crate) fn table(rounds: usize) -> String {
    let mut text = String::from(
        "Event queues under the hold model, nanoseconds for taking one event and putting in another (the random gap,\n\
         about 10 ns, is within).\n\n\
         | waiting | four-ary heap (in use) | binary heap (std) | calendar, tuned to the load |\n|---|---|---|---|\n",
    );
    for waiting in [10, 100, 1_000, 10_000, 100_000] {
        let cell = |one: &dyn Fn() -> f64| show(spread((0..rounds).map(|_| one())), 0);
        writeln!(
            text,
            "| {waiting} | {} | {} | {} |",
            cell(&|| hold(&mut Queue::default(), waiting)),
            cell(&|| hold(&mut Binary::default(), waiting)),
            cell(&|| hold(&mut Calendar::new(waiting as usize), waiting)),
        )
        .unwrap();
    }
    text
}
