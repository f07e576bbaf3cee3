//! How a service's endpoints are chosen, and how a client is kept on one.

use super::Span;
use super::values::string_or_table;
use schemars::JsonSchema;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serialize};

/// A policy's name, or a table with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Balance {
    Name(BalancePolicy),
    Full {
        policy: BalancePolicy,
        /// For the hashing policies: what the request is hashed by. Default: the client address.
        key: Option<HashKey>,
        /// For `ring_hash`: an endpoint takes at most this times the mean load. Zero: unbounded.
        #[schemars(default)]
        bounded_load: f64,
    },
}

impl<'de> Deserialize<'de> for Balance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            policy: BalancePolicy,
            key: Option<HashKey>,
            #[serde(default)]
            bounded_load: f64,
        }

        impl From<Table> for Balance {
            fn from(Table { policy, key, bounded_load }: Table) -> Self {
                Self::Full { policy, key, bounded_load }
            }
        }

        let expecting = "a policy name like \"round_robin\", or a table { policy = \"ring_hash\", key = \"header:x-user\" }";
        string_or_table::<_, Table, _>(deserializer, expecting, |text| {
            BalancePolicy::deserialize(text.into_deserializer()).map(Self::Name)
        })
    }
}

impl Balance {
    #[must_use]
    pub fn policy(&self) -> BalancePolicy {
        match self {
            Self::Name(policy) | Self::Full { policy, .. } => *policy,
        }
    }
}

/// Each is the file of the same name in `policy/balance`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BalancePolicy {
    RoundRobin,
    Random,
    /// The endpoint with the fewest requests in flight.
    LeastRequests,
    /// The less loaded of two random endpoints.
    P2c,
    /// Two random endpoints, the lower product of decaying peak latency and load.
    PeakEwma,
    RingHash,
    Maglev,
    Rendezvous,
}

impl BalancePolicy {
    pub const ALL: [Self; 8] = [
        Self::RoundRobin,
        Self::Random,
        Self::LeastRequests,
        Self::P2c,
        Self::PeakEwma,
        Self::RingHash,
        Self::Maglev,
        Self::Rendezvous,
    ];
}

/// `"client_address"`, `"path"`, `"header:NAME"`, `"cookie:NAME"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum HashKey {
    ClientAddress,
    Path,
    Header(String),
    Cookie(String),
}

impl TryFrom<String> for HashKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        match text.split_once(':') {
            None if text == "client_address" => Ok(Self::ClientAddress),
            None if text == "path" => Ok(Self::Path),
            Some(("header", name)) if !name.is_empty() => Ok(Self::Header(name.to_ascii_lowercase())),
            Some(("cookie", name)) if !name.is_empty() => Ok(Self::Cookie(name.to_owned())),
            _ => {
                Err("not a hash key; write \"client_address\", \"path\", \"header:NAME\" or \"cookie:NAME\"")
            }
        }
    }
}

impl From<HashKey> for String {
    fn from(key: HashKey) -> Self {
        match key {
            HashKey::ClientAddress => "client_address".to_owned(),
            HashKey::Path => "path".to_owned(),
            HashKey::Header(name) => format!("header:{name}"),
            HashKey::Cookie(name) => format!("cookie:{name}"),
        }
    }
}

/// Keeps a client on its endpoint by a signed cookie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sticky {
    /// Name of the cookie.
    #[serde(default = "sticky_cookie")]
    pub cookie: String,
    /// Key of the signature; take it from the environment: `"${STICKY_SECRET}"`.
    pub secret: String,
    /// Lifetime of the cookie. Zero: until the browser closes.
    #[serde(default)]
    pub ttl: Span<0>,
}

fn sticky_cookie() -> String {
    "headgate_sticky".to_owned()
}
