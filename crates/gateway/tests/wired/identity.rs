//! What a request is known by: trace context, request id, client address; and its line in the access log.

use crate::gateway::{Gateway, PATIENCE};
use crate::peers::{Upstream, get, nobody, raw, reply, send};
use headgate_gateway::worker::Outlets;
use headgate_model::spec::LogFormat;
use headgate_observe::access_log::{AccessLog, AccessLogWriter, Format, RING_BYTES, Target};
use headgate_observe::registry::Registry;
use std::net::SocketAddr;
use std::path::PathBuf;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRUST: &str = "trusted_proxies = [\"127.0.0.0/8\"]";

fn config(endpoints: &[SocketAddr], rest: &str) -> String {
    let endpoints: Vec<String> = endpoints.iter().map(SocketAddr::to_string).collect();
    format!(
        "[[route]]\nmatch = \"shop.test/*\"\nname = \"all\"\nservice = \"shop\"\n[service.shop]\nendpoints = {endpoints:?}\n{rest}\n"
    )
}

/// An upstream that answers with the request's head as it got it.
fn mirror() -> Upstream {
    Upstream::start(|head| reply(200, head))
}

/// The values of a header field in a mirrored head.
fn mirrored<'b>(body: &'b str, name: &str) -> Vec<&'b str> {
    body.lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(n, _)| *n == name)
        .map(|(_, v)| v)
        .collect()
}

#[test]
fn a_trace_and_an_id_go_through() {
    let upstream = mirror();
    let trace = "[trace]\ncreate = true\nrequest_id = \"x-request-id\"";
    let gateway = Gateway::start(&config(&[upstream.address], trace));
    let fields = format!("traceparent: {PARENT}\r\ntracestate: a=1\r\nx-request-id: mine-1\r\n");
    let body = send(gateway.address, "GET", "/", &fields).body;
    let [ours] = mirrored(&body, "traceparent")[..] else { panic!("{body}") };
    assert_eq!(ours[..36], PARENT[..36]);
    assert_ne!(ours, PARENT);
    assert_eq!(mirrored(&body, "tracestate"), ["a=1"]);
    assert_eq!(mirrored(&body, "x-request-id"), ["mine-1"]);

    let body = send(gateway.address, "GET", "/", "tracestate: a=1\r\nx-request-id: \"bad id\"\r\n").body;
    assert_eq!(mirrored(&body, "traceparent")[0].len(), PARENT.len());
    assert!(mirrored(&body, "tracestate").is_empty(), "{body}");
    let [fresh] = mirrored(&body, "x-request-id")[..] else { panic!("{body}") };
    assert_eq!(fresh.len(), 32);
}

#[test]
fn without_tracing_what_the_client_sent_is_passed_on() {
    let upstream = mirror();
    let gateway = Gateway::start(&config(&[upstream.address], ""));
    let body = send(gateway.address, "GET", "/", "traceparent: odd\r\nx-request-id: a b\r\n").body;
    assert_eq!((mirrored(&body, "traceparent"), mirrored(&body, "x-request-id")), (vec!["odd"], vec!["a b"]));
}

#[test]
fn a_fault_names_the_requests_id() {
    let trace = "[trace]\nrequest_id = \"x-request-id\"";
    let gateway = Gateway::start(&config(&[nobody()], trace));
    let response = send(gateway.address, "GET", "/", "x-request-id: mine-2\r\n");
    assert_eq!((response.status, response.values("x-request-id")), (502, vec!["mine-2"]));
}

#[test]
fn a_client_behind_a_trusted_proxy_is_told_by_its_own_address() {
    let upstreams: Vec<Upstream> = ["0", "1", "2", "3"].map(|text| Upstream::fixed(200, text)).into();
    let endpoints: Vec<SocketAddr> = upstreams.iter().map(|upstream| upstream.address).collect();
    let hashed = config(&endpoints, "balance = { policy = \"rendezvous\", key = \"client_address\" }");
    let places = |gateway: &Gateway| -> Vec<String> {
        let ask =
            |n: u32| send(gateway.address, "GET", "/", &format!("x-forwarded-for: 192.0.2.{n}\r\n")).body;
        let places: Vec<String> = (0..32).map(ask).collect();
        assert_eq!(places[7], ask(7), "the same client, the same endpoint");
        places
    };
    let trusting = Gateway::start_with(TRUST, &hashed, vec![Outlets::default()]);
    let mut found = places(&trusting);
    found.sort();
    found.dedup();
    assert!(found.len() > 1, "32 clients are spread");
    let wary = Gateway::start(&hashed);
    let mut found = places(&wary);
    found.dedup();
    assert_eq!(found.len(), 1, "whatever it claims, it is one client");
}

