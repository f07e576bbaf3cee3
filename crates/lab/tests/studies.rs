//! The studies of the repository can be run, and the one that is fitted to spans is what its spans say.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use headgate_lab::fit::span::Spans;
use headgate_lab::fit::{infer, write};
use headgate_lab::sim::StageSpec;
use headgate_lab::study::{Measure, Study, check_for_rig, check_for_sim, simulate};
use std::fs;
use std::path::{Path, PathBuf};
use toml::Table;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../studies")
}

fn study(name: &str) -> Study {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    let mut files = |name: &str| fs::read_to_string(folder().join(name)).map_err(|error| error.to_string());
    Study::read(&text, &mut files).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn spans() -> Spans {
    let mut spans = Spans::default();
    spans.read(&fs::read_to_string(folder().join("social-network-spans.csv")).unwrap()).unwrap();
    spans
}

#[test]
fn every_study_can_be_run() {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".toml") {
            let study = study(&name);
            check_for_sim(&study).unwrap_or_else(|error| panic!("{name}: {error}"));
            if name.contains("rig") {
                check_for_rig(&study).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            names.push(name);
        }
    }
    assert!(names.len() >= 8, "{names:?}");
}

/// Cut at zero, a normal distribution has a larger mean than is written; rates are meant for this one.
#[test]
fn work_that_is_cut_at_zero_has_the_mean_that_its_study_speaks_of() {
    for name in ["balance-rules.toml", "balance-ramp.toml"] {
        let study = study(name);
        let StageSpec::Work(work) = &study.spec.system.services["backend"].does[0] else { panic!("{name}") };
        let mean_ms = work.sampler().unwrap().mean() / 1e6;
        assert!((mean_ms - 50.0).abs() < 0.01, "{name}: {mean_ms} ms");
    }
}

#[test]
fn the_fitted_study_has_the_services_that_its_spans_say() {
    let fitted: Table = write::toml(&infer::fit(&spans())).parse().unwrap();
    let written: Table = fs::read_to_string(folder().join("social-network.toml")).unwrap().parse().unwrap();
    let (fitted, written) = (&fitted["system"], &written["system"]);
    assert_eq!(fitted["entry"], written["entry"]);
    let services = |system: &toml::Value| system["service"].as_table().unwrap().clone();
    let (fitted, written) = (services(fitted), services(written));
    assert_eq!(fitted.keys().collect::<Vec<_>>(), written.keys().collect::<Vec<_>>());
    for (name, service) in fitted {
        assert_eq!(service["does"], written[&name]["does"], "{name}");
    }
}

#[test]
fn fitted_services_at_rest_take_the_time_that_was_recorded() {
    let spans = spans();
    let whole = spans.spans.iter().filter(|span| span.parent.is_none());
    let took: Vec<f64> = whole.map(|span| (span.end_us - span.start_us) as f64 / 1e3).collect();
    let recorded_ms = took.iter().sum::<f64>() / took.len() as f64;
    let study = study("social-network.toml");
    let at_rest = study.plan().runs().next().unwrap();
    let (measures, _) = simulate(&study, at_rest).unwrap();
    let simulated_ms = measures[&Measure::LatencyMeanMs];
    assert!((simulated_ms / recorded_ms - 1.0).abs() < 0.05, "{simulated_ms} ms, recorded {recorded_ms} ms");
}
