//! `headgate explain`: what it says about a request is what the gateway would do, and it needs no certificates.

use crate::support::{output, scratch};
use std::fs;

const CONFIG: &str = r#"
    [listen.web]
    bind = "127.0.0.1:0"
    tls = { certificates = [{ cert = "absent.pem", key = "absent.key" }] }
    [listen.plain]
    bind = "127.0.0.1:0"
    forwarded = "forwarded"
    trusted_proxies = ["10.0.0.0/8"]
    client_cert = "pass"
    [service.app]
    endpoints = ["127.0.0.1:1"]
    fallback = { body = "sorry", status = 502 }
    retry = { statuses = [503] }
    [[route]]
    match = "/*"
    service = "app"
    [[route]]
    match = "a.test/old/{year}/*"
    service = "app"
    rewrite = "/new/{year}/{rest}"
    host = "inside.test"
    timeout = "7s"
    request_headers = { remove = ["x-a"], set = { x-b = "1" } }
    response_headers = { add = { x-c = "2" } }
    [[route]]
    match = "a.test/old/{year}/*"
    headers = { x-new = "*" }
    service = "app"
    [[route]]
    match = "cached.test/*"
    service = "app"
    cache = { ttl = "1m", identity = "cookie:who" }
    [[route]]
    match = "b.test/only"
    methods = ["PUT"]
    listeners = ["plain"]
    respond = {}
"#;

/// What is said about a request, and the exit code.
fn explain(config: &str, request: &str) -> (String, Option<i32>) {
    let scratch = scratch();
    let file = scratch.file("headgate.toml");
    fs::write(&file, config).unwrap();
    let output = output(&["explain", file.to_str().unwrap(), request]);
    (
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
        output.status.code(),
    )
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn it_says_what_the_cache_does() {
    let said = |request| explain(CONFIG, request).0;
    assert_says(&said("GET http://a.test/"), &["cache      off"]);
    assert_says(
        &said("GET http://cached.test/"),
        &["cache      fresh 1m where the response says nothing, apart by cookie:who; eviction s3fifo"],
    );
    assert_says(&said("POST http://cached.test/"), &["cache      not for POST"]);
}

#[test]
fn it_shows_the_request_that_the_service_sees_and_what_holds_for_it() {
    let (text, code) = explain(CONFIG, "GET http://a.test/old/1999/x/y?q=1");
    assert_eq!(code, Some(0), "{text}");
    assert_says(
        &text,
        &[
            "request    GET /new/1999/x/y?q=1 (rewritten)",
            "host     inside.test (the route's)",
            "told by forwarded; client-cert, client-cert-chain as a trusted proxy sent them",
            "remove   x-a",
            "set      x-b: 1",
            "add      x-c: 2",
            "total 7s (the route's)",
            "2 attempts in all, after a failed or broken connection or 503",
            "fallback   502, 5B from the configuration",
            "head 16KiB",
        ],
    );
}

#[test]
fn it_says_why_other_routes_do_not_take_it() {
    let (text, _) = explain(CONFIG, "GET http://a.test/old/1999/x");
    assert_says(
        &text,
        &[
            "route      a.test/old/{year}/* (number 2 in the file)",
            "(number 3 in the file): the header `x-new` is missing or has another value",
            "(number 1 in the file): its host is less specific",
        ],
    );
}

#[test]
fn absent_certificates_are_only_mentioned() {
    let (text, code) = explain(CONFIG, "POST https://other.test/");
    assert_eq!(code, Some(0), "{text}");
    assert_says(&text, &["listener   web", "POST is not idempotent", "absent.pem: ", "absent.key: "]);
}

#[test]
fn a_request_that_no_route_takes_has_an_exit_code_of_its_own() {
    let config = CONFIG.replace("match = \"/*\"", "match = \"c.test/*\"");
    let (text, code) = explain(&config, "GET http://b.test/only");
    assert_eq!(code, Some(3));
    assert_says(&text, &["answered 405, allow: PUT"]);
    let (text, code) = explain(&config, "GET http://b.test/other");
    assert_eq!(code, Some(3));
    assert_says(&text, &["answered 404"]);
    assert_eq!(explain(&config, "GET /no-url").1, Some(1));
}

#[test]
fn a_port_in_the_url_chooses_the_listener() {
    let scratch = scratch();
    let file = scratch.file("headgate.toml");
    let route = |listener: &str| {
        format!(
            "[[route]]\nmatch = \"/*\"\nlisteners = [\"{listener}\"]\nrespond = {{ body = \"{listener}\" }}\n"
        )
    };
    let listeners = "[listen.one]\nbind = \":18211\"\n[listen.two]\nbind = \":18212\"\n";
    fs::write(&file, format!("{listeners}{}{}", route("one"), route("two"))).unwrap();
    let explained = |url: &str| {
        let output = output(&["explain", file.to_str().unwrap(), url]);
        let text = String::from_utf8(output.stdout).unwrap();
        ["one", "two"].map(|name| text.contains(&format!("listener   {name}")))
    };
    assert_eq!(explained("http://a.test:18212/"), [false, true]);
    assert_eq!(explained("http://a.test/"), [true, true]);
    assert_eq!(explained("http://a.test:80/"), [true, true], "a port may be mapped");
}
