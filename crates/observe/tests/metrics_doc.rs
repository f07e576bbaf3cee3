//! `docs/metrics.md` and the code name the same metrics, with the same types and labels.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use headgate_observe::access_log::{AccessLog, AccessLogWriter, Format, RING_BYTES, Target};
use headgate_observe::cache_metrics::{
    DiskMetrics, RedisMetrics, RouteCacheMetrics, StoreMetrics, sample_dropped,
};
use headgate_observe::chaos_metrics::{chaos_closes_cut, chaos_hits};
use headgate_observe::guard_metrics::GuardMetrics;
use headgate_observe::prefetch_metrics::PrefetchMetrics;
use headgate_observe::process::{ConfigMetrics, ProcessMetrics};
use headgate_observe::registry::{FamilySnapshot, Kind, Registry};
use headgate_observe::request_metrics::{EndpointMetrics, FaultMetrics, ListenerMetrics, RouteMetrics};
use headgate_observe::resilience_metrics::{BreakerMetrics, BulkheadMetrics, aside, fallbacks};

type Described = BTreeMap<String, (String, BTreeSet<String>)>;

/// The rows of the document's tables: `| name | type | labels | meaning |`. The last section is not this
/// crate's; `control` holds its own names against it.
fn documented() -> Described {
    let mut rows = Described::new();
    let (own, _) = include_str!("../../../docs/metrics.md").split_once("\n## Control loops\n").unwrap();
    for line in own.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, meaning] = cells[..] else { panic!("four cells: {line}") };
        assert!(!meaning.is_empty(), "{line}");
        let labels = labels.split(',').map(|label| label.trim().trim_matches('`').to_owned());
        let row = (kind.to_owned(), labels.filter(|label| !label.is_empty()).collect());
        assert!(rows.insert(name.trim_matches('`').to_owned(), row).is_none(), "twice: {line}");
    }
    rows
}

fn in_code() -> Described {
    let registry = Registry::default();
    let worker = registry.worker(0);
    RouteMetrics::new(&worker, "r", "s").record(200, 1);
    let _ = EndpointMetrics::new(&worker, "s", "e");
    let _ = ListenerMetrics::new(&worker, "l");
    let _ = FaultMetrics::new(&worker);
    let _ = BreakerMetrics::new(&worker, "s", "e");
    let _ = BulkheadMetrics::new(&worker, "s");
    let _ = (aside(&worker, "s", "e"), fallbacks(&worker, "s"));
    let _ = (RouteCacheMetrics::new(&worker, "r"), StoreMetrics::new(&worker));
    let _ = (DiskMetrics::new(&worker), RedisMetrics::new(&worker));
    let _ = (sample_dropped(&worker), GuardMetrics::new(&worker, "p"));
    let _ = PrefetchMetrics::new(&worker);
    let _ = (chaos_hits(&worker, "r"), chaos_closes_cut(&worker));
    ProcessMetrics::new(&worker, "v").refresh();
    let _ = ConfigMetrics::new(&worker);
    let (_, ring) = AccessLog::new(&worker, RING_BYTES);
    let format = Format::parse(&headgate_model::spec::LogFormat::Json).unwrap();
    let _ = AccessLogWriter::spawn(Target::Stdout, format, vec![ring], &registry.worker(1)).unwrap();
    registry.gather().iter().map(describe).collect()
}

fn describe(family: &FamilySnapshot) -> (String, (String, BTreeSet<String>)) {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let (labels, _) = family.series.first().expect("a series per family");
    let labels = labels.iter().map(|(name, _)| name.to_owned()).collect();
    (family.name.to_owned(), (kind.to_owned(), labels))
}

#[test]
fn the_document_and_the_code_name_the_same_metrics() {
    assert_eq!(documented(), in_code());
}

#[test]
fn names_follow_the_conventions() {
    for (name, (kind, _)) in in_code() {
        if name.starts_with("process_") {
            // Named by the convention for all programs, so that dashboards find them.
            continue;
        }
        assert!(name.starts_with("headgate_"), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        assert_eq!(name.ends_with("_seconds"), kind == "histogram", "{name}");
    }
}
