//! Which route takes a request, and what it does to it.

use crate::support::{Headgate, LISTEN, Origin, Response, Service, one_service};

const ROUTES: &str = r#"
    workers = 1
    [listen.web]
    bind = "127.0.0.1:0"
    [service.app]
    endpoints = ["@APP@"]

    [[route]]
    match = "/*"
    respond = { status = 200, body = "any" }
    [[route]]
    match = "shop.test/*"
    respond = { status = 200, body = "shop" }
    [[route]]
    match = "*.shop.test/*"
    respond = { status = 200, body = "wildcard" }
    [[route]]
    match = "shop.test/exact"
    respond = { status = 200, body = "exact" }
    [[route]]
    match = "shop.test/users/{id}"
    respond = { status = 200, body = "user" }
    [[route]]
    match = "shop.test/users/new"
    respond = { status = 200, body = "new user" }
    [[route]]
    match = "shop.test/api/*"
    methods = ["POST", "PUT"]
    respond = { status = 201, body = "write", content_type = "text/html" }
    [[route]]
    match = "shop.test/api/*"
    headers = { x-version = "2" }
    respond = { status = 200, body = "version 2" }
    [[route]]
    match = "shop.test/search"
    query = { q = "*", lang = "en" }
    respond = { status = 200, body = "search" }
    [[route]]
    match = "[::1]/*"
    respond = { status = 200, body = "six" }

    [[route]]
    match = "app.test/*"
    service = "app"
    [[route]]
    match = "app.test/strip/*"
    service = "app"
    strip = "/strip"
    [[route]]
    match = "app.test/old/{year}/*"
    service = "app"
    rewrite = "/new/{year}/{rest}"
    [[route]]
    match = "app.test/inside/*"
    service = "app"
    host = "internal.test:8080"
    [[route]]
    match = "app.test/edit/*"
    service = "app"
    request_headers = { remove = ["X-Gone"], set = { X-Set = "1", Authorization = "Bearer t" }, add = { X-Added = "2" } }
    response_headers = { remove = ["X-Served-By"], set = { Strict-Transport-Security = "max-age=1" } }

    [[route]]
    match = "moved.test/*"
    redirect = { to = "https://new.test{path}?{query}", status = 308 }
    [[route]]
    match = "moved.test/u/{id}/*"
    redirect = { to = "https://{host}/users/{id}/{rest}" }
"#;

fn start() -> (Headgate, Service) {
    let service = Service::start(|request| {
        let text = format!("{}\n{}", request.head.first_line(), request.head.lines().join("\n"));
        crate::support::response(&[("X-Served-By", "app")], text.as_bytes())
    });
    (Headgate::start(&ROUTES.replace("@APP@", &service.address.to_string())), service)
}

