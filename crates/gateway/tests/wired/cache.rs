//! The response cache in the path of real requests.

use crate::gateway::{Gateway, PATIENCE, wait_until};
use crate::peers::{Response, Upstream, get, send};
use headgate_gateway::purge::Purge;
use headgate_gateway::worker::Outlets;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::spawn;

fn config(upstream: SocketAddr, cache: &str) -> String {
    format!(
        "[[route]]\nmatch = \"/*\"\nservice = \"shop\"\nname = \"all\"\ncache = {cache}\n\
         [service.shop]\nendpoints = [\"{upstream}\"]\n"
    )
}

/// A gateway of two workers that caches what `answer` says.
fn gateway(upstream: &Upstream) -> Gateway {
    with_cache(upstream.address, "true")
}

fn with_cache(upstream: SocketAddr, cache: &str) -> Gateway {
    Gateway::start_with("", &config(upstream, cache), vec![Outlets::default(), Outlets::default()])
}

fn reply(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n{fields}\r\n{body}", body.len())
}

const FRESH: &str = "cache-control: max-age=600\r\n";

fn count(gateway: &Gateway, result: &str) -> i64 {
    gateway.metric("headgate_cache_requests_total", &[("route", "all"), ("result", result)])
}

fn status_of(response: &Response) -> String {
    response.values("cache-status").join(", ")
}

/// An upstream whose one response is written piece by piece.
struct ByPieces {
    address: SocketAddr,
    pieces: Sender<Option<String>>,
}

impl ByPieces {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (pieces, next): (_, Receiver<Option<String>>) = channel();
        spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap_or(0) > 2 {
                    line.clear();
                }
                while let Ok(Some(piece)) = next.recv_timeout(PATIENCE) {
                    let _ = stream.write_all(piece.as_bytes());
                }
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
        Self { address, pieces }
    }

    fn send(&self, piece: &str) {
        self.pieces.send(Some(piece.to_owned())).unwrap();
    }

    fn close(&self) {
        self.pieces.send(None).unwrap();
    }
}

