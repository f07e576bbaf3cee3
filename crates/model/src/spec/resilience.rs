//! What a service does about failure: second attempts, the breaker, the bulkhead, the fallback.

use super::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Second attempts. Only what is safe to repeat is repeated, and never beyond the budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetrySpec {
    /// Attempts in all, the first included. One: no retries.
    pub attempts: u8,
    /// Response codes worth another attempt, for idempotent requests only.
    pub statuses: Vec<u16>,
    /// Mean wait before the second attempt; doubles each time, with full jitter. Zero for a stale connection.
    pub backoff: Span<25>,
    pub backoff_max: Span<250>,
    /// Retries as a share of requests over the last ten seconds, in percent, beyond a floor of ten.
    pub budget_percent: u8,
}

impl Default for RetrySpec {
    fn default() -> Self {
        Self {
            attempts: 2,
            statuses: Vec::new(),
            backoff: Span::default(),
            backoff_max: Span::default(),
            budget_percent: 20,
        }
    }
}

/// Stops sending to what keeps failing, and tries again with single probes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Failed share of the window's requests that opens the breaker, in percent.
    pub failure_percent: u8,
    /// Requests the window must have.
    pub minimum_requests: u32,
    pub window: Span<10_000>,
    /// How long it stays open before a probe; doubles with each failed probe up to ten times this.
    pub open: Span<5_000>,
    /// Successful probes that close it.
    pub probes: u16,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failure_percent: 50,
            minimum_requests: 20,
            window: Span::default(),
            open: Span::default(),
            probes: 3,
        }
    }
}

/// Bounds what one service can hold of the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bulkhead {
    /// Requests in flight over all workers.
    pub in_flight: u32,
    /// Requests that may wait for a place; beyond it the answer is 503 at once.
    pub queue: u32,
    /// How long one may wait.
    pub queue_timeout: Span<1_000>,
}

impl Default for Bulkhead {
    fn default() -> Self {
        Self { in_flight: 1_024, queue: 128, queue_timeout: Span::default() }
    }
}

/// A degraded answer in place of a gateway error: exactly one of `service`, `body` and `file`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fallback {
    /// Another service that answers instead.
    pub service: Option<String>,
    /// Text to answer with.
    pub body: Option<String>,
    /// A file to answer with, read at load time.
    pub file: Option<String>,
    pub status: Option<u16>,
    pub content_type: Option<String>,
}
