//! How long a fault was felt, split into what policies and machines took.

use super::figures::{estimate, number};
use super::groups::Groups;
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
    let mean = |measure, level: &str| estimate(&groups.of(measure, level)).map_or(0.0, |one| one.mean);
    let bar = |level: String| {
        let parts = PARTS.iter().map(|part| mean(*part, &level)).collect();
        (level, parts)
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
        let runs = groups.of(Measure::SuccessPercent, &level).len();
        let recovered = groups.of(Measure::RecoveryS, &level).len();
        let cells = all.iter().map(|part| {
            estimate(&groups.of(*part, &level)).map_or_else(
                || "-".to_owned(),
                |one| match one.half {
                    Some(half) => format!("{} ± {}", number(one.mean), number(half)),
                    None => number(one.mean),
                },
            )
        });
        [level.clone(), runs.to_string(), recovered.to_string()].into_iter().chain(cells).collect()
    });
    let caption =
        "Intervals of recovery; runs that did not recover before their end have no total".to_owned();
    report.table(Table { caption, head, rows: rows.collect(), notes: Vec::new() });
}