fn ask(gateway: &Gateway, path: &str) -> TcpStream {
    let mut client = TcpStream::connect(gateway.address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(client, "GET {path} HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\n\r\n").unwrap();
    client
}

fn read_until(client: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(end.as_bytes()) && client.read(&mut byte).unwrap() == 1 {
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn the_second_request_is_answered_from_memory_whichever_worker_has_it() {
    let upstream = Upstream::start(|_| reply(FRESH, "content"));
    let gateway = gateway(&upstream);
    let first = get(gateway.address, "/a");
    assert_eq!((first.status, &*first.body), (200, "content"));
    assert!(status_of(&first).contains("fwd=uri-miss; stored"), "{first:?}");
    for _ in 0..20 {
        let next = get(gateway.address, "/a");
        assert_eq!((next.status, &*next.body), (200, "content"));
        assert_eq!(next.values("age").len(), 1);
        assert!(status_of(&next).starts_with("Headgate; hit; ttl="), "{next:?}");
    }
    assert_eq!(upstream.seen(), 1);
    gateway.wait_for_metric("headgate_cache_requests_total", &[("result", "hit")], 20);
    assert_eq!(count(&gateway, "miss"), 1);
    assert_eq!(get(gateway.address, "/a?other").body, "content");
    assert_eq!(upstream.seen(), 2, "the query makes a difference");
}

#[test]
fn what_says_nothing_or_no_store_is_asked_for_each_time() {
    for fields in ["", "cache-control: no-store\r\n", "cache-control: private, max-age=60\r\n", "vary: *\r\n"]
    {
        let upstream = Upstream::start(move |_| reply(fields, "content"));
        let gateway = gateway(&upstream);
        for asked in 1..=3 {
            let response = get(gateway.address, "/a");
            assert_eq!((&*response.body, upstream.seen()), ("content", asked), "{fields}");
        }
    }
}

#[test]
fn requests_for_the_same_wait_for_one_fetch() {
    let upstream = ByPieces::start();
    let gateway = with_cache(upstream.address, "true");
    let mut first = ask(&gateway, "/a");
    gateway.wait_for_metric("headgate_upstream_requests_in_flight", &[], 1);
    let mut others: Vec<_> = (0..30).map(|_| ask(&gateway, "/a")).collect();
    upstream.send("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 10\r\n\r\nfirst");
    assert!(read_until(&mut first, "first").ends_with("\r\n\r\nfirst"), "bytes come while the store fills");
    for client in &mut others {
        assert!(read_until(client, "first").ends_with("\r\n\r\nfirst"));
    }
    upstream.send("-last");
    for client in others.iter_mut().chain([&mut first]) {
        assert_eq!(read_until(client, "-last"), "-last");
    }
    upstream.close();
    gateway.wait_for_metric("headgate_upstream_requests_total", &[], 1);
    gateway.wait_for_metric("headgate_cache_requests_total", &[("result", "collapsed")], 30);
    assert_eq!(get(gateway.address, "/a").body, "first-last");
    assert_eq!(count(&gateway, "hit"), 1);
}

#[test]
fn a_fill_goes_on_when_the_one_who_asked_goes_away() {
    let upstream = ByPieces::start();
    let gateway = with_cache(upstream.address, "true");
    let mut client = ask(&gateway, "/a");
    upstream.send("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 10\r\n\r\nfirst");
    read_until(&mut client, "first");
    drop(client);
    upstream.send("-last");
    upstream.close();
    wait_until("it is stored", || get(gateway.address, "/a").body == "first-last");
    gateway.wait_for_metric("headgate_upstream_requests_total", &[], 1);
}

#[test]
fn a_response_that_breaks_off_is_not_stored() {
    for head in ["content-length: 10\r\n", "transfer-encoding: chunked\r\n"] {
        let upstream = ByPieces::start();
        let gateway = with_cache(upstream.address, "true");
        let mut client = ask(&gateway, "/a");
        let content = if head.starts_with('c') { "first" } else { "5\r\nfirst\r\n" };
        upstream.send(&format!("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n{head}\r\n{content}"));
        read_until(&mut client, "first");
        upstream.close();
        let mut rest = String::new();
        client.read_to_string(&mut rest).unwrap();
        assert!(!rest.contains("0\r\n\r\n"), "the client can tell: {rest:?}");
        let again = ask(&gateway, "/a");
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole");
        upstream.close();
        assert!(read_until(&mut { again }, "whole").ends_with("whole"));
        assert_eq!(gateway.metric("headgate_upstream_requests_total", &[]), 2, "{head}");
    }
}

#[test]
fn content_beyond_the_limit_passes_through_whole() {
    for head in ["content-length: 300000", "transfer-encoding: chunked"] {
        let upstream = Upstream::start(move |_| {
            let content = "x".repeat(300_000);
            let content = if head.starts_with('c') {
                content
            } else {
                format!("{:x}\r\n{content}\r\n0\r\n\r\n", 300_000)
            };
            format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{FRESH}{head}\r\n\r\n{content}")
        });
        let gateway = with_cache(upstream.address, "{ max_object = \"100KiB\" }");
        for asked in 1..=2 {
            let response = get(gateway.address, "/a");
            assert_eq!(response.body.matches('x').count(), 300_000, "{head}");
            assert_eq!(upstream.seen(), asked);
        }
    }
}

#[test]
fn variants_are_kept_side_by_side() {
    let upstream = Upstream::start(|head| {
        let language = head.lines().find_map(|line| line.strip_prefix("accept-language: ")).unwrap_or("none");
        reply(&format!("{FRESH}vary: accept-language\r\n"), language)
    });
    let gateway = gateway(&upstream);
    for _ in 0..3 {
        for language in ["de", "en", "fr"] {
            let response = send(gateway.address, "GET", "/a", &format!("accept-language: {language}\r\n"));
            assert_eq!(response.body, language);
        }
    }
    assert_eq!(upstream.seen(), 3);
}

#[test]
fn each_client_has_its_own_where_the_route_says_so() {
    let upstream = Upstream::start(|head| {
        let who = head.lines().find_map(|line| line.strip_prefix("x-user: ")).unwrap_or("nobody");
        reply(FRESH, who)
    });
    let gateway = with_cache(upstream.address, "{ identity = \"header:x-user\" }");
    for _ in 0..2 {
        for user in ["ann", "bob"] {
            assert_eq!(send(gateway.address, "GET", "/a", &format!("x-user: {user}\r\n")).body, user);
        }
    }
    assert_eq!(upstream.seen(), 2);
    for asked in 3..=4 {
        assert_eq!(get(gateway.address, "/a").body, "nobody");
        assert_eq!(upstream.seen(), asked, "nobody's is not stored");
    }
    assert_eq!(send(gateway.address, "DELETE", "/a", "x-user: ann\r\n").status, 200);
    send(gateway.address, "GET", "/a", "x-user: bob\r\n");
    assert_eq!(upstream.seen(), 6, "a change is one for everybody");
}

#[test]
fn a_change_makes_what_is_stored_outdated() {
    let upstream = Upstream::start(|head| {
        if head.starts_with("GET") {
            return reply(FRESH, "content");
        }
        reply("location: /other\r\n", "changed")
    });
    let gateway = gateway(&upstream);
    for path in ["/a", "/other", "/third"] {
        get(gateway.address, path);
    }
    send(gateway.address, "POST", "/a", "content-length: 0\r\n");
    assert_eq!(upstream.seen(), 4);
    for (path, asked) in [("/a", 5), ("/other", 6), ("/third", 6)] {
        get(gateway.address, path);
        assert_eq!(upstream.seen(), asked, "{path}");
    }
}

#[test]
fn a_field_that_is_private_reaches_who_asked_and_nobody_else() {
    let fields = "cache-control: max-age=600, private=\"set-cookie\"\r\nset-cookie: a=1\r\n";
    let upstream = Upstream::start(move |_| reply(fields, "content"));
    let gateway = gateway(&upstream);
    assert_eq!(get(gateway.address, "/a").values("set-cookie"), ["a=1"]);
    let second = get(gateway.address, "/a");
    assert_eq!((second.values("set-cookie").len(), &*second.body, upstream.seen()), (0, "content", 1));
}

#[test]
fn a_head_shows_that_what_is_stored_is_outdated() {
    for (tag, asked) in [("\"v1\"", 3), ("\"v2\"", 4)] {
        let upstream = Upstream::start(move |head| {
            if head.starts_with("HEAD") {
                return format!(
                    "HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: 7\r\netag: {tag}\r\n\r\n"
                );
            }
            reply("cache-control: max-age=600\r\netag: \"v1\"\r\n", "content")
        });
        let gateway = gateway(&upstream);
        get(gateway.address, "/a");
        send(gateway.address, "HEAD", "/a", "cache-control: no-cache\r\n");
        assert_eq!(upstream.seen(), 2);
        send(gateway.address, "HEAD", "/a", "cache-control: no-cache\r\n");
        get(gateway.address, "/a");
        assert_eq!(upstream.seen(), asked, "{tag}");
    }
}

#[test]
fn a_change_through_another_route_counts_too() {
    let upstream = Upstream::start(|_| reply(FRESH, "content"));
    let address = upstream.address;
    let write = "[[route]]\nmatch = \"/*\"\nmethods = [\"POST\"]\nservice = \"shop\"\n";
    let gateway = Gateway::start(&(write.to_owned() + &config(address, "true")));
    get(gateway.address, "/a");
    send(gateway.address, "POST", "/a", "content-length: 0\r\n");
    get(gateway.address, "/a");
    assert_eq!(upstream.seen(), 3);
}

#[test]
fn purges_reach_what_they_name_and_nothing_else() {
    let upstream = Upstream::start(|head| {
        let path = head.split(' ').nth(1).unwrap();
        reply(&format!("{FRESH}surrogate-key: all k{}\r\n", path.replace('/', "-")), path)
    });
    let gateway = gateway(&upstream);
    let paths = ["/a/1", "/a/2", "/b/1?q=1"];
    let seen_after = |purge: Purge, soft: bool| {
        paths.iter().for_each(|path| drop(get(gateway.address, path)));
        let before = upstream.seen();
        let counted = gateway.purge(&purge, soft).unwrap();
        paths.iter().for_each(|path| assert_eq!(get(gateway.address, path).body, *path));
        (counted, upstream.seen() - before)
    };
    for soft in [false, true] {
        assert_eq!(seen_after(Purge::Url("Shop.test/a/1".to_owned()), soft), (Some(1), 1));
        assert_eq!(seen_after(Purge::Url("https://shop.test/a/1".to_owned()), soft), (Some(0), 0));
        assert_eq!(seen_after(Purge::Url("shop.test/b/1?q=1".to_owned()), soft), (Some(1), 1));
        assert_eq!(seen_after(Purge::Prefix("http://shop.test/a/".to_owned()), soft), (Some(2), 2));
        assert_eq!(seen_after(Purge::Tag("k-a-2".to_owned()), soft), (None, 1));
        assert_eq!(seen_after(Purge::Tag("all".to_owned()), soft), (None, 3));
        assert_eq!(seen_after(Purge::Tag("unknown".to_owned()), soft), (None, 0));
        assert_eq!(seen_after(Purge::Everything, soft), (Some(3), 3));
    }
    assert!(gateway.purge(&Purge::Url("no url".to_owned()), false).is_err());
}

#[test]
fn what_is_purged_on_its_way_is_not_stored() {
    for purge in [Purge::Url("shop.test/a".to_owned()), Purge::Tag("t".to_owned()), Purge::Everything] {
        let upstream = ByPieces::start();
        let gateway = with_cache(upstream.address, "true");
        let mut client = ask(&gateway, "/a");
        upstream.send(
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\nsurrogate-key: t\r\ncontent-length: 3\r\n\r\no",
        );
        read_until(&mut client, "\r\n\r\no");
        gateway.purge(&purge, false).unwrap();
        upstream.send("ld");
        upstream.close();
        assert_eq!(read_until(&mut client, "ld"), "ld");
        let mut client = ask(&gateway, "/a");
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nnew");
        upstream.close();
        assert!(read_until(&mut client, "new").ends_with("new"), "{purge:?}");
    }
}

#[test]
fn stale_content_is_served_while_it_is_asked_for_again_once() {
    let bodies = Mutex::new(vec!["newest", "new", "old"]);
    let upstream = Upstream::start(move |_| {
        let body = bodies.lock().unwrap().pop().unwrap();
        let age = if body == "old" { "61" } else { "0" };
        let fields = format!("age: {age}\r\ncache-control: max-age=60, stale-while-revalidate=600\r\n");
        reply(&fields, body)
    });
    let gateway = gateway(&upstream);
    assert_eq!(get(gateway.address, "/a").body, "old");
    assert_eq!(get(gateway.address, "/a").body, "old");
    wait_until("the new one is there", || get(gateway.address, "/a").body == "new");
    assert_eq!(upstream.seen(), 2);
    assert!(count(&gateway, "stale") >= 1);
}

#[test]
fn stale_content_makes_good_for_a_service_that_fails() {
    let upstream = Upstream::start({
        let first = Mutex::new(true);
        move |_| {
            if std::mem::take(&mut *first.lock().unwrap()) {
                return reply(
                    "age: 61\r\ncache-control: max-age=60, stale-if-error=600\r\netag: \"v1\"\r\n",
                    "old",
                );
            }
            "HTTP/1.1 503 X\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbad".to_owned()
        }
    });
    let gateway = gateway(&upstream);
    for _ in 0..3 {
        let response = get(gateway.address, "/a");
        assert_eq!((response.status, &*response.body), (200, "old"));
    }
    assert!(upstream.seen() > 1);
}

#[test]
fn parts_heads_and_conditions_are_answered_from_what_is_stored() {
    let upstream = Upstream::start(|_| reply(&format!("{FRESH}etag: \"v1\"\r\n"), "0123456789"));
    let gateway = gateway(&upstream);
    get(gateway.address, "/a");
    let part = send(gateway.address, "GET", "/a", "range: bytes=2-4\r\n");
    assert_eq!((part.status, &*part.body, part.values("content-range")), (206, "234", vec!["bytes 2-4/10"]));
    let none = send(gateway.address, "GET", "/a", "range: bytes=10-\r\n");
    assert_eq!((none.status, none.values("content-range")), (416, vec!["bytes */10"]));
    let head = send(gateway.address, "HEAD", "/a", "");
    assert_eq!((head.status, &*head.body, head.values("content-length")), (200, "", vec!["10"]));
    let same = send(gateway.address, "GET", "/a", "if-none-match: W/\"v1\"\r\n");
    assert_eq!((same.status, &*same.body, same.values("etag")), (304, "", vec!["\"v1\""]));
    let other = send(gateway.address, "GET", "/a", "if-none-match: \"v0\"\r\n");
    assert_eq!((other.status, &*other.body), (200, "0123456789"));
    assert_eq!(upstream.seen(), 1);
}

#[test]
fn a_response_that_is_still_right_is_kept() {
    let upstream = Upstream::start(|head| {
        if head.contains("if-none-match: \"v1\"") {
            let fields = "cache-control: max-age=600\r\netag: \"v1\"\r\nx-news: yes\r\n";
            return format!("HTTP/1.1 304 X\r\nconnection: close\r\n{fields}\r\n");
        }
        reply("age: 61\r\ncache-control: max-age=60\r\netag: \"v1\"\r\n", "content")
    });
    let gateway = gateway(&upstream);
    get(gateway.address, "/a");
    for _ in 0..3 {
        let response = get(gateway.address, "/a");
        assert_eq!((&*response.body, response.values("x-news")), ("content", vec!["yes"]));
    }
    assert_eq!(upstream.seen(), 2);
    assert_eq!(count(&gateway, "revalidated"), 1);
}

#[test]
fn only_if_cached_asks_nobody() {
    let upstream = Upstream::start(|_| reply(FRESH, "content"));
    let gateway = gateway(&upstream);
    let only = "cache-control: only-if-cached\r\n";
    assert_eq!(send(gateway.address, "GET", "/a", only).status, 504);
    assert_eq!(upstream.seen(), 0);
    get(gateway.address, "/a");
    assert_eq!(send(gateway.address, "GET", "/a", only).body, "content");
}

#[test]
fn what_a_route_adds_is_added_to_hits_and_never_twice() {
    let upstream = Upstream::start(|_| reply(&format!("{FRESH}x-inner: 1\r\n"), "content"));
    let edits = "response_headers = { remove = [\"x-inner\"], set = { x-outer = \"1\" } }\n";
    let config =
        config(upstream.address, "true").replace("[service.shop]", &format!("{edits}[service.shop]"));
    let gateway = Gateway::start(&config);
    for _ in 0..2 {
        let response = get(gateway.address, "/a");
        assert_eq!((response.values("x-inner"), response.values("x-outer")), (vec![], vec!["1"]));
    }
    assert_eq!(upstream.seen(), 1);
}

#[test]
fn a_full_cache_lets_the_oldest_go_and_stays_within_its_memory() {
    let upstream = Upstream::start(|_| reply(FRESH, &"x".repeat(20_000)));
    let config = format!("[cache]\nmemory = \"1MiB\"\n{}", config(upstream.address, "true"));
    let gateway = Gateway::start(&config);
    for number in 0..200 {
        assert_eq!(get(gateway.address, &format!("/{number}")).body.len(), 20_000);
    }
    let (bytes, objects) = gateway.stored();
    assert!((500_000..=1 << 20).contains(&bytes), "{bytes}");
    assert!((25..=51).contains(&objects), "{objects}");
}
