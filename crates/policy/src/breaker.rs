//! Circuit breaker: stops sending to what keeps failing, and finds out by single probes when to send
//! again. One instance guards one endpoint or one service; it does not decide what counts as a failure.
//!
//! Source: Nygard, "Release It!", 2007, chapter 5.

use crate::window::Window;
use headgate_model::spec;
use headgate_model::units::Tick;
use std::time::Duration;

/// The open time stops doubling at this many times the first.
const LONGEST_OPEN: u32 = 10;

/// Whether a request may be sent. Give it back to [`Breaker::record`] with the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Allowed,
    /// Allowed as a test of a breaker that was open.
    Probe,
    Refused,
}

/// How an admitted request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure,
    /// It says nothing about the upstream, for example because the client went away.
    Abandoned,
}

/// A change of state, with its evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `failed` of the `requests` in the window; nothing is sent until `until`.
    Opened { failed: u64, requests: u64, until: Tick },
    /// A probe failed.
    Reopened { until: Tick },
    /// Enough probes succeeded.
    Closed,
}

/// For metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Closed,
    Open,
    HalfOpen,
}

/// The state machine with its window of counts; fixed memory.
#[derive(Clone, Debug)]
pub struct Breaker {
    failure_percent: u64,
    minimum_requests: u64,
    probes: u16,
    open: Duration,
    window: Window<10>,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    Open {
        until: Tick,
        lasting: Duration,
    },
    HalfOpen {
        /// How long it was open before.
        lasted: Duration,
        succeeded: u16,
        /// When the probe that is under way was sent.
        probing_since: Option<Tick>,
    },
}

impl Breaker {
    /// A closed breaker. `minimum_requests` and `probes` of zero count as one.
    #[must_use]
    pub fn new(spec: &spec::Breaker) -> Self {
        Self {
            failure_percent: u64::from(spec.failure_percent),
            minimum_requests: u64::from(spec.minimum_requests.max(1)),
            probes: spec.probes.max(1),
            open: spec.open.0,
            window: Window::new(spec.window.0),
            state: State::Closed,
        }
    }

    /// The breaker of a service whose endpoints have breakers of their own: it needs as many times the evidence, so that
    /// theirs open first where the fault is theirs.
    #[must_use]
    pub fn of_service(spec: &spec::Breaker, endpoints: usize) -> Self {
        let mut breaker = Self::new(spec);
        breaker.set_endpoints(spec, endpoints);
        breaker
    }

    /// The number of endpoints has changed.
    pub fn set_endpoints(&mut self, spec: &spec::Breaker, endpoints: usize) {
        self.minimum_requests =
            u64::from(spec.minimum_requests.max(1)).saturating_mul(endpoints.max(1) as u64);
    }

    /// Forgets what has failed: it was the fault of an endpoint that is left alone from here on.
    pub fn forget(&mut self) {
        self.window.clear();
    }

    /// Asks to send one request now. A probe must be followed by [`Self::record`]; one that never
    /// reports is given up after the open time.
    pub fn admit(&mut self, now: Tick) -> Admission {
        if !self.admits(now) {
            return Admission::Refused;
        }
        match &mut self.state {
            State::Closed => return Admission::Allowed,
            State::Open { lasting, .. } => {
                let lasted = *lasting;
                self.state = State::HalfOpen { lasted, succeeded: 0, probing_since: Some(now) };
            }
            State::HalfOpen { probing_since, .. } => *probing_since = Some(now),
        }
        Admission::Probe
    }

