//! An origin that answers by itself, with a function from request to response.

use super::{Head, Wire};
use socket2::{Domain, SockRef, Socket, Type};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

/// What the gateway sent.
pub(crate) struct Request {
    pub head: Head,
    pub body: Vec<u8>,
}

/// A running service; one thread for each connection.
pub(crate) struct Service {
    pub address: SocketAddr,
    socket: TcpListener,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    connections: AtomicUsize,
}

impl Service {
    /// Answers every request with the bytes that `answer` gives.
    pub(crate) fn start(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        socket.listen(1_024).unwrap();
        let socket = TcpListener::from(socket);
        let address = socket.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let (acceptor, counting, answer) =
            (socket.try_clone().unwrap(), Arc::clone(&counts), Arc::new(answer));
        let thread = thread::spawn(move || {
            while let Ok((connection, _)) = acceptor.accept() {
                counting.connections.fetch_add(1, Ordering::Relaxed);
                connection.set_nodelay(true).unwrap();
                let (answer, counting) = (Arc::clone(&answer), Arc::clone(&counting));
                thread::spawn(move || serve(&mut Wire::from(Socket::from(connection)), &*answer, &counting));
            }
        });
        Self { address, socket, counts, thread: Some(thread) }
    }

    /// Answers with its name, and what it was asked for.
    pub(crate) fn named(name: &'static str) -> Self {
        Self::start(move |request| {
            response(&[("x-served-by", name)], format!("{name} {}", request.head.first_line()).as_bytes())
        })
    }

    pub(crate) fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Wakes the accepting thread with an error.
        let _ = SockRef::from(&self.socket).shutdown(Shutdown::Both);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A complete 200 with its Content-Length.
pub(crate) fn response(fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = "HTTP/1.1 200 OK\r\n".to_owned();
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    [text.as_bytes(), body].concat()
}

fn serve(wire: &mut Wire, answer: &dyn Fn(&Request) -> Vec<u8>, counts: &Counts) {
    // An idle connection waits for as long as the gateway keeps it.
    while wire.has_more() {
        let head = wire.head();
        let body = wire.body(&head);
        counts.requests.fetch_add(1, Ordering::Relaxed);
        if wire.try_send(answer(&Request { head, body })).is_err() {
            return;
        }
    }
}
