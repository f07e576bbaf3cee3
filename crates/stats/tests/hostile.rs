//! Whatever it is fed, no function panics or answers with NaN: it gives figures or names what is wrong.

use std::fmt::Debug;

use headgate_model::dice::Dice;
use headgate_stats::anova::{Centre, games_howell, levene, one_way, shapiro_wilk, tukey, welch};
use headgate_stats::bootstrap::{self, bootstrap};
use headgate_stats::correlation::pearson;
use headgate_stats::descriptive::{Percentile, median, percentile, summary};
use headgate_stats::dist::{ChiSquared, Distribution, FisherF, Normal, StudentT, StudentizedRange};
use headgate_stats::interval::mean_interval;
use headgate_stats::outlier::iqr_filter;
use headgate_stats::ranks::{Method, kruskal_wallis, mann_whitney};
use headgate_stats::regression::{exponential, linear, multiple, polynomial};
use headgate_stats::sequential::{BoundedTest, MeanSequence};
use headgate_stats::{Result, StatsError};
use proptest::collection::vec;
use proptest::prelude::*;

/// Figures are numbers; with `infinite`, a statistic may be infinite (points on a line). Errors are sentences.
fn sound<T: Debug>(what: &str, result: Result<T>, infinite: bool) {
    match result {
        Ok(figures) => {
            let text = format!("{figures:?}");
            assert!(!text.contains("NaN"), "{what}: {text}");
            assert!(infinite || !text.contains("inf"), "{what}: {text}");
        }
        Err(error) => assert!(error.to_string().len() > 10, "{what}: {error}"),
    }
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -10.0..10.0f64,
        4 => (-3..4i32).prop_map(f64::from),
        2 => (0..3i32).prop_map(|i| 1e15 + f64::from(i)),
        1 => Just(1e-3),
        1 => prop::sample::select(vec![
            0.0, -0.0, f64::MAX, f64::MIN, 5e-324, f64::MIN_POSITIVE, 1e-160, 1e160, -1e160, 1e300, -1e-300,
        ]),
    ]
}

