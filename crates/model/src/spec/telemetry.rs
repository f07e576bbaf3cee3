//! What Headgate says about itself: the admin listener, the access log, traces.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The admin listener: `/metrics`, `/healthz`, `/readyz`, `/reload`, `/top`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminSpec {
    /// Keep it on loopback or a private network: it has no login of its own.
    pub bind: String,
    /// Names by which it may be asked, beside IP addresses and `localhost`: a page that rebinds its own name
    /// to this address must not get an answer.
    #[serde(default)]
    pub hosts: Vec<String>,
}

/// What Headgate keeps on disk: the decision journal. It may be deleted while Headgate does not run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StateSpec {
    /// A folder, made when it is missing. Absent: nothing is kept over a restart.
    pub dir: Option<String>,
}

/// Who is asked for names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DnsSpec {
    /// Addresses of DNS servers, with their ports. Default: those of `/etc/resolv.conf`. `/etc/hosts` comes
    /// first in any case.
    pub servers: Vec<String>,
}

/// The access log: one line per request, written by its own thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessLog {
    pub format: LogFormat,
    /// A file, reopened on SIGHUP. Default: standard output.
    pub path: Option<String>,
}

/// `"json"`, `"common"`, `"combined"`, or a format string such as `"%client %method %path %status %duration_us"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
#[schemars(with = "String")]
pub enum LogFormat {
    #[default]
    Json,
    Common,
    Combined,
    Custom(String),
}

impl From<String> for LogFormat {
    fn from(text: String) -> Self {
        match text.as_str() {
            "json" => Self::Json,
            "common" => Self::Common,
            "combined" => Self::Combined,
            _ => Self::Custom(text),
        }
    }
}

impl From<LogFormat> for String {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Json => "json".to_owned(),
            LogFormat::Common => "common".to_owned(),
            LogFormat::Combined => "combined".to_owned(),
            LogFormat::Custom(text) => text,
        }
    }
}

/// W3C trace context (`traceparent`, `tracestate`) and request ids. What a client sent is always passed on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TraceSpec {
    /// Start a trace where the client sent none, and take part in the one it sent with a span of our own.
    pub create: bool,
    /// Header that carries a request id; a fresh one is set where the client sent none. Absent: off.
    pub request_id: Option<String>,
}
