//! After a switch of protocols bytes pass untouched, in both directions, until both sides are done.

use crate::support::frames::*;
use crate::support::{Headgate, Origin, Wire, assert_same, noise, one_service};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustix::process::Signal;
use std::fs;
use std::io::Write;
use std::thread;

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn tunnel(listen: &str) -> (Headgate, Wire, Wire) {
    let origin = Origin::start();
    let gateway = Headgate::start(&one_service(listen, "", &[origin.address]));
    let mut client = gateway.connect();
    client.send(UPGRADE);
    let mut upstream = origin.accept();
    upstream.head();
    upstream.send(SWITCH);
    assert_eq!(client.head().status(), 101);
    (gateway, client, upstream)
}

#[test]
fn a_websocket_handshake_passes_whole() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    client.send(UPGRADE);
    let mut upstream = origin.accept();
    let head = upstream.head();
    assert_eq!(head.first_line(), "GET /chat HTTP/1.1");
    assert_eq!(head.value("upgrade"), Some("websocket"));
    assert_eq!(head.value("connection"), Some("upgrade"));
    assert_eq!(head.value("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_eq!(head.value("x-forwarded-for"), Some("127.0.0.1"));
    upstream.send(SWITCH);
    let head = client.head();
    assert_eq!(head.first_line(), "HTTP/1.1 101 Switching Protocols");
    assert_eq!(head.value("upgrade"), Some("websocket"));
    assert_eq!(head.value("connection"), Some("upgrade"));
    assert_eq!(head.value("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    for turn in 0..10_u8 {
        client.send([turn, 0, 13, 10, 255]);
        upstream.expect([turn, 0, 13, 10, 255]);
        upstream.send([turn, 1]);
        client.expect([turn, 1]);
    }
}

#[test]
fn bytes_right_behind_the_request_and_right_behind_the_101_are_not_lost() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    client.send(format!("{UPGRADE}early from the client"));
    let mut upstream = origin.accept();
    upstream.head();
    upstream.send(format!("{SWITCH}early from the origin"));
    assert_eq!(client.head().status(), 101);
    client.expect("early from the origin");
    upstream.expect("early from the client");
}

#[test]
fn nothing_of_the_new_protocol_is_sent_before_the_origin_agrees() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    client.send(format!("{UPGRADE}GET /next HTTP/1.1\r\nHost: a.test\r\n\r\n"));
    let mut upstream = origin.accept();
    upstream.head();
    upstream.assert_silent();
    // It does not: what followed was an ordinary request.
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nplain");
    assert_eq!(client.response().text(), "plain");
    assert_eq!(upstream.head().target(), "/next");
}

/// `Sec-WebSocket-Accept` for a key (RFC 6455 section 4.2.2).
fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let mut accept = Vec::new();
    headgate_net::base64::write(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref(), &mut accept);
    String::from_utf8(accept).unwrap()
}

