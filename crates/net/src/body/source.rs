//! Where body pieces come from.

use super::{H1Source, H2Source, Trailers};
use crate::deadline::Deadline;
use headgate_model::fault::Fault;

/// A body being received.
pub enum Source<'c> {
    Empty,
    H1(H1Source<'c>),
    H2(H2Source),
}

/// What a source has to give without waiting.
#[derive(Debug)]
pub enum Piece<'b> {
    Data(&'b [u8]),
    /// Nothing more is here; call `fill`.
    NeedMore,
    End,
}

impl Source<'_> {
    /// The next piece that has already arrived.
    ///
    /// # Errors
    /// When the body's framing is broken or it is longer than allowed.
    #[inline]
    pub fn next_piece(&mut self) -> Result<Piece<'_>, Fault> {
        match self {
            Self::Empty => Ok(Piece::End),
            Self::H1(source) => source.next_piece(),
            Self::H2(source) => source.next_piece(),
        }
    }

    /// Waits for more after [`Piece::NeedMore`].
    ///
    /// # Errors
    /// When the sender stops before its end, or `deadline` passes.
    #[inline]
    pub async fn fill(&mut self, deadline: &Deadline) -> Result<(), Fault> {
        match self {
            Self::Empty => Ok(()),
            Self::H1(source) => source.fill(deadline).await,
            Self::H2(source) => source.fill(deadline).await,
        }
    }

    /// The trailers, once [`Piece::End`] was given.
    pub fn take_trailers(&mut self) -> Option<Trailers> {
        match self {
            Self::Empty => None,
            Self::H1(source) => source.take_trailers(),
            Self::H2(source) => source.take_trailers(),
        }
    }

    /// Whether [`Piece::End`] was given.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::H1(source) => source.is_finished(),
            Self::H2(source) => source.is_finished(),
        }
    }

    /// Goes back to the first byte, so that the body can be sent again; false when bytes are gone.
    pub fn rewind(&mut self) -> bool {
        match self {
            Self::Empty => true,
            Self::H1(source) => source.rewind(),
            Self::H2(source) => source.rewind(),
        }
    }

    /// Whether [`Self::rewind`] would succeed.
    #[must_use]
    pub fn can_rewind(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::H1(source) => source.can_rewind(),
            Self::H2(source) => source.can_rewind(),
        }
    }

    /// Bytes of content given so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::H1(source) => source.received(),
            Self::H2(source) => source.received(),
        }
    }
}
