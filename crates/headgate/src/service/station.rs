//! A replica in virtual capacity: places, a queue in front of them, and a processor that its calls share. It
//! reads no clock; whoever drives it says what time it is.

use headgate_lab::rig::Usage;
use headgate_lab::sim::Server;
use std::collections::VecDeque;

/// What becomes of a call that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Inside,
    /// It gets a place when [`Station::leave`] says so.
    Waits,
    Full,
}

/// Times are nanoseconds; work is nanoseconds on one core of full speed. [`Station::advance`] comes before
/// every other change, so that what was due is over by then.
#[derive(Debug)]
pub(super) struct Station {
    server: Server,
    places: usize,
    queue_max: usize,
    inside: usize,
    queue: VecDeque<u32>,
    inside_ns: f64,
    counted_ns: u64,
    calls: u64,
}

impl Station {
    /// Infinite `cores` give each call a core of its own.
    pub(super) fn new(cores: f64, speed: f64, places: usize, queue_max: usize) -> Self {
        Self {
            server: Server::new(cores, speed),
            places,
            queue_max,
            inside: 0,
            queue: VecDeque::new(),
            inside_ns: 0.0,
            counted_ns: 0,
            calls: 0,
        }
    }

    /// Ends the work that was due until now, each piece at its own time: a driver that is late makes no other
    /// call slower.
    pub(super) fn advance(&mut self, now_ns: u64, mut done: impl FnMut(u32)) {
        while self.server.next_ns() <= now_ns {
            let due_ns = self.server.next_ns();
            match self.server.complete(due_ns) {
                Some(call) => done(call),
                None => return,
            }
        }
    }

    pub(super) fn arrive(&mut self, now_ns: u64, call: u32) -> Arrival {
        self.calls += 1;
        if self.inside < self.places {
            self.count(now_ns);
            self.inside += 1;
            Arrival::Inside
        } else if self.queue.len() < self.queue_max {
            self.queue.push_back(call);
            Arrival::Waits
        } else {
            Arrival::Full
        }
    }

    /// A call inside begins a piece of work.
    pub(super) fn work(&mut self, now_ns: u64, work_ns: u64, call: u32) {
        self.server.add(now_ns, work_ns, call);
    }

    /// A call gives up its place; the one that takes it.
    pub(super) fn leave(&mut self, now_ns: u64) -> Option<u32> {
        let next = self.queue.pop_front();
        if next.is_none() {
            self.count(now_ns);
            self.inside = self.inside.saturating_sub(1);
        }
        next
    }

    /// When the next piece of work ends if nothing changes; `u64::MAX` without one.
    pub(super) fn next_ns(&self) -> u64 {
        self.server.next_ns()
    }

    pub(super) fn set_speed(&mut self, now_ns: u64, speed: f64) {
        self.server.set_speed(now_ns, speed);
    }

