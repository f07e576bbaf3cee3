//! What the tier tells of itself. Who writes it down is not known here.

use std::time::Duration;

/// What happens to the tier that an operator should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Another process has the folder; the tier is off until that one ends.
    Waiting,
    /// It is known what lies in the folder, and the tier is on.
    Ready {
        objects: usize,
        bytes: u64,
        /// Times that something damaged was skipped.
        damaged: u64,
        /// Damage may have hidden a purge; nothing older is used.
        lost_purge: bool,
    },
    /// Nothing is written for that long.
    WriteFailed { error: String, pause: Duration },
    /// Nothing is read for a while.
    ReadFailed { error: String },
    /// A purge could not be written down, so everything was taken away; `emptied` is false where that failed too.
    Emptied { emptied: bool },
}

/// Is told of events, by any thread of the tier.
pub(super) type Say = Box<dyn Fn(&Event) + Send + Sync>;
