//! Outlier detection: ejects endpoints by what real traffic shows, for a while that grows with each
//! ejection, and never more than a share of the set. It probes nothing; active checks do that.
//!
//! The rules are those that Envoy documents as consecutive errors and failure percentage.

use headgate_model::spec;
use headgate_model::units::Tick;
use std::cmp::Reverse;
use std::fmt;

/// An ejection lasts at most this many times the first.
const LONGEST_EJECTION: u32 = 10;

/// The evidence for an ejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// This many failures in a row.
    ConsecutiveFailures(u32),
    /// This many of the interval's requests failed.
    FailurePercent { failed: u32, requests: u32 },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConsecutiveFailures(count) => write!(f, "{count} failures in a row"),
            Self::FailurePercent { failed, requests } => {
                write!(f, "{failed} of {requests} requests failed in the interval")
            }
        }
    }
}

/// What the detector did, for the log and the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Out until `until`; the `times`-th ejection in close succession.
    Ejected { index: usize, why: Why, until: Tick, times: u32 },
    /// Deserved ejection, but the largest share of the set is out already.
    Spared { index: usize, why: Why },
    /// The ejection is over.
    Returned { index: usize },
}

/// Counts and ejections of one set of endpoints.
#[derive(Clone, Debug)]
pub struct OutlierDetector {
    spec: spec::Outlier,
    endpoints: Vec<Endpoint>,
    /// Set by the first tick.
    interval_ends: Option<Tick>,
}

#[derive(Clone, Debug, Default)]
struct Endpoint {
    failures_in_a_row: u32,
    requests: u32,
    failed: u32,
    /// In service from here on; zero when never ejected.
    out_until: Tick,
    /// The end of the ejection has not been reported yet.
    return_due: bool,
    /// Ejections so far; each interval of good service forgives one.
    times: u32,
}

impl OutlierDetector {
    /// For `count` endpoints, all in service.
    #[must_use]
    pub fn new(spec: &spec::Outlier, count: usize) -> Self {
        Self { spec: spec.clone(), endpoints: vec![Endpoint::default(); count], interval_ends: None }
    }

    /// For another set of endpoints, or by other rules. `from` says of each endpoint which index it had here;
    /// `None` is a new one, in service. What stays keeps its counts and ejections.
    #[must_use]
    pub fn resized(&self, spec: &spec::Outlier, from: &[Option<usize>]) -> Self {
        let kept = |index: &Option<usize>| index.and_then(|index| self.endpoints.get(index)).cloned();
        let endpoints = from.iter().map(|index| kept(index).unwrap_or_default()).collect();
        // An interval of another length begins with the next tick.
        let interval_ends = self.interval_ends.filter(|_| self.spec.interval == spec.interval);
        Self { spec: spec.clone(), endpoints, interval_ends }
    }

    /// Counts one answer. Answers of an ejected endpoint were asked for before its ejection, or under
    /// panic; they count neither for nor against it. Allocates nothing.
    pub fn record(&mut self, index: usize, now: Tick, ok: bool) -> Option<Change> {
        let endpoint = self.endpoints.get_mut(index).filter(|endpoint| !endpoint.is_out(now))?;
        endpoint.requests = endpoint.requests.saturating_add(1);
        if ok {
            endpoint.failures_in_a_row = 0;
            return None;
        }
        endpoint.failed = endpoint.failed.saturating_add(1);
        endpoint.failures_in_a_row = endpoint.failures_in_a_row.saturating_add(1);
        let limit = self.spec.consecutive_failures;
        let in_a_row = endpoint.failures_in_a_row;
        // Only every limit-th failure: one that was spared is not judged again by each next failure.
        let judged = limit > 0 && in_a_row.is_multiple_of(limit);
        judged.then(|| self.eject(index, now, Why::ConsecutiveFailures(in_a_row)))
    }

