//! What services are told of the certificates that clients show (RFC 9440), and that no client can say it itself.

use crate::support::frames::{
    DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PREFACE, SETTINGS, block, frame,
};
use crate::support::{Authority, Headgate, Pair, Service, Wire, one_service, response};
use rustix::process::Signal;
use std::fs;

/// Answers with the fields that tell of certificates, one per line, in whatever spelling they came.
fn telling(cache_control: &'static str) -> Service {
    Service::start(move |request| {
        let lines = request.head.lines().into_iter();
        let told =
            lines.filter(|line| line.to_ascii_lowercase().replace('_', "-").starts_with("client-cert"));
        let told: Vec<&str> = told.collect();
        response(&[("cache-control", cache_control), ("vary", "x-other")], told.join("\n").as_bytes())
    })
}

struct Lab {
    authority: Authority,
    server: Pair,
}

impl Lab {
    fn new() -> Self {
        let authority = Authority::new();
        let server = authority.certificate("server", &["a.test"]);
        Self { authority, server }
    }

    /// Settings of a listener that asks for certificates.
    fn listener(&self, auth: &str, client_cert: &str) -> String {
        format!(
            "client_cert = \"{client_cert}\"
             tls = {{ certificates = [{}], client_ca = \"{}\", client_auth = \"{auth}\" }}",
            self.server.entry(),
            self.authority.file().display()
        )
    }

    fn client(&self, gateway: &Headgate, pair: Option<&Pair>) -> Wire {
        gateway.connect().over_tls(self.authority.client(pair, &["http/1.1"]), "a.test")
    }
}

const FORGED: &str = "Client-Cert: :Zm9yZ2Vk:\r\nclient-cert-chain: :Zm9yZ2Vk:\r\nClient_Cert: :Zm9yZ2Vk:\r\n\
    client_cert-chain: :Zm9yZ2Vk:\r\nCLIENT-CERT: :Zm9yZ2Vk:\r\n";

/// What the service was told over HTTP/1, where the client forges the fields.
#[track_caller]
fn told(client: &mut Wire) -> String {
    let answer = client.ask(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{FORGED}\r\n"));
    assert_eq!(answer.status(), 200);
    answer.text()
}

/// The same over HTTP/2.
#[track_caller]
fn told_over_http2(lab: &Lab, gateway: &Headgate, pair: Option<&Pair>) -> String {
    let wire = gateway.connect().over_tls(lab.authority.client(pair, &["h2"]), "a.test");
    let mut client = Frames { wire };
    client.send([PREFACE, &frame(SETTINGS, 0, 0, [])].concat());
    let fields = block(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "a.test"),
        (":path", "/"),
        ("client-cert", ":Zm9yZ2Vk:"),
        ("client_cert", ":Zm9yZ2Vk:"),
        ("client-cert-chain", ":Zm9yZ2Vk:"),
    ]);
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, fields));
    let text = client.until(|frame| match frame.kind {
        HEADERS if frame.flags & END_STREAM != 0 => Some(Vec::new()),
        DATA => Some(frame.payload.clone()),
        _ => None,
    });
    String::from_utf8(text).unwrap()
}

#[test]
fn a_service_is_told_the_certificate_and_no_forged_one() {
    let (lab, service) = (Lab::new(), telling("no-store"));
    let known = lab.authority.certificate("known", &["client.test"]).with_issuer(&lab.authority);
    let [leaf, issuer] = <[String; 2]>::try_from(known.base64()).unwrap();
    for (setting, expected) in [
        ("drop", String::new()),
        ("leaf", format!("client-cert: :{leaf}:")),
        ("chain", format!("client-cert: :{leaf}:\nclient-cert-chain: :{issuer}:")),
    ] {
        let config = one_service(&lab.listener("required", setting), "", &[service.address]);
        let gateway = Headgate::start(&config);
        let mut client = lab.client(&gateway, Some(&known));
        for _ in 0..2 {
            assert_eq!(told(&mut client), expected, "{setting}");
        }
        assert_eq!(told_over_http2(&lab, &gateway, Some(&known)), expected, "{setting}");
    }
}

#[test]
fn where_certificates_are_optional_a_client_without_one_is_told_as_such() {
    let (lab, service) = (Lab::new(), telling("no-store"));
    let known = lab.authority.certificate("known", &["client.test"]);
    let gateway = Headgate::start(&one_service(&lab.listener("optional", "chain"), "", &[service.address]));
    assert_eq!(told(&mut lab.client(&gateway, None)), "");
    assert_eq!(told_over_http2(&lab, &gateway, None), "");
    let expected = format!("client-cert: :{}:", known.base64()[0]);
    assert_eq!(told(&mut lab.client(&gateway, Some(&known))), expected);
}

#[test]
fn a_forged_field_comes_through_neither_in_trailers_nor_on_a_plain_listener() {
    let (lab, service) = (Lab::new(), telling("no-store"));
    let plain = Headgate::start(&one_service("", "", &[service.address]));
    assert_eq!(told(&mut plain.connect()), "");
    let origin = crate::support::Origin::start();
    let gateway = Headgate::start(&one_service(&lab.listener("optional", "leaf"), "", &[origin.address]));
    let mut client = lab.client(&gateway, None);
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTrailer: client-cert\r\n\r\n\
         1\r\na\r\n0\r\n{FORGED}X-Sum: 1\r\n\r\n"
    ));
    let mut upstream = origin.accept();
    upstream.head();
    assert_eq!(upstream.chunk(), b"a");
    assert_eq!(upstream.chunk(), b"");
    assert_eq!((upstream.line(), upstream.line()), ("x-sum: 1".to_owned(), String::new()));
}

