//! What the readers of one HTTP/2 connection's bodies leave lying. `h2` keeps each DATA frame apart, which costs some
//! 300 bytes beside its content, and ends the whole connection when that becomes too much: one reader that pauses
//! would end the streams of all. So small frames that pile up are gathered here, each body's in one piece. Their
//! bytes are bounded by the windows, which open only as pieces are read.

use bytes::{Bytes, BytesMut};
use h2::{Error, RecvStream};
use http::HeaderMap;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

/// DATA frames shorter than this cost more than they carry; `h2` charges what they lack.
const SMALL: u32 = 256;
/// Small frames that a connection may bring before its bodies are gathered.
const GATHER_FROM: u32 = 1_024;
/// What small frames may lack in all, in bytes, before `h2` gives up on the connection: several times what
/// comes between two gatherings, which is a little more than one read.
pub const SMALL_FRAMES_BUDGET: usize = 4 * 1024 * 1024;

/// The bodies that one connection receives.
#[derive(Default)]
pub struct Backlog {
    bodies: RefCell<Vec<Weak<Received>>>,
    small: Cell<u32>,
    due: Cell<bool>,
}

impl Backlog {
    /// A DATA frame with content of this length came.
    pub(crate) fn arrived(&self, length: u32) {
        if length < SMALL {
            self.small.set(self.small.get() + 1);
        }
    }

    /// Whether no more should be read in this turn, because [`Self::gather`] is due first. Says so once.
    pub(crate) fn is_crowded(&self) -> bool {
        let crowded = self.small.get() >= GATHER_FROM;
        if crowded {
            self.small.set(0);
            self.due.set(true);
        }
        crowded
    }

    /// Gathers what has piled up, if that is due. Whoever drives the connection calls it after each turn.
    pub fn gather(&self) {
        if self.due.replace(false) {
            self.bodies.borrow().iter().filter_map(Weak::upgrade).for_each(|body| body.gather());
        }
    }

    /// Another body that begins.
    #[must_use]
    pub fn receive(&self, stream: RecvStream) -> Rc<Received> {
        let body = Rc::new(Received(RefCell::new(Inner { stream, gathered: BytesMut::new(), reader: None })));
        let mut bodies = self.bodies.borrow_mut();
        if bodies.len() == bodies.capacity() {
            bodies.retain(|body| body.strong_count() > 0);
        }
        bodies.push(Rc::downgrade(&body));
        body
    }
}

/// One body as it arrives.
pub struct Received(RefCell<Inner>);

struct Inner {
    stream: RecvStream,
    /// Comes before what is still in `stream`.
    gathered: BytesMut,
    /// Who waits for the stream: asking it on behalf of nobody would make it forget.
    reader: Option<Waker>,
}

impl Inner {
    fn register(&mut self, cx: &Context<'_>) {
        match &mut self.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            reader => *reader = Some(cx.waker().clone()),
        }
    }
}

impl Received {
    /// The next piece; its share of the window opens with [`Self::release`].
    pub(super) fn poll_data(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let mut inner = self.0.borrow_mut();
        if !inner.gathered.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut inner.gathered).freeze())));
        }
        inner.register(cx);
        inner.stream.poll_data(cx)
    }

    pub(super) fn poll_trailers(&self, cx: &mut Context<'_>) -> Poll<Result<Option<HeaderMap>, Error>> {
        let mut inner = self.0.borrow_mut();
        inner.register(cx);
        inner.stream.poll_trailers(cx)
    }

    pub(super) fn release(&self, bytes: usize) {
        // Fails only on a stream that is over, where windows no longer matter.
        let _ = self.0.borrow_mut().stream.flow_control().release_capacity(bytes);
    }

    /// Whether nothing more comes, trailers included.
    pub(super) fn is_end_stream(&self) -> bool {
        let inner = self.0.borrow();
        inner.gathered.is_empty() && inner.stream.is_end_stream()
    }

    fn gather(&self) {
        let Inner { stream, gathered, reader } = &mut *self.0.borrow_mut();
        let mut cx = Context::from_waker(reader.as_ref().unwrap_or(Waker::noop()));
        while let Poll::Ready(Some(Ok(piece))) = stream.poll_data(&mut cx) {
            gathered.extend_from_slice(&piece);
        }
    }
}
