//! A game day as plain text: the schedule before, the outcome after.

use super::GameDay;
use super::outcome::{FaultResult, Outcome};
use crate::report::Table;
use std::fmt::Write as _;

impl GameDay {
    /// What will be done, when, and to whom.
    #[must_use]
    pub fn schedule(&self) -> String {
        let head = ["fault", "from s", "to s", "targets", "what"].map(str::to_owned).to_vec();
        let row = |planned: &super::Planned| {
            let acts = super::act::acts(&self.spec, planned, self.seed);
            let what: Vec<String> = acts.iter().map(super::act::Act::describe).collect();
            vec![
                planned.name.clone(),
                format!("{:.3}", planned.begins.as_secs_f64()),
                format!("{:.3}", planned.ends.as_secs_f64()),
                if planned.targets.is_empty() { "-".to_owned() } else { planned.targets.join(", ") },
                what.join("; "),
            ]
        };
        let print = self.footprint();
        let stages = &self.spec.stages;
        let seconds = |time: std::time::Duration| time.as_secs_f64();
        Table {
            caption: format!("{}: {} (seed {})", self.spec.name, self.spec.hypothesis, self.seed),
            head,
            rows: self.plan().iter().map(row).collect(),
            notes: vec![
                format!(
                    "before {} s (and {} s to warm up), method {} s, after {} s",
                    seconds(stages.before.0),
                    seconds(stages.warm_up.0),
                    seconds(self.length()),
                    seconds(stages.after.0),
                ),
                format!(
                    "at most {:.1} % of the requests, {:.1} % of the endpoints and {} processes at once, by this file",
                    print.requests_percent, print.endpoints_percent, print.processes
                ),
            ],
        }
        .to_string()
    }
}

impl Outcome {
    /// The outcome for a terminal or a log.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("{}: {}\n", self.name, self.hypothesis);
        // Writing into a String does not fail.
        let _ = writeln!(out, "{}: {}", self.verdict.words(), self.reason);
        let _ = writeln!(out, "score {:.0} of 100\n", self.score.total);
        for table in [self.probe_table(), self.fault_table(), self.stage_table(), self.score_table()] {
            if !table.rows.is_empty() {
                let _ = writeln!(out, "{table}");
            }
        }
        for line in self.facts() {
            let _ = writeln!(out, "{:<14} {}", line.0, line.1);
        }
        for note in &self.notes {
            let _ = writeln!(out, "{:<14} {note}", "note");
        }
        out
    }

    /// Blast radius, error budget, conditions to abort.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let (radius, budget) = (&self.blast_radius, &self.budget);
        let met: Vec<String> = self
            .aborts
            .iter()
            .map(|abort| match abort.met_at_s {
                Some(at) => format!("{} (met at {at:.1} s)", abort.condition),
                None => abort.condition.clone(),
            })
            .collect();
        let rolled_back = self.faults.iter().filter(|fault| fault.rolled_back).count();
        vec![
            (
                "blast radius",
                format!(
                    "planned {:.1} % of the requests, {:.1} % of the endpoints, {} processes; cap {} %, {} %, {}; \
                     measured at most {:.1} % of the attempts",
                    radius.planned.requests_percent,
                    radius.planned.endpoints_percent,
                    radius.planned.processes,
                    radius.cap.requests_percent,
                    radius.cap.endpoints_percent,
                    radius.cap.processes,
                    radius.measured_requests_percent,
                ),
            ),
            (
                "error budget",
                format!(
                    "{} of {} requests failed; {:.1} were allowed at {} %: {:.1} % spent",
                    budget.failed,
                    budget.planned,
                    budget.allowed,
                    budget.success_percent,
                    budget.spent_percent
                ),
            ),
            ("rolled back", format!("{rolled_back} of {} faults, each looked at", self.faults.len())),
            ("abort when", met.join("; ")),
        ]
    }

    pub(super) fn probe_table(&self) -> Table {
        let row = |probe: &super::ProbeResult| {
            let verdict = if probe.passed { "passed" } else { "FAILED" };
            let asked = format!("{} of {} wrong", probe.wrong, probe.asked);
            vec![
                probe.name.clone(),
                probe.stage.name().to_owned(),
                verdict.to_owned(),
                asked,
                probe.evidence.clone(),
            ]
        };
        table("Steady state", &["probe", "stage", "", "answers", "evidence"], self.probes.iter().map(row))
    }

    pub(super) fn fault_table(&self) -> Table {
        let head = ["fault", "from s", "to s", "hits", "detected", "mitigated", "recovered", "gone"];
        let row = |fault: &FaultResult| {
            let at = |time: Option<f64>| time.map_or("-".to_owned(), |time| format!("{time:.1}"));
            let soon = |what: &str, time: Option<f64>| {
                let missed = fault.expectations.iter().any(|it| it.what == what && !it.met);
                let time = time.map_or("no".to_owned(), |time| format!("{time:.1} s"));
                if missed { format!("{time} LATE") } else { time }
            };
            vec![
                fault.name.clone(),
                at(fault.began_s),
                at(fault.ended_s),
                fault.hits.map_or("-".to_owned(), |hits| hits.to_string()),
                soon("detected", fault.detected_s),
                soon("mitigated", fault.mitigated_s),
                soon("recovered", fault.recovered_s),
                if fault.rolled_back { "yes" } else { "NO" }.to_owned(),
            ]
        };
        let mut table = table("Faults", &head, self.faults.iter().map(row));
        for fault in &self.faults {
            table.notes.push(format!("{}: {}", fault.name, fault.what.join("; ")));
            table
                .notes
                .extend(fault.detected_by.iter().map(|by| format!("{}: first seen as {by}", fault.name)));
            table.notes.extend(fault.problem.iter().map(|problem| format!("{}: {problem}", fault.name)));
        }
        table
    }

    pub(super) fn stage_table(&self) -> Table {
        let head = ["stage", "from s", "seconds", "requests", "failed", "p50 ms", "p99 ms", "max ms"];
        let row = |stage: &super::StageResult| {
            vec![
                stage.stage.name().to_owned(),
                format!("{:.1}", stage.began_s),
                format!("{:.1}", stage.seconds),
                stage.planned.to_string(),
                stage.failed.to_string(),
                format!("{:.2}", stage.p50_ms),
                format!("{:.2}", stage.p99_ms),
                format!("{:.2}", stage.max_ms),
            ]
        };
        table("Load", &head, self.stages.iter().map(row))
    }

    pub(super) fn score_table(&self) -> Table {
        let row = |part: &super::ScorePart| {
            vec![
                part.name.to_owned(),
                format!("{:.0}", part.weight),
                format!("{:.2}", part.value),
                part.why.clone(),
            ]
        };
        table("Score", &["part", "weight", "value", "why"], self.score.parts.iter().map(row))
    }

    pub(super) fn alarm_table(&self) -> Table {
        let row = |alarm: &super::AlarmChange| {
            let what = if alarm.is_raised { "raised" } else { "over" };
            let explained = if alarm.is_false { "no fault explains it" } else { "" };
            vec![alarm.words(), format!("{:.1}", alarm.at_s), what.to_owned(), explained.to_owned()]
        };
        table("What the gateway took out", &["alarm", "at s", "", ""], self.alarms.iter().map(row))
    }
}

fn table(caption: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Table {
    let head = head.iter().map(|cell| (*cell).to_owned()).collect();
    Table { caption: caption.to_owned(), head, rows: rows.collect(), notes: Vec::new() }
}
