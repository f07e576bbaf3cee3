//! How requests are spread over endpoints.

use crate::support::{Headgate, LISTEN, Origin, Service, one_service};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Asks `count` times over one connection; gives how often each service answered.
fn spread(gateway: &Headgate, count: usize) -> BTreeMap<String, usize> {
    let mut client = gateway.connect();
    let mut spread = BTreeMap::new();
    for _ in 0..count {
        let response = client.get("/");
        *spread.entry(response.head.value("x-served-by").unwrap().to_owned()).or_default() += 1;
    }
    spread
}

#[test]
fn round_robin_takes_turns() {
    let (a, b, c) = (Service::named("a"), Service::named("b"), Service::named("c"));
    let gateway = Headgate::start(&one_service("", "", &[a.address, b.address, c.address]));
    let spread = spread(&gateway, 30);
    assert_eq!(spread, BTreeMap::from([("a".to_owned(), 10), ("b".to_owned(), 10), ("c".to_owned(), 10)]));
}

#[test]
fn weights_are_honoured_and_zero_takes_nothing() {
    let (a, b, c) = (Service::named("a"), Service::named("b"), Service::named("c"));
    let endpoints = format!(
        "endpoints = [{{ address = \"{}\", weight = 3 }}, \"{}\", {{ address = \"{}\", weight = 0 }}]",
        a.address, b.address, c.address
    );
    let gateway = Headgate::start(&one_service("", "", &[]).replace("endpoints = []", &endpoints));
    let spread = spread(&gateway, 40);
    assert_eq!(spread, BTreeMap::from([("a".to_owned(), 30), ("b".to_owned(), 10)]));
}

#[test]
fn every_policy_uses_every_endpoint_of_a_busy_service() {
    for policy in ["random", "least_requests", "p2c", "peak_ewma"] {
        let (a, b) = (Service::named("a"), Service::named("b"));
        let gateway =
            Headgate::start(&one_service("", &format!("balance = \"{policy}\""), &[a.address, b.address]));
        // The chance that a fair choice leaves one out is 2 in 2^60.
        assert_eq!(spread(&gateway, 60).len(), 2, "{policy}");
    }
}

#[test]
fn a_hashing_policy_keeps_a_key_on_its_endpoint() {
    for policy in ["ring_hash", "maglev", "rendezvous"] {
        let services = ["a", "b", "c"].map(Service::named);
        let settings = format!("balance = {{ policy = \"{policy}\", key = \"header:x-user\" }}");
        let endpoints: Vec<_> = services.iter().map(|service| service.address).collect();
        let gateway = Headgate::start(&one_service("", &settings, &endpoints));
        let mut client = gateway.connect();
        let mut ask = |user: usize| {
            let request = format!("GET / HTTP/1.1\r\nHost: a.test\r\nX-User: {user}\r\n\r\n");
            client.ask(request).head.value("x-served-by").unwrap().to_owned()
        };
        let first: Vec<String> = (0..60).map(&mut ask).collect();
        let again: Vec<String> = (0..60).map(&mut ask).collect();
        assert_eq!(first, again, "{policy}");
        for name in ["a", "b", "c"] {
            assert!(first.iter().any(|served| served == name), "{policy} never chose {name}");
        }
    }
}

#[test]
fn least_requests_spreads_what_is_in_flight() {
    let origin = Origin::start_on(SocketAddr::from(([0, 0, 0, 0], 0))).unwrap();
    let at = |last| SocketAddr::from(([127, 0, 0, last], origin.address.port()));
    let config = one_service("", "balance = \"least_requests\"", &[at(1), at(2), at(3)]);
    let gateway = Headgate::start(&config);
    let mut in_flight = Vec::new();
    let mut spread: BTreeMap<SocketAddr, usize> = BTreeMap::new();
    for _ in 0..9 {
        let mut client = gateway.connect();
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let mut upstream = origin.accept();
        upstream.head();
        *spread.entry(upstream.local_address()).or_default() += 1;
        in_flight.push((client, upstream));
    }
    assert_eq!(spread, BTreeMap::from([(at(1), 3), (at(2), 3), (at(3), 3)]));
}

#[test]
fn services_of_different_routes_do_not_mix() {
    let (a, b) = (Service::named("a"), Service::named("b"));
    let gateway = Headgate::start(&format!(
        "[listen.web]
         bind = \"{LISTEN}\"
         [service.a]
         endpoints = [\"{}\"]
         [service.b]
         endpoints = [\"{}\"]
         [[route]]
         match = \"/a/*\"
         service = \"a\"
         [[route]]
         match = \"/b/*\"
         service = \"b\"\n",
        a.address, b.address
    ));
    let mut client = gateway.connect();
    for _ in 0..10 {
        assert_eq!(client.get("/a/").text(), "a GET /a/ HTTP/1.1");
        assert_eq!(client.get("/b/").text(), "b GET /b/ HTTP/1.1");
    }
    assert_eq!((a.requests(), b.requests()), (10, 10));
}
