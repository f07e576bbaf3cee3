//! What a reader of the figures must not overlook: a shortfall, the generator as the limit, connections that
//! were lost.

use super::engine::Finished;
use super::run::Opened;
use super::summary::{Model, Summary};

/// Shares of the plan below which it counts as missed.
const REACHED: f64 = 0.99;
/// 99th percentile of the send-time error that is worth a word, in microseconds.
const LATE_US: f64 = 1_000.0;
/// Shares of a thread's time from which the generator is the limit.
const BUSY: f64 = 0.9;
const PREEMPTED: f64 = 0.05;

pub(super) fn of(summary: &Summary, opened: &Opened, finished: &[Finished]) -> Vec<String> {
    let (total, generator) = (&summary.total, &summary.generator);
    let mut notes = Vec::new();
    if summary.run.interrupted {
        notes.push(format!(
            "The run was interrupted after {:.1} s; the figures are of that part.",
            summary.run.seconds
        ));
    }
    if opened.up < opened.wanted {
        let why = opened.failure.as_deref().unwrap_or("no answer");
        notes.push(format!(
            "Only {} of {} connections could be opened at first: {why}.",
            opened.up, opened.wanted
        ));
    }
    if total.planned == 0 {
        notes.push("No request was planned for the phases that count: there is nothing to see.".to_owned());
        return notes;
    }
    if summary.run.model == Model::Open {
        let due = total.planned - total.failed.stopped;
        if (total.answered as f64) < REACHED * due as f64 {
            notes.push(format!(
                "The planned rate was not reached: {} of {due} requests were answered, {:.1} instead of {:.1} per second.",
                total.answered, total.answered_per_s, total.planned_per_s
            ));
        }
        if total.failed.dropped > 0 {
            notes.push(format!(
                "{} requests were never sent: for {} s after their time no connection was free. They are in the \
                 latencies from the planned time, with that time.",
                total.failed.dropped, summary.run.timeout_s
            ));
        }
        if total.late > 0 {
            notes.push(format!(
                "{} requests ({:.1} %) were sent late because all {} connections waited for answers; latencies \
                 from the planned time count that wait, those from sending do not.",
                total.late,
                100.0 * total.late as f64 / total.planned as f64,
                summary.run.connections
            ));
        }
    }
    if total.failed.timeout > 0 {
        notes.push(format!(
            "{} requests timed out; they are in the latencies with the time at which they were given up.",
            total.failed.timeout
        ));
    }
    if generator.send_error.p99_us > LATE_US {
        notes.push(format!(
            "The generator itself was late: 1 % of the requests were sent {:.1} ms or more after they could have been.",
            generator.send_error.p99_us / 1e3
        ));
    }
    let busy = generator.busy_shares.iter().copied().fold(0.0, f64::max);
    if busy > BUSY {
        notes.push(format!(
            "The generator itself is the limit: a thread was busy {:.0} % of the time. Rates and latencies are \
             partly its own; use more --threads, or ask for less.",
            100.0 * busy
        ));
    }
    let preempted = generator.preempted_shares.iter().copied().fold(0.0, f64::max);
    if preempted > PREEMPTED {
        notes.push(format!(
            "The generator had to share its core: for {:.0} % of the time it had work and no core. Give it one \
             of its own (taskset), or fewer --threads.",
            100.0 * preempted
        ));
    }
    if generator.reconnects > 0 {
        notes.push(format!("{} connections were closed during the run and replaced.", generator.reconnects));
    }
    let failures = finished.iter().find_map(|one| one.connect_failure.as_deref());
    if let Some(why) = failures.filter(|_| total.failed.connect > 0) {
        notes.push(format!("Connections failed during the run: {why}."));
    }
    notes
}
