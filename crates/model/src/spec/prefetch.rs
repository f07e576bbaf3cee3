//! Fetching ahead into the response cache: whether, how much, and whose requests belong together.

use super::cache::Limit;
use super::{Bytes, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What clients are likely to ask for next is fetched before they do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrefetchSpec {
    pub mode: PrefetchMode,
    /// Requests that services may be sent for nothing, as a share of those that they would be sent without it.
    pub max_extra: f64,
    /// Fetches ahead that may be under way at once.
    pub concurrency: Limit<32>,
    /// Whose requests belong together: `"header:x-session"` or `"cookie:session"`. Default: what has the client's
    /// address and `User-Agent`.
    pub session: Option<String>,
    /// Cookies that make no difference to responses; `"_ga*"` is all that begin so. Who sends others, or
    /// `Authorization`, has nothing fetched ahead.
    pub ignore_cookies: Vec<String>,
    /// Whether identifiers in stored JSON answers are looked at: later paths may be made of them.
    pub read_answers: bool,
    /// Memory for what is learned.
    pub memory: Bytes<67_108_864>,
    /// How long after a prediction a request still proves it right.
    pub horizon: Span<30_000>,
    /// Outcomes of so much time are put together before they are judged.
    pub window: Span<10_000>,
}

impl Default for PrefetchSpec {
    fn default() -> Self {
        Self {
            mode: PrefetchMode::Off,
            max_extra: 0.1,
            concurrency: Limit::default(),
            session: None,
            ignore_cookies: Vec::new(),
            read_answers: false,
            memory: Bytes::default(),
            horizon: Span::default(),
            window: Span::default(),
        }
    }
}

/// How far fetching ahead may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrefetchMode {
    #[default]
    Off,
    /// Predictions are made and scored, and nothing is fetched.
    Shadow,
    /// The same until they have proven themselves; then they are acted on.
    On,
}
