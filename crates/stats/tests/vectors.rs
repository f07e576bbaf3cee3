//! Agreement with scipy and statsmodels on random designs, and with multiprecision values of the studentized
//! range. Where the data come from: `vectors/README.md`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "test harness; the figures are for the documents"
)]

use headgate_stats::anova::{Centre, games_howell, levene, one_way, shapiro_wilk, tukey, welch};
use headgate_stats::correlation::pearson;
use headgate_stats::descriptive::{Percentile, percentile, summary};
use headgate_stats::dist::{ChiSquared, Distribution, FisherF, Normal, StudentT, StudentizedRange};
use headgate_stats::interval::mean_interval;
use headgate_stats::ranks::{Method, kruskal_wallis, mann_whitney};
use headgate_stats::regression::{exponential, polynomial};
use serde_json::Value;

fn scipy(section: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("vectors/scipy.json")).unwrap();
    all[section].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect()
}

fn lists(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(numbers).collect()
}

/// Each number within `tolerance` of its own size, or of 1e-6 of it for those near zero.
#[track_caller]
fn near(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs();
        assert!(error <= tolerance * expected.abs().max(1e-6), "{what}: {found:e}, expected {expected:e}");
    }
}

#[test]
fn random_designs_agree() {
    for (case, design) in scipy("designs").iter().enumerate() {
        let groups = lists(&design["groups"]);
        let name = |test: &str| format!("design {case}: {test}");
        let table = one_way(&groups).unwrap();
        near(&name("anova"), &[table.f, table.p], &numbers(&design["anova"]), 1e-10);
        let test = welch(&groups).unwrap();
        near(&name("welch"), &[test.f, test.df_within, test.p], &numbers(&design["welch"]), 1e-9);
        for (centre, expected) in [Centre::Median, Centre::Mean].into_iter().zip(lists(&design["levene"])) {
            let test = levene(&groups, centre).unwrap();
            near(&name("levene"), &[test.w, test.p], &expected, 1e-9);
        }
        let tables = [("tukey", tukey(&groups, 0.95)), ("games_howell", games_howell(&groups, 0.95))];
        for (test, table) in tables {
            let table = table.unwrap();
            let expected = lists(&design[test]);
            assert_eq!(table.len(), expected.len());
            for (row, expected) in table.iter().zip(expected) {
                near(&name(test), &[row.difference], &expected[..1], 1e-9);
                assert!((row.p - expected[1]).abs() < 1e-8, "{test}: {row:?} {expected:?}");
                near(&name(test), &[row.interval.low, row.interval.high], &expected[2..], 1e-6);
            }
        }
        let test = kruskal_wallis(&groups).unwrap();
        near(&name("kruskal"), &[test.h, test.p], &numbers(&design["kruskal"]), 1e-9);
        for (method, expected) in
            [Method::Auto, Method::Normal].into_iter().zip(lists(&design["mann_whitney"]))
        {
            let test = mann_whitney(&groups[0], &groups[1], method).unwrap();
            near(&name("mann-whitney"), &[test.u, test.p], &expected, 1e-9);
        }
        let pooled = groups.concat();
        for (values, expected) in [&groups[0], &pooled].into_iter().zip(lists(&design["shapiro"])) {
            let test = shapiro_wilk(values).unwrap();
            near(&name("shapiro"), &[test.w], &expected[..1], 1e-7);
            assert!((test.p - expected[1]).abs() < 1e-6, "{case}: {test:?} {expected:?}");
        }
        let interval = mean_interval(&pooled, design["level"].as_f64().unwrap()).unwrap();
        near(&name("student"), &[interval.low, interval.high], &numbers(&design["student"]), 1e-10);
        let figures = summary(&pooled).unwrap();
        let found = [figures.mean, figures.sd.unwrap(), figures.median, figures.q3 - figures.q1];
        near(&name("summary"), &found, &numbers(&design["summary"]), 1e-12);
        let definitions = [Percentile::Linear, Percentile::MedianUnbiased, Percentile::NearestRank];
        for (definition, expected) in definitions.into_iter().zip(lists(&design["percentiles"])) {
            let found = [0.01, 0.25, 0.9, 0.99].map(|p| percentile(&pooled, p, definition).unwrap());
            near(&name("percentiles"), &found, &expected, 1e-12);
        }
    }
}

