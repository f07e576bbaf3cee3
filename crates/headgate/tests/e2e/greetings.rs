//! What precedes the first request: TLS, and the PROXY protocol.

use crate::support::{Authority, Headgate, LISTEN, Origin, PATIENCE, Service, Wire, one_service};
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use std::time::Duration;

/// `tls` are settings of the listener's TLS, separated by commas.
fn tls(tls: &str, origin: SocketAddr) -> String {
    one_service(&format!("tls = {{ {tls} }}"), "", &[origin])
}

#[test]
fn a_request_over_tls_is_served_and_said_to_be_secure() {
    let authority = Authority::new();
    let origin = Origin::start();
    let pair = authority.certificate("a", &["a.test"]);
    let config = tls(&format!("certificates = [{}]", pair.entry()), origin.address);
    let gateway = Headgate::start(&config);
    let mut client = gateway.connect().over_tls(authority.client(None, &["http/1.1"]), "a.test");
    for body in ["one", "two"] {
        client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\n{body}"));
        let mut upstream = origin.accept();
        let head = upstream.head();
        assert_eq!(head.value("x-forwarded-proto"), Some("https"));
        upstream.expect(body);
        upstream.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
        assert_eq!(client.response().text(), "ok");
    }
    assert_eq!(client.tls().alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[test]
fn http2_is_offered_over_tls_unless_switched_off() {
    let authority = Authority::new();
    let service = Service::named("app");
    let pair = authority.certificate("a", &["a.test"]);
    for (setting, chosen) in [("", &b"h2"[..]), ("http2 = false\n", b"http/1.1"), ("http2 = true\n", b"h2")] {
        let listener = format!("{setting}tls = {{ certificates = [{}] }}", pair.entry());
        let gateway = Headgate::start(&one_service(&listener, "", &[service.address]));
        let mut client = gateway.connect().over_tls(authority.client(None, &["h2", "http/1.1"]), "a.test");
        client.send(if chosen == b"h2" { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" } else { "GET / HTTP/1.1\r\n" });
        assert_eq!(client.tls().alpn_protocol(), Some(chosen), "{setting}");
    }
}

#[test]
fn megabytes_pass_over_tls() {
    let authority = Authority::new();
    let service = Service::start(|request| crate::support::response(&[], &request.body));
    let pair = authority.certificate("a", &["a.test"]);
    let gateway = Headgate::start(&tls(&format!("certificates = [{}]", pair.entry()), service.address));
    let mut client = gateway.connect().over_tls(authority.client(None, &[]), "a.test");
    let body = crate::support::noise(1, 3 << 20);
    client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(&body);
    crate::support::assert_same(&client.response().body, &body, "over TLS");
}

#[test]
fn the_certificate_is_chosen_by_name() {
    let authority = Authority::new();
    let service = Service::named("app");
    let one = authority.certificate("one", &["one.test"]);
    let two = authority.certificate("two", &["*.two.test"]);
    let certificates = format!("certificates = [{}, {}]", one.entry(), two.entry());
    let gateway = Headgate::start(&tls(&certificates, service.address));
    let mut seen: Vec<CertificateDer<'static>> = Vec::new();
    for name in ["one.test", "x.two.test"] {
        let mut client = gateway.connect().over_tls(authority.client(None, &[]), name);
        assert_eq!(client.ask(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n")).status(), 200);
        seen.push(client.tls().peer_certificates().unwrap()[0].clone().into_owned());
    }
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn without_its_certificate_a_client_gets_nowhere() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let origin = Origin::start();
    let server = authority.certificate("server", &["a.test"]);
    let ca = authority.file();
    let settings = format!("certificates = [{}], client_ca = \"{}\"", server.entry(), ca.display());
    let gateway = Headgate::start(&tls(&settings, origin.address));
    let foreign = stranger.certificate("foreign", &["client.test"]);
    for shown in [None, Some(&foreign)] {
        let mut client = gateway.connect().over_tls(authority.client(shown, &[]), "a.test");
        let _ = client.try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        while client.try_fill().is_ok_and(|count| count > 0) {}
    }
    origin.assert_untouched("a client without a certificate");
    let known = authority.certificate("known", &["client.test"]);
    let mut client = gateway.connect().over_tls(authority.client(Some(&known), &[]), "a.test");
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    origin.accept().head();
}

#[test]
fn plain_http_on_a_tls_listener_is_told_so_and_other_bytes_and_silence_nothing() {
    let authority = Authority::new();
    let origin = Origin::start();
    let pair = authority.certificate("a", &["a.test"]);
    let config = one_service(
        &format!("timeouts.head = \"200ms\"\ntls = {{ certificates = [{}] }}", pair.entry()),
        "",
        &[origin.address],
    );
    let gateway = Headgate::start(&config);
    gateway.connect().assert_ended();
    let mut noise = gateway.connect();
    noise.send(b"\x16no handshake\r\n\r\n");
    assert!(!noise.rest().0.starts_with(b"HTTP/"));
    let mut plain = gateway.connect();
    plain.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let answer = plain.response();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().contains("https://"), "{}", answer.text());
    plain.assert_ended();
    origin.assert_untouched("plain bytes");
}

const SOURCE: &str = "192.0.2.77";

fn proxied(trusted: &str) -> (Headgate, Origin) {
    let origin = Origin::start();
    let listen =
        format!("proxy_protocol = true\ntrusted_proxies = [\"{trusted}\"]\ntimeouts.head = \"300ms\"");
    (Headgate::start(&one_service(&listen, "", &[origin.address])), origin)
}

fn version_2() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    header.extend_from_slice(&[192, 0, 2, 77, 192, 0, 2, 1, 0x10, 0x00, 0x00, 0x50]);
    header
}

#[test]
fn the_proxy_protocol_says_who_the_client_is() {
    let (gateway, origin) = proxied("127.0.0.1");
    let version_1 = format!("PROXY TCP4 {SOURCE} 192.0.2.1 4096 80\r\n").into_bytes();
    for header in [version_1, version_2()] {
        for in_pieces in [false, true] {
            let mut client = gateway.connect();
            if in_pieces {
                for byte in &header {
                    client.send([*byte]);
                }
                client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
            } else {
                client.send([&header, &b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"[..]].concat());
            }
            let mut upstream = origin.accept();
            assert_eq!(upstream.head().value("x-forwarded-for"), Some(SOURCE));
            upstream.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            assert_eq!(client.response().status(), 200);
        }
    }
}

#[test]
fn without_a_good_header_from_a_trusted_proxy_nothing_is_served() {
    let request = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let header = format!("PROXY TCP4 {SOURCE} 192.0.2.1 4096 80\r\n{request}");
    for (trusted, sent, logged) in [
        ("10.0.0.0/8", header.as_str(), Some("trusted proxies only")),
        ("127.0.0.1", request, Some("missing or malformed")),
        ("127.0.0.1", "PROXY TCP4 nonsense\r\n", Some("missing or malformed")),
        ("127.0.0.1", "PROXY", None),
        ("127.0.0.1", "", None),
    ] {
        let (mut gateway, origin) = proxied(trusted);
        let mut client = gateway.connect();
        let _ = client.try_send(sent);
        client.assert_ended();
        origin.assert_untouched(sent);
        if let Some(why) = logged {
            let event = gateway.event("PROXY header");
            assert!(event.contains(why) && event.contains("from=127.0.0.1"), "{event}");
        }
    }
}

#[test]
fn a_listener_that_also_speaks_http_2_still_serves_http_1() {
    let service = Service::named("app");
    let gateway = Headgate::start(&one_service("http2 = true", "", &[service.address]));
    assert_eq!(gateway.connect().get("/").status(), 200);
    // The beginning of a request must not be taken for the beginning of HTTP/2, nor waited for for ever.
    let mut client = gateway.connect();
    client.set_patience(Duration::from_millis(50));
    client.send("P");
    assert!(client.try_fill().is_err());
    client.set_patience(PATIENCE);
    client.send("UT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.response().text(), "app PUT / HTTP/1.1");
}

#[test]
fn the_limit_of_connections_closes_what_is_beyond_it() {
    let service = Service::named("app");
    let gateway = Headgate::start(&one_service("limits.connections = 2", "", &[service.address]));
    let mut held: Vec<Wire> = (0..2).map(|_| gateway.connect()).collect();
    for client in &mut held {
        assert_eq!(client.get("/").status(), 200);
    }
    gateway.connect().assert_ended();
    for client in &mut held {
        assert_eq!(client.get("/").status(), 200);
    }
    drop(held.pop());
    // The place is free as soon as the gateway has noticed.
    let started = std::time::Instant::now();
    while gateway.connect().try_ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").is_none() {
        assert!(started.elapsed() < PATIENCE, "the place is not free");
    }
}

#[test]
fn listeners_with_and_without_tls_live_side_by_side() {
    let authority = Authority::new();
    let service = Service::named("app");
    let pair = authority.certificate("a", &["a.test"]);
    let gateway = Headgate::start(&format!(
        "{}[listen.plain]\nbind = \"{LISTEN}\"\n",
        tls(&format!("certificates = [{}]", pair.entry()), service.address)
    ));
    assert_eq!(Wire::connect(gateway.listener("plain")).get("/").status(), 200);
    let mut client = gateway.connect().over_tls(authority.client(None, &[]), "a.test");
    assert_eq!(client.get("/").status(), 200);
}

#[test]
fn a_renewed_certificate_is_served_without_a_restart() {
    let authority = Authority::new();
    let service = Service::named("app");
    let pair = authority.certificate("a", &["a.test"]);
    let settings = format!("certificates = [{}]", pair.entry());
    let mut gateway = Headgate::start(&tls(&settings, service.address));
    let seen = |gateway: &Headgate| {
        let mut client = gateway.connect().over_tls(authority.client(None, &[]), "a.test");
        assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").status(), 200);
        client.tls().peer_certificates().unwrap()[0].clone().into_owned()
    };
    let before = seen(&gateway);
    let open = gateway.connect().over_tls(authority.client(None, &[]), "a.test");
    let _renewed = authority.certificate("a", &["a.test"]);
    gateway.event("certificates reloaded");
    assert_ne!(seen(&gateway), before);
    let mut open = open;
    assert_eq!(open.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").status(), 200, "an open connection stays");
}

#[test]
fn renewed_authorities_of_clients_and_upstreams_are_believed_without_a_restart() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let service = Service::named("app");
    let server = authority.certificate("server", &["a.test"]);
    let clients = stranger.file();
    let settings = format!("certificates = [{}], client_ca = \"{}\"", server.entry(), clients.display());
    let mut inner = Headgate::start(&tls(&settings, service.address));
    let shown = authority.certificate("shown", &["gateway.test"]);
    let upstreams = stranger.certificate("upstreams", &["a.test"]).cert;
    std::fs::copy(stranger.file(), &upstreams).unwrap();
    let mut outer = Headgate::start(&one_service(
        "",
        &format!(
            "tls = {{ sni = \"a.test\", ca = \"{}\", cert = \"{}\", key = \"{}\" }}",
            upstreams.display(),
            shown.cert.display(),
            shown.key.display()
        ),
        &[inner.listener("web")],
    ));
    let status = |gateway: &Headgate| gateway.connect().get("/").status();
    assert_eq!(status(&outer), 502, "the upstream's authority is not known");
    std::fs::copy(authority.file(), &upstreams).unwrap();
    outer.event("TLS files read again");
    assert_eq!(status(&outer), 502, "the client's authority is not known");
    std::fs::copy(authority.file(), &clients).unwrap();
    inner.event("TLS files read again");
    assert_eq!(status(&outer), 200);
    std::fs::write(&upstreams, "not a certificate").unwrap();
    outer.event("TLS files of a service not read again; the old ones stay");
    assert_eq!(status(&outer), 200, "a bad file leaves the old authority in force");
}