    /// Returns endpoints to service and, when the interval is over, judges it. To be called about once
    /// a second, off the hot path.
    pub fn tick(&mut self, now: Tick) -> Vec<Change> {
        let mut changes = Vec::new();
        for (index, endpoint) in self.endpoints.iter_mut().enumerate() {
            if endpoint.return_due && !endpoint.is_out(now) {
                endpoint.return_due = false;
                changes.push(Change::Returned { index });
            }
        }
        let ends = *self.interval_ends.get_or_insert(now + self.spec.interval.0);
        if now >= ends {
            self.close_interval(now, &mut changes);
            self.interval_ends = Some(now + self.spec.interval.0);
        }
        changes
    }

    /// Whether the endpoint is out now. Its time ends by itself; [`Self::tick`] only reports it.
    #[must_use]
    pub fn ejected(&self, index: usize, now: Tick) -> bool {
        self.endpoints.get(index).is_some_and(|endpoint| endpoint.is_out(now))
    }

    fn close_interval(&mut self, now: Tick, changes: &mut Vec<Change>) {
        let mut outliers = Vec::new();
        for index in 0..self.endpoints.len() {
            let endpoint = &self.endpoints[index];
            let (failed, requests) = (endpoint.failed, endpoint.requests);
            let is_outlier = self.fails_too_often(endpoint);
            let endpoint = &mut self.endpoints[index];
            (endpoint.failed, endpoint.requests) = (0, 0);
            if is_outlier {
                outliers.push((index, failed, requests));
            } else if now.since(endpoint.out_until) >= self.spec.interval.0 {
                endpoint.times = endpoint.times.saturating_sub(1);
            }
        }
        // The worst first, should there be no room for all of them.
        outliers.sort_by_key(|&(_, failed, requests)| {
            Reverse(u64::from(failed) * 1_000_000 / u64::from(requests))
        });
        for (index, failed, requests) in outliers {
            changes.push(self.eject(index, now, Why::FailurePercent { failed, requests }));
        }
    }

    /// An ejected endpoint counts nothing, so it never does.
    fn fails_too_often(&self, endpoint: &Endpoint) -> bool {
        self.spec.failure_percent > 0
            && endpoint.requests >= self.spec.minimum_requests.max(1)
            && u64::from(endpoint.failed) * 100
                >= u64::from(endpoint.requests) * u64::from(self.spec.failure_percent)
    }

    fn eject(&mut self, index: usize, now: Tick, why: Why) -> Change {
        let out = self.endpoints.iter().filter(|endpoint| endpoint.is_out(now)).count();
        let most = (self.endpoints.len() * usize::from(self.spec.max_ejected_percent) / 100).max(1);
        if out >= most {
            return Change::Spared { index, why };
        }
        let times = self.endpoints[index].times.saturating_add(1).min(LONGEST_EJECTION);
        let until = now + self.spec.ejection.0.saturating_mul(times);
        self.endpoints[index] = Endpoint { out_until: until, return_due: true, times, ..Endpoint::default() };
        Change::Ejected { index, why, until, times }
    }
}

