//! What Headgate says about itself: metrics, the access log, trace context, the event log. It opens no
//! data socket and decides nothing; the admin listener and the gateway carry what is made here.
//!
//! Map: a worker holds the cells of [`request_metrics`], made by [`registry`] from [`counter`] and
//! [`histogram`]. The admin thread sums them over workers and writes them with [`exposition`] or as rates
//! with [`top`]. Decisions are kept by [`journal`]. Access records go through one bounded ring per worker to the thread in [`access_log`].
//! On a worker's path there is no lock, no allocation, no formatting and no read-modify-write atomic.

pub mod access_log;
pub mod cache_metrics;
pub mod chaos_metrics;
pub mod counter;
pub mod exposition;
pub mod guard_book;
pub mod guard_metrics;
pub mod histogram;
pub mod journal;
pub mod log;
pub mod prefetch_metrics;
pub mod process;
pub mod registry;
pub mod request_metrics;
pub mod resilience_metrics;
pub mod top;
pub mod trace;

mod escape;
mod timestamp;