/// Mostly finite values, sometimes one that is not.
fn sample() -> impl Strategy<Value = Vec<f64>> {
    let spoiled =
        (vec(value(), 0..6), prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]));
    prop_oneof![
        9 => vec(value(), 0..12),
        3 => (value(), 1..8usize).prop_map(|(value, n)| vec![value; n]),
        1 => spoiled.prop_map(|(mut values, bad)| { values.push(bad); values }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn samples(values in sample(), other in sample(), p in prop_oneof![0.0..1.0f64, Just(f64::NAN), Just(2.0)]) {
        sound("summary", summary(&values), false);
        for definition in [Percentile::Linear, Percentile::MedianUnbiased, Percentile::NearestRank] {
            sound("percentile", percentile(&values, p, definition), false);
        }
        if let Ok(filtered) = iqr_filter(&values, 1.5) {
            prop_assert_eq!(filtered.kept.len() + filtered.removed.len(), values.len());
            let middle = median(&values).unwrap();
            prop_assert!(filtered.lower_fence <= middle && middle <= filtered.upper_fence);
        }
        sound("mean_interval", mean_interval(&values, p), false);
        sound("shapiro", shapiro_wilk(&values), false);
        for method in [Method::Auto, Method::Exact, Method::Normal] {
            sound("mann_whitney", mann_whitney(&values, &other, method), false);
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        for method in [bootstrap::Method::Percentile, bootstrap::Method::Bca] {
            let mut dice = Dice::new(1);
            sound("bootstrap", bootstrap(&values, mean, 100, p, method, &mut dice), false);
        }
        if let Ok(mut sequence) = MeanSequence::new(0.05, 10) {
            for value in &values {
                sound("observe", sequence.observe(*value), false);
                sound("interval", sequence.interval(), false);
                sound("evidence", sequence.evidence_against(p), false);
            }
        }
        if let Ok(mut test) = BoundedTest::new(-10.0, 10.0, p) {
            for value in &values {
                sound("observe", test.observe(*value), false);
                prop_assert!((0.0..=1.0).contains(&test.p()));
            }
        }
    }

    #[test]
    fn groups(groups in vec(sample(), 0..5)) {
        if let Ok(table) = one_way(&groups) {
            prop_assert!((0.0..=1.0).contains(&table.p) && (0.0..=1.0).contains(&table.eta_squared));
        }
        sound("one_way", one_way(&groups), false);
        sound("welch", welch(&groups), false);
        sound("levene", levene(&groups, Centre::Median), false);
        sound("levene", levene(&groups, Centre::Mean), false);
        sound("kruskal", kruskal_wallis(&groups), false);
        for table in [tukey(&groups, 0.95), games_howell(&groups, 0.95)] {
            for row in table.iter().flatten() {
                prop_assert!((0.0..=1.0).contains(&row.p), "{row:?}");
            }
            sound("pairs", table, false);
        }
    }

    #[test]
    fn pairs(pairs in vec((value(), value(), value()), 0..12), degree in 0..5usize) {
        let x: Vec<f64> = pairs.iter().map(|row| row.0).collect();
        let y: Vec<f64> = pairs.iter().map(|row| row.1).collect();
        let z: Vec<f64> = pairs.iter().map(|row| row.2).collect();
        if let Ok(found) = pearson(&x, &y, 0.95) {
            prop_assert!(found.interval.contains(found.r), "{found:?}");
        }
        sound("pearson", pearson(&x, &y, 0.95), true);
        sound("linear", linear(&x, &y, 0.95).map(|line| line.fit), true);
        sound("polynomial", polynomial(&x, &y, degree, 0.95).map(|curve| curve.fit), true);
        sound("exponential", exponential(&x, &y, 0.95).map(|curve| (curve.rate, curve.r_squared_of_y)), true);
        sound("multiple", multiple(&[&x, &z], &y, 0.95), true);
    }

    #[test]
    fn distributions(
        first in prop_oneof![0.01..50.0f64, 1e-3..1e9f64, Just(f64::NAN), Just(0.0), Just(f64::INFINITY)],
        second in prop_oneof![0.01..50.0f64, 1e-3..1e9f64, Just(-1.0)],
        x in prop_oneof![value(), Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY)],
        p in prop_oneof![0.0..1.0f64, 1e-300..1e-5f64, Just(1.0), Just(f64::NAN)],
        k in 0..2000usize,
    ) {
        law("normal", Ok(Normal), x, p)?;
        law("t", StudentT::new(first), x, p)?;
        law("F", FisherF::new(first, second), x, p)?;
        law("chi-squared", ChiSquared::new(second), x, p)?;
        law("studentized range", StudentizedRange::new(k, first), x, p)?;
    }
}

#[test]
fn a_quantile_beyond_all_numbers_is_an_error() {
    assert!(StudentT::new(0.01).unwrap().upper_quantile(1e-300).is_err());
    assert!(StudentT::new(0.01).unwrap().upper_quantile(0.1).is_ok());
}

fn law<D: Distribution>(
    name: &str,
    made: std::result::Result<D, StatsError>,
    x: f64,
    p: f64,
) -> std::result::Result<(), TestCaseError> {
    let Ok(law) = made else { return Ok(()) };
    if let (Ok(cdf), Ok(sf)) = (law.cdf(x), law.sf(x)) {
        prop_assert!((cdf + sf - 1.0).abs() < 1e-8, "{name} at {x}: {cdf} {sf}");
    } else {
        prop_assert!(x.is_nan());
    }
    if let Ok(quantile) = law.upper_quantile(p) {
        let back = law.sf(quantile).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!((back / p - 1.0).abs() < 1e-6, "{name} at {p}: {quantile}, back {back}");
    }
    sound(name, law.quantile(p), false);
    Ok(())
}
