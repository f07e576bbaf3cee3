//! Peers that mean harm or are badly broken: what they send has an end, is counted under its name, costs bounded
//! memory, and touches nobody else.

use crate::support::{Headgate, Origin, Port, Service, Wire, frames, one_service};
use std::time::Duration;

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// A gateway and its numbers.
struct Counted {
    gateway: Headgate,
    admin: Port,
}

impl Counted {
    fn start(config: &str) -> Self {
        let admin = Port::reserve();
        let gateway = Headgate::start(&format!("admin = {{ bind = \"{}\" }}\n{config}", admin.address));
        Self { gateway, admin }
    }

    fn before(listen: &str, service: &str, origin: &Origin) -> Self {
        Self::start(&one_service(listen, service, &[origin.address]))
    }

    /// The value of the series with this name and these labels; zero while it is not there.
    fn number(&self, series: &str) -> u64 {
        let ask = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let text = Wire::connect(self.admin.address).ask(ask).text();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    fn faults(&self, kind: &str, blame: &str) -> u64 {
        self.number(&format!("headgate_faults_total{{blame=\"{blame}\",kind=\"{kind}\"}}"))
    }

    fn resident_bytes(&self) -> u64 {
        let bytes = self.number("process_resident_memory_bytes");
        assert!(bytes > 0);
        bytes
    }
}

/// Sends `piece` again and again until the other side has had enough; fails when it never has.
#[track_caller]
fn send_without_end(wire: &mut Wire, piece: &str, what: &str) {
    const ENOUGH: usize = 32 << 20;
    let batch = piece.repeat(1 + 16_384 / piece.len());
    let mut sent = 0;
    while wire.try_send(&batch).is_ok() {
        sent += batch.len();
        assert!(sent < ENOUGH, "{what}: {sent} bytes were taken");
    }
}

#[test]
fn a_response_head_without_end_is_a_502_and_holds_nothing() {
    let origin = Origin::start();
    let counted = Counted::before("", "", &origin);
    let before = counted.resident_bytes();
    let mut client = counted.gateway.connect();
    for (count, (what, start, piece)) in [
        ("garbage", "", "\x16\x03\x01\x02\x00"),
        ("a reason", "HTTP/1.1 200 ", "x"),
        ("fields", "HTTP/1.1 200 OK\r\n", "x: 1\r\n"),
        ("a name", "HTTP/1.1 200 OK\r\n", "x"),
        ("a value", "HTTP/1.1 200 OK\r\nx: ", "x"),
        ("empty lines", "", "\r\n"),
        ("interim responses", "", "HTTP/1.1 102 Processing\r\n\r\n"),
        ("connection options", "HTTP/1.1 200 OK\r\nconnection: ", "x,"),
    ]
    .into_iter()
    .enumerate()
    {
        client.send(GET);
        let mut upstream = origin.accept();
        upstream.head();
        let _ = upstream.try_send(start);
        send_without_end(&mut upstream, piece, what);
        let response = loop {
            let response = client.response();
            if response.status() != 102 {
                break response;
            }
        };
        assert_eq!(response.status(), 502, "{what}");
        assert!(response.text().starts_with("502 bad_response: "), "{what}: {}", response.text());
        assert_eq!(counted.faults("bad_response", "upstream"), count as u64 + 1, "{what}");
    }
    let grown = counted.resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more");
    assert!(origin.accept_waiting().is_none(), "a bad response was asked for again");
}

/// What is malformed within a body can only cut the response; the client sees that it is not whole.
#[test]
fn framing_without_end_cuts_the_response() {
    let origin = Origin::start();
    let counted = Counted::before("", "", &origin);
    let before = counted.resident_bytes();
    for (count, (what, start, piece)) in [
        ("a chunk's extension", "5;", "x"),
        ("a chunk's size", "", "0"),
        ("trailers", "0\r\n", "x: 1\r\n"),
        ("a trailer", "0\r\nx: ", "1"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = counted.gateway.connect();
        client.send(GET);
        let mut upstream = origin.accept();
        upstream.head();
        upstream.send(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n{start}"));
        assert_eq!(client.head().status(), 200);
        assert_eq!(client.chunk(), b"good");
        send_without_end(&mut upstream, piece, what);
        assert_eq!(client.rest().0, b"", "{what}");
        assert_eq!(counted.faults("bad_response", "upstream"), count as u64 + 1, "{what}");
    }
    let grown = counted.resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more");
}

#[test]
fn a_response_head_that_drips_for_ever_is_a_504() {
    let origin = Origin::start();
    let counted = Counted::before("", "timeouts.first_byte = \"300ms\"\nretry.attempts = 1", &origin);
    let mut client = counted.gateway.connect();
    client.send(GET);
    let mut upstream = origin.accept();
    upstream.head();
    upstream.send("HTTP/1.1 200 OK\r\nx: ");
    upstream.set_patience(Duration::from_millis(20));
    // Each byte comes well within the time, all together never end.
    while upstream.try_send("x").is_ok() && upstream.try_fill().is_err() {}
    assert_eq!(client.response().status(), 504);
}

#[test]
fn an_upload_without_end_of_framing_is_refused() {
    let origin = Origin::start();
    let counted = Counted::before("", "", &origin);
    let before = counted.resident_bytes();
    for (what, status, start, piece) in [
        ("a chunk's extension", 400, "5;", "x"),
        ("a chunk's size", 400, "", "0"),
        ("trailers", 431, "0\r\n", "x: 1\r\n"),
        ("a trailer", 400, "0\r\nx: ", "1"),
    ] {
        let mut client = counted.gateway.connect();
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n");
        let mut upstream = origin.accept();
        upstream.head();
        assert_eq!(upstream.chunk(), b"good", "{what}");
        client.send(start);
        let mut writer = Wire::from(client.writer());
        let piece = piece.to_owned();
        // It is read for a while after the answer, so that the answer is not lost.
        let sender = std::thread::spawn(move || send_without_end(&mut writer, &piece, what));
        assert_eq!(client.response().status(), status, "{what}");
        let (rest, _) = upstream.rest();
        assert_eq!(String::from_utf8_lossy(&rest), "", "{what}: the upload looks whole");
        sender.join().unwrap();
    }
    let grown = counted.resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more");
}

/// A bad request ends its connection; what came before it is served, what comes behind it is not.
#[test]
fn an_error_in_a_pipeline_ends_it_there() {
    for bad in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET /a/../b HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        "\0",
        "\r\n\r\n\r\n",
    ] {
        let service = Service::named("app");
        let gateway = Headgate::start(&one_service("", "", &[service.address]));
        let mut client = gateway.connect();
        let good = "GET /good HTTP/1.1\r\nHost: a.test\r\n\r\n";
        let bait = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";
        client.send(format!("{good}{good}{bad}{bait}"));
        for _ in 0..2 {
            assert_eq!(client.response().text(), "app GET /good HTTP/1.1", "{bad:?}");
        }
        let response = client.response();
        assert_eq!(response.status(), 400, "{bad:?}");
        assert_eq!(response.head.value("connection"), Some("close"), "{bad:?}");
        client.finish_sending();
        client.assert_ended();
        assert_eq!(service.requests(), 2, "{bad:?}");
    }
}

/// Each refusal has one name, in the answer and in the numbers.
#[test]
fn refusals_are_counted_by_their_kind() {
    let origin = Origin::start();
    let counted = Counted::before("limits.body = \"10\"\ntimeouts.head = \"300ms\"", "", &origin);
    let long = "a".repeat(20_000);
    for (kind, request) in [
        ("bad_request", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".to_owned()),
        ("uri_too_long", format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n")),
        ("head_too_large", format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n")),
        ("body_too_large", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n".to_owned()),
        ("version_not_supported", "GET / HTTP/3.0\r\nHost: a\r\n\r\n".to_owned()),
        ("method_not_supported", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n".to_owned()),
        ("expectation_failed", "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n".to_owned()),
        ("client_timeout", "GET / HT".to_owned()),
    ] {
        let mut client = counted.gateway.connect();
        client.send(&request);
        let response = client.response();
        let words = format!("{} {kind}: ", response.status());
        assert!(response.text().starts_with(&words), "{kind}: {}", response.text());
        assert_eq!(counted.faults(kind, "client"), 1, "{kind}");
        let series = format!("headgate_bad_requests_total{{listener=\"web\",reason=\"{kind}\"}}");
        assert_eq!(counted.number(&series), 1, "{kind}");
    }
    origin.assert_untouched("what was refused");
}

/// Also those of HTTP/2 that are refused before there is a request.
#[test]
fn refusals_over_http_2_are_counted_too() {
    let service = Service::named("app");
    let counted = Counted::start(&one_service("http2 = true", "", &[service.address]));
    let long = "a".repeat(20_000);
    let (whole, reset) = (frames::END_HEADERS | frames::END_STREAM, frames::RST_STREAM);
    let no_path = frames::block(&[(":method", "GET"), (":scheme", "http"), (":authority", "a.test")]);
    let many: Vec<(&str, &str)> = (0..120).map(|_| ("x", "1")).collect();
    let mut client = frames::Frames::open(&counted.gateway);
    let mut stream = 1;
    for (kind, block, status) in [
        (
            "head_too_large",
            frames::get(&[("x", &long[..8_000]), ("y", &long[..8_000]), ("z", &long[..8_000])]),
            431,
        ),
        ("head_too_large", frames::get(&many), 431),
        ("bad_request", no_path, 0),
        ("bad_request", frames::get(&[("content-length", "5")]), 0),
        ("bad_request", frames::get(&[("host", "b.test")]), 400),
    ] {
        let before = counted.faults(kind, "client");
        let head = block.chunks(16_000).collect::<Vec<_>>();
        let (last, first) = head.split_last().unwrap();
        let end = if first.is_empty() { frames::HEADERS } else { frames::CONTINUATION };
        for (index, piece) in first.iter().enumerate() {
            let begin = if index == 0 { frames::HEADERS } else { frames::CONTINUATION };
            client.send(frames::frame(begin, if index == 0 { frames::END_STREAM } else { 0 }, stream, piece));
        }
        let flags = if first.is_empty() { whole } else { frames::END_HEADERS };
        client.send(frames::frame(end, flags, stream, last));
        let got = client.until(|frame| match frame.kind {
            frames::HEADERS => Some(frame.payload.clone()),
            kind if kind == reset => Some(Vec::new()),
            _ => None,
        });
        assert_eq!(got.is_empty(), status == 0, "{kind} {status}");
        client.assert_alive();
        assert_eq!(counted.faults(kind, "client"), before + 1, "{kind} {status}");
        stream += 2;
    }
    assert_eq!(service.requests(), 0);
}

/// Routing sees the path in its normal form; the endpoint sees what was sent. What would mean two things is
/// refused.
#[test]
fn paths_in_disguise_mean_to_the_endpoint_what_they_meant_to_the_route() {
    let (open, guarded) = (Service::named("open"), Service::named("guarded"));
    let config = one_service("", "", &[open.address]);
    let gateway = Headgate::start(&format!(
        "{config}[service.guarded]\nendpoints = [\"{}\"]\n[[route]]\nmatch = \"/admin/*\"\nservice = \"guarded\"\n",
        guarded.address
    ));
    for (path, by) in [
        ("/admin/x", "guarded"),
        ("/admin//x", "guarded"),
        ("/admin/%2fx", "guarded"),
        ("/admin/", "guarded"),
        ("//admin/x", "open"),
        ("/%61dmin/x", "guarded"),
        ("/admi%6E/%2fx", "guarded"),
        ("/admin%2fx", "open"),
        ("/admin\\x", "open"),
        ("/ADMIN/x", "open"),
        ("/admin;v=1/x", "open"),
        ("/%252e%252e/admin/x", "open"),
        ("/x?/../admin/", "open"),
        ("/x%00", "open"),
        ("/%zz", "open"),
    ] {
        let text = gateway.connect().get(path).text();
        assert_eq!(text, format!("{by} GET {path} HTTP/1.1"));
    }
    for path in
        ["/x/../admin/y", "/x/..%2fadmin/y", "/x\\..\\admin", "/%2e%2e/admin", "/.%2e;/admin", "/./admin/"]
    {
        assert_eq!(gateway.connect().get(path).status(), 400, "{path}");
    }
    for target in
        ["admin/x", "http:/admin/x", "http:///admin", "*", "a.test:80", "//", "?", "https://a.test?b"]
    {
        let mut client = gateway.connect();
        let response = client.ask(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        let wanted = if target == "//" { 200 } else { 400 };
        assert_eq!(response.status(), wanted, "{target}");
    }
}

/// The service behind the wider route may read such a path as the one that is refused.
#[test]
fn a_refused_path_is_refused_in_every_disguise() {
    let open = Service::named("open");
    let config = one_service("", "", &[open.address]);
    let gateway = Headgate::start(&format!(
        "{config}[[route]]\nmatch = \"/admin*\"\nrespond = {{ status = 403 }}\n\
         [[route]]\nmatch = \"/admin/open/*\"\nservice = \"app\"\nstrip = \"/admin\"\n"
    ));
    for path in ["/admin", "/%61dmin", "//admin", "/%2Fadmin/x", "/%5cadmin", "/\\admin", "/%2f/%61dmin//x"] {
        assert_eq!(gateway.connect().get(path).status(), 403, "{path}");
    }
    for (path, sent) in [
        ("/x%2Fadmin", "/x%2Fadmin"),
        ("/x//y", "/x//y"),
        ("/%61dmin/open/%7Ex", "/open/%7Ex"),
        ("/ad%6Din/op%65n/", "/op%65n/"),
    ] {
        assert_eq!(gateway.connect().get(path).text(), format!("open GET {sent} HTTP/1.1"));
    }
}

#[test]
fn a_host_in_disguise_is_the_same_host_or_none() {
    let (named, other) = (Service::named("named"), Service::named("other"));
    let config = one_service("", "", &[other.address]);
    let gateway = Headgate::start(&format!(
        "{config}[service.named]\nendpoints = [\"{}\"]\n\
         [[route]]\nmatch = \"a.test/*\"\nservice = \"named\"\n[[route]]\nmatch = \"[2001:db8::1]/*\"\nservice = \"named\"\n",
        named.address
    ));
    for (host, by) in [
        ("a.test", "named"),
        ("A.Test", "named"),
        ("a.test:80", "named"),
        ("a.test:", "named"),
        ("a.test.", "named"),
        ("a.test.:8080", "named"),
        ("[2001:db8::1]", "named"),
        ("[2001:DB8:0::1]:80", "named"),
        ("", "other"),
        ("a.test..", "other"),
        ("b.a.test", "other"),
        ("a.test-", "other"),
        ("xa.test", "other"),
        ("a%2etest", "other"),
        ("[2001:db8::2]", "other"),
    ] {
        let response = gateway.connect().ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(response.text(), format!("{by} GET / HTTP/1.1"), "{host}");
    }
    for host in [
        "a.test, b.test",
        "a.test b.test",
        "u@a.test",
        "a.test/",
        "a.test:x",
        "a.test:99999",
        "[::1",
        "[::1]x",
        "[::g]",
        "2001:db8::1",
        "a.test\\",
        "a.test?",
        "\u{e4}.test",
        "http://a.test",
    ] {
        let response = gateway.connect().ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(response.status(), 400, "{host}");
    }
}
