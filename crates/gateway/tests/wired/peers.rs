//! The two other sides: an upstream that answers what a closure says, and a client that asks once.

use crate::gateway::PATIENCE;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// An upstream on a port of its own, until the test's process ends. It answers one request per connection.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<AtomicUsize>,
}

impl Upstream {
    /// `answer` gets a request's head and gives the bytes to answer with; none to close the connection.
    pub(crate) fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(AtomicUsize::new(0));
        let (answer, count) = (Arc::new(answer), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, count) = (Arc::clone(&answer), Arc::clone(&count));
                std::thread::spawn(move || serve(&stream.unwrap(), &*answer, &count));
            }
        });
        Self { address, seen }
    }

    /// Answers everything with a status and a text.
    pub(crate) fn fixed(status: u16, text: &'static str) -> Self {
        Self::start(move |_| reply(status, text))
    }

    /// Requests seen so far.
    pub(crate) fn seen(&self) -> usize {
        self.seen.load(SeqCst)
    }
}

pub(crate) fn reply(status: u16, text: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}", text.len())
}

/// An address that nobody listens on.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn serve(stream: &TcpStream, answer: &(dyn Fn(&str) -> String + Send + Sync), count: &AtomicUsize) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    count.fetch_add(1, SeqCst);
    let mut out = stream;
    let _ = out.write_all(answer(&head).as_bytes());
    let _ = stream.shutdown(Shutdown::Both);
}

/// What a client got.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Response {
    /// Values of the header fields of that name.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

/// Sends `request` as it is and reads until the other side closes.
pub(crate) fn raw(address: SocketAddr, request: &str) -> Response {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Response { status, head: head.to_owned(), body: body.to_owned() }
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Response {
    send(address, "GET", path, "")
}

/// `fields` are whole lines.
pub(crate) fn send(address: SocketAddr, method: &str, path: &str, fields: &str) -> Response {
    raw(address, &format!("{method} {path} HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\n{fields}\r\n"))
}
