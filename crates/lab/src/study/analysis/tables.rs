//! Means with their intervals: as a table of all cells, along the axis as charts, beside what others have
//! published, and on each layout of its own.

use super::TOLD;
use super::figures::{Estimate, cell, estimate, number};
use super::groups::Groups;
use crate::report::{Chart, Report, Series, Table};
use crate::study::Measure;
use std::collections::BTreeMap;

/// One row for each combination of levels.
pub(super) fn means(report: &mut Report, groups: &Groups<'_>) {
    report.heading("Means");
    let told: Vec<Measure> = Measure::ALL.into_iter().filter(|measure| groups.has(*measure)).collect();
    let places = groups.places();
    let mut head: Vec<String> = vec![groups.compared_name().to_owned()];
    head.extend(places.iter().take(1).flat_map(|place| &place.levels).map(|(factor, _)| factor.clone()));
    head.push("runs".to_owned());
    head.extend(told.iter().map(|measure| measure.title().to_owned()));
    let mut rows = Vec::new();
    for level in groups.levels() {
        for place in &places {
            let mut row = vec![level.clone()];
            row.extend(place.levels.iter().map(|(_, level)| level.clone()));
            row.push(groups.count(&level, place).to_string());
            row.extend(told.iter().map(|measure| cell(&[groups.at(*measure, &level, place)])));
            rows.push(row);
        }
    }
    let caption = "Mean of the runs, and half the width of its interval".to_owned();
    report.table(Table { caption, head, rows, notes: Vec::new() });
    if places.len() > 1 {
        report.text(
            "What is told below for more than one combination at once is the mean of the means above, each counted \
             alike, and its interval has the chance within combinations and nothing of what lies between them.",
        );
    }
}

/// One chart for each measure along the axis.
pub(super) fn charts(report: &mut Report, groups: &Groups<'_>) {
    let Some((axis, places)) = &groups.axis else { return };
    for measure in TOLD.into_iter().filter(|measure| groups.has(*measure)) {
        let series = groups.levels().into_iter().enumerate().map(|(colour, level)| {
            let at: Vec<Option<Estimate>> =
                places.iter().map(|place| estimate(&groups.strata_along(measure, &level, *place))).collect();
            let bound = |sign: f64| {
                let of = |one: &Option<Estimate>| one.and_then(|one| Some(one.mean + sign * one.half?));
                at.iter().map(of).collect::<Vec<_>>()
            };
            let y = at.iter().map(|one| one.map(|one| one.mean)).collect();
            Series { name: level, y, low: bound(-1.0), high: bound(1.0), points: false, colour }
        });
        report.chart(Chart {
            title: format!("{} by {axis}", measure.title()),
            x_label: (*axis).to_owned(),
            y_label: measure.title().to_owned(),
            logarithmic: matches!(measure, Measure::LatencyP99Ms),
            x: places.clone(),
            series: series.collect(),
        });
    }
}

/// Over all runs of a level, beside what others have published. The systems are not the same; what can be held
/// against each other is the order and the ratios.
pub(super) fn published(
    report: &mut Report,
    groups: &Groups<'_>,
    published: &BTreeMap<String, BTreeMap<Measure, f64>>,
) {
    let measures: Vec<Measure> = Measure::ALL
        .into_iter()
        .filter(|measure| published.values().any(|known| known.contains_key(measure)))
        .collect();
    if measures.is_empty() {
        return;
    }
    let mut head = vec![groups.compared_name().to_owned()];
    head.extend(measures.iter().flat_map(|measure| [measure.title().to_owned(), "published".to_owned()]));
    let rows = groups.levels().into_iter().map(|level| {
        let known = published.get(&level);
        let pair = |measure: &Measure| {
            let theirs = known.and_then(|known| known.get(measure));
            [
                cell(&groups.strata_of(*measure, &level)),
                theirs.map_or_else(|| "-".to_owned(), |value| number(*value)),
            ]
        };
        std::iter::once(level.clone()).chain(measures.iter().flat_map(pair)).collect()
    });
    report.table(Table {
        caption: "Beside what was published".to_owned(),
        head,
        rows: rows.collect(),
        notes: vec![
            "Means over all runs of a level. The systems are not the same: hold orders and ratios against each \
             other, not values."
                .to_owned(),
        ],
    });
}

/// Whether what is found on one layout is found on the others: the mean of each level on each of them.
pub(super) fn layouts(report: &mut Report, groups: &Groups<'_>) {
    for (factor, levels) in &groups.others {
        report.heading(format!("Cross-validation by {factor}"));
        for measure in TOLD.into_iter().filter(|measure| groups.has(*measure)) {
            let on = |level: &str, other: &str| {
                groups.strata(measure, &[(groups.compared_name(), level), (*factor, other)])
            };
            let mut head = vec![groups.compared_name().to_owned()];
            head.extend(levels.iter().cloned());
            let rows = groups.levels().into_iter().map(|level| {
                let cells = levels.iter().map(|other| cell(&on(&level, other)));
                std::iter::once(level.clone()).chain(cells).collect()
            });
            let order = |other: &String| {
                let mut means: Vec<(f64, String)> = groups
                    .levels()
                    .into_iter()
                    .filter_map(|level| Some((estimate(&on(&level, other))?.mean, level)))
                    .collect();
                means.sort_by(|one, two| one.0.total_cmp(&two.0));
                means.into_iter().map(|(_, level)| level).collect::<Vec<_>>()
            };
            let orders: Vec<Vec<String>> = levels.iter().map(order).collect();
            let same = orders.windows(2).all(|pair| pair[0] == pair[1]);
            let all: Vec<f64> = groups.levels().iter().flat_map(|level| groups.of(measure, level)).collect();
            let note = if all.windows(2).all(|pair| pair[0] == pair[1]) {
                "All runs are equal."
            } else if same {
                "The order of the means is the same everywhere."
            } else {
                "The order of the means is not the same everywhere; where intervals overlap, chance alone can change it."
            };
            report.table(Table {
                caption: measure.title().to_owned(),
                head,
                rows: rows.collect(),
                notes: vec![note.to_owned()],
            });
        }
    }
}
