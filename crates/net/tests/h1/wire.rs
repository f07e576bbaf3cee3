//! A connection without a network: what arrives, in which pieces, and what was written.

use headgate_model::dice::Dice;
use headgate_net::buffer::{Buffers, HeadSize};
use headgate_net::deadline::{Deadline, Deadlines};
use headgate_net::h1::parse::HeadLimits;
use headgate_net::stream::Stream;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Small enough to be exceeded by a readable case.
pub(crate) const HEAD: HeadSize = HeadSize { bytes: 4096, fields: 20 };
pub(crate) const LIMITS: HeadLimits = HeadLimits { head_bytes: usize::MAX, fields: 20, target_bytes: 512 };

/// In which pieces bytes arrive.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pieces {
    Whole,
    Single,
    Random(u64),
}

impl Pieces {
    pub(crate) const SOME: [Self; 6] =
        [Self::Whole, Self::Single, Self::Random(1), Self::Random(2), Self::Random(3), Self::Random(4)];
}

/// One connection's surroundings.
pub(crate) struct Wire {
    pub(crate) stream: Stream,
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) deadline: Deadline,
    written: Rc<RefCell<Vec<u8>>>,
}

impl Wire {
    /// `bytes` arrive, then the peer closes.
    pub(crate) fn receiving(bytes: &[u8], pieces: Pieces) -> Self {
        let dice = match pieces {
            Pieces::Random(seed) => Dice::new(seed),
            _ => Dice::new(0),
        };
        let written = Rc::default();
        let script = Script { bytes: bytes.to_vec(), at: 0, pieces, dice, written: Rc::clone(&written) };
        Self { written, ..Self::over(Stream::over(Box::new(script))) }
    }

    pub(crate) fn over(stream: Stream) -> Self {
        let deadline = Deadlines::new().deadline();
        Self { stream, buffers: Buffers::new(HEAD), deadline, written: Rc::default() }
    }

    /// All that was sent.
    pub(crate) fn written(&self) -> Vec<u8> {
        self.written.borrow().clone()
    }
}

/// Runs `test` to its end. What would wait for ever fails at once: time stands still but for the timeout.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let limited = tokio::time::timeout(Duration::from_secs(1000), test);
        limited.await.expect("it waits for something that never comes")
    })
}

struct Script {
    bytes: Vec<u8>,
    at: usize,
    pieces: Pieces,
    dice: Dice,
    written: Rc<RefCell<Vec<u8>>>,
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        assert!(room.remaining() > 0, "a read without room looks like the end of the stream");
        let piece = match self.pieces {
            Pieces::Whole => usize::MAX,
            Pieces::Single => 1,
            Pieces::Random(_) => 1 + self.dice.below(40) as usize,
        };
        let from = self.at;
        self.at += piece.min(room.remaining()).min(self.bytes.len() - from);
        room.put_slice(&self.bytes[from..self.at]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // Never all at once, so that the rest is seen to follow.
        let taken = bytes.len().min(1000);
        self.written.borrow_mut().extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
