//! Messages arrive as they were sent, whatever is spoken on either side.

use crate::support::{
    Settings, call, field, gateway, h1_echo, h2_client, h2_echo, h2_origin, noise, raw_origin, read_h1,
    request, run, send_all,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

async fn echo_origin(protocol: &str, window: u32) -> SocketAddr {
    if protocol == "http1" {
        return raw_origin(h1_echo).await;
    }
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(window).initial_connection_window_size(65_535);
    h2_origin(builder, h2_echo).await
}

fn sum() -> HeaderMap {
    HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("42"))])
}

#[test]
fn an_http2_client_is_carried_to_either_protocol() {
    run(async {
        for protocol in ["http1", "http2"] {
            let gateway =
                gateway(&[echo_origin(protocol, 65_535).await], Settings { protocol, ..Settings::default() });
            let client = h2_client(gateway.address, &h2::client::Builder::new()).await;
            let get = request("GET", "/a?b=c").header("te", "trailers");
            let get = get.header("cookie", "a=1").header("cookie", "b=2").body(()).unwrap();
            let reply = call(&client, get, b"", None).await.unwrap();
            assert_eq!(
                (reply.status.as_u16(), reply.field("x-seen")),
                (200, "GET /a?b=c shop.example"),
                "{protocol}"
            );
            assert_eq!(
                (reply.field("x-cookie"), reply.field("x-te")),
                ("a=1; b=2", "trailers"),
                "{protocol}"
            );
            let body = noise(7, 700_000);
            let post = request("POST", "/up").header("content-length", body.len()).body(()).unwrap();
            let reply = call(&client, post, &body, None).await.unwrap();
            assert!(reply.body == body, "{protocol}: {} bytes came back", reply.body.len());
            assert_eq!(reply.field("x-content-length"), "700000", "{protocol}");
            let call = call(&client, request("POST", "/up").body(()).unwrap(), b"hello", Some(sum()));
            let reply = call.await.unwrap();
            assert_eq!((&reply.body[..], reply.trailers), (&b"hello"[..], Some(sum())), "{protocol}");
        }
    });
}

#[test]
fn an_http1_client_is_carried_to_an_http2_origin() {
    run(async {
        let settings = Settings { protocol: "http2", ..Settings::default() };
        let gateway = gateway(&[echo_origin("http2", 65_535).await], settings);
        let mut client = TcpStream::connect(gateway.address).await.unwrap();
        let mut buffer = Vec::new();
        let body = noise(8, 100_000);
        for path in ["/one", "/two"] {
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            client.write_all(head.as_bytes()).await.unwrap();
            client.write_all(&body).await.unwrap();
            let (head, answer, _) = read_h1(&mut client, &mut buffer).await.unwrap();
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            assert_eq!(field(&head, "x-seen"), format!("POST {path} shop.example"));
            assert!(answer == body, "{} bytes came back", answer.len());
        }
        let chunked = b"POST / HTTP/1.1\r\nHost: shop.example\r\nTE: trailers\r\nConnection: te\r\n\
            Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n";
        client.write_all(chunked).await.unwrap();
        let (head, answer, trailers) = read_h1(&mut client, &mut buffer).await.unwrap();
        assert_eq!((&answer[..], &*trailers), (&b"hello"[..], "x-sum: 42\r\n"));
        assert_eq!(field(&head, "x-te"), "trailers");
    });
}

#[test]
fn small_windows_only_make_it_slower() {
    run(async {
        let settings = Settings { protocol: "http2", ..Settings::default() };
        let gateway = gateway(&[echo_origin("http2", 700).await], settings);
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(900);
        let client = h2_client(gateway.address, &builder).await;
        let bodies: Vec<_> = (0..4).map(|seed| noise(seed, 40_000 + seed as usize)).collect();
        let calls = bodies.iter().map(|body| {
            let (client, body) = (client.clone(), body.clone());
            let post = request("POST", "/").body(()).unwrap();
            tokio::task::spawn_local(async move { call(&client, post, &body, Some(sum())).await.unwrap() })
        });
        for (call, body) in calls.collect::<Vec<_>>().into_iter().zip(&bodies) {
            let reply = call.await.unwrap();
            assert!(reply.body == *body, "{} of {} bytes came back", reply.body.len(), body.len());
            assert_eq!(reply.trailers, Some(sum()));
        }
    });
}

