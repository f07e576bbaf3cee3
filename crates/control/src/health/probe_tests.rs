//! Single probes against endpoints that answer well, badly or not at all.

use super::plan::Plan;
use super::probe::{ProbeError, probe};
use crate::testkit::{Folder, service};
use bytes::Bytes;
use http::{Response, StatusCode};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

/// Probes the only endpoint of a service with these keys.
async fn probed(keys: &str, address: &str) -> Result<(), ProbeError> {
    let service = service("shop", keys, &[address]);
    let plan = Plan::new(&service).unwrap().unwrap();
    let probing = probe(&plan, &service.endpoints[0]);
    tokio::time::timeout(Duration::from_secs(30), probing).await.expect("a probe ends with its answer")
}

/// Listens for one connection, on which `answer` is sent as it is; gives what was received.
async fn raw(answer: impl Into<Vec<u8>>) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, answer) = (listener.local_addr().unwrap().to_string(), answer.into());
    let serving = tokio::spawn(async move { serve(listener.accept().await.unwrap().0, &answer).await });
    (address, serving)
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) -> String {
    let mut request = Vec::new();
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap() == 0 {
            break;
        }
    }
    // The probe may have seen enough and be gone.
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
    String::from_utf8_lossy(&request).into_owned()
}

const HTTP: &str = "health = \"/up\"";

#[tokio::test]
async fn the_request_says_who_asks_and_for_what() {
    let (address, serving) = raw("HTTP/1.1 200 OK\r\n\r\n").await;
    probed(HTTP, &address).await.unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "GET /up HTTP/1.1\r\nHost: {address}\r\nUser-Agent: headgate-health/{version}\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n"
    );
    assert_eq!(serving.await.unwrap(), expected);

    let (address, serving) = raw("HTTP/1.1 200 OK\r\n\r\n").await;
    let keys = "proxy_protocol = \"v1\"\nhealth = { host = \"shop.example\" }";
    probed(keys, &address).await.unwrap();
    let received = serving.await.unwrap();
    assert!(received.starts_with("PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nHost: shop.example\r\n"), "{received}");
}

#[tokio::test]
async fn the_status_decides() {
    for status in [200, 204, 301, 399] {
        let (address, _) = raw(format!("HTTP/1.1 {status} Some\r\nA: b\r\n\r\nbody")).await;
        assert!(probed(HTTP, &address).await.is_ok(), "{status}");
    }
    for status in [400, 404, 500, 503, 599] {
        let (address, _) = raw(format!("HTTP/1.0 {status} Some\r\n\r\n")).await;
        let result = probed(HTTP, &address).await;
        assert!(matches!(result, Err(ProbeError::Status(got)) if got == status), "{result:?}");
    }
    let (address, _) = raw("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 500 No\r\n\r\n").await;
    assert!(matches!(probed(HTTP, &address).await, Err(ProbeError::Status(500))), "after an interim answer");
}

#[tokio::test]
async fn what_is_no_answer_does_not_pass_and_ends() {
    for bad in [
        "SSH-2.0-OpenSSH\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\nA: b\n\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\nA: {}", "a".repeat(1 << 20)),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000),
    ] {
        let (address, _) = raw(bad.clone()).await;
        let result = probed(HTTP, &address).await;
        assert!(matches!(result, Err(ProbeError::Malformed(_))), "{}: {result:?}", &bad[..20.min(bad.len())]);
    }
    let (address, _) = raw("HTTP/1.1 200 O").await;
    assert!(matches!(probed(HTTP, &address).await, Err(ProbeError::Closed)));
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    for keys in [HTTP, "health = { kind = \"tcp\" }"] {
        assert!(matches!(probed(keys, &closed).await, Err(ProbeError::Connect(_))), "{keys}");
    }
}

#[tokio::test]
async fn a_unix_socket_is_probed_too() {
    let folder = Folder::new("probe");
    let listener = UnixListener::bind(folder.path("s")).unwrap();
    let serving =
        tokio::spawn(
            async move { serve(listener.accept().await.unwrap().0, b"HTTP/1.1 200 OK\r\n\r\n").await },
        );
    probed(HTTP, &format!("unix:{}", folder.path("s").display())).await.unwrap();
    assert!(serving.await.unwrap().contains("\r\nHost: localhost\r\n"));
}

/// A request's URI and body.
type Asked = (String, Vec<u8>);

/// What an HTTP/2 endpoint was asked, and what it answers.
#[derive(Clone, Default)]
struct Http2 {
    asked: Arc<Mutex<Vec<Asked>>>,
    status: StatusCode,
    body: Option<Bytes>,
    grpc_status: Option<&'static str>,
}

impl Http2 {
    fn grpc(body: &[u8], grpc_status: &'static str) -> Self {
        Self { body: Some(Bytes::copy_from_slice(body)), grpc_status: Some(grpc_status), ..Self::default() }
    }

