//! One direction of a poisoned connection: bytes are read, go from toxic to toxic through bounded queues, and
//! are written. What a toxic does is not here.

use super::{Carries, corrupt, end, shape};
use crate::stream::Stream;
use headgate_model::dice::Dice;
use headgate_model::spec::Direction;
use headgate_model::toxic::ToxicKind;
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks that may wait at a `latency`: what is under way on a long line. A mebibyte.
const UNDER_WAY: usize = 64;

/// Bytes under way, and since when.
pub(super) struct Chunk {
    pub bytes: Vec<u8>,
    pub at: Instant,
}

impl Chunk {
    pub(super) fn now(bytes: Vec<u8>) -> Self {
        Self { bytes, at: Instant::now() }
    }
}

/// How the connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fate {
    #[default]
    Open,
    /// Closed by a toxic.
    Closed,
    /// Broken, by a toxic or for real.
    Reset,
}

/// What both directions and the gateway's end know of the connection.
#[derive(Default)]
pub(super) struct Shared {
    fate: Cell<Fate>,
    changed: Notify,
}

impl Shared {
    pub(super) fn fate(&self) -> Fate {
        self.fate.get()
    }

    /// Ends the connection, both directions at once.
    pub(super) fn end(&self, fate: Fate) {
        if self.fate.get() == Fate::Open {
            self.fate.set(fate);
            self.changed.notify_one();
        }
    }

    /// Waits for the end that [`Self::end`] makes. For one caller.
    pub(super) async fn ended(&self) {
        while self.fate.get() == Fate::Open {
            self.changed.notified().await;
        }
    }
}

/// A toxic's place between two others.
pub(super) struct Pipe {
    pub from: mpsc::Receiver<Chunk>,
    pub to: mpsc::Sender<Chunk>,
    pub shared: Rc<Shared>,
    /// What has been written shall be the last of the connection.
    pub is_last: Rc<Cell<bool>>,
}

impl Pipe {
    /// Hands a chunk on; false when nobody takes any more.
    pub(super) async fn send(&self, bytes: Vec<u8>) -> bool {
        self.to.send(Chunk::now(bytes)).await.is_ok()
    }
}

/// One direction with its toxics.
pub(super) struct Lane {
    pub stream: Direction,
    pub toxics: Vec<ToxicKind>,
    pub carries: Carries,
    pub seed: u64,
    pub shared: Rc<Shared>,
}

impl Lane {
    /// Starts the tasks that carry bytes from one end to the other.
    pub(super) fn start(
        self,
        from: impl AsyncRead + Unpin + 'static,
        to: impl AsyncWrite + Unpin + 'static,
        tasks: &mut JoinSet<()>,
    ) {
        let mut dice = Dice::new(self.seed);
        let is_last = Rc::<Cell<bool>>::default();
        let (first, mut last) = queue(self.toxics.first());
        let shared = Rc::clone(&self.shared);
        tasks.spawn_local(async move { read(from, first, &shared).await });
        for (at, &toxic) in self.toxics.iter().enumerate() {
            let (next, behind) = queue(self.toxics.get(at + 1));
            let from = std::mem::replace(&mut last, behind);
            let pipe = Pipe { from, to: next, shared: Rc::clone(&self.shared), is_last: Rc::clone(&is_last) };
            let (stream, carries, dice) = (self.stream, self.carries, Dice::new(dice.bits()));
            tasks.spawn_local(async move { run(toxic, pipe, stream, carries, dice).await });
        }
        let shared = self.shared;
        tasks.spawn_local(async move { write(last, to, &shared, &is_last).await });
    }
}

/// The queue before a toxic, or before the end.
fn queue(toxic: Option<&ToxicKind>) -> (mpsc::Sender<Chunk>, mpsc::Receiver<Chunk>) {
    mpsc::channel(if matches!(toxic, Some(ToxicKind::Latency { .. })) { UNDER_WAY } else { 1 })
}

async fn run(toxic: ToxicKind, pipe: Pipe, stream: Direction, carries: Carries, dice: Dice) {
    match toxic {
        ToxicKind::Latency { latency, jitter } => shape::latency(pipe, latency, jitter, dice).await,
        ToxicKind::Bandwidth { bytes_per_second } => shape::bandwidth(pipe, bytes_per_second).await,
        ToxicKind::Slicer { average_size, size_variation, delay } => {
            shape::slicer(pipe, average_size, size_variation, delay, dice).await;
        }
        ToxicKind::SlowClose { delay } => end::slow_close(pipe, delay).await,
        ToxicKind::Timeout { timeout } => end::timeout(pipe, timeout).await,
        ToxicKind::ResetPeer { timeout } => end::reset_peer(pipe, timeout).await,
        ToxicKind::LimitData { bytes } => end::limit_data(pipe, bytes).await,
        ToxicKind::Corrupt { probability } => {
            corrupt::corrupt(pipe, probability, stream, carries, dice).await
        }
    }
}

/// Reads to the end.
async fn read(mut from: impl AsyncRead + Unpin, to: mpsc::Sender<Chunk>, shared: &Shared) {
    loop {
        // Room before bytes: what cannot be handed on is not read.
        let Ok(place) = to.reserve().await else { return };
        let mut bytes = vec![0; CHUNK_BYTES];
        match from.read(&mut bytes).await {
            Ok(0) => return,
            Ok(count) => {
                bytes.truncate(count);
                place.send(Chunk::now(bytes));
            }
            Err(_) => return shared.end(Fate::Reset),
        }
    }
}

/// Writes what comes, then the end.
async fn write(
    mut from: mpsc::Receiver<Chunk>,
    mut to: impl AsyncWrite + Unpin,
    shared: &Shared,
    is_last: &Cell<bool>,
) {
    while let Some(chunk) = from.recv().await {
        let written = async {
            to.write_all(&chunk.bytes).await?;
            to.flush().await
        };
        if written.await.is_err() {
            return shared.end(Fate::Reset);
        }
    }
    if is_last.get() {
        return shared.end(Fate::Closed);
    }
    // A peer that is gone need not be told.
    let _ = to.shutdown().await;
}

/// The endpoint's side of the connection, once for each direction.
pub(super) struct Side(pub Rc<Stream>);

impl AsyncRead for Side {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.0.poll_read(cx, buf.initialize_unfilled());
        read.map_ok(|count| buf.advance(count))
    }
}

impl AsyncWrite for Side {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }
}
