//! What is counted and measured: one record for each phase, one for each second. Memory is bounded: it depends
//! on the number of phases and not on the length of the run.

use super::exchange::{Done, Failure, Outcome};
use hdrhistogram::Histogram;

/// Latencies are told apart from 64 ns up, to three digits, and an hour is the longest.
const LEAST_NS: u64 = 64;
const MOST_NS: u64 = 3_600_000_000_000;
const DIGITS: u8 = 3;
/// Whoever waits longer for a free connection was sent late.
const LATE_NS: u64 = 1_000_000;

/// Counts of requests.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    /// Taken from the plan, whatever became of them.
    pub(super) planned: u64,
    pub(super) sent: u64,
    pub(super) answered: u64,
    /// Sent more than a millisecond late because no connection was free.
    pub(super) late: u64,
    pub(super) bytes_received: u64,
    failed: [u64; Failure::ALL.len()],
    /// Answers by status from 100; the last one counts what is no status.
    statuses: Box<[u64; 501]>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            planned: 0,
            sent: 0,
            answered: 0,
            late: 0,
            bytes_received: 0,
            failed: [0; Failure::ALL.len()],
            statuses: Box::new([0; 501]),
        }
    }
}

impl Counts {
    pub(super) fn failed(&self, failure: Failure) -> u64 {
        self.failed[failure as usize]
    }

    /// Requests without an answer.
    pub(super) fn unanswered(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// Statuses that came, with how often.
    pub(super) fn statuses(&self) -> impl Iterator<Item = (u16, u64)> {
        (100..).zip(self.statuses.iter().copied()).filter(|(_, count)| *count > 0)
    }

    fn add(&mut self, other: &Self) {
        self.planned += other.planned;
        self.sent += other.sent;
        self.answered += other.answered;
        self.late += other.late;
        self.bytes_received += other.bytes_received;
        self.failed.iter_mut().zip(&other.failed).for_each(|(sum, count)| *sum += count);
        self.statuses.iter_mut().zip(other.statuses.iter()).for_each(|(sum, count)| *sum += count);
    }

    fn take(&mut self, done: &Done) {
        match done.outcome {
            Outcome::Answered { status, bytes } => {
                self.answered += 1;
                self.bytes_received += bytes;
                self.statuses[usize::from(status.clamp(100, 600)) - 100] += 1;
            }
            Outcome::Failed(failure) => self.failed[failure as usize] += 1,
        }
    }
}

/// Counts and latencies of a phase.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) counts: Counts,
    /// From the planned time to the end of the answer. Requests that timed out or were dropped are in it with
    /// the time at which they were given up.
    pub(super) from_planned: Histogram<u64>,
    /// The same of good answers alone.
    pub(super) good: Histogram<u64>,
    /// From the actual sending; requests that timed out are in it, dropped ones were never sent.
    pub(super) from_sent: Histogram<u64>,
    /// From the moment at which a request could be sent to when it was: the generator's own lateness.
    pub(super) send_error: Histogram<u64>,
}

impl Record {
    pub(super) fn new() -> Self {
        Self {
            counts: Counts::default(),
            from_planned: histogram(),
            good: histogram(),
            from_sent: histogram(),
            send_error: histogram(),
        }
    }

    /// A request was handed to the kernel. `could_ns`: when it was due and a connection was free.
    #[inline]
    pub(super) fn sent(&mut self, planned_ns: u64, could_ns: u64, sent_ns: u64) {
        self.counts.sent += 1;
        self.counts.late += u64::from(could_ns - planned_ns.min(could_ns) > LATE_NS);
        self.send_error.saturating_record(sent_ns.saturating_sub(could_ns));
    }

    #[inline]
    pub(super) fn done(&mut self, done: &Done, now_ns: u64) {
        self.counts.take(done);
        let timed = match done.outcome {
            Outcome::Answered { .. } | Outcome::Failed(Failure::Timeout) => (true, true),
            Outcome::Failed(Failure::Dropped) => (true, false),
            // They say how fast something breaks, not how fast it answers.
            Outcome::Failed(_) => (false, false),
        };
        if timed.0 {
            self.from_planned.saturating_record(now_ns.saturating_sub(done.turn.planned_ns));
        }
        if done.is_good() {
            self.good.saturating_record(now_ns.saturating_sub(done.turn.planned_ns));
        }
        if timed.1 {
            self.from_sent.saturating_record(now_ns.saturating_sub(done.turn.sent_ns));
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        for (sum, histogram) in [
            (&mut self.from_planned, &other.from_planned),
            (&mut self.good, &other.good),
            (&mut self.from_sent, &other.from_sent),
            (&mut self.send_error, &other.send_error),
        ] {
            // All have the same bounds.
            let _ = sum.add(histogram);
        }
    }
}

/// What happened within a second, by the time at which it happened.
#[derive(Clone, Debug)]
pub(super) struct Second {
    pub(super) planned: u64,
    pub(super) answered: u64,
    /// Without an answer, or answered with a status from 400 on.
    pub(super) errors: u64,
    pub(super) from_planned: Histogram<u64>,
}

impl Second {
    pub(super) fn new() -> Self {
        Self { planned: 0, answered: 0, errors: 0, from_planned: histogram() }
    }

    #[inline]
    pub(super) fn done(&mut self, done: &Done, now_ns: u64) {
        match done.outcome {
            Outcome::Answered { status, .. } => {
                self.answered += 1;
                self.errors += u64::from(status >= 400);
            }
            Outcome::Failed(_) => self.errors += 1,
        }
        self.from_planned.saturating_record(now_ns.saturating_sub(done.turn.planned_ns));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.planned == 0 && self.answered == 0 && self.errors == 0
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.planned += other.planned;
        self.answered += other.answered;
        self.errors += other.errors;
        // Both have the same bounds.
        let _ = self.from_planned.add(&other.from_planned);
    }
}

#[allow(
    clippy::expect_used,
    reason = "the bounds are constants that the library accepts, as every test proves"
)]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(LEAST_NS, MOST_NS, DIGITS).expect("constant bounds in the library's range")
}
