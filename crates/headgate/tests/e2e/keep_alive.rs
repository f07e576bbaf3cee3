//! When a client's connection lives on, when it ends, and that its requests are answered in order.

use crate::support::{Headgate, Origin, Service, one_service, response};
use headgate_model::dice::Dice;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[test]
fn one_connection_serves_request_after_request_over_one_upstream_connection() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    client.send("GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut upstream = origin.accept();
    for turn in 1..=5 {
        assert_eq!(upstream.head().first_line(), format!("GET /{turn} HTTP/1.1"));
        upstream.send(OK);
        let response = client.response();
        assert_eq!((response.status(), response.text().as_str()), (200, "ok"));
        assert!(!response.head.has("connection"), "{:?}", response.head);
        client.send(format!("GET /{} HTTP/1.1\r\nHost: a.test\r\n\r\n", turn + 1));
    }
    assert!(origin.accept_waiting().is_none(), "a second upstream connection");
}

#[test]
fn upstream_connections_are_shared_between_clients() {
    let service = Service::named("app");
    let gateway = Headgate::start(&one_service("", "", &[service.address]));
    for _ in 0..4 {
        assert_eq!(gateway.connect().get("/").status(), 200);
    }
    assert_eq!((service.requests(), service.connections()), (4, 1));
}

#[test]
fn pipelined_requests_are_answered_in_order_however_the_bytes_arrive() {
    let service = Service::start(|request| {
        let text = format!("{} {}", request.head.first_line(), String::from_utf8_lossy(&request.body));
        response(&[], text.as_bytes())
    });
    let gateway = Headgate::start(&one_service("", "", &[service.address]));
    let stream = "GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\n\
        POST /2 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nfirst\
        GET /3?q HTTP/1.1\r\nHost: a.test\r\n\r\n\
        POST /4 HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nseco\r\n2\r\nnd\r\n0\r\nx-t: 1\r\n\r\n\
        \r\nGET /5 HTTP/1.1\r\nHost: a.test\r\n\r\n\
        POST /6 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n";
    let expected = [
        "GET /1 HTTP/1.1 ",
        "POST /2 HTTP/1.1 first",
        "GET /3?q HTTP/1.1 ",
        "POST /4 HTTP/1.1 second",
        "GET /5 HTTP/1.1 ",
        "POST /6 HTTP/1.1 ",
    ];
    for seed in 0..30 {
        let mut dice = Dice::new(seed);
        // The first round sends all at once, the second byte by byte.
        let most = [stream.len() as u64, 1].get(seed as usize).copied().unwrap_or(90);
        let mut client = gateway.connect();
        let mut rest = stream.as_bytes();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((most.min(1 + dice.below(most)) as usize).min(rest.len()));
            client.send(piece);
            rest = after;
        }
        for expected in expected {
            assert_eq!(client.response().text(), expected, "seed {seed}");
        }
        client.assert_silent();
    }
}

#[test]
fn an_http_1_0_client_is_closed_after_its_answer() {
    let service = Service::named("app");
    let gateway = Headgate::start(&one_service("", "", &[service.address]));
    let mut client = gateway.connect();
    let response = client.ask("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
    assert_eq!(response.text(), "app GET / HTTP/1.1");
    assert_eq!(response.head.value("connection"), Some("close"));
    client.assert_ended();
}

#[test]
fn an_http_1_0_client_can_ask_to_stay() {
    let service = Service::named("app");
    let gateway = Headgate::start(&one_service("", "", &[service.address]));
    let mut client = gateway.connect();
    for _ in 0..3 {
        let response = client.ask("GET / HTTP/1.0\r\nHost: a.test\r\nConnection: Keep-Alive\r\n\r\n");
        assert_eq!(response.status(), 200);
        assert_eq!(response.head.value("connection"), Some("keep-alive"));
    }
    assert_eq!(service.connections(), 1);
}

#[test]
fn a_body_of_unknown_length_ends_an_http_1_0_connection() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n");
    let mut upstream = origin.accept();
    upstream.head();
    upstream
        .send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-trailer: 1\r\n\r\n");
    let response = client.response();
    assert_eq!(response.text(), "hello");
    assert_eq!(response.head.value("connection"), Some("close"));
    assert!(!response.head.has("transfer-encoding"), "{:?}", response.head);
    client.assert_ended();
}

#[test]
fn a_client_that_says_close_is_closed_and_the_upstream_connection_is_kept() {
    let service = Service::named("app");
    let gateway = Headgate::start(&one_service("", "", &[service.address]));
    for _ in 0..3 {
        let mut client = gateway.connect();
        let response = client.ask("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        assert_eq!(response.status(), 200);
        assert_eq!(response.head.value("connection"), Some("close"));
        client.assert_ended();
    }
    assert_eq!(service.connections(), 1);
}

#[test]
fn requests_behind_a_close_are_not_served() {
    let service = Service::named("app");
    let gateway = Headgate::start(&one_service("", "", &[service.address]));
    let mut client = gateway.connect();
    client.send(
        "GET /1 HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: a.test\r\n\r\n",
    );
    assert_eq!(client.response().text(), "app GET /1 HTTP/1.1");
    client.assert_ended();
    assert_eq!(service.requests(), 1);
}

#[test]
fn the_limit_of_requests_on_a_connection_ends_it_politely() {
    let service = Service::named("app");
    let gateway = Headgate::start(&one_service("limits.requests = 3", "", &[service.address]));
    let mut client = gateway.connect();
    assert!(!client.get("/").head.has("connection"));
    assert!(!client.get("/").head.has("connection"));
    assert_eq!(client.get("/").head.value("connection"), Some("close"));
    client.assert_ended();
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let service = Service::named("app");
    let gateway = Headgate::start(&one_service("timeouts.idle = \"200ms\"", "", &[service.address]));
    gateway.connect().assert_ended();
    let mut used = gateway.connect();
    assert_eq!(used.get("/").status(), 200);
    used.assert_ended();
}

#[test]
fn a_client_may_close_its_side_right_behind_its_request() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    client.finish_sending();
    let mut upstream = origin.accept();
    upstream.head();
    upstream.send(OK);
    assert_eq!(client.response().text(), "ok");
    client.assert_ended();
}
