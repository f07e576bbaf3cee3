//! What a report says of made-up runs whose truth is known. Runs of the simulator are in the tests of studies.

use super::*;
use crate::study::Origin;
use crate::workload::no_files;
use std::collections::BTreeMap;

const STUDY: &str = r#"
name = "small"
question = "Does it work?"
repeats = 3

[system.service.shop]
does = [{ work = { constant = "10ms" } }]

[workload.closed]
phases = [{ lasts = "1m", level = 1 }]

[[factor]]
name = "balance"
level = [
    { name = "random", set.system.service."*".balance = "random" },
    { name = "least", set.system.service."*".balance = "least_requests" },
]

[[factor]]
name = "users"
path = "workload.closed.phases.*.level"
values = [5, 20]

[[factor]]
name = "layout"
level = [
    { name = "near", set.system.network.zones = ["a"] },
    { name = "far", set.system.network = { zones = ["a", "b"], rtt_between = "1ms" } },
]
"#;

fn study(text: &str) -> Study {
    Study::read(text, &mut no_files()).unwrap()
}

/// Every run of the study with these measures, by the levels of its combination and its repeat.
fn runs(
    study: &Study,
    measures: impl Fn(&BTreeMap<String, String>, u32) -> Vec<(Measure, f64)>,
) -> Vec<Finished> {
    let made = |run: crate::study::Run| {
        let levels = study.plan().cells()[run.cell].by_factor();
        Finished {
            measures: measures(&levels, run.repeat).into_iter().collect(),
            levels,
            repeat: run.repeat,
            seed: run.seed,
            ground: Ground::Sim,
            digest: None,
            processes: BTreeMap::new(),
            notes: Vec::new(),
            took_s: 0.0,
            origin: Origin { headgate: "0.0.0".to_owned(), machine: "a test".to_owned() },
        }
    };
    study.plan().runs().map(made).collect()
}

/// Far is 100 ms more than near, twenty users 50 ms more than five; a repeat is 1 ms more than the one before.
fn latency(levels: &BTreeMap<String, String>, repeat: u32) -> Vec<(Measure, f64)> {
    let far = if levels["layout"] == "far" { 100.0 } else { 0.0 };
    let users = if levels["users"] == "20" { 50.0 } else { 0.0 };
    let least = if levels["balance"] == "least" { -5.0 } else { 0.0 };
    vec![
        (Measure::LatencyMeanMs, 10.0 + far + users + least + f64::from(repeat)),
        (Measure::SuccessPercent, 100.0),
    ]
}

/// Rows of all tables of a report, as Markdown has them.
fn rows(report: &Report) -> Vec<String> {
    report.markdown().lines().filter(|line| line.starts_with('|')).map(str::to_owned).collect()
}

#[test]
fn every_combination_has_its_row_and_levels_of_other_factors_are_no_chance() {
    let study = study(STUDY);
    let report = report(&study, &runs(&study, latency), &[]);
    let rows = rows(&report);
    // t(2, 97.5 %) times a standard error of one over the root of three.
    assert!(rows.iter().any(|row| row == "| random | 5 | near | 3 | 12.00 ± 2.484 | 100.0 |"), "{rows:#?}");
    assert!(rows.iter().any(|row| row == "| least | 20 | far | 3 | 157.0 ± 2.484 | 100.0 |"));
    // By layout: two places on the axis, 50 ms apart, that have the same chance within.
    assert!(rows.iter().any(|row| row == "| random | 37.00 ± 1.133 | 137.0 ± 1.133 |"), "{rows:#?}");
    let markdown = report.markdown();
    assert!(markdown.contains("All runs are equal."), "of success");
    assert_eq!(markdown.matches("there is no variation").count(), 1, "told once, not for each combination");
}

#[test]
fn each_combination_of_the_other_factors_is_tested_for_itself() {
    let study = study(STUDY);
    let report = report(&study, &runs(&study, latency), &[]);
    let rows = rows(&report);
    let of = |place: &str| {
        let begin = format!("| mean latency (ms) | {place} | ");
        rows.iter()
            .find(|row| row.starts_with(&begin))
            .unwrap_or_else(|| panic!("{place}: {rows:#?}"))
            .clone()
    };
    // Between: three of 2.5 squared, twice; within: four of 1.
    for place in ["users 5, layout near", "users 20, layout far"] {
        assert!(of(place).contains("| 37.50 | 1, 4 | 0.0036 |"), "{}", of(place));
    }
    assert!(of("all").contains("| 1, 22 |"));
    let levels = "| random - least | 5.000 | ";
    assert_eq!(rows.iter().filter(|row| row.contains(levels)).count(), 5, "{rows:#?}");
}

#[test]
fn groups_of_which_one_never_varies_are_told_not_left_out() {
    let study = study(STUDY);
    let success = |levels: &BTreeMap<String, String>, repeat: u32| {
        let lost = if levels["balance"] == "least" { 0.0 } else { [1.0, 9.0, 40.0][repeat as usize - 1] };
        vec![(Measure::SuccessPercent, 100.0 - lost)]
    };
    let markdown = report(&study, &runs(&study, success), &[]).markdown();
    let why = "success (%), all: least: all values are equal";
    let (_, pairs) = markdown.split_once("**Pairs").unwrap();
    assert!(pairs.contains(why), "{pairs}");
}

#[test]
fn a_level_that_seldom_recovers_does_not_look_swift() {
    let text = STUDY.replace(
        "[workload.closed]",
        "[[system.fault]]\nat = \"20s\"\nlasts = \"5s\"\nwhat = \"kill\"\nservice = \"shop\"\n[workload.closed]",
    );
    let study = study(&text);
    let recovery = |levels: &BTreeMap<String, String>, repeat: u32| {
        let mut measures = vec![(Measure::SuccessPercent, 99.0), (Measure::DetectS, f64::from(repeat))];
        if levels["balance"] == "least" || repeat == 1 {
            measures.extend([Measure::RespondS, Measure::ScaleS, Measure::RecoveryS].map(|part| (part, 5.0)));
        }
        measures
    };
    let html = report(&study, &runs(&study, recovery), &[]).html();
    assert!(html.contains("<b>random (4 of 12 recovered)</b>") && html.contains("<b>least</b>"));
}

#[test]
fn runs_of_different_versions_are_not_passed_off_as_alike() {
    let study = study(STUDY);
    let mut runs = runs(&study, latency);
    let warned =
        |runs: &[Finished]| report(&study, runs, &[]).markdown().contains("not all made by one version");
    assert!(!warned(&runs));
    runs[3].origin.headgate = "0.0.1".to_owned();
    assert!(warned(&runs));
}
