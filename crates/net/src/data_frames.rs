//! Keeps `h2` from ending a connection for DATA frames that are merely many: of those without content it takes a
//! hundred in a connection's life, so it is shown none; after many short ones reading pauses until they are
//! gathered. Floods are counted elsewhere, before.

use crate::body::Backlog;
use crate::frames::{DATA, END_STREAM};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// A frame's header (RFC 9113 section 4.1): length, type, flags, stream.
const HEADER: usize = 9;
const TYPE: usize = 3;
const FLAGS: usize = 4;
/// A type that nobody has given a meaning; such frames are passed over (section 5.5).
const UNKNOWN: u8 = 0xfa;

/// One connection's incoming frames on their way to `h2`.
pub(crate) struct DataFrames {
    backlog: Rc<Backlog>,
    header: [u8; HEADER],
    header_len: usize,
    /// Bytes to pass over: what precedes the first frame, later a frame's payload.
    skip: u64,
    /// The last byte read, a type, is kept back: what becomes of it depends on the flags.
    undecided: bool,
    /// Bytes that were decided upon apart, to be given before others.
    decided: Vec<u8>,
}

impl DataFrames {
    /// A connection whose first frame comes behind `skip` bytes.
    pub(crate) fn behind(skip: u64, backlog: Rc<Backlog>) -> Self {
        Self { backlog, header: [0; HEADER], header_len: 0, skip, undecided: false, decided: Vec::new() }
    }

    /// Reads by means of `read`, into what it is given.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        mut read: impl FnMut(&mut Context<'_>, &mut ReadBuf<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        if self.backlog.is_crowded() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if !self.decided.is_empty() {
                let now = self.decided.len().min(buf.remaining());
                buf.put_slice(&self.decided[..now]);
                self.decided.drain(..now);
                return Poll::Ready(Ok(()));
            }
            if self.undecided {
                let mut flags = [0];
                let mut one = ReadBuf::new(&mut flags);
                ready!(read(cx, &mut one))?;
                if one.filled().is_empty() {
                    return Poll::Ready(Ok(()));
                }
                self.undecided = false;
                let mut both = [DATA, flags[0]];
                self.header_len -= 1;
                self.show(&mut both);
                self.decided.extend_from_slice(&both);
                continue;
            }
            let before = buf.filled().len();
            ready!(read(cx, buf))?;
            let count = buf.filled().len() - before;
            let shown = self.show(&mut buf.filled_mut()[before..]);
            buf.set_filled(before + shown);
            if shown > 0 || count == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Gives the DATA frames without content and end another type. How many bytes may be shown: all, but for
    /// a last one that is undecided.
    fn show(&mut self, bytes: &mut [u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            if self.skip > 0 {
                let passed = (bytes.len() - at).min(usize::try_from(self.skip).unwrap_or(usize::MAX));
                self.skip -= passed as u64;
                at += passed;
                continue;
            }
            // Nearly all headers come whole.
            if let (0, Some(header)) = (self.header_len, bytes[at..].first_chunk_mut::<HEADER>()) {
                self.header = *header;
                if self.is_empty_data() && self.header[FLAGS] & END_STREAM == 0 {
                    header[TYPE] = UNKNOWN;
                }
                at += HEADER;
                self.pass_payload();
                continue;
            }
            self.header[self.header_len] = bytes[at];
            self.header_len += 1;
            at += 1;
            if self.header_len == FLAGS + 1 && self.is_empty_data() && self.header[FLAGS] & END_STREAM == 0 {
                // It is in these bytes: a type at the end of the last ones was kept back.
                bytes[at - 2] = UNKNOWN;
            }
            if self.header_len == HEADER {
                self.header_len = 0;
                self.pass_payload();
            }
        }
        self.undecided = self.header_len == FLAGS && self.is_empty_data();
        bytes.len() - usize::from(self.undecided)
    }

    /// Behind a whole header.
    fn pass_payload(&mut self) {
        let [high, middle, low, kind, ..] = self.header;
        let length = u32::from_be_bytes([0, high, middle, low]);
        self.skip = length.into();
        if kind == DATA && length > 0 {
            self.backlog.arrived(length);
        }
    }

    /// Of a header that is known to its type.
    fn is_empty_data(&self) -> bool {
        self.header[..=TYPE] == [0, 0, 0, DATA]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;
    use std::task::Waker;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![0, (payload >> 8) as u8, payload as u8, kind, flags, 0, 0, 0, 1];
        frame.resize(HEADER + payload, 0);
        frame
    }

    /// What is shown of `wire` when it comes, and is asked for, in pieces of up to so many bytes.
    fn shown(wire: &[u8], most: u64, dice: &mut Dice) -> Vec<u8> {
        let mut frames = DataFrames::behind(5, Rc::default());
        let mut rest = wire;
        let mut shown = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            let mut room = vec![0; 1 + dice.below(most) as usize];
            let mut buf = ReadBuf::new(&mut room);
            let come = 1 + dice.below(most) as usize;
            let read = frames.poll_read(&mut cx, &mut buf, |_, buf| {
                let (now, later) = rest.split_at(come.min(buf.remaining()).min(rest.len()));
                buf.put_slice(now);
                rest = later;
                Poll::Ready(Ok(()))
            });
            match read {
                Poll::Ready(_) if buf.filled().is_empty() => return shown,
                Poll::Ready(_) => shown.extend_from_slice(buf.filled()),
                Poll::Pending => {}
            }
        }
    }

    #[test]
    fn only_empty_data_is_hidden_however_the_bytes_come() {
        for seed in 0..200 {
            let mut dice = Dice::new(seed);
            let (mut wire, mut expected) = (b"hello".to_vec(), b"hello".to_vec());
            for _ in 0..100 {
                let (kind, flags) = (dice.below(3) as u8, dice.below(2) as u8);
                let length = [0, 0, 3, 300][dice.below(4) as usize];
                let sent = frame(kind, flags, length);
                wire.extend_from_slice(&sent);
                let hidden = kind == DATA && flags == 0 && length == 0;
                expected.extend(if hidden { frame(UNKNOWN, 0, 0) } else { sent });
            }
            let most = [1, 4, 1_000][seed as usize % 3];
            assert_eq!(shown(&wire, most, &mut dice), expected, "seed {seed}");
        }
    }

    #[test]
    fn many_short_frames_are_gathered_before_more_is_read() {
        let backlog = Rc::new(Backlog::default());
        let mut frames = DataFrames::behind(0, Rc::clone(&backlog));
        let mut cx = Context::from_waker(Waker::noop());
        let (mut room, mut pauses) = ([0; 29], 0);
        for _ in 0..10_000 {
            let short = frame(DATA, 0, 20);
            let read = frames.poll_read(&mut cx, &mut ReadBuf::new(&mut room), |_, buf| {
                buf.put_slice(&short);
                Poll::Ready(Ok(()))
            });
            pauses += u32::from(read.is_pending());
        }
        assert!((5..20).contains(&pauses), "{pauses}");
    }
}
