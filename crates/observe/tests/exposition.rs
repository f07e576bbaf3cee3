//! The exposed text against a strict parser of the Prometheus text format 0.0.4 and against a golden file.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use headgate_model::fault::FaultKind;
use headgate_observe::exposition;
use headgate_observe::registry::Registry;
use headgate_observe::request_metrics::{
    EndpointMetrics, FaultMetrics, ListenerMetrics, Outcome, RouteMetrics,
};
use proptest::prelude::*;

type Labels = BTreeMap<String, String>;

#[derive(Debug, Default)]
struct Family {
    help: String,
    kind: String,
    samples: Vec<(String, Labels, f64)>,
}

/// Parses a whole exposition; panics on anything that the format's description does not allow, and on
/// what it calls good style: HELP, then TYPE, then all samples of the family together.
fn parse(text: &str) -> BTreeMap<String, Family> {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line ends with a line feed");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("HELP has a text");
            assert!(is_name(name, true), "{line}");
            let family = Family { help: unescape(help, false), ..Family::default() };
            assert!(families.insert(name.to_owned(), family).is_none(), "second HELP: {line}");
            name.clone_into(&mut current);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("TYPE has a type");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(name, current, "TYPE follows its HELP");
            let family = families.get_mut(name).unwrap();
            assert!(family.kind.is_empty() && family.samples.is_empty(), "{line}");
            kind.clone_into(&mut family.kind);
        } else {
            let (name, labels, value) = sample(line);
            let family = families.get_mut(&current).unwrap_or_else(|| panic!("no family for {line}"));
            let suffix =
                name.strip_prefix(current.as_str()).unwrap_or_else(|| panic!("outside its family: {line}"));
            let allowed: &[&str] =
                if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(allowed.contains(&suffix), "{line}");
            assert!(seen.insert((name.clone(), labels.clone())), "second sample: {line}");
            family.samples.push((name, labels, value));
        }
    }
    families
        .iter()
        .filter(|(_, family)| family.kind == "histogram")
        .for_each(|(name, family)| histogram(name, family));
    families
}

fn sample(line: &str) -> (String, Labels, f64) {
    let end = line.find(['{', ' ']).expect("a value");
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name, true), "{line}");
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").expect("a label has a quoted value");
            assert!(is_name(label, false), "{line}");
            let mut escaped = false;
            let close = after.find(|c| {
                let closes = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                closes
            });
            let (value, after) = after.split_at(close.expect("a closing quote"));
            assert!(labels.insert(label.to_owned(), unescape(value, true)).is_none(), "label twice: {line}");
            rest = &after[1..];
            match rest.split_at(1) {
                (",", more) => rest = more,
                ("}", more) => {
                    rest = more;
                    break;
                }
                _ => panic!("{line}"),
            }
        }
    }
    let value = rest.strip_prefix(' ').expect("one space before the value");
    assert!(value.bytes().all(|b| b.is_ascii_digit() || b".-".contains(&b)), "{line}");
    (name.to_owned(), labels, value.parse().unwrap())
}

fn is_name(name: &str, colon: bool) -> bool {
    let allowed = |(i, c): (usize, char)| {
        c.is_ascii_alphabetic() || c == '_' || (c == ':' && colon) || (i > 0 && c.is_ascii_digit())
    };
    !name.is_empty() && name.chars().enumerate().all(allowed)
}

fn unescape(text: &str, quote: bool) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) => match chars.next() {
                Some('\\') => out.push('\\'),
                Some('n') => out.push('\n'),
                Some('"') if quote => out.push('"'),
                other => panic!("unknown escape {other:?} in {text}"),
            },
            ('"', true) => panic!("bare quote in {text}"),
            _ => out.push(c),
        }
    }
    out
}