/// What a client would resume is a verification of the past.
#[test]
fn each_handshake_shows_the_certificate_anew() {
    let (lab, service) = (Lab::new(), telling("no-store"));
    let known = lab.authority.certificate("known", &["client.test"]);
    let gateway = Headgate::start(&one_service(&lab.listener("required", "leaf"), "", &[service.address]));
    let config = lab.authority.client(Some(&known), &["http/1.1"]);
    for _ in 0..3 {
        let mut client = gateway.connect().over_tls(config.clone(), "a.test");
        assert_eq!(told(&mut client), format!("client-cert: :{}:", known.base64()[0]));
        assert_eq!(client.tls().handshake_kind(), Some(rustls::HandshakeKind::Full));
    }
}

#[test]
fn a_certificate_too_long_for_a_header_is_told_to_the_log_and_not_left_out() {
    let (lab, service) = (Lab::new(), telling("no-store"));
    let names: Vec<String> =
        (0..600).map(|number| format!("a-rather-long-name-{number}.client.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let long = lab.authority.certificate("long", &names);
    for (setting, served) in [("drop", true), ("leaf", false)] {
        let config = one_service(&lab.listener("required", setting), "", &[service.address]);
        let mut gateway = Headgate::start(&config);
        let mut client = lab.client(&gateway, Some(&long));
        let _ = client.try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(client.has_more(), served, "{setting}");
        if !served {
            assert!(gateway.event("too long to be told").contains("10 KiB"));
        }
    }
    assert_eq!(service.requests(), 1);
}

#[test]
fn a_trusted_proxy_passes_on_what_it_verified() {
    let (lab, service) = (Lab::new(), telling("no-store"));
    let known = lab.authority.certificate("known", &["client.test"]).with_issuer(&lab.authority);
    let listener = "http2 = true\nclient_cert = \"pass\"\n";
    let expected: Vec<String> = known.base64();
    for (trusted, expected) in [
        ("127.0.0.1", format!("client-cert: :{}:\nclient-cert-chain: :{}:", expected[0], expected[1])),
        ("192.0.2.1", String::new()),
    ] {
        let inner = format!("{listener}trusted_proxies = [\"{trusted}\"]");
        let inner = Headgate::start(&one_service(&inner, "", &[service.address]));
        for protocol in ["http1", "http2"] {
            let outer = Headgate::start(&one_service(
                &lab.listener("required", "chain"),
                &format!("protocol = \"{protocol}\""),
                &[inner.listener("web")],
            ));
            assert_eq!(told(&mut lab.client(&outer, Some(&known))), expected, "{protocol} from {trusted}");
        }
    }
}

#[test]
fn what_was_answered_to_one_certificate_is_stored_for_others_only_by_leave() {
    let lab = Lab::new();
    let pairs = ["one", "two"].map(|name| lab.authority.certificate(name, &["client.test"]));
    for (cache_control, asked) in [("max-age=600", 4), ("public, max-age=600", 1)] {
        let service = telling(cache_control);
        let config = one_service(&lab.listener("required", "leaf"), "", &[service.address]);
        let gateway = Headgate::start(&(config + "cache = true\n"));
        for _ in 0..2 {
            for pair in &pairs {
                told(&mut lab.client(&gateway, Some(pair)));
            }
        }
        assert_eq!(service.requests(), asked, "{cache_control}");
    }
    // The cache stands before where the field is written: what varies by it, it cannot tell apart.
    let service = Service::start(|request| {
        let own = request.head.value("client-cert").unwrap_or_default().to_owned();
        response(&[("cache-control", "public, max-age=600"), ("vary", "Client-Cert")], own.as_bytes())
    });
    let config = one_service(&lab.listener("required", "leaf"), "", &[service.address]);
    let gateway = Headgate::start(&(config + "cache = true\n"));
    for pair in &pairs {
        assert_eq!(told(&mut lab.client(&gateway, Some(pair))), format!(":{}:", pair.base64()[0]));
    }
}

#[test]
fn a_reload_that_switches_it_off_holds_for_open_connections() {
    let (lab, service) = (Lab::new(), telling("no-store"));
    let known = lab.authority.certificate("known", &["client.test"]);
    let mut gateway =
        Headgate::start(&one_service(&lab.listener("required", "leaf"), "", &[service.address]));
    let mut client = lab.client(&gateway, Some(&known));
    assert_ne!(told(&mut client), "");
    let off = one_service(&lab.listener("required", "drop"), "", &[service.address]);
    fs::write(gateway.config_file(), off.replace("127.0.0.1:0", &gateway.listener("web").to_string()))
        .unwrap();
    gateway.signal(Signal::HUP);
    gateway.event("configuration reloaded");
    assert_eq!(told(&mut client), "");
}
