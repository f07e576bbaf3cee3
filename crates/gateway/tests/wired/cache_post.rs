//! What changes something, at the cache: an answer of POST that is what a GET would bring, and everything that looks like
//! one and is not.

use crate::gateway::Gateway;
use crate::peers::{Upstream, get, send};
use headgate_gateway::purge::Purge;
use headgate_gateway::worker::Outlets;
use std::sync::Mutex;
use std::sync::mpsc::channel;

const ITSELF: &str = "cache-control: max-age=600\r\ncontent-location: /a\r\n";

fn gateway(routes: &str, upstream: &Upstream) -> Gateway {
    let config = format!("{routes}[service.shop]\nendpoints = [\"{}\"]\n", upstream.address);
    Gateway::start_with("", &config, vec![Outlets::default(), Outlets::default()])
}

fn route(pattern: &str, more: &str) -> String {
    format!("[[route]]\nmatch = \"{pattern}\"\nservice = \"shop\"\n{more}\n")
}

fn cached(upstream: &Upstream) -> Gateway {
    gateway(&route("/*", "cache = true"), upstream)
}

/// Answers a GET with "read", and everything else with what the closure says of its head.
fn upstream(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Upstream {
    Upstream::start(move |head| {
        if head.starts_with("GET") {
            return reply("200 OK", "cache-control: max-age=600\r\n", "read");
        }
        answer(head)
    })
}

fn reply(status: &str, fields: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{fields}\r\n{body}", body.len())
}

fn post(gateway: &Gateway, fields: &str) -> String {
    send(gateway.address, "POST", "/a", &format!("content-length: 0\r\n{fields}")).body
}

#[test]
fn a_get_is_answered_by_what_a_post_said_of_the_same_target() {
    let upstream = upstream(|_| reply("200 OK", &format!("{ITSELF}x-made: by post\r\n"), "written"));
    let gateway = cached(&upstream);
    assert_eq!(get(gateway.address, "/a").body, "read");
    assert_eq!(post(&gateway, ""), "written");
    let second = get(gateway.address, "/a");
    assert_eq!((&*second.body, second.values("x-made")), ("written", vec!["by post"]));
    assert_eq!((second.values("age").len(), second.values("content-length")), (1, vec!["7"]));
    assert_eq!(send(gateway.address, "HEAD", "/a", "").status, 200);
    assert_eq!(send(gateway.address, "GET", "/a", "range: bytes=1-2\r\n").body, "ri");
    assert_eq!(upstream.seen(), 2);
    assert_eq!(post(&gateway, ""), "written", "a POST itself is never answered from there");
    assert_eq!(upstream.seen(), 3);
    gateway.purge(&Purge::Url("shop.test/a".to_owned()), false).unwrap();
    assert_eq!(get(gateway.address, "/a").body, "read");
}

#[test]
fn other_answers_of_a_post_are_not_kept() {
    let cases: [(&str, &str, &str); 8] = [
        ("200 OK", "cache-control: max-age=600\r\n", ""),
        ("200 OK", "cache-control: max-age=600\r\ncontent-location: /b\r\n", ""),
        ("200 OK", "content-location: /a\r\nlast-modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n", ""),
        ("201 Created", ITSELF, ""),
        ("206 Partial Content", &format!("{ITSELF}content-range: bytes 0-6/10\r\n"), "range: bytes=0-6\r\n"),
        ("200 OK", "cache-control: private, max-age=600\r\ncontent-location: /a\r\n", ""),
        ("200 OK", ITSELF, "authorization: Basic YTpi\r\n"),
        ("200 OK", ITSELF, "cache-control: no-store\r\n"),
    ];
    for (status, fields, request) in cases {
        let text = reply(status, fields, "written");
        let upstream = upstream(move |_| text.clone());
        let gateway = cached(&upstream);
        assert_eq!(post(&gateway, request), "written");
        assert_eq!(get(gateway.address, "/a").body, "read", "{status} {fields} {request}");
    }
    // Methods that only look like it.
    for method in ["PUT", "PATCH", "DELETE"] {
        let upstream = upstream(|_| reply("200 OK", ITSELF, "written"));
        let gateway = cached(&upstream);
        send(gateway.address, method, "/a", "content-length: 0\r\n");
        assert_eq!(get(gateway.address, "/a").body, "read", "{method}");
    }
}

#[test]
fn an_answer_that_breaks_off_or_is_too_long_is_not_kept() {
    let long = "x".repeat(3_000);
    let cut = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 99\r\n{ITSELF}\r\nwritten");
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n{ITSELF}\r\nbb8\r\n{long}\r\n0\r\n\r\n"
    );
    for answer in [cut, reply("200 OK", ITSELF, &long), chunked] {
        let upstream = upstream(move |_| answer.clone());
        let gateway = gateway(&route("/*", "cache = { max_object = 2000 }"), &upstream);
        post(&gateway, "");
        assert_eq!(get(gateway.address, "/a").body, "read");
    }
}

