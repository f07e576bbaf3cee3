//! How exchanges and connections end that do not simply finish.

use crate::support::{
    Settings, call, gateway, h1_echo, h2_client, h2_echo, h2_origin, raw_origin, read_all, read_h1, request,
    run, send_all,
};
use bytes::Bytes;
use h2::Reason;
use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

const HTTP2: Settings<'static> = Settings { protocol: "http2", listen: "", service: "" };

#[test]
fn an_early_response_is_delivered_and_the_rest_of_the_request_declined() {
    run(async {
        for protocol in ["http1", "http2"] {
            let origin = if protocol == "http1" {
                raw_origin(|mut stream| async move {
                    let mut seen = [0; 1024];
                    let _ = stream.read(&mut seen).await;
                    stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
                })
                .await
            } else {
                h2_origin(h2::server::Builder::new(), |_, mut respond| async move {
                    let response = http::Response::builder().status(403).body(()).unwrap();
                    let mut stream = respond.send_response(response, false).unwrap();
                    send_all(&mut stream, Bytes::from_static(b"no"), None).await;
                })
                .await
            };
            let gateway = gateway(&[origin], Settings { protocol, ..Settings::default() });
            let client = h2_client(gateway.address, &h2::client::Builder::new()).await;
            let mut client = client.ready().await.unwrap();
            let (response, mut stream) =
                client.send_request(request("POST", "/").body(()).unwrap(), false).unwrap();
            let response = response.await.unwrap();
            assert_eq!(response.status(), 403, "{protocol}");
            assert_eq!(read_all(&mut response.into_body()).await.unwrap().0, b"no", "{protocol}");
            assert_eq!(poll_fn(|cx| stream.poll_reset(cx)).await.unwrap(), Reason::NO_ERROR, "{protocol}");
        }
    });
}

#[test]
fn a_response_that_breaks_off_is_not_taken_for_a_whole_one() {
    run(async {
        for protocol in ["http1", "http2"] {
            let origin = if protocol == "http1" {
                raw_origin(|mut stream| async move {
                    let mut buffer = Vec::new();
                    read_h1(&mut stream, &mut buffer).await.unwrap();
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await.unwrap();
                })
                .await
            } else {
                h2_origin(h2::server::Builder::new(), |_, mut respond| async move {
                    let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
                    stream.send_data(Bytes::from_static(b"half"), false).unwrap();
                    std::future::pending::<()>().await;
                })
                .await
            };
            let listen = "timeouts = { body = \"100ms\" }";
            let gateway = gateway(&[origin], Settings { protocol, listen, ..Settings::default() });
            let client = h2_client(gateway.address, &h2::client::Builder::new()).await;
            let error = call(&client, request("GET", "/").body(()).unwrap(), b"", None).await.err().unwrap();
            assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{protocol}");
        }
    });
}

#[test]
fn a_client_that_gives_up_takes_its_request_from_the_origin() {
    run(async {
        let arrived = Rc::new(Notify::new());
        let given_up = Rc::new(Notify::new());
        let (arrived_there, given_up_there) = (Rc::clone(&arrived), Rc::clone(&given_up));
        let origin = h2_origin(h2::server::Builder::new(), move |request, mut respond| {
            let (arrived, given_up) = (Rc::clone(&arrived_there), Rc::clone(&given_up_there));
            async move {
                arrived.notify_one();
                if request.uri().path() == "/begun" {
                    let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
                    assert_eq!(poll_fn(|cx| stream.poll_reset(cx)).await.unwrap(), Reason::CANCEL);
                } else {
                    assert_eq!(poll_fn(|cx| respond.poll_reset(cx)).await.unwrap(), Reason::CANCEL);
                }
                given_up.notify_one();
            }
        })
        .await;
        let gateway = gateway(&[origin], HTTP2);
        let mut client = h2_client(gateway.address, &h2::client::Builder::new()).await;
        for path in ["/waiting", "/begun"] {
            client = client.ready().await.unwrap();
            let (response, mut stream) =
                client.send_request(request("GET", path).body(()).unwrap(), true).unwrap();
            arrived.notified().await;
            if path == "/begun" {
                drop(response.await.unwrap());
            }
            stream.send_reset(Reason::CANCEL);
            given_up.notified().await;
        }
        assert_eq!(gateway.counted("headgate_faults_total", "client_closed"), 2);
    });
}

