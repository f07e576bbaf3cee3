//! What comes beside a response that goes through the cache: interim responses before it, trailers behind it.

use crate::support::frames::{END_HEADERS, END_STREAM, Frames, HEADERS, frame, get, status};
use crate::support::{Headgate, Origin, Wire, one_service};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nconnection: x-hop\r\nx-hop: 1\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncache-control: max-age=600\r\ncontent-length: 2\r\n\r\nok";

fn started(listen: &str, route: &str) -> (Headgate, Origin) {
    let origin = Origin::start();
    let gateway =
        Headgate::start(&format!("{}cache = true\n{route}", one_service(listen, "", &[origin.address])));
    (gateway, origin)
}

fn asked(gateway: &Headgate, origin: &Origin, request: &str) -> (Wire, Wire) {
    let mut client = gateway.connect();
    client.send(request);
    let mut upstream = origin.accept();
    upstream.head();
    (client, upstream)
}

#[test]
fn hints_reach_who_asked_first_and_are_stored_for_nobody() {
    let (gateway, origin) = started("", "");
    let (mut client, mut upstream) = asked(&gateway, &origin, GET);
    for _ in 0..2 {
        upstream.send(HINTS);
        let hints = client.head();
        assert_eq!((hints.status(), hints.value("link")), (103, Some("</a.css>")));
        assert!(!hints.has("x-hop") && !hints.has("connection") && !hints.has("cache-status"), "{hints:?}");
    }
    let mut second = gateway.connect();
    second.send(GET);
    upstream.send(ANSWER);
    for client in [&mut client, &mut second] {
        let answer = client.response();
        assert_eq!((answer.status(), answer.text().as_str(), answer.head.has("link")), (200, "ok", false));
    }
    assert_eq!(gateway.connect().ask(GET).status(), 200);
    origin.assert_untouched("what is stored");
}

#[test]
fn hints_are_as_the_route_and_the_client_take_them() {
    let (gateway, origin) = started("", "response_headers = { remove = [\"link\"] }\n");
    let (mut client, mut upstream) = asked(&gateway, &origin, GET);
    upstream.send(HINTS);
    let hints = client.head();
    assert_eq!((hints.status(), hints.has("link")), (103, false));
    upstream.send(ANSWER);
    assert_eq!(client.response().status(), 200);
    let mut old = gateway.connect();
    old.send("GET /old HTTP/1.0\r\nHost: a.test\r\n\r\n");
    upstream.head();
    upstream.send(format!("{HINTS}{ANSWER}"));
    assert_eq!(old.head().status(), 200);
}

#[test]
fn hints_reach_a_client_of_http_2() {
    let (gateway, origin) = started("http2 = true", "");
    let mut client = Frames::open(&gateway);
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, get(&[])));
    let mut upstream = origin.accept();
    upstream.head();
    upstream.send(HINTS);
    let mut next = || client.until(|frame| (frame.kind == HEADERS).then(|| status(&frame.payload)));
    assert_eq!(next(), 103);
    upstream.send(ANSWER);
    assert_eq!(next(), 200);
}

#[test]
fn a_service_that_fails_behind_its_hints_is_an_error_for_all() {
    let (gateway, origin) = started("", "");
    let (mut client, mut upstream) = asked(&gateway, &origin, GET);
    upstream.send(HINTS);
    assert_eq!(client.head().status(), 103);
    drop(upstream);
    let answer = client.response();
    assert_eq!(answer.status(), 502, "{}", answer.text());
    origin.assert_untouched("the repeated request");
    let (mut client, mut upstream) = asked(&gateway, &origin, GET);
    upstream.send(ANSWER);
    assert_eq!(client.response().status(), 200);
}

#[test]
fn trailers_end_at_the_cache_and_take_nothing_with_them() {
    let (gateway, origin) = started("", "");
    let (mut client, mut upstream) = asked(&gateway, &origin, GET);
    upstream.send(
        "HTTP/1.1 200 OK\r\ncache-control: max-age=600\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n\
         2\r\nok\r\n0\r\nx-sum: 9\r\ncache-control: no-store\r\n\r\n",
    );
    let head = client.head();
    assert!(!head.has("trailer"), "{head:?}");
    assert_eq!(client.chunks(), (b"ok".to_vec(), vec![]));
    let stored = gateway.connect().ask(GET);
    assert_eq!((stored.status(), stored.text().as_str()), (200, "ok"));
    assert!(!stored.head.has("x-sum") && !stored.head.has("trailer"), "{:?}", stored.head);
    // A POST goes past the cache with its trailers, also where its answer is stored.
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nContent-Length: 0\r\n\r\n");
    upstream.head();
    upstream.send(
        "HTTP/1.1 200 OK\r\ncache-control: max-age=600\r\ncontent-location: /\r\ntransfer-encoding: chunked\r\n\r\n\
         3\r\nnew\r\n0\r\nx-sum: 9\r\n\r\n",
    );
    client.head();
    let (content, trailers) = client.chunks();
    assert_eq!((content, trailers), (b"new".to_vec(), vec!["x-sum: 9".to_owned()]));
    let stored = gateway.connect().ask(GET);
    assert_eq!((stored.text().as_str(), stored.head.has("x-sum")), ("new", false));
    origin.assert_untouched("what is stored");
}
