//! WebSockets over HTTP/2 (RFC 8441), in front of endpoints that know them over HTTP/1 (RFC 6455).

use crate::support::{
    Gateway, Settings, call, field, gateway, h1_echo, h2_client, noise, raw_origin, read_all, read_h1,
    request, run, send_all,
};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Says 101 to a handshake, with what answers its key.
async fn switch(stream: &mut TcpStream, head: &str, behind: &str) {
    let key = field(head, "sec-websocket-key");
    let hash =
        digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes());
    let mut accept = Vec::new();
    headgate_net::base64::write(hash.as_ref(), &mut accept);
    let accept = String::from_utf8(accept).unwrap();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\n{behind}"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
}

/// An origin whose connections, switched, are the test's. Each comes with the head of its request.
async fn origin(behind: &'static str) -> (SocketAddr, UnboundedReceiver<(String, TcpStream)>) {
    let (sender, receiver) = unbounded_channel();
    let address = raw_origin(move |mut stream| {
        let sender = sender.clone();
        async move {
            let (head, ..) = read_h1(&mut stream, &mut Vec::new()).await.unwrap();
            switch(&mut stream, &head, behind).await;
            let _ = sender.send((head, stream));
        }
    })
    .await;
    (address, receiver)
}

/// A client that knows by the gateway's settings that it may open WebSockets.
async fn client(gateway: &Gateway) -> SendRequest<Bytes> {
    let client = h2_client(gateway.address, &h2::client::Builder::new()).await;
    while !client.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
    client
}

fn handshake(protocol: &'static str, path: &str) -> Request<()> {
    let request = request("CONNECT", path).header("sec-websocket-version", "13");
    // The key of a client that does not know that it means nothing here.
    let request = request.header("sec-websocket-protocol", "chat").header("sec-websocket-key", "bWluZQ==");
    request.extension(Protocol::from_static(protocol)).body(()).unwrap()
}

async fn open(client: &SendRequest<Bytes>) -> (Response<RecvStream>, SendStream<Bytes>) {
    let mut client = client.clone().ready().await.unwrap();
    let (response, stream) = client.send_request(handshake("websocket", "/chat?a=b"), false).unwrap();
    (response.await.unwrap(), stream)
}

/// Reads exactly so many bytes.
async fn read(stream: &mut RecvStream, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        let piece = stream.data().await.unwrap().unwrap();
        stream.flow_control().release_capacity(piece.len()).unwrap();
        bytes.extend_from_slice(&piece);
    }
    assert_eq!(bytes.len(), count);
    bytes
}

#[test]
fn a_websocket_is_an_upgrade_at_its_endpoint() {
    run(async {
        let (address, mut origin) = origin("early").await;
        let gateway = gateway(&[address], Settings::default());
        let client = client(&gateway).await;
        let (response, mut up) = open(&client).await;
        assert_eq!(response.status(), 200);
        let fields = response.headers();
        assert_eq!(fields.get("sec-websocket-protocol").unwrap(), "chat");
        for name in ["sec-websocket-accept", "upgrade", "connection"] {
            assert!(!fields.contains_key(name), "{name}");
        }
        let (head, mut upstream) = origin.recv().await.unwrap();
        assert_eq!(head.lines().next(), Some("GET /chat?a=b HTTP/1.1"));
        let keys: Vec<&str> = head.lines().filter(|line| line.starts_with("sec-websocket-key: ")).collect();
        assert_eq!(keys.len(), 1, "{head}");
        assert_eq!(keys[0].len(), "sec-websocket-key: ".len() + 24);
        for (name, value) in [
            ("host", "shop.example"),
            ("upgrade", "websocket"),
            ("connection", "upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "chat"),
            ("x-forwarded-for", "127.0.0.1"),
            ("content-length", ""),
            ("transfer-encoding", ""),
        ] {
            assert_eq!(field(&head, name), value, "{name}");
        }
        let mut down = response.into_body();
        assert_eq!(read(&mut down, 5).await, b"early");
        for turn in 0..10_u8 {
            up.send_data(Bytes::copy_from_slice(&[turn, 0, 255]), false).unwrap();
            let mut seen = [0; 3];
            upstream.read_exact(&mut seen).await.unwrap();
            assert_eq!(seen, [turn, 0, 255]);
            upstream.write_all(&[turn, 1]).await.unwrap();
            assert_eq!(read(&mut down, 2).await, [turn, 1]);
        }
        // One side may finish before the other.
        up.send_data(Bytes::from_static(b"last words"), true).unwrap();
        let mut rest = Vec::new();
        upstream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"last words");
        upstream.write_all(b"still here").await.unwrap();
        assert_eq!(read(&mut down, 10).await, b"still here");
        upstream.shutdown().await.unwrap();
        assert_eq!(read_all(&mut down).await.unwrap().0, b"", "an orderly end is one");
    });
}

