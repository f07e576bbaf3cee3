//! Times of recovery as measures, whichever ground they were seen on.

use super::measure::{Measure, Measures};
use crate::sim::Recovery;

/// What lay between the fault, its detection, good answers, and full strength. What has not come is absent.
pub(super) fn intervals(recovery: &Recovery) -> Measures {
    let mut measures = Measures::new();
    let mut add = |measure, from: Option<u64>, to: Option<u64>| {
        if let (Some(from), Some(to)) = (from, to) {
            measures.insert(measure, to.saturating_sub(from) as f64 / 1e9);
        }
    };
    let &Recovery { begins_ns, detected_ns, answered_ns, restored_ns } = recovery;
    let responded_ns = answered_ns.max(detected_ns);
    let recovered_ns = answered_ns.and(restored_ns).map(|restored| responded_ns.unwrap_or(0).max(restored));
    add(Measure::DetectS, Some(begins_ns), detected_ns);
    add(Measure::RespondS, detected_ns, answered_ns);
    add(Measure::ScaleS, responded_ns, recovered_ns);
    add(Measure::RecoveryS, Some(begins_ns), recovered_ns);
    measures
}
