//! The same runs on both grounds side by side: by how much the simulator is off, and what the processes of the
//! rig really used.

use super::figures::{estimate, number};
use crate::report::{Report, Table};
use crate::study::{Finished, Ground, Measure, Study};
use std::collections::BTreeMap;

/// What the two grounds are held against each other by.
const HELD: [Measure; 4] =
    [Measure::LatencyMeanMs, Measure::LatencyP95Ms, Measure::ThroughputPerS, Measure::CpuPercent];

/// Mean and p95 on both grounds with the relative error of the simulator, for each combination that has both.
pub(super) fn compare(report: &mut Report, study: &Study, finished: &[Finished]) {
    let mut rows = Vec::new();
    let mut errors: BTreeMap<Measure, Vec<f64>> = BTreeMap::new();
    for cell in study.plan().cells() {
        let levels = cell.by_factor();
        for measure in HELD {
            let on = |ground: Ground| {
                let here = finished.iter().filter(|run| run.ground == ground && run.levels == levels);
                here.filter_map(|run| run.measures.get(&measure).copied()).collect::<Vec<f64>>()
            };
            let (sim, rig) = (on(Ground::Sim), on(Ground::Rig));
            let (Some(simulated), Some(real)) =
                (estimate(std::slice::from_ref(&sim)), estimate(std::slice::from_ref(&rig)))
            else {
                continue;
            };
            let mut row = vec![cell.to_string(), measure.title().to_owned(), sim.len().to_string()];
            row.extend([simulated.to_string(), rig.len().to_string(), real.to_string()]);
            row.push(if real.mean == 0.0 {
                "-".to_owned()
            } else {
                let error = (simulated.mean / real.mean - 1.0) * 100.0;
                errors.entry(measure).or_default().push(error);
                format!("{error:+.1} %")
            });
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return;
    }
    let note = |(measure, errors): (&Measure, &Vec<f64>)| {
        let sizes = || errors.iter().map(|error| error.abs());
        let mean = sizes().sum::<f64>() / errors.len() as f64;
        let worst = sizes().fold(0.0, f64::max);
        format!(
            "{}: off by {mean:.1} % on the mean of {} combinations, {worst:.1} % at the most.",
            measure.title(),
            errors.len()
        )
    };
    report.heading("Simulator and rig");
    report.table(Table {
        caption: "Means over runs on both grounds, and the error of the simulator".to_owned(),
        head: ["where", "measure", "runs", "simulator", "runs", "rig", "error"].map(str::to_owned).to_vec(),
        rows,
        notes: errors.iter().map(note).collect(),
    });
}

/// What each process really used, on the mean of all runs on the rig, and what the load generator had to say.
pub(super) fn processes(report: &mut Report, finished: &[Finished]) {
    let mut sums: BTreeMap<&str, (f64, f64, f64)> = BTreeMap::new();
    for (name, used) in finished.iter().flat_map(|run| &run.processes) {
        let sum = sums.entry(name).or_default();
        *sum = (sum.0 + used.cores, sum.1 + used.memory_bytes, sum.2 + 1.0);
    }
    if sums.is_empty() {
        return;
    }
    let row = |(name, (cores, bytes, runs)): (&str, (f64, f64, f64))| {
        vec![name.to_owned(), number(cores / runs * 100.0), number(bytes / runs / 1_048_576.0)]
    };
    report.table(Table {
        caption: "Processes of the rig".to_owned(),
        head: ["process", "CPU (% of a core)", "memory (MiB)"].map(str::to_owned).to_vec(),
        rows: sums.into_iter().map(row).collect(),
        notes: vec![
            "Mean of the measured phases of all runs: processor time, and memory with shared pages divided among those \
             that share them. A service computes delays in virtual capacity and nothing else; what it uses of that is in \
             the CPU and memory of the tables above."
                .to_owned(),
        ],
    });
    let mut notes: BTreeMap<&str, usize> = BTreeMap::new();
    finished.iter().flat_map(|run| &run.notes).for_each(|note| *notes.entry(note).or_default() += 1);
    for (note, runs) in notes.into_iter().take(20) {
        report.warning(format!("{runs} run(s): {note}"));
    }
}