#[test]
fn much_passes_in_both_directions_at_once() {
    const LEN: usize = 4 * 1024 * 1024;
    run(async {
        let (address, mut origin) = origin("").await;
        let gateway = gateway(&[address], Settings::default());
        let client = client(&gateway).await;
        let (response, mut up) = open(&client).await;
        let (_, upstream) = origin.recv().await.unwrap();
        let (mut from, mut to) = upstream.into_split();
        let (sent_up, sent_down) = (noise(1, LEN), noise(2, LEN));
        let (body, answer) = (Bytes::from(sent_up.clone()), sent_down.clone());
        tokio::task::spawn_local(async move { send_all(&mut up, body, None).await });
        tokio::task::spawn_local(async move { to.write_all(&answer).await.unwrap() });
        let reader = tokio::task::spawn_local(async move {
            let mut got = vec![0; LEN];
            from.read_exact(&mut got).await.unwrap();
            got
        });
        assert!(read(&mut response.into_body(), LEN).await == sent_down);
        assert!(reader.await.unwrap() == sent_up);
    });
}

#[test]
fn an_endpoint_that_does_not_read_holds_the_client_back() {
    const LEN: usize = 64 * 1024 * 1024;
    run(async {
        let (address, mut origin) = origin("").await;
        let plain = raw_origin(h1_echo).await;
        let gateway = gateway(&[address, plain], Settings::default());
        let client = client(&gateway).await;
        let mut ready = client.clone().ready().await.unwrap();
        let (response, mut up) = ready.send_request(handshake("websocket", "/"), false).unwrap();
        let response = response.await.unwrap();
        let (_, mut upstream) = origin.recv().await.unwrap();
        up.reserve_capacity(LEN);
        let mut sent = 0;
        // Every other request goes to the other endpoint: while those are served, nothing more is taken here.
        let mut still = 0;
        while still < 20 {
            let room = poll_fn(|cx| match up.poll_capacity(cx) {
                Poll::Ready(Some(Ok(room))) => Poll::Ready(room),
                Poll::Ready(other) => panic!("{other:?}"),
                Poll::Pending => Poll::Ready(0),
            });
            let room = room.await.min(LEN - sent);
            if room > 0 {
                up.send_data(vec![7; room].into(), false).unwrap();
                sent += room;
                still = 0;
            } else {
                still += 1;
                let _ = call(&client, request("GET", "/").body(()).unwrap(), b"", None).await;
                if let Ok((_, other)) = origin.try_recv() {
                    drop(other);
                }
            }
            assert!(sent < LEN, "the gateway took all of it");
        }
        // It goes on when the endpoint does.
        let mut left = sent;
        let mut buffer = vec![0; 65_536];
        while left > 0 {
            left -= upstream.read(&mut buffer).await.unwrap();
        }
        drop(response);
    });
}

