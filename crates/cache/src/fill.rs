//! One response on its way from the origin, to be read by many at once and perhaps stored: whoever asked first and
//! whoever joined. The head is decided on once; content is kept from its first byte for as long as the response may
//! be stored, else only until the slowest reader has it.

use crate::ahead::{Ahead, State as Fate};
use crate::key::Key;
use crate::object::Object;
use crate::rules::Freshness;
use bytes::{Bytes, BytesMut};
use headgate_model::fault::{Fault, FaultKind};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Content that waits for the slowest reader, where it is not kept: as much as lies in a socket's buffer.
const AHEAD_MAX: usize = 256 * 1024;
/// Content of unknown length is gathered in allocations of this size.
const PIECE: usize = 16 * 1024;
/// A known length is trusted this far: beyond, memory is taken as content arrives.
const TRUSTED_LEN: u64 = 1 << 20;

/// The head of a response that is on its way.
#[derive(Debug)]
pub struct FillHead {
    pub status: u16,
    /// Lines as in [`Object::head`]; with `own`, as they go to the client.
    pub lines: Box<[u8]>,
    /// The lines for whoever asked, where they have fields that are for nobody else.
    pub lines_once: Option<Box<[u8]>>,
    /// Length of the content, where that is known.
    pub length: Option<u64>,
    /// It has no content at all: 204, 304, or said by its framing.
    pub bodiless: bool,
    /// Headgate answers in place of an endpoint: nothing is added to it.
    pub own: bool,
    /// Where it may be stored: what is known of its use.
    pub stored: Option<StoredAs>,
}

/// What readers have to know of a response that will be stored.
#[derive(Debug)]
pub struct StoredAs {
    pub freshness: Freshness,
    pub selecting: Box<[u8]>,
}

/// An interim response (1xx) to the request of a fill.
#[derive(Debug)]
pub struct Interim {
    pub status: u16,
    /// Lines `name: value CRLF`.
    pub lines: Box<[u8]>,
}

/// What a reader learns before there is content.
#[derive(Clone, Debug)]
pub enum Word {
    Interim(Arc<Interim>),
    Outcome(Outcome),
}

/// What became of a fill.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A response follows.
    Head(Arc<FillHead>),
    /// What was stored is still right: use that. `updated` by a 304.
    Object {
        object: Arc<Object>,
        updated: bool,
    },
    /// A tier below the memory has it.
    Below {
        object: Arc<Object>,
        /// Name of the tier.
        tier: &'static str,
    },
    Failed(Fault),
}

/// Whom a fetch asked last, in the numbers of whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentTo {
    /// Of the configuration that the other numbers are of.
    pub generation: u64,
    pub service: usize,
    pub endpoint: usize,
    /// Attempts before this one.
    pub retries: u8,
}

/// A response on its way.
#[derive(Debug)]
pub struct Fill {
    pub key: Key,
    /// When it was asked for, on the purge clock.
    born: AtomicU64,
    /// Where it began before anybody asked.
    ahead: Option<Arc<Ahead>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sent_to: Option<SentTo>,
    /// As many as an attempt lets through.
    interims: Vec<Arc<Interim>>,
    outcome: Option<Outcome>,
    pieces: VecDeque<Bytes>,
    /// Pieces that were let go, before the first of `pieces`.
    gone: usize,
    /// Bytes in `pieces`.
    waiting: usize,
    /// All content is kept.
    kept: bool,
    ended: Option<Result<(), Fault>>,
    readers: Vec<Option<Place>>,
    waiting_writer: Option<Waker>,
}

/// Where a reader is.
#[derive(Debug, Default)]
struct Place {
    /// Index of its next piece.
    next: usize,
    /// It waits.
    waker: Option<Waker>,
}

impl State {
    fn wake_readers(&mut self) {
        for waker in self.readers.iter_mut().flatten().filter_map(|place| place.waker.take()) {
            waker.wake();
        }
    }

    fn wait(&mut self, reader: usize, cx: &Context<'_>) {
        if let Some(place) = &mut self.readers[reader] {
            place.waker = Some(cx.waker().clone());
        }
    }

