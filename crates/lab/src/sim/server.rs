//! One replica's processor: jobs share its cores evenly, each at most one core, and a node that is too full
//! slows all of them. Whoever waits for other services holds a place and no core.
//!
//! Virtual time makes a job's end independent of who comes and goes: it is over when each running job has got
//! as much work as this one asked for. Source: Nagle, "On Packet Switches with Infinite Storage", 1987, and the
//! fair queueing that followed from it.

use super::timers::NEVER;

/// A job in the processor: done when the virtual clock reaches `target`.
#[derive(Clone, Copy, Debug)]
struct Job {
    target: f64,
    call: u32,
}

/// A processor with the jobs that run on it, and what it has used. Times are nanoseconds; work is nanoseconds
/// on one core of full speed.
#[derive(Clone, Debug)]
pub struct Server {
    /// Work that each running job has got since the server was last idle.
    clock: f64,
    updated_ns: u64,
    /// Least target first.
    jobs: Vec<Job>,
    /// The limit of its cores.
    cores: f64,
    /// Work per nanosecond of a job that has a core of its own; what faults and noise set.
    speed: f64,
    /// The part of its demand that the node can give.
    granted: f64,
    /// Nanoseconds of cores used.
    used_core_ns: f64,
}

impl Server {
    #[must_use]
    pub fn new(cores: f64, speed: f64) -> Self {
        Self { clock: 0.0, updated_ns: 0, jobs: Vec::new(), cores, speed, granted: 1.0, used_core_ns: 0.0 }
    }

    /// Adds a job of `work_ns`.
    #[inline]
    pub fn add(&mut self, now_ns: u64, work_ns: u64, call: u32) {
        self.update(now_ns);
        let job = Job { target: self.clock + work_ns as f64, call };
        let mut hole = self.jobs.len();
        self.jobs.push(job);
        while hole > 0 {
            let parent = (hole - 1) / 2;
            if self.jobs[parent].target <= job.target {
                break;
            }
            self.jobs[hole] = self.jobs[parent];
            hole = parent;
        }
        self.jobs[hole] = job;
    }

    /// Ends the job that is due, which [`Self::next_ns`] announced for now.
    #[inline]
    pub fn complete(&mut self, now_ns: u64) -> Option<u32> {
        self.update(now_ns);
        let first = *self.jobs.first()?;
        // What was announced was rounded up to whole nanoseconds.
        self.clock = self.clock.max(first.target);
        let last = self.jobs.pop()?;
        if self.jobs.is_empty() {
            self.clock = 0.0;
        } else {
            self.sink(last);
        }
        Some(first.call)
    }

    /// When the next job ends if nothing changes; [`NEVER`] without one, and while stopped.
    #[inline]
    #[must_use]
    pub fn next_ns(&self) -> u64 {
        let Some(first) = self.jobs.first() else { return NEVER };
        let rate = self.rate();
        if rate <= 0.0 {
            return NEVER;
        }
        let left = (first.target - self.clock).max(0.0);
        // A division takes longer than all the rest, and most calls have a core of their own.
        let wait = if rate == 1.0 { left } else { left / rate };
        self.updated_ns.saturating_add(wait.ceil() as i64 as u64)
    }

    /// The most cores that it uses.
    #[must_use]
    pub fn cores(&self) -> f64 {
        self.cores
    }

    /// Cores that it would use if the node had them.
    #[inline]
    #[must_use]
    pub fn demand(&self) -> f64 {
        if self.speed > 0.0 { self.cores.min(self.jobs.len() as f64) } else { 0.0 }
    }

    /// The node gives this part of what is asked for.
    pub fn grant(&mut self, now_ns: u64, granted: f64) {
        self.update(now_ns);
        self.granted = granted;
    }

    /// Faster, slower, or stopped at zero.
    pub fn set_speed(&mut self, now_ns: u64, speed: f64) {
        self.update(now_ns);
        self.speed = speed;
    }

    /// Drops all jobs.
    pub fn clear(&mut self, now_ns: u64) {
        self.update(now_ns);
        self.jobs.clear();
        self.clock = 0.0;
    }

