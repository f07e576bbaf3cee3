//! A body received over HTTP/1: first from what arrived with the head, then from the stream, through a
//! buffer that is only borrowed while bytes are in it.

use super::{Piece, Side, Trailers};
use crate::buffer::{Buffer, Buffers, Lent, SMALL};
use crate::deadline::Deadline;
use crate::h1::chunked::{Decoder, Step};
use crate::h1::parse;
use crate::head::Body;
use crate::stream::{IoFault, Stream};
use headgate_model::fault::{Fault, FaultKind};
use std::rc::Rc;

/// Most trailer fields of one message.
const MOST_TRAILERS: usize = 64;

#[derive(Clone, Copy)]
enum Framing {
    Length { left: u64 },
    Chunked(Decoder),
    Trailers,
    UntilClose,
    Finished,
}

/// One HTTP/1 body.
pub struct H1Source<'c> {
    stream: &'c Stream,
    buffers: &'c Rc<Buffers>,
    side: Side,
    /// What arrived behind the head in the head's own buffer.
    first: &'c [u8],
    first_used: usize,
    more: Option<Lent<Buffer>>,
    framing: Framing,
    body: Body,
    /// The stream was read from: `first` alone no longer is the body so far.
    filled: bool,
    /// The last read filled its room: the body is long, a larger buffer pays.
    long: bool,
    received: u64,
    /// Most bytes of content; zero for no limit.
    limit: u64,
    trailers: Option<Trailers>,
}

/// Where the bytes behind a finished body are: the start of the next message.
pub enum Rest {
    /// In the head's buffer, after the head and this many bytes.
    BehindHead(usize),
    Buffered(Lent<Buffer>),
}

impl<'c> H1Source<'c> {
    /// `first` is what arrived behind the head; `limit` bounds the content in bytes, zero for none.
    #[must_use]
    pub fn new(
        stream: &'c Stream,
        buffers: &'c Rc<Buffers>,
        side: Side,
        body: Body,
        first: &'c [u8],
        limit: u64,
    ) -> Self {
        Self {
            stream,
            buffers,
            side,
            first,
            first_used: 0,
            more: None,
            framing: start(body),
            body,
            filled: false,
            long: false,
            received: 0,
            limit,
            trailers: None,
        }
    }