    /// Whether [`Self::admit`] would allow a request, without asking: for a balancer that looks around.
    #[must_use]
    pub fn admits(&self, now: Tick) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until, .. } => now >= until,
            State::HalfOpen { probing_since, .. } => {
                probing_since.is_none_or(|since| now.since(since) >= self.open)
            }
        }
    }

    /// Takes the outcome of a request. Only probes count while half open, and nothing counts while
    /// open: what was sent before says nothing about now.
    pub fn record(&mut self, now: Tick, admission: Admission, outcome: Outcome) -> Option<Change> {
        match (self.state, admission, outcome) {
            (_, Admission::Refused, _) => None,
            (State::Closed, _, Outcome::Success | Outcome::Failure) => {
                self.count(now, outcome == Outcome::Failure)
            }
            (State::HalfOpen { lasted, succeeded, .. }, Admission::Probe, outcome) => {
                self.conclude_probe(now, lasted, succeeded, outcome)
            }
            _ => None,
        }
    }

    #[must_use]
    pub fn condition(&self) -> Condition {
        match self.state {
            State::Closed => Condition::Closed,
            State::Open { .. } => Condition::Open,
            State::HalfOpen { .. } => Condition::HalfOpen,
        }
    }

    fn count(&mut self, now: Tick, failed: bool) -> Option<Change> {
        self.window.add(now, 1, u64::from(failed));
        let counts = self.window.counts(now);
        let trips = failed
            && counts.all >= self.minimum_requests
            && counts.marked * 100 >= counts.all * self.failure_percent;
        trips.then(|| {
            let until = self.open_for(now, self.open);
            Change::Opened { failed: counts.marked, requests: counts.all, until }
        })
    }

    fn conclude_probe(
        &mut self,
        now: Tick,
        lasted: Duration,
        succeeded: u16,
        outcome: Outcome,
    ) -> Option<Change> {
        match outcome {
            Outcome::Success if succeeded + 1 >= self.probes => {
                self.window.clear();
                self.state = State::Closed;
                Some(Change::Closed)
            }
            Outcome::Failure => {
                let longest = self.open.saturating_mul(LONGEST_OPEN);
                let until = self.open_for(now, lasted.saturating_mul(2).min(longest));
                Some(Change::Reopened { until })
            }
            Outcome::Success | Outcome::Abandoned => {
                let succeeded = succeeded + u16::from(outcome == Outcome::Success);
                self.state = State::HalfOpen { lasted, succeeded, probing_since: None };
                None
            }
        }
    }

    fn open_for(&mut self, now: Tick, lasting: Duration) -> Tick {
        let until = now + lasting;
        self.state = State::Open { until, lasting };
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;
    use headgate_model::spec::Span;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Tick = Tick(1_000_000_000_000);

    fn spec() -> spec::Breaker {
        spec::Breaker { open: Span(5 * SECOND), ..spec::Breaker::default() }
    }

    /// Ten successes and ten failures: the default's twenty requests, half of them failed.
    fn opened() -> Breaker {
        let mut breaker = Breaker::new(&spec());
        let mut changes = Vec::new();
        for request in 0..20 {
            assert_eq!(breaker.admit(START), Admission::Allowed);
            let outcome = if request < 10 { Outcome::Success } else { Outcome::Failure };
            changes.extend(breaker.record(START, Admission::Allowed, outcome));
        }
        assert_eq!(changes, [Change::Opened { failed: 10, requests: 20, until: START + 5 * SECOND }]);
        breaker
    }

    fn probe(breaker: &mut Breaker, now: Tick, outcome: Outcome) -> Option<Change> {
        assert_eq!(breaker.admit(now), Admission::Probe);
        breaker.record(now, Admission::Probe, outcome)
    }

    #[test]
    fn opens_refuses_then_lets_one_probe_at_a_time() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(START + 4 * SECOND), Admission::Refused);
        let later = START + 5 * SECOND;
        assert_eq!(breaker.admit(later), Admission::Probe);
        assert_eq!(breaker.admit(later), Admission::Refused, "one probe at a time");
        assert_eq!(breaker.record(later, Admission::Probe, Outcome::Success), None);
        assert_eq!(probe(&mut breaker, later, Outcome::Success), None);
        assert_eq!(probe(&mut breaker, later, Outcome::Success), Some(Change::Closed));
        assert_eq!(breaker.admit(later), Admission::Allowed);
        // The old failures are forgotten: nineteen new ones stay below the minimum of requests.
        let reopened = |breaker: &mut Breaker| breaker.record(later, Admission::Allowed, Outcome::Failure);
        assert!((0..19).all(|_| reopened(&mut breaker).is_none()));
        assert!(reopened(&mut breaker).is_some());
    }

    #[test]
    fn failed_probes_double_the_open_time_up_to_ten_times() {
        let mut breaker = opened();
        let mut now = START + 5 * SECOND;
        for seconds in [10, 20, 40, 50, 50] {
            let until = now + seconds * SECOND;
            assert_eq!(probe(&mut breaker, now, Outcome::Failure), Some(Change::Reopened { until }));
            now = until;
        }
    }

    #[test]
    fn failures_spread_thinner_than_the_window_do_not_open() {
        let mut breaker = Breaker::new(&spec());
        for request in 0..200u32 {
            let now = START + request * SECOND;
            assert_eq!(breaker.admit(now), Admission::Allowed);
            assert_eq!(breaker.record(now, Admission::Allowed, Outcome::Failure), None);
        }
    }

    #[test]
    fn late_answers_from_before_do_not_count() {
        let mut breaker = opened();
        assert_eq!(breaker.record(START, Admission::Allowed, Outcome::Failure), None, "while open");
        assert_eq!(breaker.admit(START + 5 * SECOND), Admission::Probe);
        for outcome in [Outcome::Success, Outcome::Failure] {
            assert_eq!(breaker.record(START + 5 * SECOND, Admission::Allowed, outcome), None);
        }
        assert_eq!(breaker.condition(), Condition::HalfOpen);
    }

    #[test]
    fn a_lost_or_abandoned_probe_does_not_keep_it_shut() {
        let mut breaker = opened();
        let first = START + 5 * SECOND;
        assert_eq!(breaker.admit(first), Admission::Probe);
        assert_eq!(breaker.admit(first + 4 * SECOND), Admission::Refused);
        assert_eq!(breaker.admit(first + 5 * SECOND), Admission::Probe, "the first one was lost");
        assert_eq!(breaker.record(first + 5 * SECOND, Admission::Probe, Outcome::Abandoned), None);
        assert_eq!(breaker.admit(first + 5 * SECOND), Admission::Probe);
    }

    /// Over random traffic: `admits` foretells `admit`, an open breaker refuses until its time and not
    /// longer, and it is never open for more than ten times the first.
    #[test]
    fn holds_its_promises_over_random_traffic() {
        for seed in 0..50 {
            let (mut dice, mut breaker, mut now) = (Dice::new(seed), Breaker::new(&spec()), START);
            let mut shut_until = START;
            for _ in 0..2_000 {
                now = now + Duration::from_millis(dice.below(400));
                let admits = breaker.admits(now);
                let admission = breaker.admit(now);
                assert_eq!(admits, admission != Admission::Refused, "seed {seed}");
                if now < shut_until {
                    assert_eq!(admission, Admission::Refused, "seed {seed}");
                }
                let outcome =
                    [Outcome::Success, Outcome::Failure, Outcome::Abandoned][dice.below(3) as usize];
                match breaker.record(now, admission, outcome) {
                    Some(Change::Opened { until, .. } | Change::Reopened { until }) => {
                        assert!(until >= now + 5 * SECOND && until <= now + 50 * SECOND, "seed {seed}");
                        shut_until = until;
                    }
                    Some(Change::Closed) => assert_eq!(breaker.condition(), Condition::Closed),
                    None => {}
                }
            }
            assert!(shut_until > START, "seed {seed} never opened");
        }
    }
}
