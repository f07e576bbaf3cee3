//! Retries, fallbacks, bulkheads, breakers and sticky sessions, as a client sees them.

use crate::support::{Headgate, Origin, Port, Service, Wire, one_service};
use std::collections::BTreeSet;
use std::net::SocketAddr;

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn failing() -> Service {
    Service::start(|_| b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nsick".to_vec())
}

#[test]
fn a_listed_status_is_tried_elsewhere_when_that_is_safe() {
    let (sick, well) = (failing(), Service::named("well"));
    let settings = "retry = { attempts = 2, statuses = [503] }";
    let gateway = Headgate::start(&one_service("", settings, &[sick.address, well.address]));
    let mut client = gateway.connect();
    for _ in 0..6 {
        assert_eq!(client.get("/").text(), "well GET / HTTP/1.1");
    }
    let seen: BTreeSet<u16> = (0..2)
        .map(|_| client.ask("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n").status())
        .collect();
    assert_eq!(seen, BTreeSet::from([200, 503]), "a POST is not repeated");
}

#[test]
fn when_every_attempt_gives_the_status_the_client_gets_the_last_answer() {
    let sick = failing();
    let settings = "retry = { attempts = 3, statuses = [503], backoff = \"1ms\" }";
    let gateway = Headgate::start(&one_service("", settings, &[sick.address]));
    let response = gateway.connect().get("/");
    assert_eq!((response.status(), response.text().as_str()), (503, "sick"));
    assert_eq!(sick.requests(), 3);
}

#[test]
fn the_budget_bounds_the_retries() {
    let sick = failing();
    let settings = "retry = { attempts = 2, statuses = [503], backoff = \"1ms\", budget_percent = 0 }";
    let gateway = Headgate::start(&one_service("", settings, &[sick.address]));
    let mut client = gateway.connect();
    for _ in 0..100 {
        assert_eq!(client.get("/").status(), 503);
    }
    // Only the floor of ten in ten seconds is left; a slow machine may see two of them.
    assert!((101..=120).contains(&sick.requests()), "{} requests for 100", sick.requests());
}

#[test]
fn a_fallback_text_stands_in_for_a_service_that_is_down() {
    let dead = Port::reserve();
    let settings = "fallback = { body = \"back soon\", status = 200, content_type = \"text/x-sorry\" }";
    let gateway = Headgate::start(&one_service("", settings, &[dead.address]));
    let mut client = gateway.connect();
    for _ in 0..2 {
        let response = client.get("/");
        assert_eq!((response.status(), response.text().as_str()), (200, "back soon"));
        assert_eq!(response.head.value("content-type"), Some("text/x-sorry"));
    }
}

#[test]
fn a_fallback_service_stands_in_but_never_for_an_answer() {
    let (dead, spare, sick) = (Port::reserve(), Service::named("spare"), failing());
    let spare_service =
        format!("fallback = {{ service = \"spare\" }}\n[service.spare]\nendpoints = [\"{}\"]", spare.address);
    let gateway = Headgate::start(&one_service("", &spare_service, &[dead.address]));
    assert_eq!(gateway.connect().get("/").text(), "spare GET / HTTP/1.1");
    let gateway = Headgate::start(&one_service("", &spare_service, &[sick.address]));
    assert_eq!(gateway.connect().get("/").text(), "sick");
}

/// A service of one place, which is taken.
fn full(queue: &str) -> (Headgate, Origin, Wire, Wire) {
    let origin = Origin::start();
    let settings = format!("bulkhead = {{ in_flight = 1, {queue} }}");
    let gateway = Headgate::start(&one_service("", &settings, &[origin.address]));
    let mut first = gateway.connect();
    first.send(GET);
    let mut upstream = origin.accept();
    upstream.head();
    (gateway, origin, first, upstream)
}

#[test]
fn beyond_the_bulkhead_and_its_queue_the_answer_is_503_at_once() {
    let (gateway, origin, mut first, mut upstream) = full("queue = 0");
    let response = gateway.connect().get("/");
    assert_eq!(response.status(), 503, "{}", response.text());
    assert!(response.head.has("retry-after"));
    origin.assert_untouched("beyond the bulkhead");
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    assert_eq!(first.response().text(), "ok");
    // Its place is free again.
    let mut second = gateway.connect();
    second.send(GET);
    upstream.head();
}

#[test]
fn who_waits_at_the_bulkhead_is_served_in_turn() {
    let (gateway, origin, mut first, mut upstream) = full("queue = 1, queue_timeout = \"20s\"");
    let mut second = gateway.connect();
    second.send("GET /second HTTP/1.1\r\nHost: a.test\r\n\r\n");
    // The queue has one place, and it is taken.
    assert_eq!(gateway.connect().get("/third").status(), 503);
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    assert_eq!(first.response().text(), "ok");
    assert_eq!(upstream.head().target(), "/second");
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    assert_eq!(second.response().text(), "ok");
    origin.assert_untouched("the third");
}

#[test]
fn who_waits_too_long_at_the_bulkhead_is_refused() {
    let (gateway, _origin, _first, _upstream) = full("queue = 5, queue_timeout = \"100ms\"");
    let response = gateway.connect().get("/");
    assert_eq!(response.status(), 503, "{}", response.text());
    assert!(response.text().starts_with("503 queue_timeout: "), "{}", response.text());
}

#[test]
fn a_breaker_spares_a_service_that_keeps_failing() {
    let sick = failing();
    let settings = "breaker = { minimum_requests = 5, failure_percent = 50, open = \"60s\" }";
    let gateway = Headgate::start(&one_service("", settings, &[sick.address]));
    let mut client = gateway.connect();
    for _ in 0..5 {
        assert_eq!(client.get("/").text(), "sick");
    }
    for _ in 0..5 {
        let response = client.get("/");
        assert_eq!(response.status(), 503);
        assert_ne!(response.text(), "sick", "the open breaker let a request through");
        assert!(response.head.has("retry-after"));
    }
    assert_eq!(sick.requests(), 5);
}

#[test]
fn a_breaker_closes_again_after_good_probes() {
    let origin = Origin::start();
    let settings = "breaker = { minimum_requests = 2, open = \"100ms\", probes = 1 }";
    let gateway = Headgate::start(&one_service("", settings, &[origin.address]));
    let mut client = gateway.connect();
    client.send(GET);
    let mut upstream = origin.accept();
    upstream.head();
    upstream.send("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n");
    client.response();
    client.send(GET);
    upstream.head();
    upstream.send("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n");
    client.response();
    let asking = std::thread::spawn(move || {
        let mut refused = 0;
        while client.get("/").status() == 503 {
            refused += 1;
        }
        (refused, client.get("/").status())
    });
    for _ in 0..2 {
        upstream.head();
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    }
    let (refused, status) = asking.join().unwrap();
    assert!(refused > 0, "the breaker never opened");
    assert_eq!(status, 200);
}

fn sticky(endpoints: &[SocketAddr]) -> Headgate {
    let settings = "sticky = { cookie = \"lb\", secret = \"0123456789abcdef\", ttl = \"1h\" }";
    Headgate::start(&one_service("", settings, endpoints))
}

#[test]
fn a_client_with_its_cookie_stays_on_its_endpoint() {
    let services = ["a", "b", "c"].map(Service::named);
    let gateway = sticky(&services.each_ref().map(|service| service.address));
    let mut seen = BTreeSet::new();
    for _ in 0..6 {
        let mut client = gateway.connect();
        let first = client.get("/");
        let cookie = first.head.value("set-cookie").unwrap().to_owned();
        assert!(
            cookie.starts_with("lb=") && cookie.contains("HttpOnly") && cookie.contains("Max-Age=3600"),
            "{cookie}"
        );
        let pair = cookie.split(';').next().unwrap();
        for service in &services {
            assert!(!cookie.contains(&service.address.to_string()), "the cookie tells an address");
        }
        for _ in 0..5 {
            let request = format!("GET / HTTP/1.1\r\nHost: a.test\r\nCookie: x=1; {pair}; y=2\r\n\r\n");
            let response = gateway.connect().ask(request);
            assert_eq!(response.head.value("x-served-by"), first.head.value("x-served-by"));
            assert!(!response.head.has("set-cookie"));
        }
        seen.insert(first.head.value("x-served-by").unwrap().to_owned());
    }
    assert_eq!(seen.len(), 3, "new clients are not spread");
}

#[test]
fn a_forged_cookie_chooses_nothing() {
    let services = ["a", "b"].map(Service::named);
    let gateway = sticky(&services.each_ref().map(|service| service.address));
    let mut client = gateway.connect();
    let cookie = client.get("/").head.value("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let last = if cookie.ends_with('0') { "1" } else { "0" };
    let forged = format!("{}{last}", &cookie[..cookie.len() - 1]);
    let mut seen = BTreeSet::new();
    for _ in 0..4 {
        let response = client.ask(format!("GET / HTTP/1.1\r\nHost: a.test\r\nCookie: {forged}\r\n\r\n"));
        assert!(response.head.has("set-cookie"), "it is replaced by a good one");
        seen.insert(response.head.value("x-served-by").unwrap().to_owned());
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn an_endpoint_that_is_gone_costs_no_request() {
    let (service, gone) = (Service::named("here"), Port::reserve());
    for balance in ["round_robin", "least_requests", "ring_hash"] {
        let settings = format!("balance = \"{balance}\"");
        let gateway = Headgate::start(&one_service("", &settings, &[gone.address, service.address]));
        let mut client = gateway.connect();
        for number in 0..60 {
            let answer = match number % 3 {
                0 => client.ask("POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi"),
                _ => client.get(&format!("/{number}")),
            };
            assert_eq!(answer.head.status(), 200, "{balance}: request {number}");
        }
    }
}

#[test]
fn the_breaker_of_a_service_stays_closed_for_the_fault_of_one_endpoint() {
    let (sick, well) = (failing(), Service::named("well"));
    let settings = "breaker = { minimum_requests = 5 }";
    let gateway = Headgate::start(&one_service("", settings, &[sick.address, well.address]));
    let mut client = gateway.connect();
    let answers: Vec<String> = (0..100).map(|_| client.get("/").text()).collect();
    assert_eq!(sick.requests(), 5, "its own breaker has opened");
    assert_eq!(well.requests(), 95, "{answers:?}");
}
