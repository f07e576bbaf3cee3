//! The service as its clients see it, over real sockets.

use super::*;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

async fn start(options: ServiceOptions) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(serve(listener, options, None, async {
        let _ = stopped.await;
    }));
    Running { address, stop, served }
}

fn quick() -> ServiceOptions {
    ServiceOptions { name: "catalog".to_owned(), mean: Duration::ZERO, ..ServiceOptions::default() }
}

/// Head and body of one request on a connection that the client asks to close.
async fn ask(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

async fn get(address: SocketAddr, path: &str) -> (String, String) {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await
}

/// A called service that holds every call until it is let go, or breaks it off when that is dropped.
async fn gate() -> (String, mpsc::Receiver<oneshot::Sender<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (calls, called) = mpsc::channel(16);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (release, released) = oneshot::channel();
            calls.send(release).await.unwrap();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                if released.await.is_err() {
                    return;
                }
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    .await;
            });
        }
    });
    (url, called)
}

#[tokio::test]
async fn answers_with_its_name_its_counts_and_the_asked_size() {
    let service = start(ServiceOptions { payload: 700, ..quick() }).await;
    let (head, body) = get(service.address, "/any").await;
    assert!(head.starts_with("http/1.1 200") && head.contains("x-served-by: catalog"), "{head}");
    assert_eq!(body.len(), 700);
    let post = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    let (_, body) = ask(service.address, post).await;
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&json["service"], &json["request"], &json["received_bytes"]),
        (&"catalog".into(), &2.into(), &5.into())
    );
}

#[tokio::test]
async fn errors_are_as_asked_for_and_health_is_not_touched() {
    let service = start(ServiceOptions { error_rate: 1.0, ..quick() }).await;
    assert!(get(service.address, "/").await.0.starts_with("http/1.1 500"));
    assert!(get(service.address, "/healthz").await.0.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn a_full_service_queues_and_a_full_queue_refuses() {
    let (url, mut called) = gate().await;
    let service = start(ServiceOptions { concurrency: 1, queue: 1, downstream: vec![url], ..quick() }).await;
    let first = tokio::spawn(get(service.address, "/"));
    let release_first = called.recv().await.unwrap();
    // One of these two waits, whichever comes first, and the other is refused.
    let mut others = JoinSet::new();
    others.spawn(get(service.address, "/"));
    others.spawn(get(service.address, "/"));
    let (refused, _) = others.join_next().await.unwrap().unwrap();
    assert!(refused.starts_with("http/1.1 503"), "{refused}");
    release_first.send(()).unwrap();
    assert!(first.await.unwrap().0.starts_with("http/1.1 200"));
    called.recv().await.unwrap().send(()).unwrap();
    let (waited, _) = others.join_next().await.unwrap().unwrap();
    assert!(waited.starts_with("http/1.1 200"), "{waited}");
}

#[tokio::test]
async fn calls_in_turn_stop_at_the_first_failure() {
    let (first, mut first_called) = gate().await;
    let (second, mut second_called) = gate().await;
    let service = start(ServiceOptions { downstream: vec![first.clone(), second], ..quick() }).await;
    let asked = tokio::spawn(get(service.address, "/"));
    drop(first_called.recv().await.unwrap());
    let (head, body) = asked.await.unwrap();
    assert!(head.starts_with("http/1.1 502") && body.contains(&first), "{head}\n{body}");
    assert!(second_called.try_recv().is_err(), "the second was called");
}

#[tokio::test]
async fn calls_at_once_do_not_wait_for_each_other() {
    let (first, mut first_called) = gate().await;
    let (second, mut second_called) = gate().await;
    let options = ServiceOptions { downstream: vec![first, second], parallel: true, ..quick() };
    let service = start(options).await;
    let asked = tokio::spawn(get(service.address, "/"));
    let both = (first_called.recv().await.unwrap(), second_called.recv().await.unwrap());
    both.1.send(()).unwrap();
    both.0.send(()).unwrap();
    assert!(asked.await.unwrap().0.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn a_dead_downstream_is_named() {
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://{dead}/stock");
    let service = start(ServiceOptions { downstream: vec![url.clone()], ..quick() }).await;
    let (head, body) = get(service.address, "/").await;
    assert!(head.starts_with("http/1.1 502") && body.contains(&url), "{head}\n{body}");
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_work_and_closes_what_is_idle() {
    let (url, mut called) = gate().await;
    let service = start(ServiceOptions { downstream: vec![url], ..quick() }).await;
    let mut idle = TcpStream::connect(service.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(idle.read(&mut [0; 4096]).await.unwrap() > 0);
    let asked = tokio::spawn(get(service.address, "/"));
    let release = called.recv().await.unwrap();
    service.stop.send(()).unwrap();
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap(), 0, "the idle connection is closed");
    assert!(TcpStream::connect(service.address).await.is_err(), "nobody is accepted any more");
    release.send(()).unwrap();
    assert!(asked.await.unwrap().0.starts_with("http/1.1 200"));
    service.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn options_out_of_range_are_refused() {
    let wrong = [
        ServiceOptions { error_rate: 1.5, ..quick() },
        ServiceOptions { variation: -1.0, ..quick() },
        ServiceOptions { concurrency: 0, ..quick() },
        ServiceOptions { cores: Some(0.0), ..quick() },
        ServiceOptions { name: "a\nb".to_owned(), ..quick() },
        ServiceOptions { downstream: vec!["nowhere".to_owned()], ..quick() },
    ];
    for options in wrong {
        let service = start(options.clone()).await;
        assert_eq!(service.served.await.unwrap().unwrap_err().kind(), ErrorKind::InvalidInput, "{options:?}");
    }
}
