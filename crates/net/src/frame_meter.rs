//! Counts the frames of an HTTP/2 client that cost much and carry nothing: PING, SETTINGS, PRIORITY,
//! WINDOW_UPDATE, CONTINUATION, empty DATA and unknown ones. Reads frame headers only and never waits; the
//! frames themselves are understood elsewhere. Resets and header lists are bounded elsewhere too.

use crate::stream::Stream;
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

/// Length of the connection preface (RFC 9113 section 3.4), and of a frame's header (section 4.1).
const PREFACE: u64 = 24;
const HEADER: usize = 9;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const END_STREAM: u8 = 0x1;

/// One connection's budget of idle frames. Frames with content and requests earn what idle ones cost.
#[derive(Debug)]
pub struct FrameMeter {
    header: [u8; HEADER],
    header_len: usize,
    /// Bytes to pass over: the preface, later a frame's payload.
    skip: u64,
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
            header: [0; HEADER],
            header_len: 0,
            skip: PREFACE,
            budget: BURST,
            paid: now,
            sent: 0,
            spent: false,
        }
    }

    /// Takes note of received bytes, in any pieces.
    pub fn received(&mut self, mut bytes: &[u8], now: impl Fn() -> Tick) {
        while !bytes.is_empty() {
            let passed = bytes.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= passed as u64;
            bytes = &bytes[passed..];
            let taken = bytes.len().min(HEADER - self.header_len);
            self.header[self.header_len..self.header_len + taken].copy_from_slice(&bytes[..taken]);
            self.header_len += taken;
            bytes = &bytes[taken..];
            if self.header_len == HEADER {
                self.header_len = 0;
                self.frame(&now);
            }
        }
    }

    /// Takes note of bytes that were sent to the client.
    pub fn sent(&mut self, count: usize) {
        self.sent += count as u64;
        let earned = self.sent / BYTES_SENT_PER_FRAME;
        self.sent %= BYTES_SENT_PER_FRAME;
        self.earn(earned);
    }

    /// The client sent more idle frames than it may: it has to go.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.spent
    }

    fn frame(&mut self, now: &impl Fn() -> Tick) {
        let [high, middle, low, kind, flags, ..] = self.header;
        let length = u32::from_be_bytes([0, high, middle, low]);
        self.skip = u64::from(length);
        match kind {
            DATA if length > 0 => self.earn(1),
            DATA if flags & END_STREAM != 0 => {}
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
/// the connection has to look at the meter after each turn.
pub struct Metered<Clock> {
    stream: Stream,
    meter: Rc<RefCell<FrameMeter>>,
    clock: Clock,
}

impl<Clock: Fn() -> Tick> Metered<Clock> {
    #[must_use]
    pub fn new(stream: Stream, meter: Rc<RefCell<FrameMeter>>, clock: Clock) -> Self {
        Self { stream, meter, clock }
    }

    fn count_sent(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = written {
            self.meter.borrow_mut().sent(count);
        }
        written
    }
}

impl<Clock: Fn() -> Tick + Unpin> AsyncRead for Metered<Clock> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut meter = this.meter.borrow_mut();
        if meter.is_spent() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        meter.received(&buf.filled()[before..], &this.clock);
        read
    }
}

impl<Clock: Fn() -> Tick + Unpin> AsyncWrite for Metered<Clock> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.stream.poll_write(cx, bytes);
        self.count_sent(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream.poll_write_vectored(cx, parts);
        self.count_sent(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(cx)
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
        frame.resize(HEADER + payload, 0xaa);
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
            meter.sent(1_024);
            meter.received(&frame(WINDOW_UPDATE, 0, 4), || Tick(0));
            meter.received(&frame(WINDOW_UPDATE, 0, 4), || Tick(0));
        }
        assert!(!meter.is_spent());
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
            assert_eq!((cut.skip, cut.header_len), (0, 0), "seed {seed}");
        }
    }
}
