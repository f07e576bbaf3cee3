//! The cells of fetching ahead: what was predicted, what was done about it, and what came of it. This file counts and
//! decides nothing.

use std::sync::Arc;

use crate::counter::{Counter, Gauge};
use crate::registry::WorkerMetrics;

/// Why something was not fetched ahead.
const REASONS: &[&str; 10] = &[
    "unknown",
    "not_cacheable",
    "side_effects",
    "identity",
    "not_worth",
    "budget",
    "distrusted",
    "busy",
    "present",
    "full",
];
/// What was done with what was admitted.
const ACTS: &[&str; 4] = &["imagined", "fetched", "withheld", "skipped"];
/// What came of it.
const OUTCOMES: &[&str; 8] =
    &["used", "late", "wasted", "withheld_hit", "withheld_miss", "would_hit", "would_be_late", "would_waste"];

/// What is shown of fetching ahead.
#[derive(Debug)]
pub struct PrefetchMetrics {
    predicted: Arc<Counter>,
    refused: Arc<[Counter]>,
    admitted: Arc<[Counter]>,
    outcomes: Arc<[Counter]>,
    distrusted: Arc<Counter>,
    dropped: Arc<Counter>,
    extra: Arc<Gauge>,
    gained: Arc<Gauge>,
    /// What the counters were told last.
    last: PrefetchFigures,
}

/// The figures of [`PrefetchMetrics`], counted since the learner began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PrefetchFigures {
    pub predicted: u64,
    /// In the order of the label's values: unknown, not_cacheable, side_effects, identity, not_worth, budget,
    /// distrusted, busy, present, full.
    pub refused: [u64; REASONS.len()],
    /// imagined, fetched, withheld, skipped.
    pub admitted: [u64; ACTS.len()],
    /// used, late, wasted, withheld_hit, withheld_miss, would_hit, would_be_late, would_waste.
    pub outcomes: [u64; OUTCOMES.len()],
    /// How often it paused because too little was used.
    pub distrusted: u64,
    /// Requests that the learner was not told of.
    pub dropped: u64,
    /// Requests that services had for nothing, as a share.
    pub extra_share: f64,
    pub hits_gained: f64,
}

impl PrefetchMetrics {
    /// Only once per registry at a time, because a gauge shows the sum over all who set it.
    #[must_use]
    pub fn new(cells: &WorkerMetrics) -> Self {
        let counter = |name, help| cells.counter(name, help, &[]);
        let counters = |name, help, label, values| cells.counters(name, help, &[], (label, values));
        let (refused, admitted) = (
            "Predictions that were not acted on, by reason.",
            "Predictions that were admitted, by what was done with them.",
        );
        Self {
            predicted: counter(
                "headgate_prefetch_predicted_total",
                "Requests that were predicted, once for each time.",
            ),
            refused: counters("headgate_prefetch_refused_total", refused, "reason", REASONS),
            admitted: cells.counters("headgate_prefetch_admitted_total", admitted, &[], ("act", ACTS)),
            outcomes: cells.counters(
                "headgate_prefetch_outcomes_total",
                "What came of admitted predictions.",
                &[],
                ("outcome", OUTCOMES),
            ),
            distrusted: counter(
                "headgate_prefetch_distrusted_total",
                "Pauses because too little of what was fetched ahead was used.",
            ),
            dropped: counter(
                "headgate_prefetch_dropped_total",
                "Requests that the learner was not told of, because it was busy.",
            ),
            extra: cells.gauge(
                "headgate_prefetch_extra_millionths",
                "Requests that services had for nothing, in millionths of those that they would have had otherwise.",
                &[],
            ),
            gained: cells.gauge(
                "headgate_prefetch_hits_gained",
                "Hits that there would not have been, by what was withheld.",
                &[],
            ),
            last: PrefetchFigures::default(),
        }
    }

    /// Shows figures that only grow, but for the last two.
    pub fn set(&mut self, figures: &PrefetchFigures) {
        let last = std::mem::replace(&mut self.last, *figures);
        let add = |counter: &Counter, now: u64, last: u64| counter.add(now.saturating_sub(last));
        let all = |counters: &[Counter], now: &[u64], last: &[u64]| {
            for ((counter, now), last) in counters.iter().zip(now).zip(last) {
                add(counter, *now, *last);
            }
        };
        add(&self.predicted, figures.predicted, last.predicted);
        all(&self.refused, &figures.refused, &last.refused);
        all(&self.admitted, &figures.admitted, &last.admitted);
        all(&self.outcomes, &figures.outcomes, &last.outcomes);
        add(&self.distrusted, figures.distrusted, last.distrusted);
        add(&self.dropped, figures.dropped, last.dropped);
        // Casts of floating numbers saturate.
        self.extra.set((figures.extra_share * 1e6).round() as i64);
        self.gained.set(figures.hits_gained.round() as i64);
    }
}
