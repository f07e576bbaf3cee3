//! A data connection: TCP, Unix socket, or TLS over either. Reads and writes go through `&self`, so that
//! the two directions of an exchange can run side by side in one task. Not a protocol: bytes only.

use crate::deadline::Deadline;
use crate::socket::Plain;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

/// One connection's bytes.
pub struct Stream {
    io: RefCell<Io>,
    writes: Cell<u32>,
}

enum Io {
    Plain(Plain),
    Tls(Box<TlsStream<Plain>>),
    Other(Box<dyn Transport>),
}

/// Any other carrier of bytes.
pub trait Transport: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Transport for T {}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::from(Plain::Tcp(stream))
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::from(Plain::Unix(stream))
    }
}

impl From<Plain> for Stream {
    fn from(socket: Plain) -> Self {
        Self::new(Io::Plain(socket))
    }
}

impl From<TlsStream<Plain>> for Stream {
    fn from(stream: TlsStream<Plain>) -> Self {
        Self::new(Io::Tls(Box::new(stream)))
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

/// What a peer does that should be waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It has sent more; this stays to be read.
    Bytes,
    /// It has closed its side and may still be reading.
    Ended,
    /// The connection is no more.
    Broken,
}

/// Runs `$call` on whatever carries the bytes.
macro_rules! on_io {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut *$self.io.borrow_mut() {
            Io::Plain($stream) => $call,
            Io::Tls($stream) => $call,
            Io::Other($stream) => $call,
        }
    };
}

impl Stream {
    fn new(io: Io) -> Self {
        Self { io: RefCell::new(io), writes: Cell::new(0) }
    }

    #[must_use]
    pub fn over(transport: Box<dyn Transport>) -> Self {
        Self::new(Io::Other(transport))
    }

    #[inline]
    pub fn poll_read(&self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(room);
        let result = match &mut *self.io.borrow_mut() {
            Io::Plain(socket) => return socket.poll_read(cx, buf.initialize_unfilled()),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, &mut buf),
            Io::Other(stream) => Pin::new(stream).poll_read(cx, &mut buf),
        };
        result.map_ok(|()| buf.filled().len())
    }

    /// Reads into memory that may never have been written.
    #[inline]
    pub(crate) fn poll_read_buf(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_io!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }

    #[inline]
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.counted(on_io!(self, stream => Pin::new(stream).poll_write(cx, bytes)))
    }

    #[inline]
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.counted(on_io!(self, stream => Pin::new(stream).poll_write_vectored(cx, parts)))
    }

    #[inline]
    fn counted(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.writes.set(self.writes.get().wrapping_add(1));
        }
        written
    }

    /// Grows with each write that moved bytes, and wraps: it changes while the peer still takes something.
    #[must_use]
    pub fn writes(&self) -> u32 {
        self.writes.get()
    }

    /// Hands buffered bytes to the kernel; at once for a socket.
    #[inline]
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.io.borrow_mut() {
            Io::Plain(_) => Poll::Ready(Ok(())),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Io::Other(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_io!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }

    /// Ready when a read would not wait, or might not: it can return without cause, never too late.
    /// Needs no buffer.
    #[inline]
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let io = &*self.io.borrow();
        let socket = match io {
            Io::Plain(socket) => socket,
            // What was decrypted already comes without the socket saying so.
            Io::Tls(stream) if !stream.get_ref().1.wants_read() => return Poll::Ready(Ok(())),
            Io::Tls(stream) => stream.get_ref().0,
            Io::Other(_) => return Poll::Ready(Ok(())),
        };
        socket.poll_readable(cx)
    }

    /// Copies what has arrived into `room` and leaves it to be read again. Sockets only.
    pub fn poll_peek(&self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        match &*self.io.borrow() {
            Io::Plain(socket) => socket.poll_peek(cx, room),
            _ => Poll::Ready(Err(io::Error::from(io::ErrorKind::Unsupported))),
        }
    }

    /// Ready when the peer does anything at all. Takes nothing out of the stream.
    pub fn poll_sign(&self, cx: &mut Context<'_>) -> Poll<Sign> {
        let seen = match &mut *self.io.borrow_mut() {
            Io::Plain(socket) => socket.poll_peek(cx, &mut [0]).map_ok(|count| count > 0),
            Io::Tls(stream) => Pin::new(stream).poll_fill_buf(cx).map_ok(|bytes| !bytes.is_empty()),
            Io::Other(_) => return Poll::Pending,
        };
        seen.map(|seen| match seen {
            Ok(true) => Sign::Bytes,
            Ok(false) => Sign::Ended,
            // TLS: the end without a goodbye, which many leave out.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Sign::Ended,
            Err(_) => Sign::Broken,
        })
    }

    /// Our end's address, of a TCP socket.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &*self.io.borrow() {
            Io::Plain(socket) => socket.local_address(),
            _ => None,
        }
    }

    /// The socket, to speak TLS or HTTP/2 over.
    ///
    /// # Errors
    /// Gives the stream back when it is no bare socket.
    pub fn into_socket(self) -> Result<Plain, Self> {
        match self.io.into_inner() {
            Io::Plain(socket) => Ok(socket),
            io => Err(Self::new(io)),
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
        match &*self.io.borrow() {
            Io::Plain(socket) => return socket.is_quiet(),
            Io::Tls(_) | Io::Other(_) => {}
        }
        self.poll_read(cx, &mut [0]).is_pending()
    }

    /// Waits until something can be read, without a buffer. Spurious returns are possible.
    ///
    /// # Errors
    /// When the connection failed, or `deadline` passed first.
    #[inline]
    pub async fn readable(&self, deadline: &Deadline) -> Result<(), IoFault> {
        poll_fn(|cx| match self.poll_readable(cx) {
            Poll::Ready(result) => Poll::Ready(result.map_err(IoFault::Failed)),
            Poll::Pending => deadline.poll_due(cx).map(|()| Err(IoFault::TimedOut)),
        })
        .await
    }

    /// Lets the connection end with a reset when it is dropped: to a peer that takes the end of the
    /// connection for the end of a body, an ordinary close would make a broken one look whole (RFC 9112
    /// section 8). A Unix socket knows no reset.
    pub fn abort(&self) {
        match &*self.io.borrow() {
            Io::Plain(socket) => socket.abort(),
            Io::Tls(stream) => stream.get_ref().0.abort(),
            Io::Other(_) => {}
        }
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

/// For what drives a connection itself, such as HTTP/2.
impl AsyncRead for Stream {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_read_buf(cx, buf)
    }
}

impl AsyncWrite for Stream {
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

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_flush(&self, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_shutdown(&self, cx)
    }
}
