//! The decisions of the gateway as pure values: time and dice are arguments, endpoint state comes in
//! through a small trait. No clock, socket, lock, thread or global random source; what acts on a
//! decision lives in `gateway`.
//!
//! - [`aside`]: whether an endpoint that could not be connected to is asked again.
//! - [`balance`]: which endpoint takes a request; one file per policy.
//! - [`slow_start`]: how much of its weight a recovered endpoint gets.
//! - [`outlier`]: which endpoints real traffic shows to be bad.
//! - [`breaker`]: whether to send to what keeps failing at all.
//! - [`bulkhead`]: whether a request enters, waits or is refused.
//! - [`chaos`]: what fault befalls an attempt, where rules ask for one.
//! - [`evict`]: what leaves a full cache.
//! - [`prefetch`]: what to fetch before it is asked for, and when not to.
//! - [`guard`]: whether a learned policy may act, beside its plain baseline.
//! - [`retry`]: whether, when and how often to try again.

pub mod aside;
pub mod balance;
pub mod breaker;
pub mod bulkhead;
pub mod chaos;
pub mod evict;
pub mod guard;
pub mod outlier;
pub mod prefetch;
pub mod retry;
pub mod slow_start;
mod window;
