//! How endpoints are spoken to: TLS, HTTP/2, the PROXY protocol. A second listener of the same Headgate plays
//! the endpoint that speaks these.

use crate::support::{
    Authority, Headgate, LISTEN, Origin, PATIENCE, Port, Service, Wire, one_service, response,
};
use std::time::Instant;

/// `/near/` goes to the origin by a listener of our own, reached as `service` says; all else goes straight.
fn by_way_of_ourselves(listener: &str, service: &str, port: u16, origin: &Service) -> String {
    format!(
        r#"
[listen.web]
bind = "{LISTEN}"
[listen.back]
bind = "127.0.0.1:{port}"
{listener}
[service.near]
endpoints = ["localhost:{port}"]
{service}
[service.far]
endpoints = ["{}"]
[[route]]
match = "/near/*"
listeners = ["web"]
strip = "/near"
service = "near"
[[route]]
match = "/*"
service = "far"
"#,
        origin.address
    )
}

#[test]
fn a_name_is_resolved_beside_the_traffic() {
    let service = Service::named("app");
    let name = format!("localhost:{}", service.address.port());
    let config = one_service("", "", &[service.address]).replace(&service.address.to_string(), &name);
    let admin = Port::reserve();
    let gateway = Headgate::start(&format!("admin = {{ bind = \"{}\" }}\n{config}", admin.address));
    let started = Instant::now();
    loop {
        let metrics = Wire::connect(admin.address).ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let series = "headgate_discovery_endpoints{service=\"\",source=\"name:localhost\"} ";
        let text = metrics.text();
        let addresses = text.lines().find_map(|line| line.strip_prefix(series));
        if addresses.is_some_and(|count| count != "0") {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "never resolved");
    }
    assert_eq!(gateway.connect().get("/").text(), "app GET / HTTP/1.1");
}

#[test]
fn endpoints_are_reached_over_tls_and_http2() {
    let authority = Authority::new();
    let pair = authority.certificate("back", &["localhost"]);
    let body = crate::support::noise(3, 300_000);
    let sent = body.clone();
    let origin = Service::start(move |request| {
        let secure = request.head.value("x-forwarded-proto").unwrap_or_default().to_owned();
        response(&[("x-seen", &secure), ("x-size", &request.body.len().to_string())], &sent)
    });
    let tls = format!("tls = {{ certificates = [{}] }}", pair.entry());
    let trust = format!("tls = {{ ca = \"{}\" }}", authority.file().display());
    for (listener, service, seen) in [
        ("http2 = true".to_owned(), "protocol = \"http2\"".to_owned(), "http"),
        (tls.clone(), trust.clone(), "https"),
        (format!("{tls}\nhttp2 = true"), format!("{trust}\nprotocol = \"http2\""), "https"),
    ] {
        let port = Port::reserve();
        let gateway =
            Headgate::start(&by_way_of_ourselves(&listener, &service, port.address.port(), &origin));
        let mut client = gateway.connect();
        for _ in 0..2 {
            let upload = crate::support::noise(4, 100_000);
            client.send(format!(
                "POST /near/x HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n",
                upload.len()
            ));
            client.send(&upload);
            let answer = client.response();
            assert_eq!(answer.status(), 200, "{service}");
            assert_eq!(answer.head.value("x-seen"), Some(seen), "{service}");
            assert_eq!(answer.head.value("x-size"), Some("100000"), "{service}");
            crate::support::assert_same(&answer.body, &body, &service);
        }
    }
}

#[test]
fn an_endpoint_that_cannot_be_verified_gets_nothing() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let pair = authority.certificate("back", &["localhost"]);
    let origin = Service::named("far");
    let tls = format!("tls = {{ certificates = [{}] }}", pair.entry());
    let trust = format!("tls = {{ ca = \"{}\" }}", stranger.file().display());
    let port = Port::reserve();
    let gateway = Headgate::start(&by_way_of_ourselves(&tls, &trust, port.address.port(), &origin));
    let answer = gateway.connect().get("/near/x");
    assert_eq!(answer.status(), 502);
    assert!(answer.text().contains("tls_failed"), "{}", answer.text());
    assert_eq!(origin.requests(), 0);
}

#[test]
fn endpoints_are_told_of_clients_by_proxy_protocol() {
    let origin = Origin::start();
    let gateway = Headgate::start(&one_service("", "proxy_protocol = \"v1\"", &[origin.address]));
    for _ in 0..2 {
        let mut client = gateway.connect();
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let mut upstream = origin.accept();
        let (from, to) = (client.local_address(), gateway.listener("web"));
        upstream.expect(format!("PROXY TCP4 {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port()));
        assert_eq!(upstream.head().first_line(), "GET / HTTP/1.1");
        upstream.send("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(client.response().status(), 204);
    }
}
