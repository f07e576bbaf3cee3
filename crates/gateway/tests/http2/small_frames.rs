//! DATA frames that are short or empty are bad style and no crime: whoever sends them, and whoever does not read
//! them, costs nobody else on the connection anything.

use crate::support::{
    Settings, call, gateway, h2_client, h2_echo, h2_origin, read_all, request, run, send_all,
};
use bytes::Bytes;
use std::future::poll_fn;
use std::rc::Rc;
use tokio::sync::Notify;
use tokio::task::spawn_local;

const HTTP2: Settings<'static> = Settings { protocol: "http2", listen: "", service: "" };

/// Neighbours that themselves take frames of any size.
fn patient_client() -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder.data_frame_budget(usize::MAX);
    builder
}

fn patient_origin() -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    // Room for all streams: one that pauses must not hold up another at the origin already.
    builder.data_frame_budget(usize::MAX).initial_connection_window_size(1024 * 1024);
    builder
}

/// Sends so many frames of `piece`, for which the stream's window has room.
async fn drip(stream: &mut h2::SendStream<Bytes>, piece: &'static [u8], count: usize) {
    for _ in 0..count {
        stream.reserve_capacity(piece.len());
        while stream.capacity() < piece.len() {
            poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap();
        }
        stream.send_data(Bytes::from_static(piece), false).unwrap();
    }
}

#[test]
fn a_service_that_pauses_costs_the_client_no_connection() {
    run(async {
        let go_on = Rc::new(Notify::new());
        let paused = Rc::clone(&go_on);
        let origin = h2_origin(patient_origin(), move |request, respond| {
            let paused = Rc::clone(&paused);
            async move {
                if request.uri().path() == "/pauses" {
                    paused.notified().await;
                }
                h2_echo(request, respond).await;
            }
        })
        .await;
        let gateway = gateway(&[origin], HTTP2);
        let mut client = h2_client(gateway.address, &patient_client()).await;
        let mut uploads = Vec::new();
        for _ in 0..4 {
            client = client.ready().await.unwrap();
            let (response, mut stream) =
                client.send_request(request("POST", "/pauses").body(()).unwrap(), false).unwrap();
            drip(&mut stream, &[b'x'; 25], 10_000).await;
            uploads.push((response, stream));
        }
        let other = call(&client, request("GET", "/").body(()).unwrap(), b"", None).await.unwrap();
        assert_eq!(other.status, 200);
        for (response, mut stream) in uploads {
            go_on.notify_one();
            spawn_local(async move { send_all(&mut stream, Bytes::from_static(b"end"), None).await });
            let (body, _) = read_all(&mut response.await.unwrap().into_body()).await.unwrap();
            assert_eq!(body.len(), 10_000 * 25 + 3);
        }
        assert_eq!(gateway.counted("headgate_faults_total", "\"flood\""), 0);
    });
}

#[test]
fn clients_that_do_not_read_cost_others_no_upstream_connection() {
    run(async {
        let sent = Rc::new(Notify::new());
        let origin = h2_origin(patient_origin(), move |request, mut respond| {
            let sent = Rc::clone(&sent);
            async move {
                if request.uri().path() == "/innocent" {
                    sent.notified().await;
                    h2_echo(request, respond).await;
                    return;
                }
                let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
                drip(&mut stream, &[b'x'; 20], 6_000).await;
                sent.notify_one();
                send_all(&mut stream, Bytes::new(), None).await;
            }
        })
        .await;
        let gateway = gateway(&[origin], HTTP2);
        let client = h2_client(gateway.address, &patient_client()).await;
        let innocent = spawn_local(async move {
            call(&client, request("POST", "/innocent").body(()).unwrap(), b"hello", None).await
        });
        let mut idle = Vec::new();
        for _ in 0..8 {
            // Its window holds less than the response.
            let client = h2_client(gateway.address, &patient_client()).await;
            let mut client = client.ready().await.unwrap();
            let (response, _) = client.send_request(request("GET", "/drip").body(()).unwrap(), true).unwrap();
            idle.push((client, response.await.unwrap()));
        }
        // Once a response has been sent.
        assert_eq!(innocent.await.unwrap().unwrap().body, b"hello");
        for (_, response) in idle {
            assert_eq!(read_all(&mut response.into_body()).await.unwrap().0.len(), 20 * 6_000);
        }
        assert_eq!(gateway.counted("headgate_upstream_connections_opened_total", ""), 1);
    });
}

#[test]
fn empty_frames_may_be_many_over_time() {
    run(async {
        let origin = h2_origin(h2::server::Builder::new(), |request, mut respond| async move {
            let (_, mut body) = request.into_parts();
            let (body, _) = read_all(&mut body).await.unwrap();
            let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
            for _ in 0..60 {
                stream.send_data(Bytes::new(), false).unwrap();
            }
            send_all(&mut stream, body.into(), None).await;
        })
        .await;
        let gateway = gateway(&[origin], HTTP2);
        let mut client = h2_client(gateway.address, &patient_client()).await;
        for _ in 0..5 {
            client = client.ready().await.unwrap();
            let (response, mut stream) =
                client.send_request(request("POST", "/").body(()).unwrap(), false).unwrap();
            for _ in 0..60 {
                stream.send_data(Bytes::new(), false).unwrap();
            }
            send_all(&mut stream, Bytes::from_static(b"hello"), None).await;
            let (body, _) = read_all(&mut response.await.unwrap().into_body()).await.unwrap();
            assert_eq!(body, b"hello");
        }
        assert_eq!(gateway.counted("headgate_upstream_connections_opened_total", ""), 1);
    });
}
