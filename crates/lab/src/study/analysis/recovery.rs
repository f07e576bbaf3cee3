//! How long a fault was felt, split into what policies and machines took.

use super::figures::{cell, estimate};
use super::groups::{Groups, Place};
use crate::report::{Bars, Report, Table};
use crate::study::Measure;

const PARTS: [Measure; 3] = [Measure::DetectS, Measure::RespondS, Measure::ScaleS];

pub(super) fn tell(report: &mut Report, groups: &Groups<'_>) {
    if !PARTS.iter().any(|part| groups.has(*part)) {
        return;
    }
    report.heading("Recovery from the fault");
    report.text(
        "Detection: from the fault until no gateway sends calls to a struck replica, or the fault is over. Response: \
         from then until requests are answered well for a second. Scaling: from then until as many replicas serve as \
         before; nothing adds replicas yet, so it ends when the fault gives back what it took. On the rig the gateway \
         is asked every 50 ms, and answers are counted in windows of 100 ms.",
    );
    let counts =
        |level: &str| (groups.of(Measure::RecoveryS, level).len(), groups.count(level, &Place::default()));
    let mean = |part, level: &str| estimate(&groups.strata_of(part, level)).map_or(0.0, |one| one.mean);
    let bar = |level: String| {
        let parts = PARTS.iter().map(|part| mean(*part, &level)).collect();
        // Runs that have not recovered lack a part: their bar must not look like a swift one.
        let (recovered, runs) = counts(&level);
        let label =
            if recovered == runs { level } else { format!("{level} ({recovered} of {runs} recovered)") };
        (label, parts)
    };
    report.bars(Bars {
        caption: "Mean recovery".to_owned(),
        parts: PARTS.map(|part| part.title().trim_end_matches(" (s)").to_owned()).to_vec(),
        rows: groups.levels().into_iter().map(bar).collect(),
        unit: "s",
    });
    let all = [PARTS.as_slice(), &[Measure::RecoveryS]].concat();
    let mut head = vec![groups.compared_name().to_owned(), "runs".to_owned(), "recovered".to_owned()];
    head.extend(all.iter().map(|part| part.title().to_owned()));
    let rows = groups.levels().into_iter().map(|level| {
        let (recovered, runs) = counts(&level);
        let cells = all.iter().map(|part| cell(&groups.strata_of(*part, &level)));
        [level.clone(), runs.to_string(), recovered.to_string()].into_iter().chain(cells).collect()
    });
    let caption = "Intervals of recovery".to_owned();
    let notes = vec![
        "A run that did not recover before its end has no total, and what it did not reach is in no mean: where fewer \
         recovered than were run, the true times are longer."
            .to_owned(),
    ];
    report.table(Table { caption, head, rows: rows.collect(), notes });
}
