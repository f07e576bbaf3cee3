//! What is shown, as text: whole screens against golden files, and that nothing odd breaks the layout.

use super::*;
use headgate_observe::top::{ConnectionRates, FaultRow, RequestRates};

fn busy() -> TopSnapshot {
    let latency =
        |p50_us| Percentiles { p50_us, p90_us: p50_us * 2, p99_us: p50_us * 9, p999_us: p50_us * 40 };
    let route = |route: &str, service: &str, per_s, errors_per_s, p50_us| RouteRow {
        route: route.to_owned(),
        service: service.to_owned(),
        requests: RequestRates { per_s, errors_per_s, latency: latency(p50_us) },
    };
    let endpoint = |endpoint: &str, health, requests_per_s, failed_per_s, in_flight, p50_us| EndpointRow {
        service: "catalog".to_owned(),
        endpoint: endpoint.to_owned(),
        health,
        requests_per_s,
        failed_per_s,
        connect_failed_per_s: failed_per_s,
        retries_per_s: failed_per_s,
        in_flight,
        latency: latency(p50_us),
    };
    TopSnapshot {
        interval_s: 1.0,
        requests: RequestRates { per_s: 1_242.5, errors_per_s: 6.0, latency: latency(850) },
        connections: ConnectionRates {
            active: 128,
            accepted_per_s: 3.0,
            refused_per_s: 0.0,
            bytes_in_per_s: 90_400.0,
            bytes_out_per_s: 12_345_678.0,
        },
        routes: vec![
            route("shop.example/api/catalog/*", "catalog", 1_200.0, 2.0, 700),
            route("shop.example/checkout/{order}/payment", "payment", 42.0, 4.0, 25_000),
            route("about", "", 0.5, 0.0, 0),
        ],
        endpoints: vec![
            endpoint("10.0.0.1:8080", EndpointHealth::Healthy, 700.0, 0.0, 3, 650),
            endpoint("10.0.0.2:8080", EndpointHealth::Unhealthy, 500.0, 2.5, 12, 1_300),
        ],
        faults: vec![
            FaultRow { kind: "connect_failed".to_owned(), blame: "upstream".to_owned(), per_s: 2.5 },
            FaultRow { kind: "bad_header".to_owned(), blame: "client".to_owned(), per_s: 0.4 },
        ],
    }
}

fn shown(top: &TopSnapshot, sort: Sort, trouble: Option<&str>, width: usize, height: usize) -> Vec<Line> {
    let requests_per_s = (0..=10).map(|tenth| f64::from(tenth) * 140.0).collect();
    let view = View { admin: "127.0.0.1:9090", top, requests_per_s: &requests_per_s, sort, trouble };
    frame(&view, width, height)
}

fn text(lines: &[Line]) -> String {
    lines.iter().map(|line| format!("{}\n", line.text.trim_end())).collect()
}

/// `UPDATE=1 cargo test` writes what is drawn now.
fn assert_golden(name: &str, text: &str) {
    let path = format!("{}/src/top/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == text, "{path} differs; run with UPDATE=1 and look at the difference:\n{text}");
}

#[test]
fn a_usual_terminal() {
    assert_golden("usual.txt", &text(&shown(&busy(), Sort::Requests, None, 100, 24)));
}

#[test]
fn a_small_terminal_that_lost_its_headgate() {
    let lines =
        shown(&busy(), Sort::Errors, Some("no answer from 127.0.0.1:9090: connection refused"), 60, 14);
    assert_golden("small.txt", &text(&lines));
    assert_eq!(lines[5].style, Style::Alert);
}

#[test]
fn one_look_as_plain_text() {
    assert_golden("once.txt", &plain(&busy()));
}

#[test]
fn nothing_to_show_is_shown() {
    assert_golden("idle.txt", &plain(&TopSnapshot::default()));
}

#[test]
fn whatever_is_shown_fits() {
    let mut top = busy();
    for n in 0..100 {
        top.routes.push(RouteRow { route: format!("route-{n}"), ..RouteRow::default() });
        top.endpoints.push(EndpointRow { endpoint: format!("10.0.1.{n}:80"), ..EndpointRow::default() });
    }
    for width in [0, 1, 7, 40, 80, 300] {
        for height in [0, 1, 5, 10, 11, 24, 300] {
            let lines = shown(&top, Sort::P99, None, width, height);
            assert!(lines.len() <= height, "{width}x{height}: {} lines", lines.len());
            assert!(lines.iter().all(|line| line.text.chars().count() <= width), "{width}x{height}");
        }
    }
    let lines = text(&shown(&top, Sort::Requests, None, 90, 40));
    assert!(lines.contains("ROUTE (14 of 103)") && lines.contains("ENDPOINT (15 of 102)"), "{lines}");
}

#[test]
fn rows_are_sorted_as_asked() {
    let first = |sort| {
        let (routes, endpoints) = (routes(&busy(), sort), endpoints(&busy(), sort));
        (routes[0][1].clone(), endpoints[0][0].clone())
    };
    let expect = |route: &str, endpoint: &str| (route.to_owned(), endpoint.to_owned());
    assert_eq!(first(Sort::Requests), expect("catalog", "10.0.0.1:8080"));
    assert_eq!(first(Sort::Errors), expect("payment", "10.0.0.2:8080"));
    assert_eq!(first(Sort::P99), expect("payment", "10.0.0.2:8080"));
    assert_eq!(Sort::default().next().next().next(), Sort::default());
}

#[test]
fn a_chart_of_odd_values_is_a_chart() {
    let values = [f64::NAN, -1.0, 0.0, 7.0, f64::INFINITY].into();
    assert_eq!(chart(&values, 80).chars().filter(|c| ('▁'..='█').contains(c)).count(), 5);
    assert_eq!(chart(&VecDeque::new(), 80), "minute    max 0/s");
}

#[test]
fn quantities_are_short() {
    assert_eq!([-0.0, 0.04, 9.94, 10.2, 123_456.0].map(rate), ["0", "0.0", "9.9", "10", "123456"]);
    let latencies = [0, 999, 1_000, 9_940, 10_000, 999_999, 1_500_000].map(latency);
    assert_eq!(latencies, ["-", "999us", "1.0ms", "9.9ms", "10ms", "999ms", "1.5s"]);
    assert_eq!([-0.0, 999.0, 1_000.0, 2.5e6, 3e9].map(bytes), ["0 B", "999 B", "1.0 kB", "2.5 MB", "3.0 GB"]);
}