/// Buckets rise in bound and count, end with `+Inf`, which equals the count.
fn histogram(name: &str, family: &Family) {
    let mut by_series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    let mut counts = BTreeMap::new();
    for (sample, labels, value) in &family.samples {
        let mut labels = labels.clone();
        let le = labels.remove("le");
        match sample.strip_prefix(name) {
            Some("_bucket") => {
                let le = le.expect("a bucket has a bound");
                let le = if le == "+Inf" { f64::INFINITY } else { le.parse().unwrap() };
                by_series.entry(labels).or_default().push((le, *value));
            }
            Some("_count") => drop(counts.insert(labels, *value)),
            _ => assert!(le.is_none()),
        }
    }
    assert_eq!(by_series.len(), counts.len());
    for (labels, buckets) in by_series {
        assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{buckets:?}");
        assert_eq!(*buckets.last().unwrap(), (f64::INFINITY, counts[&labels]));
    }
}

fn text(registry: &Registry) -> String {
    let mut out = String::new();
    exposition::write(&registry.gather(), &mut out);
    out
}

#[test]
fn the_text_is_as_in_the_golden_file() {
    let registry = Registry::default();
    for id in 0..2 {
        let worker = registry.worker(id);
        let route = RouteMetrics::new(&worker, "shop.example/api/*", "catalog");
        route.record(200, 700);
        route.record(503, 2_000_000);
        route.record(599, 45_000_000);
        let endpoint = EndpointMetrics::new(&worker, "catalog", "10.0.0.1:8080");
        endpoint.in_flight.inc();
        endpoint.retries.inc();
        endpoint.connections_opened.add(3);
        endpoint.record(Outcome::Ok, 500);
        endpoint.record(Outcome::Failed, 501);
        endpoint.record(Outcome::ConnectFailed, 9);
        let listener = ListenerMetrics::new(&worker, "web");
        listener.connections_accepted.add(4);
        listener.connections_active.inc();
        listener.connections_refused.inc();
        listener.tls_handshakes.add(2);
        listener.tls_failures.inc();
        listener.bytes_in.add(100);
        listener.bytes_out.add(1_000);
        listener.bad_request(FaultKind::BadRequest);
        listener.bad_request(FaultKind::ConnectFailed);
        FaultMetrics::new(&worker).record(FaultKind::ConnectFailed);
    }
    let text = text(&registry);
    parse(&text);
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/metrics.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, &text).unwrap();
    }
    let expected = std::fs::read_to_string(golden).unwrap();
    assert!(text == expected, "run with UPDATE_GOLDEN=1 and look at the difference:\n{text}");
}

#[test]
fn nothing_counted_is_still_a_valid_text() {
    let families = parse(&text(&Registry::default()));
    assert_eq!(families.keys().collect::<Vec<_>>(), ["headgate_labels_dropped_total"]);
}

proptest! {
    #[test]
    fn any_label_value_and_help_come_back(
        value: String,
        other: String,
        pick in 0usize..3,
        durations in proptest::collection::vec(any::<u64>(), 0..20),
    ) {
        const HELPS: [&str; 3] = ["plain", "back\\slash \"quoted\"", "two\nlines \\n"];
        let value = value + "\\\"\n}";
        let registry = Registry::default();
        let worker = registry.worker(0);
        worker.counter("a_total", HELPS[pick], &[("x", &value), ("y", &other)]).inc();
        let histogram = worker.histogram("b_seconds", HELPS[pick], &[("x", &value)]);
        durations.iter().for_each(|us| histogram.record_us(us >> 20));
        let families = parse(&text(&registry));
        prop_assert_eq!(&families["a_total"].help, HELPS[pick]);
        let labels = Labels::from([("x".to_owned(), value), ("y".to_owned(), other)]);
        prop_assert_eq!(&families["a_total"].samples, &vec![("a_total".to_owned(), labels, 1.0)]);
        let count = families["b_seconds"].samples.last().unwrap().2;
        prop_assert_eq!(count as usize, durations.len());
    }
}