/// Access log lines of what `ask` asks of a gateway.
fn logged(listener: &str, config: &str, ask: impl FnOnce(SocketAddr)) -> Vec<String> {
    let path: PathBuf = std::env::temp_dir().join(format!(
        "headgate-access-{}-{:?}.log",
        std::process::id(),
        std::thread::current().id()
    ));
    let counts = Registry::default();
    let (log, ring) = AccessLog::new(&counts.worker(0), RING_BYTES);
    let format = Format::parse(&LogFormat::Json).unwrap();
    let writer =
        AccessLogWriter::spawn(Target::File(path.clone()), format, vec![ring], &counts.worker(1)).unwrap();
    let gateway =
        Gateway::start_with(listener, config, vec![Outlets { signals: None, access_log: Some(log) }]);
    ask(gateway.address);
    drop(gateway);
    assert!(writer.stop(PATIENCE));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn assert_has(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "no {part} in {line}");
    }
}

#[test]
fn each_request_has_its_line() {
    let upstream = Upstream::fixed(200, "hello");
    let trace = "[trace]\ncreate = true\nrequest_id = \"x-request-id\"";
    let lines = logged(TRUST, &config(&[upstream.address], trace), |address| {
        let fields = format!(
            "x-forwarded-for: 192.0.2.9\r\ntraceparent: {PARENT}\r\nx-request-id: id-1\r\nuser-agent: t/1\r\n\
             content-length: 3\r\n\r\nabc"
        );
        let text = format!("POST /a?b=1 HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\n{fields}");
        assert_eq!(raw(address, &text).body, "hello");
        assert_eq!(
            raw(address, "GET / HTTP/1.1\r\nhost: other.test\r\nconnection: close\r\n\r\n").status,
            404
        );
        assert_eq!(raw(address, "G@T / HTTP/1.1\r\n\r\n").status, 400);
    });
    let [good, unrouted, unread] = &lines[..] else { panic!("{lines:#?}") };
    let endpoint = format!("\"endpoint\":\"{}\"", upstream.address);
    assert_has(
        good,
        &[
            "\"client\":\"192.0.2.9\"",
            "\"method\":\"POST\"",
            "\"host\":\"shop.test\"",
            "\"path\":\"/a?b=1\"",
            "\"protocol\":\"HTTP/1.1\"",
            "\"status\":200",
            "\"bytes_in\":3",
            "\"bytes_out\":5",
            "\"retries\":0",
            "\"route\":\"all\"",
            "\"service\":\"shop\"",
            &endpoint,
            "\"user_agent\":\"t/1\"",
            "\"request_id\":\"id-1\"",
            "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\"",
            "\"tls\":false",
        ],
    );
    assert!(!good.contains("\"fault\""), "{good}");
    assert_has(unrouted, &["\"status\":404", "\"fault\":\"no_route\"", "\"host\":\"other.test\""]);
    assert_has(unread, &["\"status\":400", "\"fault\":\"bad_request\"", "\"client\":\"127.0.0.1\""]);
}

#[test]
fn a_line_tells_what_went_wrong_and_how_often_it_was_tried() {
    let retry = "retry = { attempts = 3, backoff = \"1ms\" }\nfallback = { body = \"sorry\", status = 200 }";
    let lines = logged("", &config(&[nobody()], retry), |address| {
        assert_eq!(get(address, "/").body, "sorry");
    });
    assert_has(
        &lines[0],
        &["\"status\":200", "\"fault\":\"connect_failed\"", "\"retries\":2", "\"bytes_out\":5"],
    );
}
