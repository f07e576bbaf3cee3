//! How the measures follow the axis: correlations, and curves of latency over load.

use super::figures::{estimate, number, probability};
use super::groups::Groups;
use super::{CONFIDENCE, TOLD};
use crate::report::{Chart, Report, Series, Table};
use crate::study::Measure;
use headgate_stats::correlation::pearson;
use headgate_stats::regression::{exponential, linear, polynomial};

/// Points of a drawn curve between the ends of the axis.
const CURVE_POINTS: usize = 60;

pub(super) fn tell(report: &mut Report, groups: &Groups<'_>) {
    let Some((axis, places)) = &groups.axis else { return };
    if places.len() < 3 {
        return;
    }
    report.heading(format!("How results follow {axis}"));
    correlations(report, groups, axis);
    curves(report, groups, axis, Measure::LatencyMeanMs);
}

fn correlations(report: &mut Report, groups: &Groups<'_>, axis: &str) {
    let mut rows = Vec::new();
    for measure in TOLD.into_iter().filter(|measure| groups.has(*measure)) {
        for level in groups.levels() {
            let (x, y) = groups.pairs(measure, &level);
            let mut row = vec![measure.title().to_owned(), level, x.len().to_string()];
            row.extend(match pearson(&x, &y, CONFIDENCE) {
                Ok(found) => [
                    number(found.r),
                    format!("{} to {}", number(found.interval.low), number(found.interval.high)),
                    probability(found.p),
                ],
                Err(error) => [error.to_string(), "-".to_owned(), "-".to_owned()],
            });
            rows.push(row);
        }
    }
    report.table(Table {
        caption: format!("Correlation with {axis} (Pearson)"),
        head: ["measure", groups.compared_name(), "runs", "r", "interval", "p"].map(str::to_owned).to_vec(),
        rows,
        notes: Vec::new(),
    });
}

/// A straight line, a parabola and an exponential for each level, with what they explain; the parabola is drawn.
fn curves(report: &mut Report, groups: &Groups<'_>, axis: &str, measure: Measure) {
    let mut rows = Vec::new();
    let mut series = Vec::new();
    let curve = drawn_places(groups);
    for (colour, level) in groups.levels().into_iter().enumerate() {
        let (x, y) = groups.pairs(measure, &level);
        let line = linear(&x, &y, CONFIDENCE);
        let parabola = polynomial(&x, &y, 2, CONFIDENCE);
        let growth = exponential(&x, &y, CONFIDENCE);
        let explained = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), number);
        let slope = line.as_ref().ok().map(|line| line.fit.coefficients[1]);
        rows.push(vec![
            level.clone(),
            slope.map_or_else(
                || "-".to_owned(),
                |slope| {
                    format!(
                        "{} ({} to {})",
                        number(slope.estimate),
                        number(slope.interval.low),
                        number(slope.interval.high)
                    )
                },
            ),
            slope.map_or_else(|| "-".to_owned(), |slope| probability(slope.p)),
            explained(line.as_ref().ok().map(|line| line.fit.r_squared)),
            explained(parabola.as_ref().ok().map(|parabola| parabola.fit.r_squared)),
            explained(growth.as_ref().ok().map(|growth| growth.r_squared_of_y)),
        ]);
        let mean = |place: &f64| {
            let is_place = groups.axis.as_ref().is_some_and(|(_, places)| places.contains(place));
            is_place
                .then(|| estimate(&groups.strata_along(measure, &level, *place)))
                .flatten()
                .map(|one| one.mean)
        };
        let means = curve.iter().map(mean).collect();
        if let Ok(parabola) = &parabola {
            let y = curve.iter().map(|place| parabola.predict(*place).ok()).collect();
            series.push(Series { name: level.clone(), y, colour, ..Series::default() });
        }
        series.push(Series {
            name: format!("{level}, means"),
            y: means,
            points: true,
            colour,
            ..Series::default()
        });
    }
    report.table(Table {
        caption: format!("{} over {axis}", measure.title()),
        head: [groups.compared_name(), "slope of the line", "p", "R² line", "R² parabola", "R² exponential"]
            .map(str::to_owned)
            .to_vec(),
        rows,
        notes: vec![
            "R² of the exponential is in units of the measure, so that it can be compared.".to_owned(),
        ],
    });
    report.chart(Chart {
        title: format!("{} over {axis}: parabolas through all runs", measure.title()),
        x_label: axis.to_owned(),
        y_label: measure.title().to_owned(),
        logarithmic: false,
        x: curve,
        series,
    });
}

/// Places between the ends of the axis, and those of the study among them.
fn drawn_places(groups: &Groups<'_>) -> Vec<f64> {
    let places = groups.axis.as_ref().map_or(&[][..], |(_, places)| places);
    let least = places.iter().copied().fold(f64::INFINITY, f64::min);
    let most = places.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let between = (0..=CURVE_POINTS).map(|at| least + (most - least) * at as f64 / CURVE_POINTS as f64);
    let mut all: Vec<f64> = between.chain(places.iter().copied()).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}