    /// Nanoseconds of cores used until `now_ns`.
    pub fn used_core_ns(&mut self, now_ns: u64) -> f64 {
        self.update(now_ns);
        self.used_core_ns
    }

    #[must_use]
    pub fn running(&self) -> usize {
        self.jobs.len()
    }

    /// Work per nanosecond that each job gets.
    #[inline]
    fn rate(&self) -> f64 {
        let running = self.jobs.len() as f64;
        let share = if running <= self.cores { 1.0 } else { self.cores / running };
        self.speed * self.granted * share
    }

    #[inline]
    fn update(&mut self, now_ns: u64) {
        let passed = now_ns.saturating_sub(self.updated_ns) as f64;
        self.updated_ns = now_ns;
        if !self.jobs.is_empty() {
            self.clock += passed * self.rate();
            self.used_core_ns += passed * self.demand() * self.granted;
        }
    }

    /// Puts `job` at the root's hole and moves it down to its place.
    #[inline]
    fn sink(&mut self, job: Job) {
        let (mut hole, count) = (0, self.jobs.len());
        loop {
            let mut child = 2 * hole + 1;
            if child >= count {
                break;
            }
            if child + 1 < count && self.jobs[child + 1].target < self.jobs[child].target {
                child += 1;
            }
            if job.target <= self.jobs[child].target {
                break;
            }
            self.jobs[hole] = self.jobs[child];
            hole = child;
        }
        self.jobs[hole] = job;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    /// Runs until idle and gives the calls with the times of their ends.
    fn ends(server: &mut Server) -> Vec<(u32, u64)> {
        let mut ends = Vec::new();
        while server.next_ns() < NEVER {
            let now = server.next_ns();
            ends.push((server.complete(now).unwrap(), now));
        }
        ends
    }

    #[test]
    fn jobs_share_a_core_evenly() {
        let mut server = Server::new(1.0, 1.0);
        server.add(0, 100, 1);
        server.add(50, 200, 2);
        // 1 has 50 left and shares until 150; then 2 has got 50 and runs alone.
        assert_eq!(ends(&mut server), [(1, 150), (2, 300)]);
        assert!((server.used_core_ns(400) - 300.0).abs() < 1e-6);
    }

    #[test]
    fn each_job_has_a_core_while_there_are_enough() {
        let mut server = Server::new(2.0, 1.0);
        (0..2).for_each(|call| server.add(0, 100, call));
        assert_eq!(server.next_ns(), 100);
        server.add(0, 100, 2);
        assert_eq!(server.next_ns(), 150, "three share two");
        server.grant(0, 0.5);
        assert_eq!(server.next_ns(), 300, "and the node has only one");
        server.set_speed(0, 0.0);
        assert_eq!((server.next_ns(), server.demand()), (NEVER, 0.0));
    }

    /// Against steps of one nanosecond.
    #[test]
    fn agrees_with_small_steps() {
        for seed in 0..30 {
            let mut dice = Dice::new(seed);
            let cores = 1.0 + dice.below(3) as f64;
            let mut arrivals: Vec<(u64, u64)> =
                (0..12).map(|_| (dice.below(3_000), 100 + dice.below(900))).collect();
            arrivals.sort_unstable();
            let mut server = Server::new(cores, 1.0);
            let mut events = Vec::new();
            for (call, &(at, work)) in arrivals.iter().enumerate() {
                while server.next_ns() <= at {
                    let now = server.next_ns();
                    events.push((server.complete(now).unwrap(), now));
                }
                server.add(at, work, call as u32);
            }
            events.extend(ends(&mut server));
            let mut left: Vec<f64> = arrivals.iter().map(|(_, work)| *work as f64).collect();
            for now in 0..30_000u64 {
                let here: Vec<usize> =
                    (0..left.len()).filter(|&call| arrivals[call].0 <= now && left[call] > 1e-9).collect();
                let rate = (cores / here.len() as f64).min(1.0);
                for call in here {
                    left[call] -= rate;
                    if left[call] <= 1e-9 {
                        let (_, end) = events.iter().find(|(other, _)| *other == call as u32).unwrap();
                        assert!(end.abs_diff(now + 1) <= 12, "seed {seed}: {call} ends at {end}, not {now}");
                    }
                }
            }
        }
    }
}
