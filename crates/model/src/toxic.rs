//! A fault of the bytes on one connection, as the connection applies it. Which connections are hit is decided
//! elsewhere.

use crate::spec::{ChaosFault, Direction};
use std::time::Duration;

/// One byte fault in one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Toxic {
    pub stream: Direction,
    pub kind: ToxicKind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ToxicKind {
    Latency { latency: Duration, jitter: Duration },
    Bandwidth { bytes_per_second: u64 },
    SlowClose { delay: Duration },
    Timeout { timeout: Duration },
    ResetPeer { timeout: Duration },
    Slicer { average_size: u64, size_variation: u64, delay: Duration },
    LimitData { bytes: u64 },
    Corrupt { probability: f64 },
}

impl Toxic {
    /// The byte fault that `fault` is, if it is one.
    #[must_use]
    pub fn of(fault: &ChaosFault) -> Option<Self> {
        let (stream, kind) = match *fault {
            ChaosFault::Delay(_)
            | ChaosFault::Abort(_)
            | ChaosFault::Reset
            | ChaosFault::Stall
            | ChaosFault::Partition(_)
            | ChaosFault::Down => return None,
            ChaosFault::Latency(it) => {
                (it.stream, ToxicKind::Latency { latency: it.latency.0, jitter: it.jitter.0 })
            }
            ChaosFault::Bandwidth(it) => (it.stream, ToxicKind::Bandwidth { bytes_per_second: it.rate.0 }),
            ChaosFault::SlowClose(it) => (it.stream, ToxicKind::SlowClose { delay: it.delay.0 }),
            ChaosFault::Timeout(it) => (it.stream, ToxicKind::Timeout { timeout: it.timeout.0 }),
            ChaosFault::ResetPeer(it) => (it.stream, ToxicKind::ResetPeer { timeout: it.timeout.0 }),
            ChaosFault::Slicer(it) => {
                let (average_size, size_variation) = (it.average_size.0, it.size_variation.0);
                (it.stream, ToxicKind::Slicer { average_size, size_variation, delay: it.delay.0 })
            }
            ChaosFault::LimitData(it) => (it.stream, ToxicKind::LimitData { bytes: it.bytes.0 }),
            ChaosFault::Corrupt(it) => (it.stream, ToxicKind::Corrupt { probability: it.probability }),
        };
        Some(Self { stream, kind })
    }
}
