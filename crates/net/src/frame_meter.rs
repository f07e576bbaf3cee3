//! Counts the frames of an HTTP/2 client that cost much and carry nothing: PING, SETTINGS, PRIORITY,
//! WINDOW_UPDATE, CONTINUATION, empty DATA and unknown ones; and the requests that `h2` refuses without telling.
//! Reads frame headers only and never waits; the frames themselves are understood elsewhere. Resets and header
//! lists are bounded elsewhere too.

use crate::body::Backlog;
use crate::data_frames::DataFrames;
use crate::frames::{DATA, END_STREAM, Frame, Frames, HEADERS, RST_STREAM};
use crate::gathered::Gathered;
use headgate_model::units::Tick;
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Idle frames that a connection may send at once.
const BURST: u32 = 4_000;
/// And on top of it, in each second.
const PER_SECOND: u64 = 1_000;
/// Each so many bytes that it was sent allow one more: clients answer content with window updates.
const BYTES_SENT_PER_FRAME: u64 = 512;

/// Length of the connection preface (RFC 9113 section 3.4).
const PREFACE: u64 = 24;
/// The code by which `h2` resets the stream of a request that it does not hand on (section 7).
const PROTOCOL_ERROR: u32 = 0x1;

/// Requests that were refused before anybody else saw them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    pub malformed: u32,
    /// Answered 431: the head was larger than the limit.
    pub too_large: u32,
}

/// One connection's budget of idle frames. Frames with content and requests earn what idle ones cost.
#[derive(Debug)]
pub struct FrameMeter {
    receiving: Frames,
    sending: Frames,
    /// The last stream whose request was handed on. Requests are handed on in order.
    handed_on: u32,
    /// The last stream that was answered without having been handed on.
    answered: u32,
    refused: Refused,
    budget: u32,
    /// Until when time was already paid out.
    paid: Tick,
    sent: u64,
    spent: bool,
}

impl FrameMeter {
    /// A connection that begins at `now` with the client's preface.
    #[must_use]
    pub fn new(now: Tick) -> Self {
        Self {
            receiving: Frames::behind(PREFACE),
            sending: Frames::behind(0),
            handed_on: 0,
            answered: 0,
            refused: Refused::default(),
            budget: BURST,
            paid: now,
            sent: 0,
            spent: false,
        }
    }

    /// Takes note of received bytes, in any pieces.
    pub fn received(&mut self, bytes: &[u8], now: impl Fn() -> Tick) {
        let mut receiving = std::mem::replace(&mut self.receiving, Frames::behind(0));
        receiving.read(bytes, |frame| self.frame(frame, &now));
        self.receiving = receiving;
    }

    /// Takes note of bytes that were sent to the client, in any pieces.
    pub fn sent(&mut self, bytes: &[u8]) {
        let (handed_on, answered, refused) = (self.handed_on, &mut self.answered, &mut self.refused);
        self.sending.read(bytes, |frame| match frame.kind {
            _ if frame.stream <= handed_on || frame.stream == *answered => {}
            HEADERS => {
                *answered = frame.stream;
                refused.too_large += 1;
            }
            RST_STREAM if frame.code == PROTOCOL_ERROR => refused.malformed += 1,
            _ => {}
        });
        self.sent += bytes.len() as u64;
        let earned = self.sent / BYTES_SENT_PER_FRAME;
        self.sent %= BYTES_SENT_PER_FRAME;
        self.earn(earned);
    }

    /// The request of this stream was handed on.
    pub fn handed_on(&mut self, stream: u32) {
        self.handed_on = self.handed_on.max(stream);
    }

    /// What was refused since this was asked last.
    pub fn take_refused(&mut self) -> Refused {
        std::mem::take(&mut self.refused)
    }

    /// The client sent more idle frames than it may: it has to go.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.spent
    }

    fn frame(&mut self, frame: Frame, now: &impl Fn() -> Tick) {
        match frame.kind {
            DATA if frame.length > 0 => self.earn(1),
            DATA if frame.flags & END_STREAM != 0 => {}
            HEADERS => self.earn(1),
            RST_STREAM => {}
            _ => self.pay(now),
        }
    }

    fn pay(&mut self, now: &impl Fn() -> Tick) {
        if self.budget == 0 {
            // Only now the clock is asked.
            let now = now();
            let earned = now.since(self.paid).as_millis() as u64 * PER_SECOND / 1_000;
            self.paid = now;
            self.earn(earned);
        }
        self.spent |= self.budget == 0;
        self.budget = self.budget.saturating_sub(1);
    }

    fn earn(&mut self, frames: u64) {
        self.budget = u64::from(self.budget).saturating_add(frames).min(u64::from(BURST)) as u32;
    }
}

/// A client's stream whose frames are counted. Once the budget is spent it reads no more: whoever drives
/// the connection has to look at the meter, and to send what was gathered, after each turn.
pub struct Metered<Clock> {
    stream: Rc<Gathered>,
    meter: Rc<RefCell<FrameMeter>>,
    clock: Clock,
    data: DataFrames,
}

