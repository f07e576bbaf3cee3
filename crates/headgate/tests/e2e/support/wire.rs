//! One connection under full control: raw bytes out, raw bytes in, every wait bounded.

use super::{Head, PATIENCE, Response};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A connection, TCP or Unix, seen from the test.
pub(crate) struct Wire {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
    /// What arrived and was not taken yet.
    got: Vec<u8>,
}

/// How a peer ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In order (FIN): HTTP/1 takes this for the end of a body without a length.
    Closed,
    Reset,
}

impl Wire {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.connect_timeout(&address.into(), PATIENCE).unwrap();
        socket.set_tcp_nodelay(true).unwrap();
        Self::from(socket)
    }

    pub(crate) fn connect_unix(path: &Path) -> Self {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.connect(&SockAddr::unix(path).unwrap()).unwrap();
        Self::from(socket)
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    /// For peers that may have stopped to listen.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        match &mut self.tls {
            None => self.socket.write_all(bytes.as_ref()),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.socket).write_all(bytes.as_ref()),
        }
    }

    /// Goes on over TLS. The handshake happens with the first bytes.
    pub(crate) fn over_tls(mut self, config: Arc<ClientConfig>, name: &str) -> Self {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        self.tls = Some(Box::new(ClientConnection::new(config, name).unwrap()));
        self
    }

    /// The state of TLS, where it is spoken.
    pub(crate) fn tls(&self) -> &ClientConnection {
        self.tls.as_ref().unwrap()
    }

    /// Reads a head through its empty line.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Head {
        loop {
            if let Some(end) = self.got.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = self.got.split_off(end + 4);
                return Head::new(std::mem::replace(&mut self.got, rest));
            }
            let count = self.fill();
            assert!(count > 0, "closed within a head: {:?}", String::from_utf8_lossy(&self.got));
        }
    }

    /// Reads exactly `count` bytes.
    #[track_caller]
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        while self.got.len() < count {
            assert!(self.fill() > 0, "closed after {} of {count} bytes", self.got.len());
        }
        let rest = self.got.split_off(count);
        std::mem::replace(&mut self.got, rest)
    }

    /// Reads exactly these bytes.
    #[track_caller]
    pub(crate) fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let got = self.take(bytes.len());
        assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(bytes));
    }

    /// Reads a line without its CRLF.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.got.windows(2).position(|two| two == b"\r\n") {
                let line = self.take(end + 2);
                return String::from_utf8(line[..end].to_vec()).unwrap();
            }
            assert!(self.fill() > 0, "closed within a line: {:?}", String::from_utf8_lossy(&self.got));
        }
    }

    /// Reads one chunk; empty after the last, whose trailer lines are still to be read.
    #[track_caller]
    pub(crate) fn chunk(&mut self) -> Vec<u8> {
        let size = usize::from_str_radix(&self.line(), 16).unwrap();
        let data = self.take(size);
        if size > 0 {
            self.expect("\r\n");
        }
        data
    }

    /// Reads chunks to the end of the body and its trailer lines.
    #[track_caller]
    pub(crate) fn chunks(&mut self) -> (Vec<u8>, Vec<String>) {
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk();
            if chunk.is_empty() {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        let mut trailers = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                return (body, trailers);
            }
            trailers.push(line);
        }
    }

    /// Reads the body that the head announces.
    #[track_caller]
    pub(crate) fn body(&mut self, head: &Head) -> Vec<u8> {
        if head.value("transfer-encoding") == Some("chunked") {
            return self.chunks().0;
        }
        match head.value("content-length") {
            Some(length) => self.take(length.parse().unwrap()),
            None if head.is_request() => Vec::new(),
            None => self.rest().0,
        }
    }

    /// Reads a whole final response to anything but HEAD.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Response {
        let head = self.head();
        let body = if matches!(head.status(), 100..=199 | 204 | 304) { Vec::new() } else { self.body(&head) };
        Response { head, body }
    }

    /// Sends a request and reads its response.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Response {
        self.send(request);
        self.response()
    }

    /// As [`Self::ask`]; `None` when the peer ends the connection instead of answering.
    pub(crate) fn try_ask(&mut self, request: impl AsRef<[u8]>) -> Option<Response> {
        self.try_send(request).ok()?;
        self.has_more().then(|| self.response())
    }

    /// A whole response that says how long it is; `None` when the peer ends the connection within it.
    pub(crate) fn try_response(&mut self) -> Option<Response> {
        let head = loop {
            if let Some(end) = self.got.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = self.got.split_off(end + 4);
                break Head::new(std::mem::replace(&mut self.got, rest));
            }
            self.try_fill().ok().filter(|count| *count > 0)?;
        };
        let length: usize = head.value("content-length")?.parse().ok()?;
        while self.got.len() < length {
            self.try_fill().ok().filter(|count| *count > 0)?;
        }
        let body = self.take(length);
        Some(Response { head, body })
    }

    /// Sends a GET for `path` and reads its response.
    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n"))
    }

    /// Waits for the next byte; false when the connection ends, in whatever way.
    pub(crate) fn has_more(&mut self) -> bool {
        !self.got.is_empty() || self.try_fill().is_ok_and(|count| count > 0)
    }

    /// What has arrived and was not taken, as text.
    pub(crate) fn arrived(&self) -> String {
        String::from_utf8_lossy(&self.got).into_owned()
    }

    /// Reads until the peer ends the connection.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> (Vec<u8>, End) {
        loop {
            match self.try_fill() {
                Ok(0) => return (std::mem::take(&mut self.got), End::Closed),
                Ok(_) => {}
                Err(error) if is_end(&error) => return (std::mem::take(&mut self.got), End::Reset),
                Err(error) => panic!("neither bytes nor an end: {error}"),
            }
        }
    }

    /// The peer ends the connection without another byte.
    #[track_caller]
    pub(crate) fn assert_ended(&mut self) {
        let (rest, _) = self.rest();
        assert_eq!(String::from_utf8_lossy(&rest), "", "bytes before the end");
    }

    /// Nothing has arrived that was not taken. Only says something where the peer would have sent it before
    /// what the test has already seen.
    #[track_caller]
    pub(crate) fn assert_silent(&mut self) {
        self.socket.set_nonblocking(true).unwrap();
        let result = self.try_fill();
        self.socket.set_nonblocking(false).unwrap();
        match result {
            Err(error) if error.kind() == ErrorKind::WouldBlock && self.got.is_empty() => {}
            other => panic!("not silent: {other:?}, {:?}", String::from_utf8_lossy(&self.got)),
        }
    }

    /// Closes this side and goes on reading.
    pub(crate) fn finish_sending(&self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        self.socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// How long a read or write may wait.
    pub(crate) fn set_patience(&self, patience: Duration) {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        self.socket.set_write_timeout(Some(patience)).unwrap();
    }

    pub(crate) fn local_address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap().as_socket().unwrap()
    }

    /// A second handle on the same connection, for writing in another thread.
    pub(crate) fn writer(&self) -> Socket {
        self.socket.try_clone().unwrap()
    }

    #[track_caller]
    fn fill(&mut self) -> usize {
        match self.try_fill() {
            Ok(count) => count,
            Err(error) => panic!("cannot read: {error}; so far {:?}", String::from_utf8_lossy(&self.got)),
        }
    }

    /// Reads what is there, at least a byte; zero at the end.
    pub(crate) fn try_fill(&mut self) -> io::Result<usize> {
        let mut room = [0; 64 * 1024];
        let count = match &mut self.tls {
            None => self.socket.read(&mut room)?,
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.socket).read(&mut room)?,
        };
        self.got.extend_from_slice(&room[..count]);
        Ok(count)
    }
}

impl From<Socket> for Wire {
    fn from(socket: Socket) -> Self {
        let wire = Self { socket, tls: None, got: Vec::new() };
        SockRef::from(&wire.socket).set_nonblocking(false).unwrap();
        wire.set_patience(PATIENCE);
        wire
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}