    /// Lets go what every reader has, unless it is kept.
    fn trim(&mut self) {
        if self.kept {
            return;
        }
        let slowest = self.readers.iter().flatten().map(|place| place.next).min();
        let slowest = slowest.unwrap_or(self.gone + self.pieces.len());
        while self.gone < slowest
            && let Some(piece) = self.pieces.pop_front()
        {
            self.gone += 1;
            self.waiting -= piece.len();
        }
        if self.waiting < AHEAD_MAX
            && let Some(writer) = self.waiting_writer.take()
        {
            writer.wake();
        }
    }
}

impl Fill {
    /// To be called when it is asked for.
    pub fn set_born(&self, born: u64) {
        self.born.store(born, Ordering::Release);
    }

    pub(crate) fn born(&self) -> u64 {
        self.born.load(Ordering::Acquire)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called with each attempt.
    pub fn set_sent_to(&self, sent_to: SentTo) {
        self.state().sent_to = Some(sent_to);
    }

    /// Where it began before anybody asked, and still nobody has.
    #[must_use]
    pub fn ahead(&self) -> Option<&Arc<Ahead>> {
        self.ahead.as_ref().filter(|ahead| ahead.state() == Fate::UnderWay)
    }

    /// Reads along, from the first byte. None when it has already let content go, or `most` read already.
    pub fn join(self: &Arc<Self>, most: usize) -> Option<Reader> {
        let mut state = self.state();
        if state.gone > 0 || state.readers.iter().flatten().count() >= most {
            return None;
        }
        if let Some(ahead) = &self.ahead {
            ahead.ask();
        }
        let free = state.readers.iter().position(Option::is_none);
        let place = free.unwrap_or_else(|| {
            state.readers.push(None);
            state.readers.len() - 1
        });
        state.readers[place] = Some(Place::default());
        drop(state);
        Some(Reader { fill: Arc::clone(self), place, interims_seen: 0 })
    }
}

/// One who reads along.
#[derive(Debug)]
pub struct Reader {
    fill: Arc<Fill>,
    place: usize,
    interims_seen: usize,
}

impl Reader {
    /// Ready when it is known what becomes of the response.
    pub fn poll_outcome(&self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.fill.state();
        if let Some(outcome) = &state.outcome {
            return Poll::Ready(outcome.clone());
        }
        state.wait(self.place, cx);
        Poll::Pending
    }

    /// As [`Self::poll_outcome`], with the interim responses before it.
    pub fn poll_word(&mut self, cx: &mut Context<'_>) -> Poll<Word> {
        let next = self.fill.state().interims.get(self.interims_seen).map(Arc::clone);
        if let Some(interim) = next {
            self.interims_seen += 1;
            return Poll::Ready(Word::Interim(interim));
        }
        self.poll_outcome(cx).map(Word::Outcome)
    }

    /// None where nobody was asked.
    #[must_use]
    pub fn sent_to(&self) -> Option<SentTo> {
        self.fill.state().sent_to
    }

    /// Whether the next piece, or the end, is there already.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let state = self.fill.state();
        let next = state.readers[self.place].as_ref().map_or(0, |place| place.next);
        state.ended.is_some() || next < state.gone + state.pieces.len()
    }

    /// The next piece of content; None at its end.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Fault>> {
        let mut state = self.fill.state();
        let next = state.readers[self.place].as_ref().map_or(0, |place| place.next);
        // Its own place is what keeps the piece from being let go.
        if let Some(piece) = next.checked_sub(state.gone).and_then(|at| state.pieces.get(at)) {
            let piece = piece.clone();
            state.readers[self.place] = Some(Place { next: next + 1, waker: None });
            state.trim();
            return Poll::Ready(Ok(Some(piece)));
        }
        if let Some(ended) = &state.ended {
            return Poll::Ready(ended.clone().map(|()| None));
        }
        state.wait(self.place, cx);
        Poll::Pending
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.fill.state();
        state.readers[self.place] = None;
        state.trim();
        // Nobody may be left to write for.
        if let Some(writer) = state.waiting_writer.take() {
            writer.wake();
        }
    }
}

/// The one who writes. Dropped before the end it fails the fill, so that no reader waits for ever.
#[derive(Debug)]
pub struct Writer {
    fill: Arc<Fill>,
    /// Room for the next pieces.
    room: BytesMut,
    written: u64,
}