    /// Listens for one connection, with TLS or without.
    async fn listen(&self, tls: Option<TlsAcceptor>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, answer) = (listener.local_addr().unwrap().port(), self.clone());
        tokio::spawn(async move {
            let stream = listener.accept().await.unwrap().0;
            match tls {
                None => answer.serve(stream).await,
                Some(tls) => {
                    // Where the probe does not trust the endpoint, this fails.
                    if let Ok(stream) = tls.accept(stream).await {
                        answer.serve(stream).await;
                    }
                }
            }
        });
        format!("127.0.0.1:{port}")
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let answer = self.clone();
            tokio::spawn(async move {
                let uri = request.uri().to_string();
                let mut body = request.into_body();
                let mut received = Vec::new();
                while let Some(Ok(data)) = body.data().await {
                    received.extend_from_slice(&data);
                }
                answer.asked.lock().unwrap().push((uri, received));
                let mut response = Response::builder().status(answer.status);
                let Some(body) = answer.body else {
                    if let Some(status) = answer.grpc_status {
                        response = response.header("grpc-status", status);
                    }
                    let _ = respond.send_response(response.body(()).unwrap(), true);
                    return;
                };
                let mut stream = respond.send_response(response.body(()).unwrap(), false).unwrap();
                let _ = stream.send_data(body, answer.grpc_status.is_none());
                if let Some(status) = answer.grpc_status {
                    let _ = stream.send_trailers(
                        [("grpc-status".parse().unwrap(), status.parse().unwrap())].into_iter().collect(),
                    );
                }
            });
        }
    }

    fn asked(&self) -> Asked {
        self.asked.lock().unwrap()[0].clone()
    }
}

const HTTP2: &str = "protocol = \"http2\"\nhealth = { path = \"/up\", host = \"shop.example\" }";
const GRPC: &str = "health = { kind = \"grpc\", host = \"shop.Cart\" }";
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 1];

#[tokio::test]
async fn http2_is_spoken_where_requests_speak_it() {
    let good = Http2::default();
    probed(HTTP2, &good.listen(None).await).await.unwrap();
    assert_eq!(good.asked().0, "http://shop.example/up");
    let bad = Http2 { status: StatusCode::BAD_GATEWAY, ..Http2::default() };
    assert!(matches!(probed(HTTP2, &bad.listen(None).await).await, Err(ProbeError::Status(502))));
    let (address, _) = raw("HTTP/1.1 200 OK\r\n\r\n").await;
    assert!(matches!(probed(HTTP2, &address).await, Err(ProbeError::Http2(_))), "an HTTP/1 server");
}

#[tokio::test]
async fn grpc_health_is_asked_and_judged() {
    let good = Http2::grpc(SERVING, "0");
    let address = good.listen(None).await;
    probed(GRPC, &address).await.unwrap();
    let (uri, message) = good.asked();
    assert_eq!(uri, format!("http://{address}/grpc.health.v1.Health/Check"));
    assert_eq!(message, b"\0\0\0\0\x0b\x0a\x09shop.Cart");

    let not_serving = Http2::grpc(&[0, 0, 0, 0, 2, 0x08, 2], "0");
    let result = probed(GRPC, &not_serving.listen(None).await).await;
    assert!(matches!(result, Err(ProbeError::NotServing("NOT_SERVING"))), "{result:?}");
    let unimplemented = Http2 { grpc_status: Some("12"), ..Http2::default() };
    let result = probed(GRPC, &unimplemented.listen(None).await).await;
    assert!(matches!(&result, Err(ProbeError::GrpcStatus(status)) if status == "12"), "{result:?}");
    let late = Http2::grpc(SERVING, "14");
    assert!(matches!(probed(GRPC, &late.listen(None).await).await, Err(ProbeError::GrpcStatus(_))));
    for bad in [&[][..], &[1, 0, 0, 0, 2, 8, 1], &[0, 0, 0, 0, 9, 8, 1], &[0; 1 << 16], &[0, 0, 0, 0, 1, 8]] {
        let result = probed(GRPC, &Http2::grpc(bad, "0").listen(None).await).await;
        assert!(matches!(result, Err(ProbeError::MalformedGrpc)), "{result:?}");
    }
}

#[tokio::test]
async fn tls_is_verified_as_for_requests() {
    let folder = Folder::new("tls");
    let pair = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
    let ca = folder.write("ca.pem", &pair.cert.pem());
    let key = PrivateKeyDer::Pkcs8(pair.signing_key.serialize_der().into());
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let tls = |sni: &str| format!("{HTTP2}\ntls = {{ ca = {:?}, sni = {sni:?} }}", ca.display().to_string());

    let good = Http2::default();
    probed(&tls("shop.example"), &good.listen(Some(acceptor.clone())).await).await.unwrap();
    assert_eq!(good.asked().0, "https://shop.example/up");
    let grpc = Http2::grpc(SERVING, "0");
    let keys = tls("shop.example").replace(HTTP2, GRPC);
    probed(&keys, &grpc.listen(Some(acceptor.clone())).await).await.unwrap();
    for (keys, at) in [(tls("other.example"), ""), (HTTP2.to_owned(), "https://")] {
        let address = format!("{at}{}", Http2::default().listen(Some(acceptor.clone())).await);
        let result = probed(&keys, &address).await;
        assert!(matches!(result, Err(ProbeError::Handshake(_))), "{keys}: {result:?}");
    }
}
