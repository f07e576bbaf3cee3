//! The course of a run in bounded memory: one point per second, and when there are too many, two become one.

use super::engine::Tick;
use super::record::Second;
use crate::workload::Phases;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// Points that are kept, at the most.
const POINTS_MAX: usize = 1_800;
/// Seconds that wait for slower threads, at the most.
const WAITING_MAX: usize = 16;

/// One second of the run, as it is shown while it runs.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// Since the start of the run.
    pub second: u64,
    pub phase: String,
    /// Whether the phase counts.
    pub measured: bool,
    /// Whole length of the plan in seconds.
    pub of_seconds: u64,
    /// Users, or arrivals per second, that the plan has here.
    pub level: f64,
    pub planned: u64,
    pub answered: u64,
    pub errors: u64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// Of the busiest thread, since the start.
    pub busy_share: f64,
}

/// One point of the recorded course.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Point {
    /// Seconds from the start to the beginning of this point.
    pub at_s: u64,
    /// Seconds that it stands for.
    pub seconds: u64,
    /// Requests that were planned, answered and failed (without an answer, or status 400 and above) within it.
    pub planned: u64,
    pub answered: u64,
    pub errors: u64,
    /// Latency from the planned time; where a point stands for several seconds, the mean of their medians.
    pub p50_us: f64,
    /// Where a point stands for several seconds, the highest of theirs.
    pub p99_us: f64,
    pub max_us: f64,
}

#[derive(Debug)]
pub(super) struct Timeline {
    threads: usize,
    /// By second: what was told, and by how many.
    waiting: BTreeMap<u64, (usize, Second)>,
    busy_shares: Vec<f64>,
    points: Vec<Point>,
    /// Seconds per point.
    step: u64,
}

impl Timeline {
    pub(super) fn new(threads: usize) -> Self {
        let busy_shares = vec![0.0; threads];
        Self { threads, waiting: BTreeMap::new(), busy_shares, points: Vec::new(), step: 1 }
    }

    pub(super) fn points(&self) -> &[Point] {
        &self.points
    }

    pub(super) fn take(&mut self, tick: Tick) {
        let Tick { thread, second, what, effort } = tick;
        if let Some(share) = self.busy_shares.get_mut(thread) {
            *share = effort.busy_share();
        }
        match self.waiting.entry(second) {
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                let (told, sum) = entry.get_mut();
                *told += 1;
                sum.add(&what);
            }
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert((1, what));
            }
        }
    }

    /// The next second that all threads have told.
    pub(super) fn next_moment(&mut self, phases: &Phases) -> Option<Moment> {
        let (&second, (told, _)) = self.waiting.first_key_value()?;
        if *told < self.threads && self.waiting.len() < WAITING_MAX {
            return None;
        }
        self.moment(second, phases)
    }

    /// The next second with something in it, whoever has told of it: the threads are over.
    pub(super) fn next_of_rest(&mut self, phases: &Phases) -> Option<Moment> {
        self.waiting.retain(|_, (_, what)| !what.is_empty());
        let (&second, _) = self.waiting.first_key_value()?;
        self.moment(second, phases)
    }

    fn moment(&mut self, second: u64, phases: &Phases) -> Option<Moment> {
        let (_, what) = self.waiting.remove(&second)?;
        let us = |quantile: f64| what.from_planned.value_at_quantile(quantile) as f64 / 1e3;
        let point = Point {
            at_s: second,
            seconds: 1,
            planned: what.planned,
            answered: what.answered,
            errors: what.errors,
            p50_us: us(0.5),
            p99_us: us(0.99),
            max_us: what.from_planned.max() as f64 / 1e3,
        };
        self.keep(point);
        let at_ns = second * 1_000_000_000;
        let phase = phases.index_at(at_ns).map(|index| &phases.all()[index]);
        Some(Moment {
            second,
            phase: phase.map_or_else(|| "last answers".to_owned(), |phase| phase.name.clone()),
            measured: phase.is_none_or(|phase| phase.measured),
            of_seconds: phases.end_ns().div_ceil(1_000_000_000),
            level: phases.level_at(at_ns),
            planned: point.planned,
            answered: point.answered,
            errors: point.errors,
            p50_us: point.p50_us,
            p99_us: point.p99_us,
            busy_share: self.busy_shares.iter().copied().fold(0.0, f64::max),
        })
    }

    fn keep(&mut self, point: Point) {
        match self.points.last_mut() {
            Some(last) if point.at_s / self.step == last.at_s / self.step => *last = last.joined(&point),
            _ => self.points.push(point),
        }
        if self.points.len() > POINTS_MAX {
            self.step *= 2;
            let step = self.step;
            let mut joined: Vec<Point> = Vec::with_capacity(POINTS_MAX);
            for point in self.points.drain(..) {
                match joined.last_mut() {
                    Some(last) if point.at_s / step == last.at_s / step => *last = last.joined(&point),
                    _ => joined.push(point),
                }
            }
            self.points = joined;
        }
    }
}

impl Point {
    /// This point and a later one as one.
    fn joined(&self, later: &Self) -> Self {
        let seconds = self.seconds + later.seconds;
        let weighted = |one: f64, other: f64| {
            (one * self.seconds as f64 + other * later.seconds as f64) / seconds as f64
        };
        Self {
            at_s: self.at_s,
            seconds,
            planned: self.planned + later.planned,
            answered: self.answered + later.answered,
            errors: self.errors + later.errors,
            p50_us: weighted(self.p50_us, later.p50_us),
            p99_us: self.p99_us.max(later.p99_us),
            max_us: self.max_us.max(later.max_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_keeps_its_sums_in_few_points() {
        let mut timeline = Timeline::new(1);
        for second in 0..100_000 {
            timeline.keep(Point {
                at_s: second,
                seconds: 1,
                answered: 2,
                p99_us: second as f64,
                ..Point::default()
            });
        }
        let points = timeline.points();
        assert!((POINTS_MAX / 2..=POINTS_MAX).contains(&points.len()), "{}", points.len());
        assert_eq!(points.iter().map(|point| point.answered).sum::<u64>(), 200_000);
        assert_eq!(points.iter().map(|point| point.seconds).sum::<u64>(), 100_000);
        assert!(points.windows(2).all(|pair| pair[0].at_s + pair[0].seconds == pair[1].at_s));
        assert_eq!(points.last().unwrap().p99_us, 99_999.0);
    }
}
