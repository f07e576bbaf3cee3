//! A worker, origins and clients, all on the test's own thread.

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use headgate_gateway::accept::accept;
use headgate_gateway::snapshot::{Discovered, Snapshot};
use headgate_gateway::worker::{Outlets, Shared, Worker};
use headgate_model::dice::Dice;
use headgate_net::listener::{ListenSocket, bind};
use headgate_observe::registry::Registry;
use http::{HeaderMap, Request, StatusCode};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;

/// How long a test may take before it has failed; none waits for it.
const PATIENCE: Duration = Duration::from_secs(20);
const ANY: &str = "127.0.0.1:0";

pub(crate) fn run(test: impl Future<Output = ()>) {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("the test is stuck") });
}

pub(crate) struct Gateway {
    pub address: SocketAddr,
    pub shared: Arc<Shared>,
}

/// What a test's configuration says beside the obvious.
#[derive(Clone, Copy, Default)]
pub(crate) struct Settings<'a> {
    /// `"http1"` when empty.
    pub protocol: &'a str,
    /// Lines for the listener's table and those below it.
    pub listen: &'a str,
    /// Lines for the service's.
    pub service: &'a str,
}

/// Starts a worker with one listener and one service.
pub(crate) fn gateway(origins: &[SocketAddr], settings: Settings<'_>) -> Gateway {
    let Settings { protocol, listen, service } = settings;
    let protocol = if protocol.is_empty() { "http1" } else { protocol };
    let endpoints: Vec<String> = origins.iter().map(ToString::to_string).collect();
    let text = format!(
        "[listen.web]\nbind = \"{ANY}\"\nhttp2 = true\n{listen}\n\
         [service.app]\nendpoints = {endpoints:?}\nprotocol = \"{protocol}\"\nbalance = \"round_robin\"\n{service}\n\
         [[route]]\nmatch = \"/*\"\nservice = \"app\"\n"
    );
    let config = headgate_model::load::load(&text, "test.toml", &|_| None).unwrap();
    let snapshot = Snapshot::compile(Arc::new(config), &Discovered::new(), None).unwrap();
    let shared = Shared::new(snapshot, Registry::new(1_000));
    let worker = Worker::with_outlets(0, Arc::clone(&shared), 1, Outlets::default());
    spawn_local(Rc::clone(&worker).keep_house());
    let socket = bind(&ANY.parse().unwrap(), false, 64).unwrap();
    let ListenSocket::Tcp(listening) = &socket else { unreachable!() };
    let address = listening.local_addr().unwrap();
    spawn_local(accept(worker, "web".into(), ANY.into(), socket));
    Gateway { address, shared }
}