#[test]
fn what_breaks_on_one_side_ends_the_other() {
    run(async {
        let (address, mut origin) = origin("").await;
        let gateway = gateway(&[address], Settings::default());
        let client = client(&gateway).await;
        let (_response, mut up) = open(&client).await;
        let (_, mut upstream) = origin.recv().await.unwrap();
        up.send_reset(Reason::CANCEL);
        assert_eq!(upstream.read(&mut [0; 8]).await.unwrap_or(0), 0);

        // A client that has said its last may still give up.
        let (_response, mut up) = open(&client).await;
        let (_, mut upstream) = origin.recv().await.unwrap();
        up.send_data(Bytes::new(), true).unwrap();
        assert_eq!(upstream.read(&mut [0; 8]).await.unwrap(), 0);
        up.send_reset(Reason::CANCEL);
        while upstream.write_all(b"anybody?").await.is_ok() {
            tokio::task::yield_now().await;
        }

        let (response, _up) = open(&client).await;
        let (_, upstream) = origin.recv().await.unwrap();
        upstream.set_zero_linger().unwrap();
        drop(upstream);
        let error = response.into_body().data().await.unwrap().unwrap_err();
        assert_eq!(error.reason(), Some(Reason::CANCEL), "RFC 8441 section 5");
    });
}

#[test]
fn a_tunnel_in_which_nothing_moves_is_closed() {
    run(async {
        let (address, mut origin) = origin("").await;
        let settings = Settings { listen: "timeouts.tunnel = \"200ms\"", ..Settings::default() };
        let gateway = gateway(&[address], settings);
        let client = client(&gateway).await;
        let (response, _up) = open(&client).await;
        let (_, mut upstream) = origin.recv().await.unwrap();
        assert!(response.into_body().data().await.unwrap().is_err());
        assert_eq!(upstream.read(&mut [0; 8]).await.unwrap_or(0), 0);
    });
}

#[test]
fn an_answer_that_is_no_switch_opens_nothing_and_blames_nobody() {
    run(async {
        for (answer, status) in [
            ("200 OK\r\ncontent-length: 2\r\n\r\nhi", 400),
            ("204 No Content\r\n\r\n", 400),
            ("403 Forbidden\r\ncontent-length: 2\r\n\r\nno", 403),
            ("426 Upgrade Required\r\ncontent-length: 0\r\n\r\n", 426),
            // Not the answer to the key; and another protocol.
            (
                "101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                 sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
                502,
            ),
            ("101 Switching Protocols\r\nupgrade: other\r\nconnection: upgrade\r\n\r\n", 502),
        ] {
            let origin = raw_origin(move |mut stream| async move {
                let mut buffer = Vec::new();
                while read_h1(&mut stream, &mut buffer).await.is_some() {
                    stream.write_all(format!("HTTP/1.1 {answer}").as_bytes()).await.unwrap();
                }
            })
            .await;
            let service = "breaker = { minimum_requests = 1, failure_percent = 1 }\nretry = { attempts = 1 }";
            let gateway = gateway(&[origin], Settings { service, ..Settings::default() });
            let client = client(&gateway).await;
            for _ in 0..3 {
                let mut ready = client.clone().ready().await.unwrap();
                let (response, _up) = ready.send_request(handshake("websocket", "/"), false).unwrap();
                let response = response.await.unwrap();
                assert_eq!(response.status(), status, "{answer}");
                if status == 502 {
                    break;
                }
            }
            // HTTP/1 clients and other requests get what the endpoint says.
            if status == 400 {
                let reply = call(&client, request("GET", "/").body(()).unwrap(), b"", None).await.unwrap();
                assert!(reply.status.is_success(), "{answer}");
            }
        }
    });
}

#[test]
fn nothing_else_is_connected_to() {
    run(async {
        let (address, mut origin) = origin("").await;
        let gateway = gateway(&[address], Settings::default());
        let client = client(&gateway).await;
        let mut ready = client.clone().ready().await.unwrap();
        for protocol in ["connect-udp", "h2c", "websocket2"] {
            let (response, _up) = ready.send_request(handshake(protocol, "/"), false).unwrap();
            assert_eq!(response.await.unwrap().status(), 501, "{protocol}");
            ready = client.clone().ready().await.unwrap();
        }
        assert!(origin.try_recv().is_err());
    });
}
