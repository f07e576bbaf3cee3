//! One HTTP/1.1 connection: at most one request at a time, its bytes out and its answer in. It does not wait
//! and opens nothing.

use super::agenda::Turn;
use super::exchange::{Done, Failure, Outcome, Standing};
use super::request::Requests;
use super::response::{Answer, Reader};
use super::wire::Wire;
use std::io::ErrorKind;

/// Bodies up to this size go out in one piece with their head.
const JOINED_MAX: u64 = 16 * 1024;

#[derive(Debug)]
pub(super) struct Http1 {
    wire: Wire,
    turn: Option<Turn>,
    /// The head, with a short body.
    out: Vec<u8>,
    written: usize,
    /// Of a long body.
    body_offset: u64,
    body_len: u64,
    reader: Reader,
}

impl Http1 {
    pub(super) fn new(wire: Wire) -> Self {
        let out = Vec::with_capacity(512);
        Self { wire, turn: None, out, written: 0, body_offset: 0, body_len: 0, reader: Reader::default() }
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    pub(super) fn turn(&self) -> Option<&Turn> {
        self.turn.as_ref()
    }

    /// Gives up the request under way; the connection is of no use after it.
    pub(super) fn abandon(&mut self) -> Option<Turn> {
        self.turn.take()
    }

    /// Sends a request, which must be the only one.
    pub(super) fn send(&mut self, turn: Turn, requests: &Requests, done: &mut Vec<Done>) -> Standing {
        self.out.clear();
        requests.write_head(&turn.request, &mut self.out);
        self.reader.expect(requests.is_head(&turn.request));
        (self.written, self.body_offset, self.body_len) = (0, 0, requests.body_len(&turn.request));
        if self.body_len <= JOINED_MAX {
            self.out.extend_from_slice(requests.body_at(0, self.body_len));
            self.body_offset = self.body_len;
        }
        self.turn = Some(turn);
        self.write(requests, done)
    }

    /// Reads and writes what is possible.
    pub(super) fn serve(&mut self, requests: &Requests, buffer: &mut [u8], done: &mut Vec<Done>) -> Standing {
        loop {
            let count = match self.wire.read(buffer) {
                Ok(0) => return self.closed(done),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return self.fail(Failure::Closed, done),
            };
            if self.turn.is_none() {
                // Bytes that nobody asked for.
                return Standing::Over;
            }
            match self.reader.feed(&buffer[..count]) {
                Ok(None) => {}
                Ok(Some(answer)) => {
                    let sent_whole = self.is_sent();
                    self.finish(answer, done);
                    if !answer.keep_alive || !sent_whole {
                        return Standing::Over;
                    }
                }
                Err(_) => return self.fail(Failure::Malformed, done),
            }
            if count < buffer.len() && !self.wire.may_hold_more() {
                break;
            }
        }
        if self.turn.is_none() || self.is_sent() {
            return Standing::Open { wants_write: false };
        }
        self.write(requests, done)
    }

    fn is_sent(&self) -> bool {
        self.written == self.out.len() && self.body_offset == self.body_len
    }

    fn write(&mut self, requests: &Requests, done: &mut Vec<Done>) -> Standing {
        loop {
            let bytes = match &self.out[self.written..] {
                [] if self.body_offset == self.body_len => break,
                [] => requests.body_at(self.body_offset, self.body_len),
                rest => rest,
            };
            let in_head = self.written < self.out.len();
            match self.wire.write(bytes) {
                Ok(count) if in_head => self.written += count,
                Ok(count) => self.body_offset += count as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Standing::Open { wants_write: true };
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.fail(Failure::Closed, done),
            }
        }
        match self.wire.flush() {
            Ok(flushed) => Standing::Open { wants_write: !flushed },
            Err(_) => self.fail(Failure::Closed, done),
        }
    }

    fn closed(&mut self, done: &mut Vec<Done>) -> Standing {
        match self.reader.closed() {
            Some(answer) if self.turn.is_some() => {
                self.finish(answer, done);
                Standing::Over
            }
            _ => self.fail(Failure::Closed, done),
        }
    }

    fn finish(&mut self, answer: Answer, done: &mut Vec<Done>) {
        if let Some(turn) = self.turn.take() {
            let outcome = Outcome::Answered { status: answer.status, bytes: answer.bytes };
            done.push(Done { turn, outcome });
        }
    }

    fn fail(&mut self, failure: Failure, done: &mut Vec<Done>) -> Standing {
        if let Some(turn) = self.turn.take() {
            done.push(Done { turn, outcome: Outcome::Failed(failure) });
        }
        Standing::Over
    }
}
