//! What the tier tells of itself. Who writes it down is not known here.

use std::time::Duration;

/// What happens to the tier that an operator should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Redis is there, and `told` purges were written that had waited for it.
    On { told: usize },
    /// It is not asked before it can be reached again.
    Off { error: String },
    /// It fails or is late too often; nothing is asked for that long.
    Paused { pause: Duration },
    /// It answers again.
    Resumed,
    /// Redis has lost what it knew, or entries were missed: what this gateway has is not trusted any more.
    Doubted,
    /// What lies on this machine is used from here on: all that was purged meanwhile was purged there too, or without
    /// `exact` everything was.
    CaughtUp { exact: bool },
    /// More purges wait than are remembered; they become one of everything.
    Overflowed,
}

/// Is told of events, by any thread of the tier.
pub(super) type Say = Box<dyn Fn(&Event) + Send + Sync>;