impl Endpoint {
    fn is_out(&self, now: Tick) -> bool {
        now < self.out_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Tick = Tick(1_000_000_000_000);

    fn detector(count: usize) -> OutlierDetector {
        OutlierDetector::new(&spec::Outlier::default(), count)
    }

    fn by_percent(failure_percent: u8, count: usize) -> OutlierDetector {
        let spec = spec::Outlier { consecutive_failures: 0, failure_percent, ..spec::Outlier::default() };
        let mut detector = OutlierDetector::new(&spec, count);
        assert_eq!(detector.tick(START), []);
        detector
    }

    fn fail(detector: &mut OutlierDetector, index: usize, now: Tick, times: u32) -> Vec<Change> {
        (0..times).filter_map(|_| detector.record(index, now, false)).collect()
    }

    #[test]
    fn failures_in_a_row_eject_until_the_time_is_over() {
        let mut detector = detector(4);
        let why = Why::ConsecutiveFailures(5);
        let until = START + 30 * SECOND;
        assert_eq!(fail(&mut detector, 2, START, 4), []);
        assert_eq!(detector.record(2, START, true), None);
        assert_eq!(fail(&mut detector, 2, START, 4), [], "a success starts the count again");
        let change = Change::Ejected { index: 2, why, until, times: 1 };
        assert_eq!(fail(&mut detector, 2, START, 1), [change]);
        assert!(detector.ejected(2, START + 29 * SECOND));
        assert!(!detector.ejected(1, START));
        assert!(!detector.ejected(2, until), "without any tick");
        assert_eq!(detector.tick(until), [Change::Returned { index: 2 }]);
        assert_eq!(detector.tick(until + SECOND), []);
        assert_eq!(why.to_string(), "5 failures in a row");
    }

    #[test]
    fn each_further_ejection_lasts_longer_and_good_service_forgives() {
        let mut detector = detector(4);
        let mut now = START;
        for expected in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10] {
            let changes = fail(&mut detector, 0, now, 5);
            let until = now + 30 * SECOND * expected;
            let why = Why::ConsecutiveFailures(5);
            assert_eq!(changes, [Change::Ejected { index: 0, why, until, times: expected }]);
            now = until;
            detector.tick(now);
        }
        for _ in 0..8 {
            now = now + 10 * SECOND;
            detector.tick(now);
        }
        let changes = fail(&mut detector, 0, now, 5);
        assert!(matches!(changes[..], [Change::Ejected { times: 3, .. }]), "{changes:?}");
    }

    #[test]
    fn a_failing_share_ejects_at_the_end_of_the_interval() {
        let mut detector = by_percent(50, 4);
        for request in 0..40 {
            assert_eq!(detector.record(1, START, request % 2 == 0), None);
            assert_eq!(detector.record(2, START, request % 3 != 0), None);
        }
        fail(&mut detector, 3, START, 19);
        assert_eq!(detector.tick(START + 9 * SECOND), []);
        let now = START + 10 * SECOND;
        let why = Why::FailurePercent { failed: 20, requests: 40 };
        let change = Change::Ejected { index: 1, why, until: now + 30 * SECOND, times: 1 };
        assert_eq!(detector.tick(now), [change], "2 fails a third, 3 had too few requests");
        fail(&mut detector, 3, now, 10);
        assert_eq!(detector.tick(now + 10 * SECOND), [], "the counts began anew");
    }

    #[test]
    fn the_worst_go_first_and_the_rest_are_spared() {
        let mut detector = by_percent(50, 4);
        for (index, failures) in [(0, 12), (1, 18), (2, 20)] {
            fail(&mut detector, index, START, failures);
            (failures..20).for_each(|_| assert_eq!(detector.record(index, START, true), None));
        }
        let changes = detector.tick(START + 10 * SECOND);
        assert!(
            matches!(
                changes[..],
                [
                    Change::Ejected { index: 2, .. },
                    Change::Ejected { index: 1, .. },
                    Change::Spared { index: 0, .. }
                ]
            ),
            "{changes:?}"
        );
    }

    #[test]
    fn a_spared_endpoint_is_judged_again_after_as_many_failures() {
        let mut detector = detector(2);
        assert!(matches!(fail(&mut detector, 0, START, 5)[..], [Change::Ejected { .. }]));
        let changes = fail(&mut detector, 1, START, 14);
        let spared = |count| Change::Spared { index: 1, why: Why::ConsecutiveFailures(count) };
        assert_eq!(changes, [spared(5), spared(10)]);
        let changes = fail(&mut detector, 1, START + 30 * SECOND, 1);
        assert!(matches!(changes[..], [Change::Ejected { index: 1, .. }]), "the other one is back");
    }

