//! A data connection: TCP, Unix socket, or TLS over either. Reads and writes go through `&self`, so that
//! the two directions of an exchange can run side by side in one task. Not a protocol: bytes only.

use crate::deadline::Deadline;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// One connection's bytes.
pub struct Stream {
    io: RefCell<Io>,
}

enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<dyn Transport>),
}

/// A stream over another, such as TLS.
pub trait Transport: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Transport for T {}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self { io: RefCell::new(Io::Tcp(stream)) }
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self { io: RefCell::new(Io::Unix(stream)) }
    }
}

/// Why bytes did not move.
#[derive(Debug)]
pub enum IoFault {
    /// The deadline passed.
    TimedOut,
    /// The peer closed its side where more was expected.
    Closed,
    Failed(io::Error),
}

impl Stream {
    #[must_use]
    pub fn over(transport: Box<dyn Transport>) -> Self {
        Self { io: RefCell::new(Io::Tls(transport)) }
    }

    #[inline]
    pub fn poll_read(&self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(room);
        let result = match &mut *self.io.borrow_mut() {
            Io::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut buf),
            Io::Unix(stream) => Pin::new(stream).poll_read(cx, &mut buf),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, &mut buf),
        };
        result.map_ok(|()| buf.filled().len())
    }

    #[inline]
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self.io.borrow_mut() {
            Io::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    #[inline]
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self.io.borrow_mut() {
            Io::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Io::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    /// Hands buffered bytes to the kernel; at once for everything but TLS.
    #[inline]
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.io.borrow_mut() {
            Io::Tcp(_) | Io::Unix(_) => Poll::Ready(Ok(())),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.io.borrow_mut() {
            Io::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    /// Reads at least one byte.
    ///
    /// # Errors
    /// [`IoFault::Closed`] at the end of the stream, [`IoFault::TimedOut`] when `deadline` passes first.
    #[inline]
    pub async fn read(&self, room: &mut [u8], deadline: &Deadline) -> Result<usize, IoFault> {
        poll_fn(|cx| match self.poll_read(cx, room) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(IoFault::Closed)),
            Poll::Ready(Ok(count)) => Poll::Ready(Ok(count)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(IoFault::Failed(error))),
            Poll::Pending => deadline.poll_due(cx).map(|()| Err(IoFault::TimedOut)),
        })
        .await
    }

    /// Writes all of `head`, then all of `body`, in as few calls as the kernel takes.
    ///
    /// # Errors
    /// When the peer is gone or `deadline` passes first.
    #[inline]
    pub async fn write(&self, head: &[u8], body: &[u8], deadline: &Deadline) -> Result<(), IoFault> {
        let (mut head, mut body) = (head, body);
        poll_fn(|cx| {
            while !(head.is_empty() && body.is_empty()) {
                let written = match (head, body) {
                    (head, []) => self.poll_write(cx, head),
                    ([], body) => self.poll_write(cx, body),
                    (head, body) => self.poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)]),
                };
                match written {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(IoFault::Closed)),
                    Poll::Ready(Ok(count)) => {
                        let of_head = count.min(head.len());
                        head = &head[of_head..];
                        body = &body[count - of_head..];
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(IoFault::Failed(error))),
                    Poll::Pending => return deadline.poll_due(cx).map(|()| Err(IoFault::TimedOut)),
                }
            }
            match self.poll_flush(cx) {
                Poll::Ready(result) => Poll::Ready(result.map_err(IoFault::Failed)),
                Poll::Pending => deadline.poll_due(cx).map(|()| Err(IoFault::TimedOut)),
            }
        })
        .await
    }

    /// Whether a resting connection can still be used: nothing has arrived and it is open. Costs a call
    /// into the kernel only when something did arrive.
    pub fn is_quiet(&self, cx: &mut Context<'_>) -> bool {
        self.poll_read(cx, &mut [0]).is_pending()
    }

    /// Waits until something can be read, without a buffer. Spurious returns are possible.
    pub async fn readable(&self, deadline: &Deadline) -> Result<(), IoFault> {
        poll_fn(|cx| {
            let ready = match &*self.io.borrow() {
                Io::Tcp(stream) => stream.poll_read_ready(cx),
                Io::Unix(stream) => stream.poll_read_ready(cx),
                // TLS may hold decrypted bytes that no readiness tells of: read at once.
                Io::Tls(_) => return Poll::Ready(Ok(())),
            };
            match ready {
                Poll::Ready(result) => Poll::Ready(result.map_err(IoFault::Failed)),
                Poll::Pending => deadline.poll_due(cx).map(|()| Err(IoFault::TimedOut)),
            }
        })
        .await
    }

    /// Says goodbye: flushes and closes our side.
    pub async fn shutdown(&self, deadline: &Deadline) {
        poll_fn(|cx| match self.poll_shutdown(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => deadline.poll_due(cx),
        })
        .await;
    }
}
