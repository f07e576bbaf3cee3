//! A connection to an endpoint that is kept for the next request, and how long connections are kept.

use crate::stream::Stream;
use std::time::Duration;

/// A connection to an endpoint and its history.
pub struct Connection {
    pub stream: Stream,
    /// Requests sent on it before the current one.
    pub served: u32,
}

/// How many connections rest, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    pub idle: usize,
    pub idle_timeout: Duration,
    /// Requests on one connection; zero for no limit.
    pub requests: u32,
}