impl<Clock: Fn() -> Tick> Metered<Clock> {
    #[must_use]
    pub fn new(
        stream: Rc<Gathered>,
        meter: Rc<RefCell<FrameMeter>>,
        backlog: Rc<Backlog>,
        clock: Clock,
    ) -> Self {
        Self { stream, meter, clock, data: DataFrames::behind(PREFACE, backlog) }
    }
}

impl<Clock: Fn() -> Tick + Unpin> AsyncRead for Metered<Clock> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, meter, clock, data } = self.get_mut();
        let mut meter = meter.borrow_mut();
        if meter.is_spent() {
            return Poll::Pending;
        }
        data.poll_read(cx, buf, |cx, buf| {
            let before = buf.filled().len();
            let read = stream.poll_read(cx, buf);
            meter.received(&buf.filled()[before..], &*clock);
            read
        })
    }
}

impl<Clock: Fn() -> Tick + Unpin> AsyncWrite for Metered<Clock> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream.poll_write_vectored(cx, parts);
        if let Poll::Ready(Ok(mut left)) = written {
            for part in parts {
                let count = left.min(part.len());
                self.meter.borrow_mut().sent(&part[..count]);
                left -= count;
            }
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Comes after each frame, and does nothing: what was gathered goes at the end of the turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    const PING: u8 = 0x6;
    const WINDOW_UPDATE: u8 = 0x8;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![0, (payload >> 8) as u8, payload as u8, kind, flags, 0, 0, 0, 1];
        frame.resize(9 + payload, 0xaa);
        frame
    }

    fn begun() -> FrameMeter {
        let mut meter = FrameMeter::new(Tick(0));
        meter.received(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", || Tick(0));
        meter
    }

    #[test]
    fn idle_frames_beyond_the_burst_are_too_many() {
        let mut meter = begun();
        for _ in 0..BURST {
            meter.received(&frame(PING, 0, 8), || Tick(0));
        }
        assert!(!meter.is_spent());
        meter.received(&frame(PING, 0, 8), || Tick(0));
        assert!(meter.is_spent());
    }

    #[test]
    fn time_allows_more_of_them() {
        let mut meter = begun();
        let mut now = 0;
        for _ in 0..4 * BURST {
            now += 1_000_000_000 / PER_SECOND;
            meter.received(&frame(PING, 0, 8), || Tick(now));
        }
        assert!(!meter.is_spent());
    }

    #[test]
    fn content_in_either_direction_earns_window_updates() {
        let mut meter = begun();
        for _ in 0..4 * BURST {
            meter.received(&frame(DATA, 0, 1_000), || Tick(0));
            meter.received(&frame(WINDOW_UPDATE, 0, 4), || Tick(0));
            meter.sent(&frame(DATA, 0, 1_015));
            meter.received(&frame(WINDOW_UPDATE, 0, 4), || Tick(0));
            meter.received(&frame(WINDOW_UPDATE, 0, 4), || Tick(0));
        }
        assert!(!meter.is_spent());
    }

    #[test]
    fn what_was_refused_is_seen_in_what_was_sent() {
        let on = |stream: u8, mut frame: Vec<u8>| {
            frame[8] = stream;
            frame
        };
        let reset = |stream, code| vec![0, 0, 4, RST_STREAM, 0, 0, 0, 0, stream, 0, 0, 0, code];
        let mut meter = begun();
        meter.handed_on(1);
        meter.sent(&[on(1, frame(HEADERS, END_STREAM, 5)), reset(1, 1)].concat());
        assert_eq!(meter.take_refused(), Refused::default(), "answered by whom it was handed on to");
        meter.sent(&[on(3, frame(HEADERS, END_STREAM, 5)), reset(3, 1)].concat());
        assert_eq!(meter.take_refused(), Refused { malformed: 0, too_large: 1 });
        meter.sent(&[reset(5, 1), reset(7, 8), reset(9, 1)].concat());
        assert_eq!(meter.take_refused(), Refused { malformed: 2, too_large: 0 });
        assert_eq!(meter.take_refused(), Refused::default());
    }

    #[test]
    fn frames_are_found_however_they_are_cut() {
        for seed in 0..50 {
            let mut dice = Dice::new(seed);
            let mut wire = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            for _ in 0..200 {
                wire.extend(frame(dice.below(10) as u8, 0, dice.below(300) as usize));
            }
            let mut whole = FrameMeter::new(Tick(0));
            whole.received(&wire, || Tick(0));
            let mut cut = FrameMeter::new(Tick(0));
            let mut rest = &wire[..];
            while !rest.is_empty() {
                let (now, later) = rest.split_at(1 + dice.below(rest.len().min(40) as u64) as usize);
                cut.received(now, || Tick(0));
                rest = later;
            }
            assert!(whole.budget < BURST, "seed {seed}");
            assert_eq!(cut.budget, whole.budget, "seed {seed}");
            assert!(cut.receiving.is_between(), "seed {seed}");
        }
    }
}