impl Writer {
    /// Of a new fill.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self::ahead(key, None)
    }

    /// Of a new fill that began before anybody asked.
    pub(crate) fn ahead(key: Key, ahead: Option<Arc<Ahead>>) -> Self {
        let born = AtomicU64::new(0);
        let fill = Fill { key, born, ahead, state: Mutex::new(State { kept: true, ..State::default() }) };
        Self { fill: Arc::new(fill), room: BytesMut::new(), written: 0 }
    }

    #[must_use]
    pub fn fill(&self) -> &Arc<Fill> {
        &self.fill
    }

    /// An interim response has come, for whoever reads already.
    pub fn interim(&self, interim: Interim) {
        let mut state = self.fill.state();
        if state.readers.iter().flatten().next().is_some() {
            state.interims.push(Arc::new(interim));
            state.wake_readers();
        }
    }

    /// Says what becomes of the response. Of one that is not stored, content is let go once it was read.
    pub fn decide(&mut self, outcome: Outcome) {
        let kept = match &outcome {
            Outcome::Head(head) => {
                if let Some(length) =
                    head.length.filter(|length| head.stored.is_some() && *length <= TRUSTED_LEN)
                {
                    self.room = BytesMut::with_capacity(length as usize);
                }
                head.stored.is_some()
            }
            Outcome::Object { .. } | Outcome::Below { .. } | Outcome::Failed(_) => true,
        };
        let mut state = self.fill.state();
        if !matches!(outcome, Outcome::Head(_)) {
            state.ended = Some(Ok(()));
        }
        state.outcome = Some(outcome);
        state.kept = kept;
        state.wake_readers();
    }

    /// Ready when there is room for another piece.
    ///
    /// # Errors
    /// When nobody reads what is not kept either.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let mut state = self.fill.state();
        if state.kept {
            return Poll::Ready(Ok(()));
        }
        if state.readers.iter().flatten().next().is_none() {
            let fault = Fault::new(FaultKind::ClientClosed, "nobody waits for this response any more");
            return Poll::Ready(Err(fault));
        }
        if state.waiting < AHEAD_MAX {
            return Poll::Ready(Ok(()));
        }
        state.waiting_writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Takes a piece of content.
    pub fn push(&mut self, piece: &[u8]) {
        self.written += piece.len() as u64;
        let mut rest = piece;
        let mut state = self.fill.state();
        while !rest.is_empty() {
            if self.room.capacity() == 0 {
                self.room.reserve(rest.len().max(PIECE));
            }
            let (now, later) = rest.split_at(rest.len().min(self.room.capacity()));
            self.room.extend_from_slice(now);
            rest = later;
            let piece = self.room.split().freeze();
            state.waiting += piece.len();
            state.pieces.push_back(piece);
        }
        state.wake_readers();
    }

    /// Bytes of content so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The response is not stored after all: from here on content is only passed on.
    pub fn let_go(&self) {
        let mut state = self.fill.state();
        state.kept = false;
        state.trim();
    }

    /// All content so far, if it was kept.
    #[must_use]
    pub fn content(&self) -> Option<Vec<Bytes>> {
        let state = self.fill.state();
        state.kept.then(|| state.pieces.iter().cloned().collect())
    }

    /// The content is complete.
    pub fn finish(&self) {
        self.end(Ok(()));
    }

    /// The response broke off, or never came.
    pub fn fail(&self, fault: Fault) {
        self.end(Err(fault));
    }

    fn end(&self, result: Result<(), Fault>) {
        let mut state = self.fill.state();
        if state.ended.is_some() {
            return;
        }
        if let (None, Err(fault)) = (&state.outcome, &result) {
            state.outcome = Some(Outcome::Failed(fault.clone()));
        }
        state.ended = Some(result);
        state.wake_readers();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end(Err(Fault::new(FaultKind::Internal, "the response was given up on its way")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;
    use std::task::Waker;

    fn head(stored: bool, length: Option<u64>) -> Outcome {
        let stored = stored.then(|| StoredAs { freshness: freshness(), selecting: Box::default() });
        Outcome::Head(Arc::new(FillHead {
            status: 200,
            lines: Box::default(),
            lines_once: None,
            length,
            bodiless: false,
            own: false,
            stored,
        }))
    }

    fn freshness() -> Freshness {
        Freshness {
            received_ms: 0,
            initial_age_s: 0,
            lifetime_s: 60,
            stale_while_revalidate_s: 0,
            stale_if_error_s: 0,
            when_stale: crate::rules::WhenStale::Allowed,
            always_revalidate: false,
            immutable: false,
        }
    }

    fn cx() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    /// All that is there now, and whether the end was.
    fn drain(reader: &mut Reader) -> (Vec<u8>, bool) {
        let mut content = Vec::new();
        loop {
            match reader.poll_piece(&mut cx()) {
                Poll::Ready(Ok(Some(piece))) => content.extend_from_slice(&piece),
                Poll::Ready(Ok(None)) => return (content, true),
                Poll::Ready(Err(fault)) => panic!("{fault}"),
                Poll::Pending => return (content, false),
            }
        }
    }

    #[test]
    fn every_reader_gets_every_byte_however_the_turns_fall() {
        for seed in 0..300 {
            let dice = &mut Dice::new(seed);
            let content: Vec<u8> = (0..dice.below(200_000)).map(|at| at as u8).collect();
            let length = (dice.below(2) == 0).then_some(content.len() as u64);
            let mut writer = Writer::new(Key::from(&b"k"[..]));
            writer.decide(head(true, length));
            let mut readers: Vec<(Reader, Vec<u8>)> = Vec::new();
            let mut rest = &content[..];
            while !rest.is_empty() {
                if dice.below(3) == 0 {
                    readers.push((writer.fill().join(100).unwrap(), Vec::new()));
                }
                let (now, later) = rest.split_at(rest.len().min(1 + dice.below(40_000) as usize));
                writer.push(now);
                rest = later;
                for (reader, got) in &mut readers {
                    if dice.below(2) == 0 {
                        got.extend(drain(reader).0);
                    }
                }
            }
            writer.finish();
            readers.push((writer.fill().join(100).unwrap(), Vec::new()));
            for (reader, got) in &mut readers {
                let (more, ended) = drain(reader);
                got.extend(more);
                assert!(ended && *got == content, "seed {seed}");
            }
            assert_eq!(writer.content().unwrap().concat(), content, "seed {seed}");
        }
    }

    #[test]
    fn what_is_not_stored_waits_for_its_slowest_reader() {
        let mut writer = Writer::new(Key::from(&b"k"[..]));
        let mut slow = writer.fill().join(2).unwrap();
        let mut quick = writer.fill().join(2).unwrap();
        assert!(writer.fill().join(2).is_none(), "two read already");
        writer.decide(head(false, None));
        let piece = vec![7; 64 * 1024];
        let mut written = 0;
        while writer.poll_room(&mut cx()).is_ready() {
            writer.push(&piece);
            written += piece.len();
            drain(&mut quick);
        }
        assert!((AHEAD_MAX..=2 * AHEAD_MAX).contains(&written), "{written}");
        assert_eq!(drain(&mut slow).0.len(), written);
        assert!(writer.poll_room(&mut cx()).is_ready());
        assert!(writer.content().is_none());
        drop((slow, quick));
        assert!(matches!(writer.poll_room(&mut cx()), Poll::Ready(Err(_))), "nobody is left");
        assert!(writer.fill().join(2).is_none(), "the beginning is gone");
    }

    #[test]
    fn a_writer_that_is_gone_leaves_nobody_waiting() {
        let mut writer = Writer::new(Key::from(&b"k"[..]));
        let mut reader = writer.fill().join(1).unwrap();
        assert!(reader.poll_outcome(&mut cx()).is_pending());
        writer.decide(head(true, None));
        writer.push(b"half");
        drop(writer);
        assert!(matches!(reader.poll_piece(&mut cx()), Poll::Ready(Ok(Some(_)))));
        assert!(matches!(reader.poll_piece(&mut cx()), Poll::Ready(Err(_))), "half is not the whole");
        let writer = Writer::new(Key::from(&b"k"[..]));
        let reader = writer.fill().join(1).unwrap();
        drop(writer);
        assert!(matches!(reader.poll_outcome(&mut cx()), Poll::Ready(Outcome::Failed(_))));
    }
}
