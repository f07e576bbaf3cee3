//! What a cache would have done for requests of the past: logs and traces are read into a compact trace, and each
//! eviction policy of `policy::evict` is played over it, with what knows the future as the limit. Pure: it is
//! given bytes, and opens no file and starts no thread. It knows keys and sizes, not freshness: an object that is
//! resident counts as a hit however old it is.
//!
//! - [`format`]: one line, or word, of each format into a [`format::Request`].
//! - [`read`]: a whole input into a [`trace::Recorder`], damage counted.
//! - [`play`]: one policy at one size.
//! - [`limit`]: what knowing the future would save.
//! - [`prefetch`]: one policy at one size with fetching ahead, over calls of sessions.
//! - [`result`]: the figures side by side, as text, JSON and report.
//! - [`advice`]: what to configure by them.

pub mod advice;
pub mod format;
pub mod limit;
mod page;
pub mod play;
pub mod prefetch;
pub mod read;
pub mod result;
#[cfg(test)]
mod tests;
pub mod trace;