    pub(super) fn inside(&self) -> usize {
        self.inside
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn usage(&mut self, now_ns: u64) -> Usage {
        self.count(now_ns);
        Usage { used_core_ns: self.server.used_core_ns(now_ns), inside_ns: self.inside_ns, calls: self.calls }
    }

    fn count(&mut self, now_ns: u64) {
        self.inside_ns += self.inside as f64 * now_ns.saturating_sub(self.counted_ns) as f64;
        self.counted_ns = self.counted_ns.max(now_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_lab::workload::Sampler;
    use headgate_model::dice::Dice;

    const MS: f64 = 1e6;

    /// Mean time in the station of Poisson arrivals with this load, and its usage; the driver looks only every
    /// `step_ns`, as a late one would.
    fn mean_ms(work: &Sampler, load: f64, places: usize, step_ns: u64) -> (f64, Usage, u64) {
        let (calls, seed) = (400_000u32, 11);
        let mut dice = Dice::new(seed);
        let between = Sampler::exponential(work.mean() / load);
        let mut station = Station::new(1.0, 1.0, places, usize::MAX);
        let (mut arrived, mut works) = (Vec::new(), Vec::new());
        let (mut at, mut total, mut done) = (0, 0.0, Vec::new());
        let settle = |station: &mut Station, now: u64, done: &mut Vec<(u32, u64)>, works: &[u64]| {
            // Ends, and with a limit of places the next one begins at the same moment.
            while station.next_ns() <= now {
                let due = station.next_ns();
                let mut ended = Vec::new();
                station.advance(due, |call| ended.push(call));
                for call in ended {
                    done.push((call, due));
                    if let Some(next) = station.leave(due) {
                        station.work(due, works[next as usize], next);
                    }
                }
            }
        };
        for call in 0..calls {
            at += between.sample(&mut dice);
            works.push(work.sample(&mut dice));
            arrived.push(at);
            settle(&mut station, at - at % step_ns, &mut done, &works);
            settle(&mut station, at, &mut done, &works);
            if station.arrive(at, call) == Arrival::Inside {
                station.work(at, works[call as usize], call);
            }
        }
        settle(&mut station, u64::MAX - 1, &mut done, &works);
        assert_eq!(done.len(), calls as usize);
        let end = done.iter().map(|(_, at)| *at).max().unwrap();
        for (call, at) in done {
            total += (at - arrived[call as usize]) as f64;
        }
        (total / f64::from(calls) / MS, station.usage(end), end)
    }

    /// M/G/1 with processor sharing: the mean is that of the work over the idle share, whatever its variation.
    #[test]
    fn shared_processor_meets_the_closed_form() {
        for (work, load) in [
            (Sampler::exponential(5.0 * MS), 0.7),
            (Sampler::lognormal(5.0 * MS, 1.5), 0.5),
            (Sampler::constant(5_000_000), 0.8),
        ] {
            let (mean, usage, end) = mean_ms(&work, load, usize::MAX, 1_000_000);
            let expected = 5.0 / (1.0 - load);
            assert!((mean / expected - 1.0).abs() < 0.05, "load {load}: {mean} instead of {expected}");
            assert!((usage.used_core_ns / end as f64 - load).abs() < 0.02);
            // Little's law.
            let inside = usage.inside_ns / end as f64;
            assert!((inside / (load / 5.0 * mean) - 1.0).abs() < 0.02, "{inside} inside");
        }
    }

    /// One place is first come, first served: M/D/1 by Pollaczek and Khinchine.
    #[test]
    fn one_place_is_a_queue() {
        let load: f64 = 0.7;
        let (mean, _, _) = mean_ms(&Sampler::constant(5_000_000), load, 1, 1);
        let expected = 5.0 * (1.0 + load / (2.0 * (1.0 - load)));
        assert!((mean / expected - 1.0).abs() < 0.03, "{mean} instead of {expected}");
    }

    #[test]
    fn a_late_driver_makes_no_call_slower() {
        let mut station = Station::new(1.0, 1.0, 10, 0);
        assert_eq!(station.arrive(0, 0), Arrival::Inside);
        station.work(0, 100, 0);
        station.arrive(0, 1);
        station.work(0, 300, 1);
        let mut done = Vec::new();
        // 0 is over at 200; from there on 1 has the core alone, until 400.
        station.advance(350, |call| done.push(call));
        assert_eq!((done.as_slice(), station.next_ns()), (&[0][..], 400));
        station.set_speed(350, 0.0);
        assert_eq!(station.next_ns(), u64::MAX);
        station.set_speed(1_000, 0.5);
        assert_eq!(station.next_ns(), 1_100);
    }

    #[test]
    fn places_and_queue_have_their_limits() {
        let mut station = Station::new(1.0, 1.0, 1, 1);
        let arrivals: Vec<Arrival> = (0..3).map(|call| station.arrive(0, call)).collect();
        assert_eq!(arrivals, [Arrival::Inside, Arrival::Waits, Arrival::Full]);
        assert_eq!((station.inside(), station.waiting()), (1, 1));
        assert_eq!(station.leave(5), Some(1));
        assert_eq!(station.leave(9), None);
        assert_eq!((station.inside(), station.usage(20).inside_ns), (0, 9.0));
    }
}
