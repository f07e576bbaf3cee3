//! What a service is: its endpoints, how they are found and spoken to.

use super::values::string_or_table;
use super::{Balance, Breaker, Bulkhead, Fallback, Health, Outlier, ProxyProtocol, RetrySpec, Span, Sticky};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// One service: a set of interchangeable endpoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceSpec {
    /// Fixed endpoints.
    pub endpoints: Vec<EndpointSpec>,
    /// `"dns:host:port"` (A and AAAA), `"srv:_http._tcp.example"`, or `"file:endpoints.txt"` (watched).
    pub discover: Option<String>,
    pub protocol: Protocol,
    /// TLS to the endpoints.
    pub tls: Option<UpstreamTls>,
    /// Send a PROXY protocol header on each new connection; such connections are not shared between clients.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// How an endpoint is chosen. Default: the profile's.
    pub balance: Option<Balance>,
    pub sticky: Option<Sticky>,
    /// Active health check: a path, or a table.
    pub health: Option<Health>,
    /// Passive ejection of endpoints that fail. Default: the profile's.
    pub outlier: Option<Outlier>,
    /// A recovered or new endpoint's share grows over this time. Zero: full share at once.
    pub slow_start: Span<0>,
    pub pool: Pool,
    pub retry: RetrySpec,
    pub timeouts: UpstreamTimeouts,
    pub breaker: Option<Breaker>,
    pub bulkhead: Option<Bulkhead>,
    /// What to answer when no endpoint could.
    pub fallback: Option<Fallback>,
}

/// `"host:port"`, `"unix:/path"`, or a table with a weight.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum EndpointSpec {
    Address(String),
    Full {
        address: String,
        /// Share relative to the others, 1 to 1000. Zero takes no new requests (draining).
        #[schemars(default = "one")]
        weight: u16,
    },
}

impl<'de> Deserialize<'de> for EndpointSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            address: String,
            #[serde(default = "one")]
            weight: u16,
        }

        impl From<Table> for EndpointSpec {
            fn from(Table { address, weight }: Table) -> Self {
                Self::Full { address, weight }
            }
        }

        let expecting =
            "an address like \"10.0.0.1:8080\", or a table { address = \"10.0.0.1:8080\", weight = 1 }";
        string_or_table::<_, Table, _>(deserializer, expecting, |text| Ok(Self::Address(text.to_owned())))
    }
}

fn one() -> u16 {
    1
}

impl EndpointSpec {
    #[must_use]
    pub fn address(&self) -> &str {
        match self {
            Self::Address(address) | Self::Full { address, .. } => address,
        }
    }

    #[must_use]
    pub fn weight(&self) -> u16 {
        match self {
            Self::Address(_) => 1,
            Self::Full { weight, .. } => *weight,
        }
    }
}

/// What is spoken to the endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    #[default]
    Http1,
    /// Over TLS by ALPN, in the clear by prior knowledge (h2c). Needed for gRPC.
    Http2,
}

/// TLS towards the endpoints. An empty table means: verify against the public authorities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTls {
    /// Verify the endpoint's certificate. Switching it off is for tests only.
    pub verify: bool,
    /// Name for SNI and verification. Default: the host part of the endpoint's address.
    pub sni: Option<String>,
    /// PEM file of authorities instead of the public ones.
    pub ca: Option<String>,
    /// Client certificate and key, PEM files.
    pub cert: Option<String>,
    pub key: Option<String>,
}

impl Default for UpstreamTls {
    fn default() -> Self {
        Self { verify: true, sni: None, ca: None, cert: None, key: None }
    }
}

/// Kept-alive connections to each endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pool {
    /// Idle connections to one endpoint that one worker keeps; surplus is offered to the others, then closed.
    pub idle: u32,
    /// Idle connections older than this are closed.
    pub idle_timeout: Span<60_000>,
    /// Requests on one connection before it is closed. Zero: no limit.
    pub requests: u32,
}

impl Default for Pool {
    fn default() -> Self {
        Self { idle: 256, idle_timeout: Span::default(), requests: 0 }
    }
}

/// How long an endpoint may take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTimeouts {
    pub connect: Span<5_000>,
    /// From the whole request sent to the first byte of the response.
    pub first_byte: Span<60_000>,
    /// One attempt, to its response head. Zero: no limit of its own.
    pub per_try: Span<0>,
    /// The request with all its attempts and both bodies. Zero: no limit.
    pub total: Span<0>,
}
