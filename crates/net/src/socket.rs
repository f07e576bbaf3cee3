//! A bare socket, TCP or Unix. Reads and writes go straight to the kernel while the socket is known to be
//! ready, and register with the runtime only when it is not. Not TLS, and no deadline.

use rustix::io::{Errno, retry_on_intr, writev};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::SockRef;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::coop;

/// A socket.
pub enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Plain {
    /// Reads what has come. Keeps to the runtime's budget, so that a connection on which bytes never cease
    /// leaves the others their turn.
    #[inline]
    pub fn poll_read(&self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let turn = ready!(coop::poll_proceed(cx));
        loop {
            let asked = room.len();
            if let Some(result) = self.attempt(Interest::READABLE, asked, |fd| {
                recv(fd, &mut *room, RecvFlags::empty()).map(|(count, _)| count)
            }) {
                turn.made_progress();
                return Poll::Ready(result);
            }
            ready!(self.poll_readable(cx))?;
        }
    }

    /// Whether a read would have to wait. Asks the kernel only when something has come.
    pub fn is_quiet(&self) -> bool {
        self.attempt(Interest::READABLE, 1, |fd| {
            recv(fd, &mut [0], RecvFlags::empty()).map(|(count, _)| count)
        })
        .is_none()
    }

    /// Writes what the kernel has room for.
    #[inline]
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let write = |fd: BorrowedFd<'_>| send(fd, bytes, SendFlags::NOSIGNAL);
            if let Some(result) = self.attempt(Interest::WRITABLE, bytes.len(), write) {
                return Poll::Ready(result);
            }
            ready!(self.poll_writable(cx))?;
        }
    }

    /// Writes what the kernel has room for, of several pieces in their order.
    #[inline]
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = parts.iter().map(|part| part.len()).sum();
        loop {
            if let Some(result) = self.attempt(Interest::WRITABLE, all, |fd| writev(fd, parts)) {
                return Poll::Ready(result);
            }
            ready!(self.poll_writable(cx))?;
        }
    }

    /// Copies what has arrived into `room` and leaves it to be read again.
    pub fn poll_peek(&self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            // A peek that is not cut short proves nothing about what is left.
            let peek = |fd: BorrowedFd<'_>| recv(fd, &mut *room, RecvFlags::PEEK).map(|(count, _)| count);
            if let Some(result) = self.attempt(Interest::READABLE, 0, peek) {
                return Poll::Ready(result);
            }
            ready!(self.poll_readable(cx))?;
        }
    }

    /// Ready when a read would not wait, or might not: it can return without cause, never too late.
    #[inline]
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
        }
    }

    /// Makes one call if the socket is known to be ready for it; `None` when it is not, or no longer. A call
    /// that moved less than `asked` has emptied (or filled) the socket, and the kernel will tell when that
    /// has changed: the readiness ends with it, which spares the next call that could only fail.
    #[inline]
    fn attempt(
        &self,
        interest: Interest,
        asked: usize,
        mut call: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<usize>,
    ) -> Option<io::Result<usize>> {
        let mut moved = None;
        let once = || match retry_on_intr(|| call(self.as_fd())) {
            Ok(count) => {
                moved = Some(Ok(count));
                if 0 < count && count < asked { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            }
            Err(Errno::AGAIN) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => {
                moved = Some(Err(error.into()));
                Ok(())
            }
        };
        let _ = match self {
            Self::Tcp(stream) => stream.try_io(interest, once),
            Self::Unix(stream) => stream.try_io(interest, once),
        };
        moved
    }

    /// Our end's address, of a TCP socket.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Lets the connection end with a reset when it is dropped. A Unix socket knows none.
    pub fn abort(&self) {
        if let Self::Tcp(socket) = self {
            // Where it fails the connection is gone already.
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsFd for Plain {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

/// For what drives a connection itself, such as TLS.
impl AsyncRead for Plain {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // The runtime's own way knows how to read into memory that was never written.
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Plain {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Self::poll_write(&self, cx, bytes)
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Self::poll_write_vectored(&self, cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
