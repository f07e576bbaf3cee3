//! Whether the levels of the compared factor differ, and which: analysis of variance with its checks, and
//! comparisons of all pairs.

use super::figures::{number, probability};
use super::groups::Groups;
use super::{CONFIDENCE, TOLD};
use crate::report::{Report, Table};
use crate::study::Measure;
use headgate_stats::StatsError;
use headgate_stats::anova::{
    Anova, Centre, Comparison, games_howell, levene, one_way, shapiro_wilk, tukey, welch,
};
use headgate_stats::descriptive::mean;
use headgate_stats::outlier::iqr_filter;
use headgate_stats::ranks::kruskal_wallis;

/// Variances differ when Levene's test says so at this level.
const LEVEL: f64 = 0.05;
/// Multiple of the interquartile range beyond which a run is an outlier (Tukey 1977).
const FENCE: f64 = 1.5;

/// Where the runs of every combination are.
const ALL: &str = "all";

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
        "One-way analysis of variance over runs, with two checks of what it assumes. Where Levene's test (by medians) \
         finds that variances differ, Welch's analysis and the comparisons of Games and Howell are the ones to read, \
         else Fisher's and Tukey's. Where Shapiro and Wilk's test finds that what is left beside the means of the levels is \
         not normal, Kruskal and Wallis's test by ranks is the one that needs no distribution. With few repeats neither \
         check finds much.",
    );
    let (mut variance, mut pairs) = (Vec::new(), Vec::new());
    let (mut not_analysed, mut not_compared) = (Vec::new(), Vec::new());
    for measure in TOLD.into_iter().filter(|measure| groups.has(*measure)) {
        let why = |place: &str, error: StatsError| {
            format!("{}, {place}: {}.", measure.title(), with_names(&error, &levels))
        };
        for compared in places(groups, measure) {
            let table = match one_way(&compared.values) {
                Ok(table) => table,
                Err(error) => {
                    not_analysed.push(why(&compared.where_, error));
                    // What all runs do not have, no part of them has.
                    match compared.where_ == ALL {
                        true => break,
                        false => continue,
                    }
                }
            };
            variance.push(analysis(measure, &compared, &table));
            match comparisons(measure, &compared, &levels) {
                Ok(rows) => pairs.extend(rows),
                Err(error) => not_compared.push(why(&compared.where_, error)),
            }
        }
    }
    not_analysed.extend(notes(variance.len()));
    let head = [
        "measure",
        "where",
        "F",
        "df",
        "p",
        "η²",
        "ω²",
        "Levene p",
        "Shapiro p",
        "Welch F",
        "Welch p",
        "Kruskal p",
        "outliers",
    ];
    report.table(Table {
        caption: "Analysis of variance".to_owned(),
        head: head.map(str::to_owned).to_vec(),
        rows: variance,
        notes: not_analysed,
    });
    let head = ["measure", "where", "pair", "difference", "interval", "p", "by"];
    report.table(Table {
        caption: "Pairs, p and intervals for all pairs at once".to_owned(),
        head: head.map(str::to_owned).to_vec(),
        rows: pairs,
        notes: not_compared,
    });
}

/// An error about a group by the name of its level.
fn with_names(error: &StatsError, levels: &[String]) -> String {
    let text = error.to_string();
    let named = levels.iter().enumerate().find_map(|(index, level)| {
        let rest = text.strip_prefix(&format!("group {index}:"))?;
        Some(format!("{level}:{rest}"))
    });
    named.unwrap_or(text)
}

/// What a reader has to know about a table of so many tests.
fn notes(tests: usize) -> [String; 3] {
    [
        "Outliers: runs beyond 1.5 interquartile ranges of their level. They are counted and stay in.".to_owned(),
        "\"all\" mixes every combination of the other factors and counts what lies between those as chance: a difference \
         between levels is found less easily there."
            .to_owned(),
        format!(
            "Each row is a test of its own: where nothing differs, about {:.1} of these {tests} have a p below 0.05 all the \
             same.",
            tests as f64 * LEVEL
        ),
    ]
}

/// All runs together, then each combination of the other factors.
fn places(groups: &Groups<'_>, measure: Measure) -> Vec<Compared> {
    let all = groups.levels().iter().map(|level| groups.of(measure, level)).collect();
    let mut compared = vec![Compared { where_: ALL.to_owned(), values: all }];
    let places = groups.places();
    if places.len() > 1 {
        compared.extend(places.iter().map(|place| Compared {
            where_: place.to_string(),
            values: groups.levels().iter().map(|level| groups.at(measure, level, place)).collect(),
        }));
    }
    compared
}

fn analysis(measure: Measure, compared: &Compared, table: &Anova) -> Vec<String> {
    let Compared { where_, values } = compared;
    let nothing = || "-".to_owned();
    let or_nothing = |p: Option<f64>| p.map_or_else(nothing, probability);
    let mut row = vec![measure.title().to_owned(), where_.clone()];
    row.extend([
        number(table.f),
        format!("{}, {}", table.between.df, table.within.df),
        probability(table.p),
        number(table.eta_squared),
        number(table.omega_squared),
    ]);
    row.push(or_nothing(levene(values, Centre::Median).ok().map(|test| test.p)));
    row.push(or_nothing(shapiro_wilk(&residuals(values)).ok().map(|test| test.p)));
    match welch(values) {
        Ok(test) => row.extend([number(test.f), probability(test.p)]),
        Err(_) => row.extend([nothing(), nothing()]),
    }
    row.push(or_nothing(kruskal_wallis(values).ok().map(|test| test.p)));
    let outliers = |values: &Vec<f64>| iqr_filter(values, FENCE).map_or(0, |filtered| filtered.removed.len());
    row.push(values.iter().map(outliers).sum::<usize>().to_string());
    row
}

/// What is left of each value when the mean of its level is taken away.
fn residuals(values: &[Vec<f64>]) -> Vec<f64> {
    let of = |level: &Vec<f64>| {
        let mean = mean(level).unwrap_or(0.0);
        level.iter().map(|value| value - mean).collect::<Vec<f64>>()
    };
    values.iter().flat_map(of).collect()
}

/// All pairs, or why they cannot be compared: one level never varies and another does.
fn comparisons(
    measure: Measure,
    compared: &Compared,
    levels: &[String],
) -> Result<Vec<Vec<String>>, StatsError> {
    let Compared { where_, values } = compared;
    let differ = levene(values, Centre::Median).is_ok_and(|test| test.p < LEVEL);
    let (pairs, by) = if differ {
        (games_howell(values, CONFIDENCE)?, "Games-Howell")
    } else {
        (tukey(values, CONFIDENCE)?, "Tukey")
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
    Ok(pairs.into_iter().map(row).collect())
}
