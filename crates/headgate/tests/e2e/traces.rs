//! What a request is known by: request ids and W3C trace context.

use crate::support::{Head, Headgate, Origin, Response, one_service};

fn exchange(trace: &str, fields: &str) -> (Head, Response) {
    let origin = Origin::start();
    let gateway =
        Headgate::start(&format!("trace = {{ {trace} }}\n{}", one_service("", "", &[origin.address])));
    let mut client = gateway.connect();
    client.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"));
    let mut upstream = origin.accept();
    let head = upstream.head();
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    (head, client.response())
}

const ID: &str = "request_id = \"X-Request-Id\"";

#[test]
fn a_request_without_an_id_gets_one() {
    let (first, _) = exchange(ID, "");
    let (second, _) = exchange(ID, "");
    let (first, second) = (first.value("x-request-id").unwrap(), second.value("x-request-id").unwrap());
    assert_eq!(first.len(), 32);
    assert_ne!(first, second);
}

#[test]
fn a_good_id_of_the_client_is_kept_and_a_bad_one_replaced() {
    let (head, _) = exchange(ID, "x-request-id: abc-123.x\r\n");
    assert_eq!(head.values("x-request-id"), ["abc-123.x"]);
    for bad in ["x-request-id: a b\r\n", "x-request-id: \r\n", "x-request-id: 1\r\nx-request-id: 2\r\n"] {
        let (head, _) = exchange(ID, bad);
        assert_eq!(head.value("x-request-id").unwrap().len(), 32, "{bad}");
    }
}

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn a_trace_goes_on_with_a_span_of_our_own() {
    let (head, _) = exchange("create = true", &format!("traceparent: {PARENT}\r\ntracestate: a=1\r\n"));
    let span = head.value("traceparent").unwrap();
    assert!(span.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && span.ends_with("-01"), "{span}");
    assert_ne!(span, PARENT);
    assert_eq!(head.value("tracestate"), Some("a=1"));
}

#[test]
fn a_request_without_a_trace_starts_one_only_when_asked_to() {
    let (head, _) = exchange("create = true", "tracestate: left=over\r\n");
    assert_eq!(head.value("traceparent").unwrap().len(), PARENT.len());
    assert!(!head.has("tracestate"), "a state without its trace");
    let (head, _) = exchange("create = false", "");
    assert!(!head.has("traceparent"));
    let (head, _) = exchange("create = false", &format!("traceparent: {PARENT}\r\n"));
    assert_eq!(head.value("traceparent"), Some(PARENT));
}