fn ask(gateway: &Headgate, method: &str, url: &str, fields: &str) -> Response {
    let (host, path) = url.split_at(url.find('/').unwrap());
    gateway.connect().ask(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"))
}

#[test]
fn the_most_specific_route_takes_the_request() {
    let (gateway, _service) = start();
    for (method, url, fields, answer) in [
        ("GET", "other.test/", "", "any"),
        ("GET", "other.test/exact", "", "any"),
        ("GET", "shop.test/", "", "shop"),
        ("GET", "SHOP.Test:8080/", "", "shop"),
        ("GET", "eu.shop.test/", "", "wildcard"),
        ("GET", "notshop.test/", "", "any"),
        ("GET", "shop.test/exact", "", "exact"),
        ("GET", "shop.test/exact?q=1", "", "exact"),
        ("GET", "shop.test/exact/", "", "shop"),
        ("GET", "shop.test/EXACT", "", "shop"),
        ("GET", "shop.test/users/7", "", "user"),
        ("GET", "shop.test/users/new", "", "new user"),
        ("GET", "shop.test/users/7/more", "", "shop"),
        ("POST", "shop.test/api/x", "Content-Length: 0\r\n", "write"),
        ("GET", "shop.test/api/x", "", "shop"),
        ("GET", "shop.test/api/x", "X-VERSION: 2\r\n", "version 2"),
        ("GET", "shop.test/api/x", "x-version: 3\r\n", "shop"),
        ("GET", "shop.test/search?lang=en&q=", "", "search"),
        ("GET", "shop.test/search?q=1&lang=de", "", "shop"),
        ("GET", "shop.test/search", "", "shop"),
        ("GET", "[::1]:80/", "", "six"),
        ("GET", "[0:0::1]/", "", "six"),
    ] {
        assert_eq!(ask(&gateway, method, url, fields).text(), answer, "{method} {url} {fields}");
    }
}

#[test]
fn a_fixed_answer_has_its_status_type_and_length_and_none_for_head() {
    let (gateway, _service) = start();
    let response = ask(&gateway, "PUT", "shop.test/api/", "Content-Length: 0\r\n");
    assert_eq!(response.head.first_line(), "HTTP/1.1 201 Created");
    assert_eq!(response.head.value("content-type"), Some("text/html"));
    assert_eq!(response.head.value("content-length"), Some("5"));
    let mut client = gateway.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: other.test\r\n\r\n");
    assert_eq!(client.head().value("content-length"), Some("3"));
    client.send("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
    assert_eq!(client.response().text(), "any");
}

#[test]
fn an_answer_of_our_own_to_an_upload_leaves_no_bytes_for_the_next_request() {
    let (gateway, _service) = start();
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: other.test\r\nContent-Length: 40\r\n\r\nGET /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let response = client.response();
    assert_eq!(response.text(), "any");
    assert_eq!(response.head.value("connection"), Some("close"));
    client.finish_sending();
    client.assert_ended();
}

#[test]
fn paths_are_stripped_and_rewritten_and_queries_kept() {
    let (gateway, _service) = start();
    for (url, line) in [
        ("app.test/a/b?c", "GET /a/b?c HTTP/1.1"),
        ("app.test/strip/a?b=c", "GET /a?b=c HTTP/1.1"),
        ("app.test/strip/", "GET / HTTP/1.1"),
        ("app.test/strip//x", "GET //x HTTP/1.1"),
        ("app.test/old/2024/a/b?c=d", "GET /new/2024/a/b?c=d HTTP/1.1"),
        ("app.test/old/2024/", "GET /new/2024/ HTTP/1.1"),
    ] {
        assert_eq!(ask(&gateway, "GET", url, "").text().lines().next(), Some(line), "{url}");
    }
}

#[test]
fn a_route_sets_the_host_and_edits_headers_on_both_ways() {
    let (gateway, _service) = start();
    let text = ask(&gateway, "GET", "app.test/inside/", "").text();
    assert!(text.contains("host: internal.test:8080\n") && !text.contains("Host: app.test"), "{text}");
    assert!(text.contains("x-forwarded-host: app.test"), "{text}");
    let response = ask(
        &gateway,
        "GET",
        "app.test/edit/",
        "X-GONE: 1\r\nX-Set: forged\r\nAuthorization: mine\r\nX-Added: 1\r\n",
    );
    let text = response.text();
    for line in ["x-set: 1", "authorization: Bearer t", "X-Added: 1", "x-added: 2"] {
        assert!(text.lines().any(|got| got == line), "{line} is missing in {text}");
    }
    for gone in ["X-GONE", "forged", "mine"] {
        assert!(!text.contains(gone), "{gone} is left in {text}");
    }
    assert!(!response.head.has("x-served-by"));
    assert_eq!(response.head.value("strict-transport-security"), Some("max-age=1"));
}

#[test]
fn a_redirect_says_where_to() {
    let (gateway, _service) = start();
    for (url, status, location) in [
        ("moved.test/a/b?c=d", 308, "https://new.test/a/b?c=d"),
        ("Moved.Test:81/u/7/x/y", 302, "https://moved.test/users/7/x/y"),
    ] {
        let response = ask(&gateway, "GET", url, "");
        assert_eq!(response.status(), status, "{url}");
        assert_eq!(response.head.value("location"), Some(location), "{url}");
        assert_eq!(response.head.value("content-length"), Some("0"));
    }
}

#[test]
fn without_a_route_the_answer_is_404() {
    let config = format!(
        "[listen.web]\nbind = \"{LISTEN}\"\n[[route]]\nmatch = \"a.test/x\"\nrespond = {{ body = \"x\" }}\n"
    );
    let gateway = Headgate::start(&config);
    let mut client = gateway.connect();
    for url in ["/y", "/x/", "/"] {
        let response = client.get(url);
        assert_eq!(response.status(), 404);
        assert_eq!(response.text(), "404 no_route: no route matches this host and path\n");
    }
    assert_eq!(client.get("/x").text(), "x");
    assert_eq!(client.ask("GET /x HTTP/1.1\r\nHost: b.test\r\n\r\n").status(), 404);
}

#[test]
fn a_path_with_dot_segments_is_refused() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    for path in
        ["/a/../b", "/..", "/.", "/a/./b", "/%2e%2e/b", "/a/.%2E/b", "/a/..%2fb", "/..;x/b", "/a/..\\b"]
    {
        let response = gateway.connect().get(path);
        assert_eq!(response.status(), 400, "{path}");
        origin.assert_untouched(path);
    }
    let mut client = gateway.connect();
    client.send("GET /.well-known/a..b/...?x=/../ HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(origin.accept().head().target(), "/.well-known/a..b/...?x=/../");
}

#[test]
fn the_total_time_of_a_route_replaces_the_services() {
    let origin = Origin::start();
    let config = one_service("", "timeouts.total = \"1h\"", &[origin.address]);
    let gateway = Headgate::start(&format!("{config}timeout = \"200ms\"\n"));
    assert_eq!(gateway.connect().get("/").status(), 504);
}

#[test]
fn a_path_that_has_other_methods_answers_405_with_their_names() {
    let gateway = Headgate::start(&ROUTES.replace("@APP@", "127.0.0.1:1"));
    let mut client = gateway.connect();
    // The route without a host takes everything else; a host of its own has nothing to fall back on.
    let config = "workers = 1\n[listen.web]\nbind = \"127.0.0.1:0\"\n[[route]]\nmatch = \"/api/*\"\n\
                  methods = [\"PUT\", \"POST\"]\nrespond = { body = \"write\" }\n";
    let strict = Headgate::start(config);
    let response = client.ask("DELETE /api/x HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    assert_eq!(response.status(), 200, "a less specific route takes it");
    let mut client = strict.connect();
    for method in ["GET", "OPTIONS", "DELETE"] {
        let response = client.ask(format!("{method} /api/x HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        assert_eq!(response.status(), 405, "{method}");
        assert_eq!(response.head.values("allow"), ["POST, PUT"]);
    }
    assert_eq!(client.ask("POST /api/x HTTP/1.1\r\nHost: a.test\r\ncontent-length: 0\r\n\r\n").status(), 200);
    let response = client.ask("DELETE /other HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!((response.status(), response.head.has("allow")), (404, false));
}
