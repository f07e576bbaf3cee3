//! One request and what the phases know of it: where it came from, what it asks, how it may end. Running
//! the phases is not here.

use crate::identify::Peer;
use crate::tunnel::Tunnel;
use crate::view::View;
use crate::websocket::Handshake;
use crate::worker::Worker;
use headgate_cache::fill::Fill;
use headgate_model::fault::{Fault, FaultKind};
use headgate_model::units::Tick;
use headgate_net::buffer::{Buffers, Lent};
use headgate_net::deadline::Deadline;
use headgate_net::head::RequestHead;
use std::rc::Rc;
use std::time::Duration;

/// What the phases know of one request.
pub(crate) struct Exchange<'c> {
    pub worker: &'c Rc<Worker>,
    pub view: &'c Rc<View>,
    pub listener: usize,
    pub peer: &'c Peer,
    pub head: &'c RequestHead,
    pub timers: Timers<'c>,
    /// Longest pause within a body, in either direction.
    pub pause: Duration,
    pub started: Tick,
    pub target: TargetPlan,
    /// Where the response may make stored ones outdated: the moment on the purge clock at which it was asked for.
    pub changes_since: Option<u64>,
    /// It opens a WebSocket over HTTP/2.
    pub websocket: Option<&'c Handshake>,
    /// Where the response goes into the cache for all who wait.
    pub fill: Option<&'c Fill>,
}

impl<'c> Exchange<'c> {
    /// A request that begins now, as it came to `listener` of `view`.
    #[inline]
    pub(crate) fn begin(
        worker: &'c Rc<Worker>,
        view: &'c Rc<View>,
        listener: usize,
        peer: &'c Peer,
        head: &'c RequestHead,
        timers: Timers<'c>,
    ) -> Self {
        Self {
            worker,
            view,
            listener,
            peer,
            head,
            timers,
            pause: view.snapshot.listeners[listener].spec.timeouts.body.0,
            started: worker.now(),
            target: TargetPlan::AsSent,
            changes_since: None,
            websocket: None,
            fill: None,
        }
    }

    /// It is fetched ahead, and nobody has asked for it yet: what makes way for others, and is never repeated.
    pub(crate) fn is_ahead(&self) -> bool {
        self.fill.is_some_and(|fill| fill.ahead().is_some())
    }
}

/// The two directions wait independently, so each has its deadline.
#[derive(Clone, Copy)]
pub(crate) struct Timers<'c> {
    pub upload: &'c Deadline,
    pub download: &'c Deadline,
}

/// The request target that the endpoint sees.
pub(crate) enum TargetPlan {
    AsSent,
    /// Without this many bytes at its start.
    Stripped(usize),
    Rewritten(Lent<Vec<u8>>),
}

impl TargetPlan {
    /// The same once more.
    pub(crate) fn copy(&self, buffers: &Rc<Buffers>) -> Self {
        match self {
            Self::AsSent => Self::AsSent,
            Self::Stripped(len) => Self::Stripped(*len),
            Self::Rewritten(target) => {
                let mut copy = buffers.out();
                copy.extend_from_slice(target);
                Self::Rewritten(copy)
            }
        }
    }

    /// The target, in two pieces to be written one after the other.
    #[inline]
    pub(crate) fn parts<'a>(&'a self, head: &'a RequestHead) -> [&'a [u8]; 2] {
        match self {
            Self::AsSent => [head.target(), b""],
            Self::Stripped(len) => match &head.target()[*len..] {
                rest @ [b'/', ..] => [rest, b""],
                rest => [b"/", rest],
            },
            Self::Rewritten(target) => [target, b""],
        }
    }
}

/// How an exchange ended that did not fail.
pub(crate) enum Finish {
    Done,
    /// The response broke off; the client must be able to tell.
    Cut,
    /// The client is to be cut off without an answer, by a reset where its protocol has one.
    Reset,
    /// The connection now carries another protocol.
    Switched(Box<Tunnel>),
}

/// How an exchange failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub fault: Fault,
    /// The response had begun: it can only be cut.
    pub committed: bool,
    /// The client was sent interim responses of this attempt: no other may take its place.
    pub bound: bool,
    /// The attempt brought a response of this status, put aside for another attempt that is paid for.
    pub put_aside: Option<u16>,
}

impl Failure {
    /// Within a response that had begun.
    pub(crate) fn committed(fault: Fault) -> Self {
        Self { fault, committed: true, bound: true, put_aside: None }
    }

    /// Before a final response, perhaps behind interim ones.
    pub(crate) fn unanswered(fault: Fault, bound: bool) -> Self {
        Self { fault, committed: false, bound, put_aside: None }
    }

    /// A response of this status was put aside.
    pub(crate) fn put_aside(status: u16) -> Self {
        let fault =
            Fault::new(FaultKind::BadResponse, "the upstream answered with a status to be tried again");
        Self { fault, committed: false, bound: false, put_aside: Some(status) }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::unanswered(fault, false)
    }
}
