//! After a switch of protocols bytes pass untouched, in both directions, until both sides are done.

use crate::support::{Headgate, Origin, Wire, assert_same, noise, one_service};
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
