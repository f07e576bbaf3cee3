//! What the finished runs of a study say: tables, tests and charts for people, and the same numbers for
//! programs. It decides nothing about the study and makes no run.
//!
//! The replicate is the run. The requests of one run share its state and are no independent observations, so
//! no test here looks at them.

mod compare;
mod figures;
mod grounds;
mod groups;
mod recovery;
mod regression;
mod tables;
#[cfg(test)]
mod tests;
mod tests_of_difference;

pub use compare::compare;

use super::{Damage, Finished, Ground, Measure, Study};
use crate::report::{Report, Table};
use groups::Groups;
use std::collections::BTreeSet;

/// Confidence of every interval, and one minus the level of every test.
pub(super) const CONFIDENCE: f64 = 0.95;
/// Fewer repeats prove little.
const REPEATS_FOR_A_CLAIM: u32 = 5;
/// The measures that are told in detail; all are in the files for programs.
const TOLD: [Measure; 5] = [
    Measure::LatencyMeanMs,
    Measure::LatencyP99Ms,
    Measure::ThroughputPerS,
    Measure::CpuPercent,
    Measure::SuccessPercent,
];

/// The report of what is finished so far.
#[must_use]
pub fn report(study: &Study, finished: &[Finished], damage: &[Damage]) -> Report {
    let mut report = Report::new(format!("{}: {}", study.spec.name, study.spec.question));
    facts(&mut report, study, finished, damage);
    absent(&mut report, study);
    grounds::compare(&mut report, study, finished);
    let on = |ground| finished.iter().filter(|run| run.ground == ground).cloned().collect::<Vec<_>>();
    let (sim, rig) = (on(Ground::Sim), on(Ground::Rig));
    if !sim.is_empty() || rig.is_empty() {
        if !rig.is_empty() {
            report.heading("In the simulator");
        }
        results(&mut report, study, &sim);
    }
    if !rig.is_empty() {
        report.heading("On the rig");
        results(&mut report, study, &rig);
        grounds::processes(&mut report, &rig);
    }
    report
}

/// What the runs of one ground say.
fn results(report: &mut Report, study: &Study, finished: &[Finished]) {
    let groups = Groups::new(study, finished);
    tables::means(report, &groups);
    tables::charts(report, &groups);
    tables::published(report, &groups, &study.spec.published);
    tests_of_difference::tell(report, &groups);
    regression::tell(report, &groups);
    tables::layouts(report, &groups);
    recovery::tell(report, &groups);
}

/// One line for each finished run: the levels, the repeat, the seed, and every measure.
#[must_use]
pub fn csv(study: &Study, finished: &[Finished]) -> String {
    let factors: Vec<&str> = study.spec.factors.iter().map(|factor| factor.name.as_str()).collect();
    let mut head: Vec<String> = factors.iter().map(ToString::to_string).collect();
    head.extend(["repeat", "seed", "ground"].map(str::to_owned));
    head.extend(Measure::ALL.map(|measure| measure.name().to_owned()));
    let mut out = head.join(",") + "\n";
    for run in finished {
        let levels = factors.iter().map(|factor| run.levels.get(*factor).cloned().unwrap_or_default());
        let made = [run.repeat.to_string(), run.seed.to_string(), run.ground.name().to_owned()];
        let measures =
            Measure::ALL.map(|measure| run.measures.get(&measure).map_or(String::new(), f64::to_string));
        // Names of factors and levels are plain words: nothing needs quotes.
        out += &levels.chain(made).chain(measures).collect::<Vec<_>>().join(",");
        out.push('\n');
    }
    out
}

fn facts(report: &mut Report, study: &Study, finished: &[Finished], damage: &[Damage]) {
    let grounds: BTreeSet<Ground> = finished.iter().map(|run| run.ground).collect();
    let planned = study.plan().runs().count() * grounds.len().max(1);
    let set = |of: &dyn Fn(&Finished) -> String| {
        finished.iter().map(of).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("; ")
    };
    let row = |name: &str, text: String| vec![name.to_owned(), text];
    let mut rows = vec![
        row(
            "runs",
            format!("{} of {planned}, {} repeats of each combination", finished.len(), study.spec.repeats),
        ),
        row("ground", set(&|run| run.ground.name().to_owned())),
        row("seed of the study", study.spec.seed.to_string()),
        row("headgate", set(&|run| run.origin.headgate.clone())),
        row("machine", set(&|run| run.origin.machine.clone())),
    ];
    for factor in &study.spec.factors {
        let values = factor.values.iter().map(f64::to_string);
        let levels = factor.levels.iter().map(|level| level.name.clone());
        rows.push(row(&factor.name, values.chain(levels).collect::<Vec<_>>().join(", ")));
    }
    report.table(Table { caption: "What was run".to_owned(), rows, ..Table::default() });
    report.text(
        "The replicate is the run: every interval and every test below is over runs with seeds of their own, never \
         over single requests. Intervals are 95 % confidence intervals of the mean by Student's t.",
    );
    if finished.len() < planned {
        report.warning(format!(
            "{} runs are missing; run the study again to add them.",
            planned - finished.len()
        ));
    }
    for ground in grounds {
        let here = || finished.iter().filter(|run| run.ground == ground).map(|run| &run.origin);
        if here().any(|origin| Some(origin) != here().next()) {
            report.warning(format!(
                "The runs of ground {} were not all made by one version on one machine: what differs between levels may \
                 be theirs.",
                ground.name()
            ));
        }
    }
    if !damage.is_empty() {
        report.warning(format!("{} lines of the results could not be read and are left out.", damage.len()));
    }
    if study.spec.repeats < REPEATS_FOR_A_CLAIM {
        report.warning(format!("{} repeats prove little; a claim needs 5 or more.", study.spec.repeats));
    }
}

fn absent(report: &mut Report, study: &Study) {
    let levels = study.spec.factors.iter().flat_map(|factor| &factor.levels);
    let rows: Vec<Vec<String>> = levels
        .filter(|level| !level.absent.is_empty())
        .map(|level| vec![level.name.clone(), level.absent.join(", ")])
        .collect();
    if !rows.is_empty() {
        let notes =
            vec!["These belong to the level and are not in this study: not built yet, or measured elsewhere. They are not \
                 imitated: such a level has what is in the study.".to_owned()];
        report.table(Table { caption: "Absent".to_owned(), rows, notes, ..Table::default() });
    }
}
