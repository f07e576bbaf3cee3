//! Fits of spans whose services are known. Real spans: crates/lab/tests/studies.rs.

use super::infer::{FittedCall, fit};
use super::span::Spans;
use super::write;
use crate::sim::SystemSpec;
use headgate_model::dice::Dice;
use std::fmt::Write;

const HEADER: &str = "trace,span,parent,service,start_us,duration_us\n";

fn call(service: &str, share: f64) -> FittedCall {
    FittedCall { service: service.to_owned(), share }
}

/// Requests at a shop: 2 ms of its own, then two calls at once, then one that is made in two of five.
fn shop() -> String {
    let mut text = HEADER.to_owned();
    let mut dice = Dice::new(1);
    for trace in 0..2_000 {
        let mut span = |id: u32, parent: &str, service: &str, start: u64, end: u64| {
            writeln!(text, "{trace},{id},{parent},{service},{start},{}", end - start).unwrap();
        };
        // Uniform from 1,000 to 3,000: mean 2,000, standard deviation 577.
        let own = 1_000 + dice.below(2_001);
        let (prices, stock) = (5_000 + dice.below(100), 8_000);
        let after = own + prices.max(stock);
        span(2, "1", "prices", own, own + prices);
        span(3, "1", "stock", own, own + stock);
        let mut end = after;
        if dice.below(5) < 2 {
            span(4, "1", "adverts", after, after + 1_000);
            end += 1_000;
        }
        // A span within the shop itself is none of its calls.
        span(5, "1", "shop", 10, 20);
        span(1, "", "shop", 0, end);
    }
    text
}

#[test]
fn what_was_put_in_comes_out() {
    let mut spans = Spans::default();
    spans.read(&shop()).unwrap();
    let fit = fit(&spans);
    let shop = &fit.services["shop"];
    assert_eq!((shop.spans, fit.entries["shop"], fit.orphans, fit.beyond), (2_000, 2_000, 0, 0));
    assert!((shop.own_mean_us - 2_000.0).abs() < 40.0, "{}", shop.own_mean_us);
    assert!((shop.own_cv - 0.2887).abs() < 0.01, "{}", shop.own_cv);
    assert_eq!(shop.stages[0], [call("prices", 1.0), call("stock", 1.0)]);
    assert_eq!((shop.stages.len(), &*shop.stages[1][0].service), (2, "adverts"));
    assert!((shop.stages[1][0].share - 0.4).abs() < 0.04, "{:?}", shop.stages[1]);
    assert_eq!(fit.services["stock"].own_cv, 0.0);
}

#[test]
fn what_is_written_is_a_system() {
    let mut spans = Spans::default();
    spans.read(&shop()).unwrap();
    let text = write::toml(&fit(&spans)).replace("[system.", "[");
    let system: SystemSpec = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(system.services.len(), 4);
    assert_eq!(system.services["shop"].does.len(), 3);
    assert_eq!(system.entry["*"], "shop");
}

#[test]
fn a_name_of_a_service_may_be_anything() {
    let (one, other) = ("a\nb \"q\" 'r'", "# \\ \u{7f}\u{7}");
    let spans = serde_json::json!({ "data": [{
        "processes": { "p": { "serviceName": one }, "q": { "serviceName": other } },
        "spans": [
            { "traceID": "t", "spanID": "1", "startTime": 0, "duration": 100, "processID": "p" },
            { "traceID": "t", "spanID": "2", "references": [{ "refType": "CHILD_OF", "spanID": "1" }],
              "startTime": 10, "duration": 50, "processID": "q" },
        ],
    }] });
    let mut read = Spans::default();
    read.read(&spans.to_string()).unwrap();
    let text = write::toml(&fit(&read)).replace("[system.", "[");
    let system: SystemSpec = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(system.entry["*"], one);
    assert_eq!(system.services[one].does.len(), 2);
    assert!(system.services.contains_key(other));
}

#[test]
fn calls_to_one_service_again_and_again_are_spelled_out() {
    let mut text = HEADER.to_owned();
    for trace in 0..10 {
        writeln!(text, "{trace},1,,a,0,100").unwrap();
        for nth in 0..3 {
            writeln!(text, "{trace},{},1,b,{},10", 2 + nth, nth * 20).unwrap();
        }
    }
    let mut spans = Spans::default();
    spans.read(&text).unwrap();
    let fit = fit(&spans);
    assert_eq!(fit.services["a"].stages, vec![vec![call("b", 1.0)]; 3]);
    assert_eq!(fit.services["a"].own_mean_us, 70.0);
}

#[test]
fn the_forms_of_tracing_systems_are_read() {
    let jaeger = r#"{"data":[{"processes":{"p1":{"serviceName":"a"},"p2":{"serviceName":"b"}},"spans":[
        {"traceID":"t","spanID":"1","references":[],"startTime":10,"duration":100,"processID":"p1"},
        {"traceID":"t","spanID":"2","references":[{"refType":"CHILD_OF","traceID":"t","spanID":"1"}],
         "startTime":20,"duration":30,"processID":"p2"}, {"spanID":"3"}]}]}"#;
    let zipkin = r#"[{"traceId":"t","id":"1","timestamp":10,"duration":100,"kind":"SERVER","localEndpoint":{"serviceName":"a"}},
        {"traceId":"t","id":"2","parentId":"1","timestamp":15,"duration":50,"kind":"CLIENT","localEndpoint":{"serviceName":"a"}},
        {"traceId":"t","id":"2","parentId":"1","timestamp":20,"duration":30,"kind":"SERVER","localEndpoint":{"serviceName":"b"}},
        {"id":7}]"#;
    let slate = "c,a,GET,/,t,1,,0,0.1,0.1,0,0,50,x,y\nc,b,GET,/,t,2,1,0.01,0.04,0.03,0,0,50,x,y\nbroken\n";
    for text in [jaeger, zipkin, slate] {
        let mut spans = Spans::default();
        spans.read(text).unwrap();
        let fit = fit(&spans);
        assert_eq!((spans.damaged, spans.traces(), fit.services.len()), (1, 1, 2), "{text}");
        assert_eq!(fit.services["a"].own_mean_us, 70.0, "{text}");
        assert_eq!(fit.services["a"].stages, [[call("b", 1.0)]], "{text}");
    }
    for text in ["", "a,b\n1,2\n", "{}", "{\"data\":", "[1"] {
        assert!(Spans::default().read(text).is_err(), "{text}");
    }
}

#[test]
fn spans_in_a_circle_and_without_parents_end() {
    let text = format!("{HEADER}t,1,2,a,0,10\nt,2,1,a,0,10\nt,3,9,b,5,1\nt,4,4,c,0,1\n");
    let mut spans = Spans::default();
    spans.read(&text).unwrap();
    let fit = fit(&spans);
    assert_eq!((fit.orphans, fit.services.contains_key("a")), (1, false));
    assert_eq!(fit.entries.keys().collect::<Vec<_>>(), ["b", "c"]);
}