#[test]
fn a_slow_reader_holds_the_origin_back() {
    const SIZE: usize = 16 << 20;
    /// The windows and buffers on the way: the client's stream window, what waits to be sent to it, the
    /// window towards the origin, what waits there, and the socket buffers of neither.
    const MOST_UNDER_WAY: usize = 1 << 20;
    run(async {
        let sent = Rc::new(Cell::new(0));
        let counted = Rc::clone(&sent);
        let origin = h2_origin(h2::server::Builder::new(), move |request, mut respond| {
            let sent = Rc::clone(&counted);
            async move {
                let big = request.uri().path() == "/big";
                let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
                for _ in 0..if big { SIZE / 4096 } else { 1 } {
                    stream.reserve_capacity(4096);
                    while stream.capacity() < 4096 {
                        if !matches!(std::future::poll_fn(|cx| stream.poll_capacity(cx)).await, Some(Ok(_))) {
                            return;
                        }
                    }
                    stream.send_data(Bytes::from_static(&[7; 4096]), false).unwrap();
                    sent.set(sent.get() + 4096);
                }
                send_all(&mut stream, Bytes::new(), None).await;
            }
        })
        .await;
        let gateway = gateway(&[origin], Settings { protocol: "http2", ..Settings::default() });
        let mut builder = h2::client::Builder::new();
        builder.initial_connection_window_size(4 << 20);
        let client = h2_client(gateway.address, &builder).await;
        let mut slow = client.clone().ready().await.unwrap();
        let (response, _) = slow.send_request(request("GET", "/big").body(()).unwrap(), true).unwrap();
        let mut content = response.await.unwrap().into_body();
        // Other streams of the same connection go on meanwhile, both to the client and to the origin.
        for _ in 0..300 {
            let reply = call(&client, request("GET", "/small").body(()).unwrap(), b"", None).await.unwrap();
            assert_eq!(reply.body.len(), 4096);
        }
        let under_way = sent.get() - 300 * 4096;
        assert!((65_535..MOST_UNDER_WAY).contains(&under_way), "{under_way} bytes");
        let (body, _) = crate::support::read_all(&mut content).await.unwrap();
        assert_eq!(body.len(), SIZE);
    });
}

#[test]
fn heads_without_content_arrive_without_content() {
    run(async {
        for protocol in ["http1", "http2"] {
            let origin = if protocol == "http1" {
                raw_origin(|mut stream| async move {
                    let mut buffer = Vec::new();
                    while let Some((head, ..)) = read_h1(&mut stream, &mut buffer).await {
                        let answer: &[u8] = match &head[..6] {
                            "GET /3" => b"HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n",
                            "GET /2" => b"HTTP/1.1 204 No Content\r\n\r\n",
                            _ => b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n",
                        };
                        stream.write_all(answer).await.unwrap();
                    }
                })
                .await
            } else {
                h2_origin(h2::server::Builder::new(), |request, mut respond| async move {
                    let response = http::Response::builder();
                    let response = match request.uri().path() {
                        "/3" => response.status(304).header("etag", "\"x\""),
                        "/2" => response.status(204),
                        _ => response.header("content-length", 99),
                    };
                    respond.send_response(response.body(()).unwrap(), true).unwrap();
                })
                .await
            };
            let gateway = gateway(&[origin], Settings { protocol, ..Settings::default() });
            let client = h2_client(gateway.address, &h2::client::Builder::new()).await;
            for (method, path, status, length) in
                [("HEAD", "/", 200, "99"), ("GET", "/2", 204, ""), ("GET", "/3", 304, "")]
            {
                let reply = call(&client, request(method, path).body(()).unwrap(), b"", None).await.unwrap();
                let got = (reply.status.as_u16(), reply.field("content-length"), reply.body.len());
                assert_eq!(got, (status, length, 0), "{protocol} {method} {path}");
            }
            let mut client = TcpStream::connect(gateway.address).await.unwrap();
            client
                .write_all(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .unwrap();
            let mut answers = Vec::new();
            let mut buffer = Vec::new();
            while answers.len() < 2 {
                // A HEAD's length is not followed by content, which a plain reader would wait for.
                tokio::io::AsyncReadExt::read_buf(&mut client, &mut buffer).await.unwrap();
                let text = String::from_utf8_lossy(&buffer).into_owned();
                answers =
                    text.match_indices("HTTP/1.1 ").map(|(at, _)| text[at + 9..at + 12].to_owned()).collect();
            }
            assert_eq!(answers, ["200", "204"], "{protocol}");
        }
    });
}

#[test]
fn interim_responses_are_passed_on() {
    run(async {
        let origin = h2_origin(h2::server::Builder::new(), |mut request, mut respond| async move {
            let hints = http::Response::builder().status(103).header("link", "</a.css>").body(()).unwrap();
            respond.send_informational(hints).unwrap();
            if request.headers().contains_key("expect") {
                respond.send_informational(http::Response::builder().status(100).body(()).unwrap()).unwrap();
                crate::support::read_all(request.body_mut()).await.unwrap();
            }
            respond.send_response(http::Response::new(()), true).unwrap();
        })
        .await;
        let gateway = gateway(&[origin], Settings { protocol: "http2", ..Settings::default() });
        let client = h2_client(gateway.address, &h2::client::Builder::new()).await;
        let (mut response, _) =
            client.ready().await.unwrap().send_request(request("GET", "/").body(()).unwrap(), true).unwrap();
        let hints = std::future::poll_fn(|cx| response.poll_informational(cx)).await.unwrap().unwrap();
        assert_eq!(
            (hints.status().as_u16(), &hints.headers()["link"]),
            (103, &HeaderValue::from_static("</a.css>"))
        );
        assert_eq!(response.await.unwrap().status(), 200);

        let mut client = TcpStream::connect(gateway.address).await.unwrap();
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
        client.write_all(head).await.unwrap();
        let mut buffer = Vec::new();
        let (hints, ..) = read_h1(&mut client, &mut buffer).await.unwrap();
        let (go_on, ..) = read_h1(&mut client, &mut buffer).await.unwrap();
        assert!(hints.starts_with("HTTP/1.1 103 ") && go_on.starts_with("HTTP/1.1 100 "), "{hints}{go_on}");
        client.write_all(b"hello").await.unwrap();
        let (answer, ..) = read_h1(&mut client, &mut buffer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    });
}