    #[inline]
    pub(super) fn next_piece(&mut self) -> Result<Piece<'_>, Fault> {
        loop {
            let bytes = match &self.more {
                Some(more) => more.filled(),
                None => &self.first[self.first_used..],
            };
            let (used, data) = match &mut self.framing {
                Framing::Finished => return Ok(Piece::End),
                Framing::Length { left: 0 } => {
                    self.framing = Framing::Finished;
                    continue;
                }
                _ if bytes.is_empty() => return Ok(Piece::NeedMore),
                Framing::Length { left } => {
                    let data = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= data as u64;
                    (data, data)
                }
                Framing::UntilClose => (bytes.len(), bytes.len()),
                Framing::Chunked(decoder) => match decoder.step(bytes, self.side.malformed())? {
                    Step::Data { skip, data } => (skip + data, data),
                    Step::NeedMore { skip } => (skip, 0),
                    Step::Trailers { skip } => {
                        self.framing = Framing::Trailers;
                        (skip, 0)
                    }
                },
                Framing::Trailers => {
                    let mut fields = Vec::new();
                    let end = parse::fields(bytes, 0, MOST_TRAILERS, &mut fields, self.side.malformed())?;
                    let Some(end) = end else { return Ok(Piece::NeedMore) };
                    if !fields.is_empty() {
                        self.trailers = Some(Trailers::from_fields(bytes, &fields));
                    }
                    self.framing = Framing::Finished;
                    (end, 0)
                }
            };
            self.received += data as u64;
            if self.limit > 0 && self.received > self.limit {
                return Err(Fault::new(FaultKind::BodyTooLarge, "the body is longer than the limit"));
            }
            // Consumed now, overwritten only by `fill`: the slice below stays what it is.
            let consumed_from = match &mut self.more {
                Some(more) => {
                    more.consume(used);
                    None
                }
                None => {
                    self.first_used += used;
                    Some(self.first_used)
                }
            };
            if data > 0 {
                return Ok(Piece::Data(match (consumed_from, &self.more) {
                    (Some(end), _) => &self.first[end - data..end],
                    (None, Some(more)) => more.consumed(data),
                    (None, None) => &[],
                }));
            }
        }
    }

    pub(super) async fn fill(&mut self, deadline: &Deadline) -> Result<(), Fault> {
        self.filled = true;
        self.ready_room()?;
        let Some(more) = &mut self.more else { return Ok(()) };
        let mut room = more.room();
        if let Framing::Length { left } = self.framing {
            // Never read into the next message: what follows may belong to another buffer, or to nobody.
            let most = room.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            room = &mut room[..most];
        }
        let size = room.len();
        match self.stream.read(room, deadline).await {
            Ok(count) => {
                more.advance(count);
                self.long = count == size && size >= SMALL;
                Ok(())
            }
            Err(IoFault::Closed) if matches!(self.framing, Framing::UntilClose) => {
                self.framing = Framing::Finished;
                Ok(())
            }
            Err(fault) => Err(self.side.read_fault(&fault)),
        }
    }

    /// Sees to it that `more` has room: takes a buffer, moves unread framing to its front, or changes to
    /// a large buffer when the body has shown to be long.
    fn ready_room(&mut self) -> Result<(), Fault> {
        match &mut self.more {
            Some(more) if more.is_empty() => {
                let more_to_come = match self.framing {
                    Framing::Length { left } => left > SMALL as u64,
                    Framing::UntilClose => true,
                    // What follows a chunked body may be the next request's head; it has to fit a head.
                    Framing::Chunked(_) => self.side == Side::Upstream,
                    Framing::Trailers | Framing::Finished => false,
                };
                if self.long && more_to_come && more.capacity() == SMALL {
                    self.more = Some(self.buffers.large());
                }
            }
            Some(more) => {
                more.compact();
                if more.room().is_empty() {
                    return Err(Fault::new(self.side.malformed(), "a trailer section larger than its limit"));
                }
            }
            None => {
                let left_over = &self.first[self.first_used..];
                let mut more = match self.framing {
                    Framing::Length { left } if left > SMALL as u64 => self.buffers.large(),
                    _ => self.buffers.small(),
                };
                // Only unread framing is left here, and it is shorter than a buffer unless it is hostile.
                let room = more.room();
                if left_over.len() >= room.len() {
                    return Err(Fault::new(self.side.malformed(), "a trailer section larger than its limit"));
                }
                room[..left_over.len()].copy_from_slice(left_over);
                more.advance(left_over.len());
                self.first_used = self.first.len();
                self.more = Some(more);
            }
        }
        Ok(())
    }

    pub(super) fn take_trailers(&mut self) -> Option<Trailers> {
        self.trailers.take()
    }

    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.framing, Framing::Finished | Framing::Length { left: 0 })
    }

    pub(super) fn can_rewind(&self) -> bool {
        !self.filled
    }

    pub(super) fn rewind(&mut self) -> bool {
        if self.filled {
            return false;
        }
        self.first_used = 0;
        self.received = 0;
        self.framing = start(self.body);
        self.trailers = None;
        true
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// After the end: where the bytes that follow the body are.
    #[must_use]
    pub fn into_rest(self) -> Rest {
        match self.more {
            Some(more) => Rest::Buffered(more),
            None => Rest::BehindHead(self.first_used),
        }
    }

    /// Bytes that arrived and are not part of this body.
    #[must_use]
    pub fn has_rest(&self) -> bool {
        match &self.more {
            Some(more) => !more.is_empty(),
            None => self.first_used < self.first.len(),
        }
    }
}

fn start(body: Body) -> Framing {
    match body {
        Body::None => Framing::Finished,
        Body::Length(left) => Framing::Length { left },
        Body::Chunked => Framing::Chunked(Decoder::default()),
        Body::UntilClose => Framing::UntilClose,
    }
}
