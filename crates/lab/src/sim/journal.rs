//! What changed and when: faults, replicas that come and go, what probes and policies found out. Recovery times
//! are read from it. Requests are not in it.

use serde::Serialize;

/// Entries that are kept; later ones are counted only.
const ENTRIES_MAX: usize = 100_000;

/// One change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The fault of this number in the description.
    FaultBegan(u32),
    FaultEnded(u32),
    /// A process was started; it is cold.
    Started,
    /// It takes calls.
    Ready,
    Killed,
    /// It gets no new calls and leaves when it is empty.
    Leaving,
    /// Probes found it unfit, and fit again.
    Unhealthy,
    Healthy,
    /// A gateway ejected it, and took it back.
    Ejected,
    Returned,
    /// A gateway's breaker of this replica, or of the service where no replica is named.
    BreakerOpened,
    BreakerClosed,
}

/// A change with its time and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub at_ns: u64,
    /// Index of the service; `None` for faults.
    pub service: Option<u16>,
    /// Index of the replica over all services.
    pub replica: Option<u32>,
    pub change: Change,
}

/// All changes of a run, in order of time.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Journal {
    pub entries: Vec<Entry>,
    /// Changes that found no room.
    pub dropped: u64,
}

impl Journal {
    #[cold]
    pub(super) fn note(&mut self, at_ns: u64, service: Option<u16>, replica: Option<u32>, change: Change) {
        if self.entries.len() < ENTRIES_MAX {
            self.entries.push(Entry { at_ns, service, replica, change });
        } else {
            self.dropped += 1;
        }
    }

    /// The first change from `from_ns` on that `is` accepts.
    pub fn first(&self, from_ns: u64, is: impl Fn(&Entry) -> bool) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.at_ns >= from_ns && is(entry))
    }
}
