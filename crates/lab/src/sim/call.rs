//! One attempt at a call: a record in a slab, seen by its caller and by the replica that works on it. At any
//! time it is in one place only: in the event queue, in a replica, or in a line of those that wait.

use headgate_model::fault::FaultKind;
use headgate_policy::breaker::Admission;
use headgate_policy::retry::decide::Failure;

/// No record.
pub(super) const NONE: u32 = u32::MAX;
/// No replica tried.
pub(super) const UNTRIED: u16 = u16::MAX;
/// Attempts at once; beyond it a request is refused, and counted as such.
pub(super) const CALLS_MAX: usize = 1 << 22;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum End {
    Ok,
    /// The replica answered 500: it failed itself, or a service that it needs did.
    Error,
    /// The replica's queue was full: 503.
    Full,
    ConnectFailed,
    Reset,
    Timeout,
    BreakerOpen,
    NoEndpoint,
    /// The bulkhead and its queue were full.
    Overloaded,
    QueueTimeout,
}

impl End {
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Error,
        Self::Full,
        Self::ConnectFailed,
        Self::Reset,
        Self::Timeout,
        Self::BreakerOpen,
        Self::NoEndpoint,
        Self::Overloaded,
        Self::QueueTimeout,
    ];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Full => "full",
            _ => match self.failure() {
                Failure::Fault(kind) => kind.label(),
                Failure::Status(_) => "status",
            },
        }
    }

    /// As the retry policy sees it; the one of a success is never asked for.
    pub(super) fn failure(self) -> Failure {
        Failure::Fault(match self {
            Self::Ok | Self::Error => return Failure::Status(500),
            Self::Full => return Failure::Status(503),
            Self::ConnectFailed => FaultKind::ConnectFailed,
            Self::Reset => FaultKind::UpstreamReset,
            Self::Timeout => FaultKind::FirstByteTimeout,
            Self::BreakerOpen => FaultKind::BreakerOpen,
            Self::NoEndpoint => FaultKind::NoEndpoint,
            Self::Overloaded => FaultKind::Overloaded,
            Self::QueueTimeout => FaultKind::QueueTimeout,
        })
    }
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Place {
    Free,
    /// Waits for a place in the bulkhead.
    Gate,
    /// Waits to be sent again.
    Backoff,
    ToReplica,
    /// Waits for a place in the replica.
    Queued,
    Running,
    /// Waits for other services.
    Calling,
    ToCaller,
    /// Its message was lost; only the deadline ends it.
    Lost,
}

/// What stays the same over all attempts at a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    /// The record of the calling attempt; for a request from outside the client's number.
    pub(super) parent: u32,
    pub(super) parent_epoch: u32,
    pub(super) key: u64,
    /// When the first attempt was asked for; for a request from outside, when it was planned.
    pub(super) began_ns: u64,
    /// Zone of the caller.
    pub(super) zone: u16,
    /// Index of the service that is called.
    pub(super) service: u16,
    pub(super) gateway: u16,
    pub(super) response_kib: u32,
    /// From outside, not from another service.
    pub(super) root: bool,
    pub(super) write: bool,
    pub(super) measured: bool,
    pub(super) optional: bool,
    /// Goes past the gateways.
    pub(super) bypass: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) ask: Ask,
    pub(super) sent_ns: u64,
    /// Raised whenever the record is given up, so that answers of its children find out.
    pub(super) epoch: u32,
    /// Index of the replica, over all services.
    pub(super) replica: u32,
    /// Neighbours in a line, and the next free record.
    pub(super) before: u32,
    pub(super) after: u32,
    pub(super) stage: u16,
    /// Children that have not answered.
    pub(super) pending: u16,
    /// Places within the service of the replicas that earlier attempts were sent to.
    pub(super) tried: [u16; 2],
    /// Attempts so far, this one included.
    pub(super) attempt: u8,
    pub(super) place: Place,
    pub(super) end: End,
    /// A child that matters has failed.
    pub(super) failed: bool,
    /// It holds a place in the bulkhead.
    pub(super) gated: bool,
    /// The caller has given it up.
    pub(super) abandoned: bool,
    pub(super) service_admission: Admission,
    pub(super) endpoint_admission: Admission,
}

/// Records by index, used again.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    records: Vec<Call>,
    free: Option<u32>,
    live: usize,
    most: usize,
}

impl Calls {
    /// A record for the first attempt; `None` when there are too many.
    #[inline]
    pub(super) fn insert(&mut self, ask: Ask) -> Option<u32> {
        let fresh = Call {
            ask,
            sent_ns: 0,
            epoch: 0,
            replica: NONE,
            before: NONE,
            after: NONE,
            stage: 0,
            pending: 0,
            tried: [UNTRIED; 2],
            attempt: 1,
            place: Place::Gate,
            end: End::Ok,
            failed: false,
            gated: false,
            abandoned: false,
            service_admission: Admission::Refused,
            endpoint_admission: Admission::Refused,
        };
        let index = match self.free {
            Some(index) => {
                let record = &mut self.records[index as usize];
                self.free = Some(record.after).filter(|next| *next != NONE);
                *record = Call { epoch: record.epoch, ..fresh };
                index
            }
            None if self.records.len() >= CALLS_MAX => return None,
            None => {
                self.records.push(fresh);
                self.records.len() as u32 - 1
            }
        };
        self.live += 1;
        self.most = self.most.max(self.live);
        Some(index)
    }

    #[inline]
    pub(super) fn remove(&mut self, index: u32) {
        let free = self.free.unwrap_or(NONE);
        let record = &mut self.records[index as usize];
        record.epoch = record.epoch.wrapping_add(1);
        record.place = Place::Free;
        record.after = free;
        self.free = Some(index);
        self.live -= 1;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Call)> {
        self.records.iter().enumerate().map(|(index, call)| (index as u32, call))
    }

    /// The most records in use at once.
    pub(super) fn most(&self) -> usize {
        self.most
    }
}

impl std::ops::Index<u32> for Calls {
    type Output = Call;

    #[inline]
    fn index(&self, index: u32) -> &Call {
        &self.records[index as usize]
    }
}

impl std::ops::IndexMut<u32> for Calls {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut Call {
        &mut self.records[index as usize]
    }
}

/// Records in order of their coming, linked through themselves. All wait equally long, so that the first is
/// always the first whose time is up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) first: u32,
    last: u32,
    pub(super) count: u32,
}

impl Default for Line {
    fn default() -> Self {
        Self { first: NONE, last: NONE, count: 0 }
    }
}

impl Line {
    #[inline]
    pub(super) fn append(&mut self, calls: &mut Calls, index: u32) {
        let call = &mut calls[index];
        (call.before, call.after) = (self.last, NONE);
        match self.last {
            NONE => self.first = index,
            last => calls[last].after = index,
        }
        self.last = index;
        self.count += 1;
    }

    #[inline]
    pub(super) fn remove(&mut self, calls: &mut Calls, index: u32) {
        let Call { before, after, .. } = calls[index];
        match before {
            NONE => self.first = after,
            before => calls[before].after = after,
        }
        match after {
            NONE => self.last = before,
            after => calls[after].before = before,
        }
        self.count -= 1;
    }
}
