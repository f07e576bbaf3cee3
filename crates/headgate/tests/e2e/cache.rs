//! The cache as an operator meets it: switched on by a flag, purged by a command, told about in log and metrics. How
//! it treats messages is tested nearer to it, and by `cargo xtask conform cache`.

use crate::support::frames::{DATA, END_HEADERS, END_STREAM, Frames, HEADERS, frame, get};
use crate::support::{Headgate, Port, Service, one_service, output, response};
use serde_json::Value;
use std::sync::{Mutex, mpsc};

fn cacheable() -> Service {
    Service::start(|request| {
        let target = request.head.target().to_owned();
        response(&[("cache-control", "max-age=600"), ("surrogate-key", "all")], target.as_bytes())
    })
}

#[test]
fn one_flag_switches_it_on_and_a_command_purges_it() {
    let (service, admin) = (cacheable(), Port::reserve());
    let address = admin.address.to_string();
    let to = service.address.to_string();
    let gateway = Headgate::with_flags(&["--to", &to, "--cache", "--admin", &address, "--workers", "2"]);
    let host = "a.test";
    let ask = |path: &str| assert_eq!(gateway.connect().get(path).text(), path);
    let purge = |arguments: &[&str]| {
        let output = output(&[&["purge", "--admin", &address], arguments].concat());
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), text)
    };
    for _ in 0..3 {
        ask("/a");
        ask("/b");
    }
    assert_eq!(service.requests(), 2);
    assert_eq!(purge(&[&format!("{host}/a")]), (Some(0), "purged: 1 response\n".to_owned()));
    ask("/a");
    ask("/b");
    assert_eq!(service.requests(), 3);
    assert_eq!(purge(&["--tag", "all", "--soft"]).0, Some(0));
    ask("/a");
    ask("/b");
    assert_eq!(service.requests(), 5);
    assert_eq!(purge(&["--everything"]), (Some(0), "purged: 2 responses\n".to_owned()));
    let (code, text) = purge(&["no url"]);
    assert!(code == Some(1) && text.contains("no url") && text.contains("shop.example/items/7"), "{text}");
    let journal = output(&["why", "cache.purge", "--json", "--admin", &address]);
    let journal: Value = serde_json::from_slice(&journal.stdout).unwrap();
    let told = journal["entries"].as_array().unwrap().iter().map(|entry| entry["subject"].as_str().unwrap());
    assert_eq!(
        told.map(str::len).filter(|length| *length > 0).count(),
        3,
        "each that was understood: {journal}"
    );
    assert!(journal.to_string().contains("an operator asked for it"), "{journal}");
    let metrics = admin.metrics();
    assert!(metrics.contains("\nheadgate_cache_objects 0\n"), "{metrics}");
    assert!(metrics.contains("headgate_cache_requests_total{result=\"miss\",route=\"/*\"} "), "{metrics}");
}

/// Neither says anything about it, and only an error is to be kept.
#[test]
fn errors_are_kept_for_as_long_as_they_are_to_be() {
    let service = Service::start(|request| match request.head.target() {
        "/there" => response(&[], b"there"),
        _ => b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\ngone".to_vec(),
    });
    let config = one_service("", "", &[service.address]) + "[route.cache]\nnegative_ttl = \"1h\"\n";
    let gateway = Headgate::start(&config);
    for _ in 0..3 {
        let gone = gateway.connect().get("/gone");
        assert_eq!((gone.status(), gone.text()), (404, "gone".to_owned()));
    }
    assert_eq!(service.requests(), 1);
    for _ in 0..3 {
        assert_eq!(gateway.connect().get("/there").text(), "there");
    }
    assert_eq!(service.requests(), 4);
}

#[test]
fn nobody_waits_for_what_was_asked_for_before_a_purge() {
    let (asked, first_asked) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    // The first answer waits until everything else is over.
    let first = Mutex::new(Some((asked, held)));
    let service = Service::start(move |_| {
        let first = first.lock().unwrap().take();
        let number = if first.is_some() { "old" } else { "new" };
        if let Some((asked, held)) = first {
            asked.send(()).unwrap();
            held.recv().unwrap();
        }
        response(&[("cache-control", "max-age=600"), ("surrogate-key", "a")], number.as_bytes())
    });
    let (to, admin) = (service.address.to_string(), Port::reserve());
    let address = admin.address.to_string();
    let gateway = Headgate::with_flags(&["--to", &to, "--cache", "--admin", &address, "--workers", "2"]);
    let mut early = gateway.connect();
    early.send("GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
    first_asked.recv().unwrap();
    assert!(output(&["purge", "--admin", &address, "--tag", "a"]).status.success());
    assert_eq!(gateway.connect().get("/a").text(), "new");
    release.send(()).unwrap();
    assert_eq!(early.response().text(), "old");
    assert_eq!(gateway.connect().get("/a").text(), "new", "the old one was not stored");
}

#[test]
fn the_log_tells_how_each_request_was_answered() {
    let service = cacheable();
    let config = one_service("", "", &[service.address]);
    let mut gateway = Headgate::start(&format!("log = {{ format = \"json\" }}\n{config}cache = true\n"));
    let mut client = gateway.connect();
    client.get("/a");
    client.get("/a");
    client.ask("POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
    for (result, asked) in [("miss", true), ("hit", false), ("bypass", true)] {
        let line: Value = serde_json::from_str(&gateway.line()).unwrap();
        assert_eq!(line["cache"], result, "{line}");
        let endpoint = asked.then(|| service.address.to_string());
        assert_eq!(line["endpoint"].as_str(), endpoint.as_deref(), "{line}");
        assert_eq!(line["upstream_us"].as_u64().is_some_and(|us| us > 0), asked, "{line}");
    }
}

#[test]
fn a_client_of_another_protocol_gets_the_same() {
    let service = cacheable();
    let config = one_service("http2 = true", "", &[service.address]);
    let gateway = Headgate::start(&(config + "cache = true\n"));
    assert_eq!(gateway.connect().get("/").text(), "/");
    let mut client = Frames::open(&gateway);
    for stream in [1, 3] {
        client.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, get(&[])));
        let content = client.until(|frame| (frame.kind == DATA).then(|| frame.payload.clone()));
        assert_eq!(content, b"/", "{stream}");
    }
    assert_eq!(service.requests(), 1);
}

#[test]
fn several_ranges_and_the_answer_of_a_post_are_the_same_in_both_protocols() {
    let content: String = (0..1_000).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
    let stored = content.clone();
    let service = Service::start(move |_| {
        response(&[("cache-control", "max-age=600"), ("content-location", "/")], stored.as_bytes())
    });
    let config = one_service("http2 = true", "", &[service.address]);
    let gateway = Headgate::start(&(config + "cache = true\n"));
    gateway.connect().ask("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
    let asked = "GET / HTTP/1.1\r\nHost: a.test\r\nRange: bytes=900-909,0-9\r\n\r\n";
    let first = gateway.connect().ask(asked).text();
    let mut client = Frames::open(&gateway);
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, get(&[("range", "bytes=900-909,0-9")])));
    let mut second = Vec::new();
    client.until(|frame| {
        if frame.kind == DATA {
            second.extend_from_slice(&frame.payload);
        }
        (frame.kind == DATA && frame.flags & END_STREAM != 0).then_some(())
    });
    let second = String::from_utf8(second).unwrap();
    for body in [first, second] {
        let parts: Vec<&str> = body.split("\r\n\r\n").skip(1).map(|part| &part[..10]).collect();
        assert_eq!(parts, [&content[900..910], &content[..10]], "{body}");
    }
    assert_eq!(service.requests(), 1);
}
