//! How a request ended, in the same words for HTTP/1 and HTTP/2.

use super::agenda::Turn;

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No connection could be opened for it.
    Connect,
    /// The connection was closed or reset before the answer was whole.
    Closed,
    /// What came was no HTTP, or not an answer to this request.
    Malformed,
    /// No whole answer within the timeout after it was sent.
    Timeout,
    /// Never sent: no connection was free within the timeout after it was planned.
    Dropped,
    /// The run was stopped before the answer.
    Stopped,
}

impl Failure {
    pub(super) const ALL: [Self; 6] =
        [Self::Connect, Self::Closed, Self::Malformed, Self::Timeout, Self::Dropped, Self::Stopped];
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered { status: u16, bytes: u64 },
    Failed(Failure),
}

/// A request that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub(super) turn: Turn,
    pub(super) outcome: Outcome,
}

impl Done {
    /// Answered, and not with an error.
    pub(super) fn is_good(&self) -> bool {
        matches!(self.outcome, Outcome::Answered { status, .. } if status < 400)
    }
}

/// What became of a connection after it was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It can go on; `wants_write`: something waits for the socket.
    Open { wants_write: bool },
    /// It is to be replaced.
    Over,
}