    #[test]
    fn one_may_always_be_ejected() {
        assert!(matches!(fail(&mut detector(1), 0, START, 5)[..], [Change::Ejected { index: 0, .. }]));
    }

    #[test]
    fn endpoints_that_stay_keep_their_history_when_others_come_and_go() {
        let mut before = detector(3);
        assert!(matches!(fail(&mut before, 2, START, 5)[..], [Change::Ejected { index: 2, .. }]));
        fail(&mut before, 1, START, 4);
        let mut after = before.resized(&before.spec, &[Some(2), None, Some(1), Some(9)]);
        assert!(after.ejected(0, START) && !after.ejected(1, START));
        let changes = fail(&mut after, 2, START, 1);
        assert!(matches!(changes[..], [Change::Ejected { index: 2, .. }]), "its fifth failure: {changes:?}");
        assert_eq!(fail(&mut after, 1, START, 4), [], "a new one starts without any");
        let back = after.tick(START + 30 * SECOND);
        assert_eq!(back, [Change::Returned { index: 0 }, Change::Returned { index: 2 }]);
        let again = fail(&mut after, 0, START + 30 * SECOND, 5);
        assert!(matches!(again[..], [Change::Ejected { times: 2, .. }]), "not its first: {again:?}");
    }

    #[test]
    fn an_interval_goes_on_when_the_set_changes() {
        let mut before = by_percent(50, 2);
        fail(&mut before, 0, START, 20);
        let mut after = before.resized(&before.spec, &[None, Some(0)]);
        let changes = after.tick(START + 10 * SECOND);
        assert!(matches!(changes[..], [Change::Ejected { index: 1, .. }]), "{changes:?}");
    }

    #[test]
    fn other_rules_judge_what_was_counted() {
        let mut before = detector(2);
        assert_eq!(before.tick(START), []);
        fail(&mut before, 0, START, 4);
        let second = spec::Outlier {
            interval: spec::Span(SECOND),
            failure_percent: 50,
            minimum_requests: 4,
            ..before.spec.clone()
        };
        let mut after = before.resized(&second, &[Some(0), Some(1)]);
        assert_eq!(after.tick(START), [], "the new interval begins");
        let changes = after.tick(START + SECOND);
        assert!(
            matches!(changes[..], [Change::Ejected { why: Why::FailurePercent { failed: 4, .. }, .. }]),
            "{changes:?}"
        );
    }

    /// Over random answers: never more out than allowed, every ejection within its bounds, and each is
    /// followed by exactly one return.
    #[test]
    fn keeps_the_largest_share_over_random_answers() {
        for seed in 0..20 {
            let mut dice = Dice::new(seed);
            let count = 1 + dice.below(9) as usize;
            let spec = spec::Outlier { failure_percent: 60, ..spec::Outlier::default() };
            let mut detector = OutlierDetector::new(&spec, count);
            let (mut now, mut out, mut ejections) = (START, vec![false; count], 0);
            for _ in 0..5_000 {
                now = now + Duration::from_millis(dice.below(100));
                let mut changes = detector.tick(now);
                let index = dice.below(count as u64 + 1) as usize;
                changes.extend(detector.record(index, now, dice.below(10) < 4));
                for change in changes {
                    match change {
                        Change::Ejected { index, until, times, .. } => {
                            assert!(!std::mem::replace(&mut out[index], true), "seed {seed}");
                            assert!((1..=10).contains(&times) && until == now + 30 * SECOND * times);
                            ejections += 1;
                        }
                        Change::Returned { index } => {
                            assert!(std::mem::replace(&mut out[index], false), "seed {seed}");
                        }
                        Change::Spared { index, .. } => assert!(!detector.ejected(index, now)),
                    }
                }
                let ejected = (0..count).filter(|&index| detector.ejected(index, now)).count();
                assert!(ejected <= (count / 2).max(1), "seed {seed}: {ejected} of {count}");
            }
            assert!(ejections > 0, "seed {seed} never ejected");
        }
    }
}
