//! What a route is: what it matches, what it does to the message, where it sends it.

use super::{CacheChoice, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One route. Exactly one of `service`, `redirect` and `respond` says what happens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouteSpec {
    /// Name in logs and metrics. Default: the match text.
    pub name: Option<String>,
    /// Host and path: `"shop.example/api/*"`, `"*.shop.example/"`, `"/exact"`, `"/users/{id}/orders"`.
    /// No host matches every host. A path ending in `*` is a prefix; `{name}` captures one segment.
    #[serde(rename = "match")]
    pub pattern: String,
    /// Names of the listeners it belongs to. Default: all.
    pub listeners: Vec<String>,
    /// Methods; empty matches all.
    pub methods: Vec<String>,
    /// Headers that must be present with exactly this value; `"*"` matches any value.
    pub headers: BTreeMap<String, String>,
    /// Query parameters that must be present with exactly this value; `"*"` matches any value.
    pub query: BTreeMap<String, String>,

    /// The service that answers.
    pub service: Option<String>,
    pub redirect: Option<Redirect>,
    pub respond: Option<Respond>,

    /// Removes this prefix from the path that the service sees.
    pub strip: Option<String>,
    /// Replaces the path that the service sees; `{name}` stands for a capture, `{rest}` for what `*` matched.
    pub rewrite: Option<String>,
    /// The Host that the service sees. Default: the client's.
    pub host: Option<String>,
    pub request_headers: HeaderEdits,
    pub response_headers: HeaderEdits,
    /// Whether responses are cached: `true`, or a table that says how. Default: no.
    pub cache: Option<CacheChoice>,
    /// Overrides the service's total deadline for this route. Zero: no override.
    pub timeout: Span<0>,
}

/// Changes to the header fields of a message, applied in the order remove, set, add.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderEdits {
    pub remove: Vec<String>,
    pub set: BTreeMap<String, String>,
    pub add: BTreeMap<String, String>,
}

/// Answers with a redirect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// Target; `{host}`, `{path}`, `{query}`, `{rest}` and captures are filled in.
    pub to: String,
    /// 301, 302, 303, 307 or 308.
    #[serde(default = "found")]
    pub status: u16,
}

fn found() -> u16 {
    302
}

/// Answers with fixed content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Respond {
    pub status: u16,
    pub body: String,
    pub content_type: String,
}

impl Default for Respond {
    fn default() -> Self {
        Self { status: 200, body: String::new(), content_type: "text/plain; charset=utf-8".to_owned() }
    }
}
