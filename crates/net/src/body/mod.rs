//! Message bodies in motion: a source gives pieces, a sink takes them, a relay joins the two. HTTP/1 and
//! HTTP/2 meet here and nowhere later. No body is ever held whole.

mod backlog;
mod h1_sink;
mod h1_source;
mod h2_sink;
mod h2_source;
mod receiver;
mod relay;
mod sink;
mod source;
mod trailers;

pub use backlog::{Backlog, Received, SMALL_FRAMES_BUDGET};
pub use h1_sink::H1Sink;
pub use h1_source::{H1Source, Rest};
pub use h2_sink::{H2Sink, SendHalf};
pub use h2_source::H2Source;
pub use receiver::{Receiver, ReceiverSink};
pub use relay::relay;
pub use sink::Sink;
pub use source::{Piece, Source};
pub use trailers::Trailers;

use crate::stream::IoFault;
use headgate_model::fault::{Fault, FaultKind};

/// Which neighbour a body comes from or goes to; decides who is to blame when it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Upstream,
}

impl Side {
    /// The grammar fault of this side.
    #[must_use]
    pub fn malformed(self) -> FaultKind {
        match self {
            Self::Client => FaultKind::BadRequest,
            Self::Upstream => FaultKind::BadResponse,
        }
    }

    /// The fault for an unfinished read from this side.
    #[must_use]
    pub fn read_fault(self, fault: &IoFault) -> Fault {
        match (self, fault) {
            (Self::Client, IoFault::TimedOut) => {
                Fault::new(FaultKind::ClientTimeout, "the client paused for too long in its body")
            }
            (Self::Client, _) => Fault::new(FaultKind::ClientClosed, "the client went away within its body"),
            (Self::Upstream, IoFault::TimedOut) => {
                Fault::new(FaultKind::BodyTimeout, "the upstream paused for too long in its body")
            }
            (Self::Upstream, _) => {
                Fault::new(FaultKind::ResponseCut, "the upstream closed before the end of its response")
            }
        }
    }

    /// The fault for an unfinished write to this side.
    #[must_use]
    pub fn write_fault(self, fault: &IoFault) -> Fault {
        match (self, fault) {
            (Self::Client, IoFault::TimedOut) => {
                Fault::new(FaultKind::ClientTimeout, "the client took nothing for too long")
            }
            (Self::Client, _) => {
                Fault::new(FaultKind::ClientClosed, "the client went away before its response")
            }
            (Self::Upstream, IoFault::TimedOut) => {
                Fault::new(FaultKind::BodyTimeout, "the upstream took nothing for too long")
            }
            (Self::Upstream, _) => {
                Fault::new(FaultKind::UpstreamReset, "the upstream closed before it had the request")
            }
        }
    }
}
