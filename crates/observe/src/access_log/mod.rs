//! The access log: a worker encodes one [`AccessRecord`] per request into its own bounded ring; one thread
//! drains all rings, formats and writes. A worker never waits for it: a full ring drops, and counts.
//!
//! ```text
//! worker: record -> encode -> ring (1 MiB) ==> thread: decode -> format -> batch -> file or stdout
//!                     full? dropped + 1                          failed? lost + lines
//! ```
//! Lines of one worker are in the order in which its requests ended; lines of different workers are not
//! ordered among each other.

mod field;
mod format;
mod output;
mod record;
mod ring;
mod writer;

pub use field::Field;
pub use format::{Format, FormatError};
pub use record::{AccessRecord, SLICE_MAX};
pub use ring::Consumer;
pub use writer::{AccessLogWriter, Target};

use std::sync::Arc;

use self::ring::{Producer, ring};
use crate::counter::Counter;
use crate::registry::WorkerMetrics;

/// Room of one worker's ring: about 3,000 ordinary records, 30 ms at 100,000 requests per second. The
/// writer looks at every ring at least every 20 ms.
pub const RING_BYTES: usize = 1 << 20;

/// A worker's end of the access log.
#[derive(Debug)]
pub struct AccessLog {
    producer: Producer,
    encoded: Vec<u8>,
    records: Arc<Counter>,
    dropped: Arc<Counter>,
}

impl AccessLog {
    /// The worker's end and the end for [`AccessLogWriter::spawn`].
    #[must_use]
    pub fn new(worker: &WorkerMetrics, ring_bytes: usize) -> (Self, Consumer) {
        let (producer, consumer) = ring(ring_bytes);
        let dropped = "Access records dropped because the worker's ring was full.";
        let log = Self {
            producer,
            encoded: Vec::with_capacity(record::ENCODED_MAX),
            records: worker.counter(
                "headgate_access_log_records_total",
                "Access records queued for writing.",
                &[],
            ),
            dropped: worker.counter("headgate_access_log_dropped_total", dropped, &[]),
        };
        (log, consumer)
    }

    /// Queues `record`, or drops and counts it when the ring is full.
    pub fn record(&mut self, record: &AccessRecord<'_>) {
        record.encode(&mut self.encoded);
        if self.producer.push(&self.encoded) {
            self.records.inc();
        } else {
            self.dropped.inc();
        }
    }
}
