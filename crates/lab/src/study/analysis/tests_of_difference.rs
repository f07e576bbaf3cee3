//! Whether the levels of the compared factor differ, and which: analysis of variance with its checks, and
//! comparisons of all pairs.

use super::figures::{number, probability};
use super::groups::Groups;
use super::{CONFIDENCE, TOLD};
use crate::report::{Report, Table};
use crate::study::Measure;
use headgate_stats::anova::{Centre, Comparison, games_howell, levene, one_way, tukey, welch};
use headgate_stats::outlier::iqr_filter;

/// Variances differ when Levene's test says so at this level.
const LEVEL: f64 = 0.05;
/// Multiple of the interquartile range beyond which a run is an outlier (Tukey 1977).
const FENCE: f64 = 1.5;

/// Groups that are compared: what they have in common, and the values of each level.
struct Compared {
    where_: String,
    values: Vec<Vec<f64>>,
}

pub(super) fn tell(report: &mut Report, groups: &Groups<'_>) {
    let levels = groups.levels();
    if levels.len() < 2 {
        return;
    }
    report.heading(format!("Do the levels of {} differ?", groups.compared_name()));
    report.text(
        "One-way analysis of variance over runs. Where Levene's test (by medians) finds that variances differ, Welch's \
         analysis and the comparisons of Games and Howell are the ones to read, else Fisher's and Tukey's.",
    );
    let mut variance = Vec::new();
    let mut pairs = Vec::new();
    for measure in TOLD.into_iter().filter(|measure| groups.has(*measure)) {
        for compared in places(groups, measure) {
            variance.push(analysis(measure, &compared));
            pairs.extend(comparisons(measure, &compared, &levels));
        }
    }
    let head = ["measure", "where", "F", "df", "p", "η²", "ω²", "Levene p", "Welch F", "Welch p", "outliers"];
    report.table(Table {
        caption: "Analysis of variance".to_owned(),
        head: head.map(str::to_owned).to_vec(),
        rows: variance,
        notes: vec![
            "Outliers: runs beyond 1.5 interquartile ranges of their level. They are counted and stay in."
                .to_owned(),
            "\"all\" mixes every place on the axis: its differences within levels are those of the axis."
                .to_owned(),
        ],
    });
    let head = ["measure", "where", "pair", "difference", "interval", "p", "by"];
    report.table(Table {
        caption: "Pairs, p and intervals for all pairs at once".to_owned(),
        head: head.map(str::to_owned).to_vec(),
        rows: pairs,
        notes: Vec::new(),
    });
}

/// All runs together, then each place on the axis.
fn places(groups: &Groups<'_>, measure: Measure) -> Vec<Compared> {
    let all = groups.levels().iter().map(|level| groups.of(measure, level)).collect();
    let mut compared = vec![Compared { where_: "all".to_owned(), values: all }];
    if let Some((axis, places)) = &groups.axis {
        compared.extend(places.iter().map(|place| Compared {
            where_: format!("{axis} {place}"),
            values: groups.levels().iter().map(|level| groups.at(measure, level, *place)).collect(),
        }));
    }
    compared
}

fn analysis(measure: Measure, compared: &Compared) -> Vec<String> {
    let Compared { where_, values } = compared;
    let nothing = || "-".to_owned();
    let mut row = vec![measure.title().to_owned(), where_.clone()];
    match one_way(values) {
        Ok(table) => row.extend([
            number(table.f),
            format!("{}, {}", table.between.df, table.within.df),
            probability(table.p),
            number(table.eta_squared),
            number(table.omega_squared),
        ]),
        // Why there is no figure stands in place of the first.
        Err(error) => row.extend([error.to_string(), nothing(), nothing(), nothing(), nothing()]),
    }
    row.push(levene(values, Centre::Median).map_or_else(|_| nothing(), |test| probability(test.p)));
    match welch(values) {
        Ok(test) => row.extend([number(test.f), probability(test.p)]),
        Err(_) => row.extend([nothing(), nothing()]),
    }
    let outliers = |values: &Vec<f64>| iqr_filter(values, FENCE).map_or(0, |filtered| filtered.removed.len());
    row.push(values.iter().map(outliers).sum::<usize>().to_string());
    row
}

fn comparisons(measure: Measure, compared: &Compared, levels: &[String]) -> Vec<Vec<String>> {
    let Compared { where_, values } = compared;
    let differ = levene(values, Centre::Median).is_ok_and(|test| test.p < LEVEL);
    let (pairs, by) = if differ {
        (games_howell(values, CONFIDENCE), "Games-Howell")
    } else {
        (tukey(values, CONFIDENCE), "Tukey")
    };
    let row = |pair: Comparison| {
        vec![
            measure.title().to_owned(),
            where_.clone(),
            format!("{} - {}", levels[pair.first], levels[pair.second]),
            number(pair.difference),
            format!("{} to {}", number(pair.interval.low), number(pair.interval.high)),
            probability(pair.p),
            by.to_owned(),
        ]
    };
    pairs.map_or_else(|_| Vec::new(), |pairs| pairs.into_iter().map(row).collect())
}
