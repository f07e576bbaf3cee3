//! The score: one number out of what was measured, by the formula of docs/gamedays.md. Pure.

use super::outcome::{Budget, FaultResult, ProbeResult, Score, ScorePart, Verdict};
use super::spec::Stage;

/// Weights of the parts; those that a game day does not have are left out.
const HYPOTHESIS: f64 = 40.0;
const DETECTION: f64 = 15.0;
const MITIGATION: f64 = 15.0;
const RECOVERY: f64 = 15.0;
const BUDGET: f64 = 10.0;
const PRECISION: f64 = 5.0;

pub(super) fn score(
    verdict: Verdict,
    probes: &[ProbeResult],
    faults: &[FaultResult],
    budget: &Budget,
    false_alarms: usize,
) -> Score {
    if verdict == Verdict::NotBegun {
        return Score::default();
    }
    let mut parts = Vec::new();
    let tested = || probes.iter().filter(|probe| probe.stage != Stage::Before);
    let (passed, all) = (tested().filter(|probe| probe.passed).count(), tested().count());
    let ran_out = matches!(verdict, Verdict::Held | Verdict::NotHeld);
    let value = if ran_out { share(passed, all) } else { 0.0 };
    let why = match ran_out {
        true => format!("{passed} of {all} probes during and after the method passed"),
        false => "it did not run to its end".to_owned(),
    };
    parts.push(ScorePart { name: "hypothesis", weight: HYPOTHESIS, value, why });
    for (name, what, weight) in [
        ("detection", "detected", DETECTION),
        ("mitigation", "mitigated", MITIGATION),
        ("recovery", "recovered", RECOVERY),
    ] {
        let expected = || faults.iter().flat_map(|fault| &fault.expectations).filter(|it| it.what == what);
        let (met, all) = (expected().filter(|it| it.met).count(), expected().count());
        if all > 0 {
            let why = format!("{met} of {all} faults were {what} in the expected time");
            parts.push(ScorePart { name, weight, value: share(met, all), why });
        }
    }
    let spent = budget.spent_percent;
    let why = format!("{spent:.1} % of the error budget is spent");
    parts.push(ScorePart {
        name: "budget",
        weight: BUDGET,
        value: (1.0 - spent / 100.0).clamp(0.0, 1.0),
        why,
    });
    let why = format!("{false_alarms} alarms that no fault explains");
    parts.push(ScorePart {
        name: "precision",
        weight: PRECISION,
        value: 1.0 / (1.0 + false_alarms as f64),
        why,
    });
    let weights: f64 = parts.iter().map(|part| part.weight).sum();
    let mut total = 100.0 * parts.iter().map(|part| part.weight * part.value).sum::<f64>() / weights;
    // Whoever leaves a mess behind has no score.
    if faults.iter().any(|fault| !fault.rolled_back) {
        total = 0.0;
    }
    Score { total, parts }
}

fn share(part: usize, all: usize) -> f64 {
    if all > 0 { part as f64 / all as f64 } else { 1.0 }
}