impl Gateway {
    /// Value of the counter `family` whose labels contain `label`.
    pub(crate) fn counted(&self, family: &str, label: &str) -> u64 {
        let mut text = String::new();
        headgate_observe::exposition::write(&self.shared.registry.gather(), &mut text);
        let lines = text.lines().filter(|line| line.starts_with(family) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}

/// An origin that speaks HTTP/2 and lets `serve` answer each request.
pub(crate) async fn h2_origin<F>(
    builder: h2::server::Builder,
    serve: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + Clone + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + 'static,
{
    let socket = TcpListener::bind(ANY).await.unwrap();
    let address = socket.local_addr().unwrap();
    spawn_local(async move {
        while let Ok((stream, _)) = socket.accept().await {
            stream.set_nodelay(true).unwrap();
            let (builder, serve) = (builder.clone(), serve.clone());
            spawn_local(async move {
                let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
                while let Some(Ok((request, respond))) = connection.accept().await {
                    spawn_local(serve(request, respond));
                }
            });
        }
    });
    address
}

/// An origin that lets `serve` do what it likes with each connection.
pub(crate) async fn raw_origin<F>(serve: impl Fn(TcpStream) -> F + 'static) -> SocketAddr
where
    F: Future<Output = ()> + 'static,
{
    let socket = TcpListener::bind(ANY).await.unwrap();
    let address = socket.local_addr().unwrap();
    spawn_local(async move {
        while let Ok((stream, _)) = socket.accept().await {
            spawn_local(serve(stream));
        }
    });
    address
}

/// Sends all of `body` and its trailers, as fast as the window opens.
pub(crate) async fn send_all(stream: &mut SendStream<Bytes>, mut body: Bytes, trailers: Option<HeaderMap>) {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let room = match stream.capacity() {
            0 => match poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(Ok(room)) => room,
                _ => return,
            },
            room => room,
        };
        let piece = body.split_to(room.min(body.len()));
        if stream.send_data(piece, false).is_err() {
            return;
        }
    }
    let _ = match trailers {
        Some(trailers) => stream.send_trailers(trailers),
        None => stream.send_data(Bytes::new(), true),
    };
}

/// Reads a body to its end, with its trailers.
pub(crate) async fn read_all(stream: &mut RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        body.extend_from_slice(&piece);
        let _ = stream.flow_control().release_capacity(piece.len());
    }
    Ok((body, stream.trailers().await?))
}

/// Answers with the request: its first line and host in `x-seen`, its cookies, its body, its trailers.
pub(crate) async fn h2_echo(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let (parts, mut body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let host = parts.uri.authority().map_or("", |host| host.as_str());
    let mut response = http::Response::builder().header("x-seen", format!("{} {path} {host}", parts.method));
    for name in ["cookie", "te", "content-length"] {
        if let Some(value) = parts.headers.get(name) {
            response = response.header(format!("x-{name}"), value);
        }
    }
    let Ok(mut stream) = respond.send_response(response.body(()).unwrap(), false) else { return };
    while let Some(Ok(piece)) = body.data().await {
        let _ = body.flow_control().release_capacity(piece.len());
        let mut piece = piece;
        while !piece.is_empty() {
            stream.reserve_capacity(piece.len());
            let room = match stream.capacity() {
                0 => match poll_fn(|cx| stream.poll_capacity(cx)).await {
                    Some(Ok(room)) => room,
                    _ => return,
                },
                room => room,
            };
            let _ = stream.send_data(piece.split_to(room.min(piece.len())), false);
        }
    }
    let trailers = body.trailers().await.ok().flatten();
    send_all(&mut stream, Bytes::new(), trailers).await;
}

/// The same over HTTP/1, one request after the other.
pub(crate) async fn h1_echo(mut stream: TcpStream) {
    let mut buffer = Vec::new();
    while let Some((head, body, trailers)) = read_h1(&mut stream, &mut buffer).await {
        let mut first = head.lines().next().unwrap_or_default().split(' ');
        let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
        let mut answer = format!("HTTP/1.1 200 OK\r\nx-seen: {method} {path} {}\r\n", field(&head, "host"));
        for name in ["cookie", "te", "content-length"] {
            if !field(&head, name).is_empty() {
                answer += &format!("x-{name}: {}\r\n", field(&head, name));
            }
        }
        answer += &format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n", body.len());
        let mut answer = answer.into_bytes();
        if body.is_empty() {
            answer.truncate(answer.len() - b"0\r\n".len());
        } else {
            answer.extend_from_slice(&body);
            answer.extend_from_slice(b"\r\n");
        }
        answer.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// The value of a field in the text of a head; empty when there is none.
pub(crate) fn field<'h>(head: &'h str, name: &str) -> &'h str {
    let line = head
        .lines()
        .find(|line| line.split_once(':').is_some_and(|(known, _)| known.eq_ignore_ascii_case(name)));
    line.and_then(|line| line.split_once(": ")).map_or("", |(_, value)| value)
}

/// Reads one HTTP/1 message: its head, its content, its trailer lines. What follows stays in `buffer`.
pub(crate) async fn read_h1(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> Option<(String, Vec<u8>, String)> {
    let head = take_until(stream, buffer, b"\r\n\r\n").await?;
    let mut body = Vec::new();
    let mut trailers = String::new();
    if field(&head, "transfer-encoding") == "chunked" {
        loop {
            let size = usize::from_str_radix(take_until(stream, buffer, b"\r\n").await?.trim(), 16).ok()?;
            if size == 0 {
                break;
            }
            take(stream, buffer, size, &mut body).await?;
            take(stream, buffer, 2, &mut Vec::new()).await?;
        }
        loop {
            match take_until(stream, buffer, b"\r\n").await? {
                line if line == "\r\n" => break,
                line => trailers += &line,
            }
        }
    } else if let Ok(length) = field(&head, "content-length").parse() {
        take(stream, buffer, length, &mut body).await?;
    }
    Some((head, body, trailers))
}

async fn take_until(stream: &mut TcpStream, buffer: &mut Vec<u8>, end: &[u8]) -> Option<String> {
    loop {
        if let Some(at) = buffer.windows(end.len()).position(|window| window == end) {
            return String::from_utf8(buffer.drain(..at + end.len()).collect()).ok();
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

async fn take(stream: &mut TcpStream, buffer: &mut Vec<u8>, count: usize, into: &mut Vec<u8>) -> Option<()> {
    while buffer.len() < count {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    into.extend(buffer.drain(..count));
    Some(())
}

pub(crate) async fn h2_client(address: SocketAddr, builder: &h2::client::Builder) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (client, connection) = builder.handshake(stream).await.unwrap();
    spawn_local(connection);
    client
}

pub(crate) struct Reply {
    pub status: StatusCode,
    pub fields: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl Reply {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Sends a request and reads its response, side by side.
pub(crate) async fn call(
    client: &SendRequest<Bytes>,
    request: Request<()>,
    body: &[u8],
    trailers: Option<HeaderMap>,
) -> Result<Reply, h2::Error> {
    let mut client = client.clone().ready().await?;
    let ended = body.is_empty() && trailers.is_none();
    let (response, mut stream) = client.send_request(request, ended)?;
    if !ended {
        let body = Bytes::copy_from_slice(body);
        spawn_local(async move { send_all(&mut stream, body, trailers).await });
    }
    let (parts, mut content) = response.await?.into_parts();
    let (body, trailers) = read_all(&mut content).await?;
    Ok(Reply { status: parts.status, fields: parts.headers, body, trailers })
}

pub(crate) fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(format!("http://shop.example{path}"))
}

/// `len` bytes that differ for each seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    (0..len).map(|_| dice.bits() as u8).collect()
}
