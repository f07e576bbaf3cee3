//! How a service learns which endpoints are fit: active checks, and ejection by real traffic.

use super::Span;
use super::values::string_or_table;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// A path (`"/healthz"`), or a table.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Health {
    Path(String),
    Full {
        #[schemars(default)]
        kind: HealthKind,
        /// For `http`. Default: `/`.
        path: Option<String>,
        /// For `http`: the Host header. Default: the endpoint's address. For `grpc`: the service name.
        host: Option<String>,
        #[schemars(default)]
        interval: Span<2_000>,
        #[schemars(default)]
        timeout: Span<1_000>,
        /// Successes in a row before an endpoint is used again.
        #[schemars(default = "two")]
        healthy_after: u16,
        /// Failures in a row before an endpoint is left out.
        #[schemars(default = "three")]
        unhealthy_after: u16,
    },
}

impl<'de> Deserialize<'de> for Health {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            #[serde(default)]
            kind: HealthKind,
            path: Option<String>,
            host: Option<String>,
            #[serde(default)]
            interval: Span<2_000>,
            #[serde(default)]
            timeout: Span<1_000>,
            #[serde(default = "two")]
            healthy_after: u16,
            #[serde(default = "three")]
            unhealthy_after: u16,
        }

        impl From<Table> for Health {
            fn from(table: Table) -> Self {
                let Table { kind, path, host, interval, timeout, healthy_after, unhealthy_after } = table;
                Self::Full { kind, path, host, interval, timeout, healthy_after, unhealthy_after }
            }
        }

        let expecting = "a path like \"/healthz\", or a table { kind = \"http\", path = \"/healthz\", interval = \"2s\" }";
        string_or_table::<_, Table, _>(deserializer, expecting, |text| Ok(Self::Path(text.to_owned())))
    }
}

fn two() -> u16 {
    2
}

fn three() -> u16 {
    3
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthKind {
    /// A GET answered with 200 to 399.
    #[default]
    Http,
    /// A connection that is accepted.
    Tcp,
    /// `grpc.health.v1.Health/Check` answered SERVING.
    Grpc,
}

/// Ejection of endpoints by what real traffic shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Outlier {
    /// Failures in a row (5xx, resets, timeouts) that eject. Zero: never.
    pub consecutive_failures: u32,
    /// Failed share of the requests of an interval that ejects, in percent. Zero: never.
    pub failure_percent: u8,
    /// Requests an interval must have for `failure_percent` to count.
    pub minimum_requests: u32,
    pub interval: Span<10_000>,
    /// First ejection; each further one of the same endpoint lasts one times longer.
    pub ejection: Span<30_000>,
    /// Largest share of the endpoints out at once, in percent; one endpoint may always be ejected.
    pub max_ejected_percent: u8,
    /// Below this share of healthy endpoints, in percent, health is ignored and all are used.
    pub panic_percent: u8,
}

impl Default for Outlier {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            failure_percent: 0,
            minimum_requests: 20,
            interval: Span::default(),
            ejection: Span::default(),
            max_ejected_percent: 50,
            panic_percent: 30,
        }
    }
}
