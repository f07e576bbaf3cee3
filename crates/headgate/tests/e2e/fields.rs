//! Header fields: what passes as it came, what stays on its hop, and what Headgate says about the client.

use crate::support::{Head, Headgate, Origin, Response, Service, one_service};

/// Sends `request` and `answer` through a gateway; gives what came out on each side.
fn exchange(listen: &str, request: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) -> (Head, Response) {
    let origin = Origin::start();
    let gateway = Headgate::start(&one_service(listen, "", &[origin.address]));
    let mut client = gateway.connect();
    client.send(request);
    let mut upstream = origin.accept();
    let head = upstream.head();
    upstream.send(answer);
    (head, client.response())
}

fn request(listen: &str, request: impl AsRef<[u8]>) -> Head {
    exchange(listen, request, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").0
}

#[test]
fn fields_pass_in_order_with_their_case_and_bytes() {
    let lines = [
        "Host: a.test:8080",
        "X-B: 1",
        "x-a: 2",
        "X-B: 3",
        "Cookie: a=1",
        "Cookie: b=2",
        "Accept: */*, text/html;q=0.5",
        "X-Empty: ",
        "X-Latin: caf\u{e9}",
        "User-Agent: test",
        "Expires: 0",
    ];
    let latin: Vec<u8> = format!("GET /p%20q?a=b&c HTTP/1.1\r\n{}\r\n\r\n", lines.join("\r\n"))
        .chars()
        .map(|char| char as u8)
        .collect();
    let answer = "HTTP/1.1 203 Not Quite\r\nDate: now\r\nSet-Cookie: a=1\r\nX-A: 1\r\nset-cookie: b=2\r\n\
                  Server: mine\r\ncontent-length: 0\r\n\r\n";
    let (head, response) = exchange("", latin, answer);
    assert_eq!(head.first_line(), "GET /p%20q?a=b&c HTTP/1.1");
    assert_eq!(head.lines()[..lines.len()], lines);
    assert_eq!(response.head.first_line(), "HTTP/1.1 203 Not Quite");
    let expected =
        ["Date: now", "Set-Cookie: a=1", "X-A: 1", "set-cookie: b=2", "Server: mine", "content-length: 0"];
    assert_eq!(response.head.lines(), expected);
}

#[test]
fn fields_of_one_hop_stay_on_it() {
    let (head, response) = exchange(
        "",
        "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, X-Mine , x-two\r\nX-Mine: 1\r\nX-TWO: 2\r\n\
         X-Kept: 3\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip, Trailers;q=0.5\r\n\
         Upgrade: websocket\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, x-internal\r\nX-Internal: secret\r\nX-Kept: 4\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\ncontent-length: 0\r\n\r\n",
    );
    for head in [&head, &response.head] {
        for name in
            ["connection", "keep-alive", "proxy-connection", "x-mine", "x-two", "x-internal", "upgrade"]
        {
            assert!(!head.has(name), "{name} went on: {head:?}");
        }
        assert!(head.has("x-kept"));
    }
    assert!(matches!(head.value("te"), None | Some("trailers")), "{head:?}");
}

#[test]
fn credentials_for_a_proxy_and_cookies_are_not_lost() {
    let head = request(
        "",
        "GET / HTTP/1.1\r\nHost: a.test\r\nAuthorization: Basic eA==\r\nCookie: session=1\r\n\
         traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n",
    );
    assert_eq!(head.value("authorization"), Some("Basic eA=="));
    assert_eq!(head.value("cookie"), Some("session=1"));
    assert_eq!(head.value("traceparent"), Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
}

const CLAIMS: &str = "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 6.6.6.6, 7.7.7.7\r\nx-forwarded-for: 8.8.8.8\r\n\
    X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\nForwarded: for=6.6.6.6;proto=https\r\n\r\n";

#[test]
fn what_a_stranger_says_about_where_it_comes_from_is_replaced() {
    for listen in ["", "trusted_proxies = [\"10.0.0.0/8\"]"] {
        let head = request(listen, CLAIMS);
        assert_eq!(head.values("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(head.values("x-forwarded-proto"), ["http"]);
        assert_eq!(head.values("x-forwarded-host"), ["a.test"]);
        assert!(!head.has("forwarded"), "{head:?}");
    }
}

#[test]
fn what_a_trusted_proxy_says_is_passed_on_with_its_own_address_behind() {
    let head = request("trusted_proxies = [\"127.0.0.0/8\"]", CLAIMS);
    assert_eq!(head.values("x-forwarded-for"), ["6.6.6.6, 7.7.7.7, 8.8.8.8, 127.0.0.1"]);
    assert_eq!(head.values("x-forwarded-proto"), ["https"]);
    assert_eq!(head.values("x-forwarded-host"), ["shop.example"]);
}

#[test]
fn a_trusted_proxy_that_says_nothing_is_itself_the_client() {
    let head = request("trusted_proxies = [\"127.0.0.1\"]", "GET / HTTP/1.1\r\nHost: a.test:81\r\n\r\n");
    assert_eq!(head.values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(head.values("x-forwarded-proto"), ["http"]);
    assert_eq!(head.values("x-forwarded-host"), ["a.test:81"]);
}

#[test]
fn a_connection_header_cannot_remove_what_headgate_says() {
    let head = request(
        "",
        "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: x-forwarded-for, X-Forwarded-Proto\r\n\r\n",
    );
    assert_eq!(head.values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(head.values("x-forwarded-proto"), ["http"]);
}

#[test]
fn an_absolute_target_becomes_a_path() {
    for (target, path) in [
        ("http://a.test/x?y=1", "/x?y=1"),
        ("HTTP://A.TEST/", "/"),
        ("https://a.test//", "//"),
        ("http://a.test/?", "/?"),
        ("http://a.test", "/"),
        ("https://A.test", "/"),
    ] {
        let head = request("", format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        assert_eq!(head.first_line(), format!("GET {path} HTTP/1.1"));
        assert_eq!(head.values("host"), ["a.test"]);
    }
}

#[test]
fn what_is_asked_of_the_server_and_not_of_a_path_is_answered_here() {
    let origin = Origin::start();
    let gateway = Headgate::start(&one_service("", "", &[origin.address]));
    let mut client = gateway.connect();
    for target in ["*", "http://a.test", "*"] {
        let fields = "Host: a.test\r\nContent-Length: 2\r\n\r\nhi";
        let answer = client.ask(format!("OPTIONS {target} HTTP/1.1\r\n{fields}"));
        assert_eq!((answer.status(), answer.text()), (204, String::new()), "{target}");
        client = gateway.connect();
    }
    let answer = client.ask("OPTIONS * HTTP/1.1\r\nHost: unknown.test\r\n\r\n");
    assert_eq!(answer.status(), 204);
    // The connection goes on, and other methods know no asterisk.
    assert_eq!(client.ask("GET * HTTP/1.1\r\nHost: a.test\r\n\r\n").status(), 400);
    origin.assert_untouched("OPTIONS of the server");
}

#[test]
fn a_second_host_is_called_that_whatever_it_says() {
    let gateway = Headgate::start(&one_service("", "", &["127.0.0.1:1".parse().unwrap()]));
    for hosts in ["Host: a\r\nHost: b", "Host: a\r\nHost: a", "Host:\r\nHost: a", "Host: a\r\nHost:"] {
        let answer = gateway.connect().ask(format!("GET / HTTP/1.1\r\n{hosts}\r\n\r\n"));
        assert_eq!(answer.status(), 400);
        assert!(answer.text().contains("more than one Host"), "{hosts}: {}", answer.text());
    }
}

#[test]
fn an_http_1_0_request_without_host_gets_the_endpoints() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    let head = origin.accept().head();
    assert_eq!(head.first_line(), "GET / HTTP/1.1");
    assert_eq!(head.value("host"), Some(origin.address.to_string().as_str()));
    assert!(!head.has("x-forwarded-host"), "{head:?}");
}

#[test]
fn an_unknown_method_passes() {
    for method in ["BREW", "get", "M-SEARCH", "X"] {
        let head = request("", format!("{method} /pot HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        assert_eq!(head.first_line(), format!("{method} /pot HTTP/1.1"));
    }
}

fn forwarded(listen: &str, fields: &str) -> Head {
    let text = format!("GET / HTTP/1.1\r\nHost: a.test:8080\r\n{fields}\r\n");
    request(listen, text)
}

const TRUSTED: &str = "trusted_proxies = [\"127.0.0.0/8\"]\n";
const OWN: &str = "for=127.0.0.1;proto=http;host=\"a.test:8080\"";

#[test]
fn forwarded_is_written_where_it_is_asked_for() {
    let claims = "Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\n";
    let head = forwarded("forwarded = \"forwarded\"", claims);
    assert_eq!(head.values("forwarded"), [OWN], "what a stranger claims is replaced");
    for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"] {
        assert!(!head.has(name), "{head:?}");
    }
    let head = forwarded("forwarded = \"both\"", claims);
    assert_eq!(head.values("forwarded"), [OWN]);
    assert_eq!(head.values("x-forwarded-for"), ["127.0.0.1"]);
}

#[test]
fn forwarded_is_appended_behind_a_trusted_proxy() {
    for mode in ["forwarded", "both"] {
        let listen = format!("{TRUSTED}forwarded = \"{mode}\"");
        let head =
            forwarded(&listen, "Forwarded: for=\"[2001:db8::1]\";proto=https\r\nForwarded: for=7.7.7.7\r\n");
        assert_eq!(
            head.values("forwarded"),
            [format!("for=\"[2001:db8::1]\";proto=https, for=7.7.7.7, {OWN}")]
        );
        // What is believed of a proxy is its X-Forwarded-For; a Forwarded beside it may be its client's.
        let head = forwarded(
            &listen,
            "Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 2001:db8::1, 7.7.7.7\r\nX-Forwarded-Proto: https\r\n",
        );
        assert_eq!(
            head.values("forwarded"),
            [format!("for=\"[2001:db8::1]\";proto=https, for=7.7.7.7, {OWN}")]
        );
    }
}

#[test]
fn a_name_with_underscores_does_not_pass_for_a_field_that_headgate_writes() {
    let fields =
        "X_Forwarded_For: 6.6.6.6\r\nx-forwarded_proto: https\r\nX_FORWARDED_HOST: evil\r\nX_Kept: 1\r\n";
    for listen in ["", TRUSTED] {
        let head = forwarded(listen, fields);
        assert_eq!(head.values("x-forwarded-for"), ["127.0.0.1"]);
        for name in ["x_forwarded_for", "x-forwarded_proto", "x_forwarded_host"] {
            assert!(!head.has(name), "{head:?}");
        }
        assert!(head.has("x_kept"));
    }
}

/// Sends `request` through a gateway whose route takes `x-user` off and sets it itself.
fn through_edits(request: &str) -> Head {
    let origin = Origin::start();
    let edits = "request_headers = { remove = [\"x-gone\"], set = { x-user = \"gateway\" } }";
    let config = one_service("", "", &[origin.address]).replace("[[route]]", &format!("[[route]]\n{edits}"));
    let gateway = Headgate::start(&config);
    let mut client = gateway.connect();
    client.send(request);
    let mut upstream = origin.accept();
    let head = upstream.head();
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    client.response();
    head
}

#[test]
fn nor_for_one_that_a_route_sets() {
    let head = through_edits(
        "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: x-user\r\nX_User: evil\r\nx_gone: 1\r\nX-User: evil\r\n\r\n",
    );
    assert_eq!(head.values("x-user"), ["gateway"]);
    assert!(!head.has("x_user") && !head.has("x_gone"), "{head:?}");
}

#[test]
fn a_route_has_the_last_word_on_what_is_said_of_the_client() {
    let origin = Origin::start();
    let edits =
        "request_headers = { remove = [\"X-Forwarded-Host\"], set = { X-Forwarded-Proto = \"https\" } }";
    for listen in ["", TRUSTED] {
        let config =
            one_service(listen, "", &[origin.address]).replace("[[route]]", &format!("[[route]]\n{edits}"));
        let gateway = Headgate::start(&config);
        let mut client = gateway.connect();
        client
            .send("GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Host: b\r\nX-Forwarded-Proto: http\r\n\r\n");
        let head = origin.accept().head();
        assert_eq!(head.values("x-forwarded-proto"), ["https"], "{listen}");
        assert_eq!(head.values("x-forwarded-for"), ["127.0.0.1"]);
        assert!(!head.has("x-forwarded-host"), "{head:?}");
    }
}

#[test]
fn trailers_bring_nothing_back_that_was_taken_off() {
    let trailers = "X-Sum: 1\r\nX-Mine: 2\r\nX-Gone: 3\r\nx-user: evil\r\nAuthorization: evil\r\nContent-Type: evil\r\n\
                    Set-Cookie: evil\r\nMax-Forwards: 1\r\n";
    let origin = Origin::start();
    let edits = "request_headers = { remove = [\"x-gone\"], set = { x-user = \"gateway\" } }\nresponse_headers = { remove = [\"x-gone\", \"x-user\"] }";
    let config = one_service("", "", &[origin.address]).replace("[[route]]", &format!("[[route]]\n{edits}"));
    let gateway = Headgate::start(&config);
    let mut client = gateway.connect();
    let chunked =
        "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: x-mine\r\n\r\n2\r\nab\r\n0\r\n";
    client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\n{chunked}{trailers}\r\n"));
    let mut upstream = origin.accept();
    upstream.head();
    assert_eq!(upstream.chunks(), (b"ab".to_vec(), vec!["x-sum: 1".to_owned()]));
    upstream.send(format!("HTTP/1.1 200 OK\r\n{chunked}{trailers}\r\n"));
    client.head();
    assert_eq!(client.chunks(), (b"ab".to_vec(), vec!["x-sum: 1".to_owned()]));
}

#[test]
fn max_forwards_counts_the_hops_of_options_and_trace() {
    for method in ["OPTIONS", "TRACE"] {
        let head = request("", format!("{method} / HTTP/1.1\r\nHost: a.test\r\nMax-Forwards: 3\r\n\r\n"));
        assert_eq!(head.values("max-forwards"), ["2"]);
        let head = request("", format!("{method} / HTTP/1.1\r\nHost: a.test\r\nMax-Forwards: odd\r\n\r\n"));
        assert_eq!(head.values("max-forwards"), ["odd"]);
    }
    let head = request("", "GET / HTTP/1.1\r\nHost: a.test\r\nMax-Forwards: 0\r\n\r\n");
    assert_eq!(head.values("max-forwards"), ["0"], "of other methods it means nothing");
    let gateway = Headgate::start(&one_service("", "", &["127.0.0.1:1".parse().unwrap()]));
    let mut client = gateway.connect();
    let at_end = |method: &str| format!("{method} / HTTP/1.1\r\nHost: a.test\r\nMax-Forwards: 0\r\n\r\n");
    assert_eq!(client.ask(at_end("OPTIONS")).status(), 204);
    assert_eq!(client.ask(at_end("TRACE")).status(), 501);
}

#[test]
fn the_log_has_the_client_that_a_trusted_proxy_names() {
    let service = Service::named("a");
    let config = one_service(TRUSTED, "", &[service.address]);
    let mut gateway = Headgate::start(&format!("log = {{ format = \"%client\" }}\n{config}"));
    for (fields, client) in [
        ("", "127.0.0.1"),
        ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"),
        ("Forwarded: for=192.0.2.2;proto=https\r\n", "192.0.2.2"),
        ("X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2\r\n", "192.0.2.1"),
    ] {
        gateway.connect().ask(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"));
        assert_eq!(gateway.line(), client, "{fields}");
    }
}