/// RFC 8441: a stream of HTTP/2 is a WebSocket to the client, its endpoint sees an upgrade; a reload does not concern it,
/// and a stop waits for it.
#[test]
fn a_websocket_over_http2_survives_reloads_and_is_waited_for_at_a_stop() {
    let origin = Origin::start();
    let config = one_service("http2 = true", "", &[origin.address]);
    let mut gateway = Headgate::start(&config);
    let mut client = Frames::silent(&gateway);
    client.send([PREFACE, &frame(SETTINGS, 0, 0, [])].concat());
    let settings = client
        .until(|frame| (frame.kind == SETTINGS && frame.flags & ACK == 0).then(|| frame.payload.clone()));
    assert!(settings.chunks(6).any(|one| one == [0, 8, 0, 0, 0, 1]), "SETTINGS_ENABLE_CONNECT_PROTOCOL");
    let fields = block(&[
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "a.test"),
        (":path", "/chat"),
        ("sec-websocket-version", "13"),
    ]);
    client.send([frame(SETTINGS, ACK, 0, []), frame(HEADERS, END_HEADERS, 1, fields)].concat());
    let mut upstream = origin.accept();
    let head = upstream.head();
    assert_eq!(head.first_line(), "GET /chat HTTP/1.1");
    assert_eq!((head.value("upgrade"), head.value("connection")), (Some("websocket"), Some("upgrade")));
    let accept = accept(head.value("sec-websocket-key").unwrap());
    upstream.send(SWITCH.replace("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", &accept));
    assert_eq!(client.until(|frame| (frame.kind == HEADERS).then(|| status(&frame.payload))), 200);
    let mut echo = |client: &mut Frames, text: &str| {
        client.send(frame(DATA, 0, 1, text));
        upstream.expect(text);
        upstream.send(text);
        let back = client.until(|frame| (frame.kind == DATA).then(|| frame.payload.clone()));
        assert_eq!(back, text.as_bytes());
    };
    for turn in 0..3 {
        echo(&mut client, "before");
        fs::write(gateway.config_file(), config.replace("workers = 1", &format!("drain = \"2{turn}s\"")))
            .unwrap();
        gateway.signal(Signal::HUP);
        gateway.event("configuration reloaded");
        echo(&mut client, "after");
    }
    gateway.signal(Signal::TERM);
    client.until(|frame| (frame.kind == GOAWAY).then_some(()));
    echo(&mut client, "at the stop");
    client.send(frame(DATA, END_STREAM, 1, ""));
    assert_eq!(upstream.rest().0, b"");
    upstream.finish_sending();
    client.until(|frame| (frame.kind == DATA && frame.flags & END_STREAM != 0).then_some(()));
    drop(client);
    let (ended, stderr) = gateway.wait();
    assert!(ended.success(), "{stderr}");
}

#[test]
fn one_side_may_finish_before_the_other() {
    let (_gateway, mut client, mut upstream) = tunnel("");
    client.send("last words");
    client.finish_sending();
    assert_eq!(upstream.rest().0, b"last words");
    upstream.send("still here");
    client.expect("still here");
    upstream.finish_sending();
    client.assert_ended();

    let (_gateway, mut client, mut upstream) = tunnel("");
    upstream.send("goodbye");
    upstream.finish_sending();
    assert_eq!(client.rest().0, b"goodbye");
    client.send("thanks");
    upstream.expect("thanks");
    drop(client);
    upstream.assert_ended();
}

#[test]
fn a_reset_of_one_side_ends_the_other() {
    let (_gateway, client, mut upstream) = tunnel("");
    client.reset();
    upstream.assert_ended();
    let (_gateway, mut client, upstream) = tunnel("");
    upstream.reset();
    client.assert_ended();
}

#[test]
fn much_passes_in_both_directions_at_once() {
    const LEN: usize = 4 * 1024 * 1024;
    let (_gateway, mut client, mut upstream) = tunnel("");
    let (up, down) = (noise(1, LEN), noise(2, LEN));
    let send = |wire: &Wire, bytes: Vec<u8>| {
        let mut writer = wire.writer();
        thread::spawn(move || writer.write_all(&bytes).unwrap())
    };
    let senders = [send(&client, up.clone()), send(&upstream, down.clone())];
    let reader = thread::spawn(move || (upstream.take(LEN), upstream));
    assert_same(&client.take(LEN), &down, "down");
    assert_same(&reader.join().unwrap().0, &up, "up");
    for sender in senders {
        sender.join().unwrap();
    }
}

#[test]
fn a_tunnel_in_which_nothing_moves_is_closed() {
    let (_gateway, mut client, mut upstream) = tunnel("timeouts.tunnel = \"200ms\"");
    client.assert_ended();
    upstream.assert_ended();
}

#[test]
fn an_upgrade_to_h2c_is_served_as_if_it_was_not_asked_for() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    for upgrade in ["h2c", "H2C", "websocket, h2c", "h2"] {
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\n\
             HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
        ));
        let mut upstream = origin.accept();
        let head = upstream.head();
        for name in ["upgrade", "connection", "http2-settings"] {
            assert!(!head.has(name), "{upgrade}: {name} reached the origin");
        }
        upstream.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(client.response().status(), 200);
    }
}

#[test]
fn an_origin_cannot_switch_protocols_unasked() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    for request in [
        "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let mut client = gateway.connect();
        client.send(request);
        let mut upstream = origin.accept();
        assert!(!upstream.head().has("upgrade"), "{request}");
        upstream.send(SWITCH);
        assert_eq!(client.response().status(), 502, "{request}");
        upstream.assert_ended();
    }
}
