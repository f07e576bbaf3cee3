//! Two folders of results side by side: what has changed between two versions of Headgate, two machines, or
//! the simulator and the rig.

use super::figures::{number, probability};
use super::{CONFIDENCE, TOLD};
use crate::report::Table;
use crate::study::{Finished, Ground};
use headgate_stats::anova::games_howell;
use headgate_stats::descriptive::mean;
use std::collections::{BTreeMap, BTreeSet};

type Levels = BTreeMap<String, String>;

/// A row for each combination of levels that both have and each measure that is told in detail: both means, the
/// second less the first with its interval (Welch), and the chance of such a difference between equals. Where
/// both have runs of the same ground, grounds are kept apart; else one ground is held against the other.
#[must_use]
pub fn compare(one: &[Finished], other: &[Finished]) -> Table {
    let grounds = |runs: &[Finished]| runs.iter().map(|run| run.ground).collect::<BTreeSet<Ground>>();
    let apart = !grounds(one).is_disjoint(&grounds(other));
    let cell_of = |run: &Finished| {
        let mut levels = run.levels.clone();
        if apart && run.ground == Ground::Rig {
            levels.insert("ground".to_owned(), run.ground.name().to_owned());
        }
        levels
    };
    let cells = |runs: &[Finished]| runs.iter().map(cell_of).collect::<BTreeSet<Levels>>();
    let (ours, theirs) = (cells(one), cells(other));
    let mut rows = Vec::new();
    for cell in ours.intersection(&theirs) {
        for measure in TOLD {
            let of = |runs: &[Finished]| {
                let here = runs.iter().filter(|run| cell_of(run) == *cell);
                here.filter_map(|run| run.measures.get(&measure).copied()).collect::<Vec<f64>>()
            };
            let (first, second) = (of(one), of(other));
            let (Ok(before), Ok(after)) = (mean(&first), mean(&second)) else { continue };
            let mut row = vec![name(cell), measure.title().to_owned(), number(before), number(after)];
            row.push(if before == 0.0 {
                "-".to_owned()
            } else {
                format!("{:+.1} %", (after / before - 1.0) * 100.0)
            });
            // Of two groups these are Welch's interval and test.
            let pairs = games_howell(&[&second, &first], CONFIDENCE);
            match pairs.as_deref() {
                Ok([pair, ..]) => row.extend([
                    format!("{} to {}", number(pair.interval.low), number(pair.interval.high)),
                    probability(pair.p),
                ]),
                _ => row.extend(["-".to_owned(), "-".to_owned()]),
            }
            rows.push(row);
        }
    }
    let mut notes = vec![format!(
        "each row is a test of its own: where nothing has changed, about {} of these {} have a p below 0.05 all the same",
        number(rows.len() as f64 * (1.0 - CONFIDENCE)),
        rows.len()
    )];
    let alone = ours.symmetric_difference(&theirs).count();
    if alone > 0 {
        notes.push(format!("{alone} combinations are only in one of the two and left out"));
    }
    Table {
        caption: "Second less first".to_owned(),
        head: ["where", "measure", "first", "second", "change", "interval", "p"].map(str::to_owned).to_vec(),
        rows,
        notes,
    }
}

fn name(levels: &Levels) -> String {
    let parts = levels.iter().map(|(factor, level)| format!("{factor}={level}"));
    parts.collect::<Vec<_>>().join(", ")
}