#[test]
fn what_another_route_reads_or_a_rewritten_target_means_is_not_kept() {
    // The service sees /a where the client said /x/a: its word is not of the client's target.
    let strips =
        upstream(|_| reply("200 OK", "cache-control: max-age=600\r\ncontent-location: /x/a\r\n", "written"));
    let gateway_of = |routes: &str, upstream| gateway(routes, upstream);
    let gateway = gateway_of(&route("/x/*", "strip = \"/x\"\ncache = true"), &strips);
    send(gateway.address, "POST", "/x/a", "content-length: 0\r\n");
    assert_eq!(get(gateway.address, "/x/a").body, "read");
    let split = upstream(|_| reply("200 OK", ITSELF, "written"));
    let routes = [route("/*", "methods = [\"POST\"]\ncache = true"), route("/*", "cache = true")].concat();
    let gateway = gateway_of(&routes, &split);
    post(&gateway, "");
    assert_eq!(get(gateway.address, "/a").body, "read");
}

#[test]
fn variants_and_identities_are_those_of_the_post() {
    let varies = upstream(|_| reply("200 OK", &format!("{ITSELF}vary: x-tongue\r\n"), "written"));
    let gateway_of = cached(&varies);
    post(&gateway_of, "x-tongue: de\r\n");
    assert_eq!(send(gateway_of.address, "GET", "/a", "x-tongue: de\r\n").body, "written");
    assert_eq!(send(gateway_of.address, "GET", "/a", "x-tongue: en\r\n").body, "read");
    let own = upstream(|_| reply("200 OK", ITSELF, "written"));
    let gateway_of = gateway(&route("/*", "cache = { identity = \"header:x-user\" }"), &own);
    post(&gateway_of, "x-user: ann\r\n");
    assert_eq!(send(gateway_of.address, "GET", "/a", "x-user: bob\r\n").body, "read");
    assert_eq!(send(gateway_of.address, "GET", "/a", "x-user: ann\r\n").body, "written");
    post(&gateway_of, "");
    assert_eq!(own.seen(), 3);
    send(gateway_of.address, "GET", "/a", "x-user: ann\r\n");
    assert_eq!(own.seen(), 4, "a change by nobody in particular is one for everybody");
}

#[test]
fn what_was_purged_on_its_way_is_not_kept() {
    for purge in [Purge::Everything, Purge::Url("shop.test/a".to_owned()), Purge::Tag("other".to_owned())] {
        let ((asked, was_asked), (release, held)) = (channel(), channel::<()>());
        let held = Mutex::new(held);
        let upstream = upstream(move |_| {
            asked.send(()).unwrap();
            held.lock().unwrap().recv().unwrap();
            reply("200 OK", ITSELF, "written")
        });
        let gateway = cached(&upstream);
        std::thread::scope(|scope| {
            let posted = scope.spawn(|| post(&gateway, ""));
            was_asked.recv().unwrap();
            gateway.purge(&purge, false).unwrap();
            release.send(()).unwrap();
            assert_eq!(posted.join().unwrap(), "written");
        });
        assert_eq!(get(gateway.address, "/a").body, "read", "{purge:?}");
    }
}