#[test]
fn what_an_origin_refuses_goes_to_another() {
    run(async {
        let refused = Rc::new(Cell::new(0));
        let counted = Rc::clone(&refused);
        let refusing = h2_origin(h2::server::Builder::new(), move |_, mut respond| {
            counted.set(counted.get() + 1);
            async move { respond.send_reset(Reason::REFUSED_STREAM) }
        })
        .await;
        // Reads the request, then says that it has processed none, as one does that is stopping.
        let leaving = raw_origin(|mut stream| async move {
            let mut seen = Vec::new();
            let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
            stream.write_all(&settings).await.unwrap();
            while seen.len() < 150 {
                if stream.read_buf(&mut seen).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            stream.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await.unwrap();
            while stream.read_buf(&mut seen).await.unwrap_or(0) > 0 {}
        })
        .await;
        let echo = h2_origin(h2::server::Builder::new(), h2_echo).await;
        for bad in [refusing, leaving] {
            let service = "retry = { attempts = 3, budget_percent = 100 }";
            let gateway = gateway(&[bad, echo], Settings { service, ..HTTP2 });
            let client = h2_client(gateway.address, &h2::client::Builder::new()).await;
            for _ in 0..4 {
                // POST: repeated only because nobody has processed it, and with its content.
                let post = request("POST", "/").body(()).unwrap();
                let reply = call(&client, post, b"hello", None).await.unwrap();
                assert_eq!((reply.status.as_u16(), &reply.body[..]), (200, &b"hello"[..]));
            }
        }
        assert!(refused.get() > 0);
    });
}

#[test]
fn a_request_that_may_have_been_processed_is_not_repeated() {
    run(async {
        let seen = Rc::new(Cell::new(0));
        let counted = Rc::clone(&seen);
        let origin = h2_origin(h2::server::Builder::new(), move |_, mut respond| {
            counted.set(counted.get() + 1);
            async move { respond.send_reset(Reason::INTERNAL_ERROR) }
        })
        .await;
        let service = "retry = { attempts = 3, budget_percent = 100 }";
        let gateway = gateway(&[origin], Settings { service, ..HTTP2 });
        let client = h2_client(gateway.address, &h2::client::Builder::new()).await;
        let reply = call(&client, request("POST", "/").body(()).unwrap(), b"hello", None).await.unwrap();
        assert_eq!((reply.status.as_u16(), seen.get()), (502, 1));
    });
}

#[test]
fn more_requests_than_an_origin_takes_at_once_wait_for_their_turn() {
    run(async {
        let (now, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (now_there, most_there) = (Rc::clone(&now), Rc::clone(&most));
        let mut builder = h2::server::Builder::new();
        builder.max_concurrent_streams(2);
        let origin = h2_origin(builder, move |request, respond| {
            let (now, most) = (Rc::clone(&now_there), Rc::clone(&most_there));
            async move {
                now.set(now.get() + 1);
                most.set(most.get().max(now.get()));
                h2_echo(request, respond).await;
                now.set(now.get() - 1);
            }
        })
        .await;
        let gateway = gateway(
            &[origin],
            Settings { service: "retry = { attempts = 3, budget_percent = 100 }", ..HTTP2 },
        );
        let client = h2_client(gateway.address, &h2::client::Builder::new()).await;
        let first = call(&client, request("GET", "/").body(()).unwrap(), b"", None).await.unwrap();
        assert_eq!(first.status, 200);
        let calls: Vec<_> = (0..90)
            .map(|_| {
                let client = client.clone();
                let post = request("POST", "/").body(()).unwrap();
                tokio::task::spawn_local(async move { call(&client, post, b"hello", None).await.unwrap() })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap().body, b"hello");
        }
        assert!(most.get() <= 2 * 32, "{} at once", most.get());
        let opened = gateway.counted("headgate_upstream_connections_opened_total", "");
        assert!((1..=32).contains(&opened), "{opened} connections");
    });
}

#[test]
fn a_stopping_gateway_finishes_what_it_has() {
    run(async {
        let (arrived, go_on) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
        let (arrived_there, go_on_there) = (Rc::clone(&arrived), Rc::clone(&go_on));
        let origin = h2_origin(h2::server::Builder::new(), move |request, respond| {
            let (arrived, go_on) = (Rc::clone(&arrived_there), Rc::clone(&go_on_there));
            async move {
                arrived.notify_one();
                go_on.notified().await;
                h2_echo(request, respond).await;
            }
        })
        .await;
        let gateway = gateway(&[origin], HTTP2);
        let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        let closed = tokio::task::spawn_local(connection);
        let post = request("POST", "/").body(()).unwrap();
        let under_way = tokio::task::spawn_local(async move { call(&client, post, b"hello", None).await });
        arrived.notified().await;
        gateway.shared.stop();
        go_on.notify_one();
        assert_eq!(under_way.await.unwrap().unwrap().body, b"hello");
        closed.await.unwrap().unwrap();
    });
}

#[test]
fn a_connection_ends_after_its_share_of_requests() {
    run(async {
        let origin = raw_origin(h1_echo).await;
        let gateway =
            gateway(&[origin], Settings { listen: "limits = { requests = 3 }", ..Settings::default() });
        let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        let closed = tokio::task::spawn_local(connection);
        for _ in 0..3 {
            let reply = call(&client, request("GET", "/").body(()).unwrap(), b"", None).await.unwrap();
            assert_eq!(reply.status, 200);
        }
        drop(client);
        closed.await.unwrap().unwrap();
    });
}
