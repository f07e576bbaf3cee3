//! One connection as bytes that never wait: TCP, with TLS where the URL says so. It knows no HTTP.

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// Encrypted bytes that may wait for the socket.
const TLS_OUT_MAX: usize = 64 * 1024;

/// A non-blocking connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

/// Whom TLS is spoken with, and how.
#[derive(Clone, Debug)]
pub(super) struct TlsPeer {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

impl Wire {
    /// Begins to connect; the socket is writable when that is done.
    pub(super) fn connect(address: SocketAddr, tls: Option<&TlsPeer>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            _ => {}
        }
        let tls = tls.map(|peer| {
            let mut tls = ClientConnection::new(peer.config.clone(), peer.name.clone())?;
            tls.set_buffer_limit(Some(TLS_OUT_MAX));
            Ok::<_, rustls::Error>(Box::new(tls))
        });
        let tls = tls.transpose().map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        Ok(Self { stream: socket.into(), tls })
    }

    /// After the socket became writable: whether it has connected, and the TLS handshake is done.
    ///
    /// # Errors
    /// Whatever the connection failed with.
    pub(super) fn progress(&mut self) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        if let Err(error) = self.stream.peer_addr() {
            return if error.kind() == ErrorKind::NotConnected { Ok(false) } else { Err(error) };
        }
        let Some(tls) = &mut self.tls else { return Ok(true) };
        while tls.is_handshaking() {
            let moved = if tls.wants_write() {
                tls.write_tls(&mut self.stream).map(|_| ())
            } else {
                read_tls(tls, &mut self.stream)
            };
            match moved {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                moved => moved?,
            }
        }
        self.flush()?;
        Ok(true)
    }

    /// Whether [`Self::progress`] waits for the socket to become writable.
    pub(super) fn wants_write(&self) -> bool {
        self.stream.peer_addr().is_err() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Zero is the end. [`ErrorKind::WouldBlock`] when nothing is there.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.read(into) };
        loop {
            match tls.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => read_tls(tls, &mut self.stream)?,
                read => return read,
            }
        }
    }

    /// Whether a read that filled less than its buffer may have left something behind that the socket does
    /// not tell of.
    pub(super) fn may_hold_more(&self) -> bool {
        self.tls.is_some()
    }

    /// As [`Write::write`]; what TLS keeps back goes out with [`Self::flush`].
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.write(bytes) };
        let taken = tls.writer().write(bytes)?;
        let flushed = self.flush()?;
        if taken == 0 && !flushed && !bytes.is_empty() {
            Err(ErrorKind::WouldBlock.into())
        } else {
            Ok(taken)
        }
    }

    /// Whether everything written has been handed to the kernel.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else { return Ok(true) };
        while tls.wants_write() {
            match tls.write_tls(&mut self.stream) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                written => written?,
            };
        }
        Ok(true)
    }

    /// What was agreed on by ALPN.
    pub(super) fn protocol(&self) -> Option<&[u8]> {
        self.tls.as_ref()?.alpn_protocol()
    }

    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn read_tls(tls: &mut ClientConnection, stream: &mut TcpStream) -> io::Result<()> {
    if tls.read_tls(stream)? == 0 && tls.is_handshaking() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let processed = tls.process_new_packets();
    if processed.is_err() {
        // The alert says why to the peer, if it still listens.
        let _ = tls.write_tls(stream);
    }
    processed.map(|_| ()).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}
