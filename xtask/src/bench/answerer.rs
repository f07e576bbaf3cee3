//! An answerer: what the origin said to a path is sent to everybody who asks for it. One thread, one read and one
//! write to a request; no freshness, no parser, no limits. It is the floor of a cached hit on the same kernel, so
//! it must stay lean. For well-behaved generators only.

use crate::Outcome;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Longest request, in bytes.
const REQUEST: usize = 4096;
/// Events that are taken at once.
const EVENTS: usize = 256;
/// The listener's number among the connections.
const LISTENER: u64 = u64::MAX;

/// Answers at `listen` with what `origin` said, until the process is stopped.
pub(crate) fn run(listen: &str, origin: &str) -> Outcome {
    let address = |text: &str| text.parse::<SocketAddr>().map_err(|error| format!("{text}: {error}"));
    let (listen, origin) = (address(listen)?, address(origin)?);
    Answerer::new(listen, origin)
        .and_then(|mut answerer| answerer.serve())
        .map_err(|error| format!("answerer {listen}: {error}"))
}

struct Answerer {
    epoll: OwnedFd,
    listener: TcpListener,
    origin: SocketAddr,
    /// Whole responses by path.
    known: HashMap<Vec<u8>, Arc<[u8]>>,
    /// By number; closed ones leave a gap.
    connections: Vec<Option<Connection>>,
}

struct Connection {
    socket: TcpStream,
    /// A request that has not all come.
    begun: Vec<u8>,
    /// What is left to send.
    rest: Option<(Arc<[u8]>, usize)>,
    /// The client wants to be left after the answer.
    last: bool,
}

impl Answerer {
    fn new(listen: SocketAddr, origin: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        Ok(Self { epoll, listener, origin, known: HashMap::new(), connections: Vec::new() })
    }

    fn serve(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    number => self.turn(number as usize),
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Ok((socket, _)) = self.listener.accept() {
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let number = self.connections.len();
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&self.epoll, &socket, EventData::new_u64(number as u64), flags)?;
            self.connections.push(Some(Connection { socket, begun: Vec::new(), rest: None, last: false }));
        }
        Ok(())
    }

    /// Sends what is left, or reads a request and begins its answer.
    fn turn(&mut self, number: usize) {
        let Some(connection) = &mut self.connections[number] else { return };
        let mut request = [0; REQUEST];
        loop {
            if let Some((answer, at)) = &mut connection.rest {
                match send(&connection.socket, &answer[*at..], SendFlags::NOSIGNAL) {
                    Ok(count) => *at += count,
                    Err(Errno::AGAIN) => return,
                    Err(_) => break,
                }
                if *at < answer.len() {
                    continue;
                }
                connection.rest = None;
                if connection.last {
                    break;
                }
                // The next request comes with the next event.
                return;
            }
            let request = match recv(&connection.socket, &mut request, RecvFlags::empty()) {
                Ok((count, _)) if count > 0 => &request[..count],
                Err(Errno::AGAIN) => return,
                _ => break,
            };
            let request = match connection.begun.is_empty() {
                true => Cow::Borrowed(request),
                false => Cow::Owned([&std::mem::take(&mut connection.begun), request].concat()),
            };
            if !request.ends_with(b"\r\n\r\n") {
                if request.len() > REQUEST {
                    break;
                }
                connection.begun = request.into_owned();
                continue;
            }
            let Some(path) = request.split(|&byte| byte == b' ').nth(1) else { break };
            connection.last = request.windows(17).any(|text| text == b"Connection: close");
            if !self.known.contains_key(path) {
                let Ok(answer) = ask(self.origin, path) else { break };
                self.known.insert(path.to_vec(), answer);
            }
            connection.rest = self.known.get(path).map(|answer| (Arc::clone(answer), 0));
        }
        self.connections[number] = None;
    }
}

/// The origin's whole answer, for clients that stay.
fn ask(origin: SocketAddr, path: &[u8]) -> io::Result<Arc<[u8]>> {
    let mut stream = TcpStream::connect(origin)?;
    stream.write_all(
        &[b"GET ", path, b" HTTP/1.1\r\nHost: bench.example\r\nConnection: close\r\n\r\n"].concat(),
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = answer.windows(4).position(|text| text == b"\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let (head, content) = answer.split_at(head);
    let head = String::from_utf8_lossy(head).replace("\r\nConnection: close", "");
    Ok([head.as_bytes(), content].concat().into())
}
