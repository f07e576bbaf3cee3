//! A stream whose small writes of one turn leave together: what writes frame by frame, such as an HTTP/2 connection
//! with many streams, would else cost a TLS record and a call into the kernel for each of them. Whoever drives the
//! connection has to call [`Gathered::poll_send`] after each turn.

use crate::buffer::{Buffers, Lent};
use crate::stream::Stream;
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// Bytes that are gathered at most: content of one TLS record (RFC 8446 section 5.1).
const ROOM: usize = 16 * 1024;

/// A stream and the bytes that are to be sent over it.
pub struct Gathered {
    stream: Stream,
    buffers: Rc<Buffers>,
    /// None between turns, so that a connection at rest holds no buffer.
    waiting: RefCell<Option<Waiting>>,
}

struct Waiting {
    bytes: Lent<Vec<u8>>,
    sent: usize,
}

impl Gathered {
    #[must_use]
    pub fn new(stream: Stream, buffers: Rc<Buffers>) -> Self {
        Self { stream, buffers, waiting: RefCell::new(None) }
    }

    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_read_buf(cx, buf)
    }

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        self.stream.poll_shutdown(cx)
    }

    /// Takes what there is room for. What is large goes to the stream itself, behind what waits.
    pub(crate) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if self.waiting_len() + len > ROOM {
            ready!(self.poll_send(cx))?;
        }
        if len > ROOM {
            return self.stream.poll_write_vectored(cx, parts);
        }
        let mut waiting = self.waiting.borrow_mut();
        let waiting = waiting.get_or_insert_with(|| Waiting { bytes: self.buffers.out(), sent: 0 });
        for part in parts {
            waiting.bytes.extend_from_slice(part);
        }
        Poll::Ready(Ok(len))
    }

    fn waiting_len(&self) -> usize {
        self.waiting.borrow().as_ref().map_or(0, |waiting| waiting.bytes.len())
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// Of the stream, which is of no more use then.
    pub fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut borrowed = self.waiting.borrow_mut();
        let Some(waiting) = &mut *borrowed else { return Poll::Ready(Ok(())) };
        while waiting.sent < waiting.bytes.len() {
            match ready!(self.stream.poll_write(cx, &waiting.bytes[waiting.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => waiting.sent += count,
            }
        }
        ready!(self.stream.poll_flush(cx))?;
        *borrowed = None;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::HeadSize;
    use std::pin::Pin;
    use std::task::Waker;
    use tokio::io::{AsyncRead, AsyncWrite};

    /// Keeps what each write brought; takes at most `room` at once, and nothing where that is 0.
    #[derive(Default)]
    struct Wire {
        writes: Rc<RefCell<Vec<Vec<u8>>>>,
        room: Rc<RefCell<usize>>,
    }

    impl AsyncRead for Wire {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Wire {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let count = bytes.len().min(*self.room.borrow());
            if count == 0 {
                return Poll::Pending;
            }
            self.writes.borrow_mut().push(bytes[..count].to_vec());
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    struct Bench {
        gathered: Gathered,
        buffers: Rc<Buffers>,
        writes: Rc<RefCell<Vec<Vec<u8>>>>,
        room: Rc<RefCell<usize>>,
    }

    impl Bench {
        fn new() -> Self {
            let wire = Wire { room: Rc::new(RefCell::new(usize::MAX)), ..Wire::default() };
            let (writes, room) = (Rc::clone(&wire.writes), Rc::clone(&wire.room));
            let buffers = Buffers::new(HeadSize { bytes: 1024, fields: 8 });
            let gathered = Gathered::new(Stream::over(Box::new(wire)), Rc::clone(&buffers));
            Self { gathered, buffers, writes, room }
        }

        fn write(&self, bytes: &[u8]) -> Poll<usize> {
            let mut cx = Context::from_waker(Waker::noop());
            self.gathered.poll_write_vectored(&mut cx, &[IoSlice::new(bytes)]).map(Result::unwrap)
        }

        fn send(&self) -> Poll<()> {
            self.gathered.poll_send(&mut Context::from_waker(Waker::noop())).map(Result::unwrap)
        }
    }

    #[test]
    fn what_is_small_leaves_together_at_the_end_of_the_turn() {
        let bench = Bench::new();
        for piece in [&b"one, "[..], b"two, ", b"three"] {
            assert_eq!(bench.write(piece), Poll::Ready(piece.len()));
        }
        assert!(bench.writes.borrow().is_empty());
        assert!(bench.send().is_ready());
        assert_eq!(*bench.writes.borrow(), [b"one, two, three".to_vec()]);
        assert_eq!(bench.buffers.lent(), 0, "a stream at rest holds no buffer");
    }

    #[test]
    fn what_is_large_goes_behind_what_waits() {
        let bench = Bench::new();
        let large = vec![b'x'; ROOM + 1];
        assert_eq!(bench.write(b"first"), Poll::Ready(5));
        assert_eq!(bench.write(&large), Poll::Ready(large.len()));
        assert_eq!(*bench.writes.borrow(), [b"first".to_vec(), large]);
    }

    #[test]
    fn a_peer_that_takes_nothing_bounds_what_is_gathered() {
        let bench = Bench::new();
        *bench.room.borrow_mut() = 0;
        let piece = [b'x'; 1000];
        let taken = (0..100).take_while(|_| bench.write(&piece).is_ready()).count();
        assert_eq!(taken, ROOM / piece.len());
        assert!(bench.send().is_pending());
        *bench.room.borrow_mut() = 300;
        assert!(bench.send().is_ready());
        assert_eq!(bench.writes.borrow().concat().len(), taken * piece.len());
    }
}