#[test]
fn random_regressions_agree() {
    for (case, design) in scipy("regressions").iter().enumerate() {
        let name = |part: &str| format!("regression {case}: {part}");
        let [x, y, positive] = ["x", "y", "positive"].map(|series| numbers(&design[series]));
        let degree = design["degree"].as_u64().unwrap() as usize;
        let fit = polynomial(&x, &y, degree, 0.95).unwrap().fit;
        let column = |part: fn(&headgate_stats::regression::Coefficient) -> f64| -> Vec<f64> {
            fit.coefficients.iter().map(part).collect()
        };
        near(&name("estimates"), &column(|one| one.estimate), &numbers(&design["params"]), 1e-8);
        near(&name("errors"), &column(|one| one.standard_error), &numbers(&design["errors"]), 1e-8);
        near(&name("t"), &column(|one| one.t), &numbers(&design["t"]), 1e-8);
        near(&name("p"), &column(|one| one.p), &numbers(&design["p"]), 1e-7);
        for (one, expected) in fit.coefficients.iter().zip(lists(&design["intervals"])) {
            near(&name("intervals"), &[one.interval.low, one.interval.high], &expected, 1e-8);
        }
        let quality = [fit.r_squared, fit.adjusted_r_squared, fit.f, fit.p, fit.residual_sd];
        near(&name("quality"), &quality, &numbers(&design["quality"]), 1e-8);
        let found = pearson(&x, &y, 0.95).unwrap();
        let found = [found.r, found.p, found.interval.low, found.interval.high];
        near(&name("pearson"), &found, &numbers(&design["pearson"]), 1e-9);
        let curve = exponential(&x, &positive, 0.95).unwrap();
        let line = &curve.log_line.fit;
        let slope = line.coefficients[1];
        let found = [curve.factor.ln(), curve.rate, slope.standard_error, slope.p, line.r_squared];
        near(&name("growth"), &found, &numbers(&design["growth"]), 1e-8);
    }
}

#[test]
fn tails_and_quantiles_agree_with_multiprecision_down_to_1e_30() {
    let mut worst: f64 = 0.0;
    for row in scipy("tails") {
        let parameters = numbers(&row[1]);
        let [x, cdf, sf] = [2, 3, 4].map(|place| row[place].as_f64().unwrap());
        let mut check = |law: &dyn Fn(&str, f64) -> f64| {
            for (part, at, expected) in [("cdf", x, cdf), ("sf", x, sf), ("isf", sf, x)] {
                let found = law(part, at);
                let error = (found - expected).abs();
                worst = worst.max(error / expected.abs());
                assert!(error <= 1e-11 * expected.abs(), "{row} {part}: {found:e}, expected {expected:e}");
            }
        };
        match row[0].as_str().unwrap() {
            "t" => check(&|part, at| evaluate(&StudentT::new(parameters[0]).unwrap(), part, at)),
            "f" => {
                check(&|part, at| evaluate(&FisherF::new(parameters[0], parameters[1]).unwrap(), part, at))
            }
            "chi2" => check(&|part, at| evaluate(&ChiSquared::new(parameters[0]).unwrap(), part, at)),
            _ => check(&|part, at| evaluate(&Normal, part, at)),
        }
    }
    println!("largest relative error: {worst:e}");
}

fn evaluate(law: &impl Distribution, part: &str, at: f64) -> f64 {
    match part {
        "cdf" => law.cdf(at),
        "sf" => law.sf(at),
        _ => law.upper_quantile(at),
    }
    .unwrap()
}

#[test]
fn studentized_range_is_within_1e_12_of_multiprecision_values() {
    let table: Value =
        serde_json::from_str(include_str!("vectors/studentized_range_mpmath_ref.json")).unwrap();
    let cases = table["cdf_data"].as_array().unwrap();
    assert_eq!(cases.len(), 72);
    let mut worst: f64 = 0.0;
    for case in cases {
        let [q, k, df] = ["q", "k", "v"].map(|name| case["src_case"][name].as_f64().unwrap());
        let expected = case["mp_result"].as_f64().unwrap();
        let law = StudentizedRange::new(k as usize, df).unwrap();
        worst = worst.max((law.cdf(q).unwrap() - expected).abs());
        worst = worst.max((law.sf(q).unwrap() - (1.0 - expected)).abs());
        if expected > 1e-20 && expected < 1.0 - 1e-6 {
            let quantile = law.quantile(expected).unwrap();
            assert!((quantile / q - 1.0).abs() < 1e-8, "{case}: {quantile}");
        }
    }
    println!("largest error of the 72 values: {worst:e}");
    assert!(worst < 1e-12, "{worst:e}");
}

#[test]
fn studentized_range_agrees_with_scipy_for_many_means_and_few_degrees_of_freedom() {
    for row in scipy("studentized_range") {
        let row = numbers(&row);
        let law = StudentizedRange::new(row[0] as usize, row[1]).unwrap();
        let found = law.cdf(row[2]).unwrap();
        assert!((found - row[3]).abs() < 1e-9, "{row:?}: {found}");
    }
}
