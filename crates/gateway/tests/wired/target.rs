//! What the endpoint sees as the target, and what every answer says.

use crate::gateway::Gateway;
use crate::peers::{Upstream, get, raw, reply};

/// A gateway in front of an upstream that answers with the request line, with this route.
fn gateway(route: &str) -> Gateway {
    let upstream = Upstream::start(|head| reply(200, head.lines().next().unwrap_or_default()));
    Gateway::start(&format!("[[route]]\n{route}\n[service.shop]\nendpoints = [\"{}\"]\n", upstream.address))
}

#[test]
fn a_path_that_resolves_to_another_is_refused_however_it_comes_about() {
    let plain = gateway("match = \"/*\"\nservice = \"shop\"");
    for path in ["/a/../b", "/a%2f..%2fb", "/a\\..\\b", "/a/%2e%2e"] {
        assert_eq!(get(plain.address, path).status, 400, "{path}");
    }
    assert_eq!(get(plain.address, "/a%2fb..").body, "GET /a%2fb.. HTTP/1.1");

    let stripped = gateway("match = \"/users*\"\nservice = \"shop\"\nstrip = \"/users\"");
    assert_eq!(get(stripped.address, "/users/7?x=..").body, "GET /7?x=.. HTTP/1.1");
    assert_eq!(get(stripped.address, "/users").body, "GET / HTTP/1.1");
    for path in ["/users../b", "/users.", "/users..%2fb", "/users%2e%2e/b"] {
        assert_eq!(get(stripped.address, path).status, 400, "{path}");
    }

    let rewritten = gateway("match = \"/a*\"\nservice = \"shop\"\nrewrite = \"/v2/{rest}\"");
    assert_eq!(get(rewritten.address, "/ab?c").body, "GET /v2/b?c HTTP/1.1");
    assert_eq!(get(rewritten.address, "/a..").status, 400);
}

#[test]
fn a_redirect_to_the_host_needs_one() {
    let gateway = gateway("match = \"/*\"\nredirect = { to = \"https://{host}/{rest}\" }");
    assert_eq!(raw(gateway.address, "GET /x HTTP/1.0\r\n\r\n").status, 400);
    let redirected = get(gateway.address, "/x");
    assert_eq!((redirected.status, redirected.values("location")), (302, vec!["https://shop.test/x"]));
}

#[test]
fn every_response_has_one_date() {
    let own = "Thu, 01 Jan 1970 00:00:01 GMT";
    let upstream = Upstream::start(move |head| match head.contains("/dated") {
        true => format!("HTTP/1.1 200 OK\r\ndate: {own}\r\ncontent-length: 0\r\n\r\n"),
        false => reply(200, ""),
    });
    let config = format!(
        "[[route]]\nmatch = \"shop.test/*\"\nservice = \"shop\"\n[service.shop]\nendpoints = [\"{}\"]\n",
        upstream.address
    );
    let gateway = Gateway::start(&config);
    assert_eq!(get(gateway.address, "/dated").values("date"), [own]);
    let faults = ["GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "G@T / HTTP/1.1\r\n\r\n"];
    let mut answers = vec![get(gateway.address, "/")];
    answers.extend(faults.map(|request| raw(gateway.address, request)));
    for answer in &answers {
        let [date] = answer.values("date")[..] else { panic!("{answer:?}") };
        assert!(date.len() == 29 && date.ends_with(" GMT") && date != own, "{date}");
    }
}

#[test]
fn content_is_counted_by_listener() {
    let gateway = gateway("match = \"/*\"\nrespond = { body = \"12345\" }");
    let request = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(raw(gateway.address, request).body, "12345");
    assert_eq!(gateway.metric("headgate_bytes_total", &[("listener", "web"), ("direction", "out")]), 5);
}
