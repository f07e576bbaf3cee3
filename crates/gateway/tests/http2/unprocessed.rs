//! What an endpoint says it has not processed is sent again, and only that.

use crate::support::{Settings, call, gateway, h2_client, h2_echo, h2_origin, raw_origin, request, run};
use h2::Reason;
use std::cell::Cell;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No retries, so that none could hide what is missing.
const NO_RETRY: Settings<'static> =
    Settings { protocol: "http2", listen: "", service: "retry = { attempts = 1, budget_percent = 0 }" };

/// Answers the first `share` streams, then says goodbye and passes over the rest, as NGINX does after its
/// `keepalive_requests`.
async fn takes(mut stream: TcpStream, share: u32) {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    stream.write_all(&SETTINGS).await.unwrap();
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    let last = share * 2 - 1;
    let mut header = [0; 9];
    while stream.read_exact(&mut header).await.is_ok() {
        let [high, middle, low, kind, flags, on @ ..] = header;
        let (length, on) = (u32::from_be_bytes([0, high, middle, low]), u32::from_be_bytes(on));
        if stream.read_exact(&mut vec![0; length as usize]).await.is_err() {
            return;
        }
        let ends = matches!(kind, 0 | 1) && flags & 1 != 0;
        if ends && on <= last {
            // An indexed `:status: 200` (RFC 7541 appendix A).
            let mut answer = vec![0, 0, 1, 1, 5];
            answer.extend(on.to_be_bytes());
            answer.push(0x88);
            if on == last {
                answer.extend([0, 0, 8, 7, 0, 0, 0, 0, 0]);
                answer.extend(last.to_be_bytes());
                answer.extend([0; 4]);
            }
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }
}

#[test]
fn a_goaway_costs_no_request_its_answer() {
    run(async {
        let connections = Rc::new(Cell::new(0));
        let counted = Rc::clone(&connections);
        let origin = raw_origin(move |stream| {
            counted.set(counted.get() + 1);
            takes(stream, 10)
        })
        .await;
        let gateway = gateway(&[origin], NO_RETRY);
        let client = h2_client(gateway.address, &h2::client::Builder::new()).await;
        let calls: Vec<_> = (0..50)
            .map(|at| {
                let client = client.clone();
                let (method, body) = if at % 2 == 0 { ("GET", &b""[..]) } else { ("POST", &b"hello"[..]) };
                let request = request(method, "/").body(()).unwrap();
                tokio::task::spawn_local(async move { call(&client, request, body, None).await.unwrap() })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap().status, 200);
        }
        assert!(connections.get() >= 5);
    });
}

#[test]
fn an_endpoint_that_always_leaves_is_not_asked_without_end() {
    run(async {
        let connections = Rc::new(Cell::new(0));
        let counted = Rc::clone(&connections);
        // Its GOAWAY leaves the very first stream out.
        let origin = raw_origin(move |mut stream| {
            counted.set(counted.get() + 1);
            async move {
                stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
                let mut seen = [0; 150];
                if stream.read_exact(&mut seen).await.is_ok() {
                    stream.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await.unwrap();
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                }
            }
        })
        .await;
        let gateway = gateway(&[origin], NO_RETRY);
        let client = h2_client(gateway.address, &h2::client::Builder::new()).await;
        let post = request("POST", "/").body(()).unwrap();
        assert_eq!(call(&client, post, b"hello", None).await.unwrap().status, 502);
        assert!((2..20).contains(&connections.get()), "{} connections", connections.get());
        assert_eq!(gateway.counted("headgate_faults_total", "gone_away"), 1);
    });
}

#[test]
fn a_refused_stream_is_sent_once_more() {
    run(async {
        for refusals in [1, 100] {
            let seen = Rc::new(Cell::new(0));
            let counted = Rc::clone(&seen);
            let origin = h2_origin(h2::server::Builder::new(), move |request, mut respond| {
                counted.set(counted.get() + 1);
                let refuses = counted.get() <= refusals;
                async move {
                    if refuses {
                        respond.send_reset(Reason::REFUSED_STREAM);
                    } else {
                        h2_echo(request, respond).await;
                    }
                }
            })
            .await;
            let gateway = gateway(&[origin], NO_RETRY);
            let client = h2_client(gateway.address, &h2::client::Builder::new()).await;
            let post = request("POST", "/").body(()).unwrap();
            let reply = call(&client, post, b"hello", None).await.unwrap();
            assert_eq!(reply.status, if refusals == 1 { 200 } else { 502 });
            assert_eq!(seen.get(), 2);
        }
    });
}
