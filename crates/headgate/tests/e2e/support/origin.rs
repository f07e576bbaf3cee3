//! An origin that the test plays itself, connection by connection and byte by byte.

use super::{PATIENCE, Wire};
use socket2::{Domain, Socket, Type};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

/// A listening socket. What connects to it waits until the test accepts it.
pub(crate) struct Origin {
    socket: Socket,
    pub address: SocketAddr,
}

impl Origin {
    pub(crate) fn start() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        Self::listen(socket)
    }

    pub(crate) fn start_on(address: SocketAddr) -> std::io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.bind(&address.into())?;
        Ok(Self::listen(socket))
    }

    /// On a Unix socket; `address` then means nothing.
    pub(crate) fn start_unix(path: &Path) -> Self {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&socket2::SockAddr::unix(path).unwrap()).unwrap();
        Self::listen(socket)
    }

    fn listen(socket: Socket) -> Self {
        socket.listen(1_024).unwrap();
        // Linux applies it to accepting too.
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let address = socket.local_addr().unwrap().as_socket();
        Self { socket, address: address.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0))) }
    }

    /// The next connection that the gateway opens.
    #[track_caller]
    pub(crate) fn accept(&self) -> Wire {
        match self.socket.accept() {
            Ok((socket, _)) => Wire::from(socket),
            Err(error) => panic!("the gateway opens no connection: {error}"),
        }
    }

    /// A connection that is already there.
    pub(crate) fn accept_waiting(&self) -> Option<Wire> {
        self.socket.set_nonblocking(true).unwrap();
        let accepted = self.socket.accept();
        self.socket.set_nonblocking(false).unwrap();
        match accepted {
            Ok((socket, _)) => Some(Wire::from(socket)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("cannot accept: {error}"),
        }
    }

    /// Not one byte was sent here. Connections may have been opened, and must be closed by now or soon.
    #[track_caller]
    pub(crate) fn assert_untouched(&self, what: &str) {
        while let Some(mut wire) = self.accept_waiting() {
            let (bytes, _) = wire.rest();
            assert_eq!(String::from_utf8_lossy(&bytes), "", "{what}: reached the origin");
        }
    }
}
