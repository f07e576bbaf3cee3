//! The fields of an access log line, their names and their values. How a line is put together from them
//! is in `format.rs`.
//!
#![doc = include_str!("../../../../docs/access-log.md")]

use std::fmt::Display;
use std::io::Write;
use std::net::IpAddr;

use super::record::{AccessRecord, Cut};
use crate::escape;
use crate::timestamp::{CommonLog, Rfc3339};

macro_rules! fields {
    ($($field:ident = $name:literal,)*) => {
        /// One field of an access log line; `docs/access-log.md` explains each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Field { $($field,)* }

        impl Field {
            pub const ALL: &'static [Self] = &[$(Self::$field,)*];

            /// The name in format strings and JSON.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$field => $name,)* }
            }
        }
    };
}

fields! {
    Time = "time",
    TimeCommon = "time_common",
    Client = "client",
    ClientPort = "client_port",
    LocalPort = "local_port",
    Method = "method",
    Host = "host",
    Path = "path",
    Protocol = "protocol",
    Status = "status",
    BytesIn = "bytes_in",
    BytesOut = "bytes_out",
    DurationUs = "duration_us",
    UpstreamUs = "upstream_us",
    Retries = "retries",
    Route = "route",
    Service = "service",
    Endpoint = "endpoint",
    UserAgent = "user_agent",
    Referer = "referer",
    RequestId = "request_id",
    TraceId = "trace_id",
    Fault = "fault",
    Tls = "tls",
    UpstreamReused = "upstream_reused",
    Upgraded = "upgraded",
    Injected = "injected",
    Cache = "cache",
}

impl Field {
    /// The field called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }

    pub(super) fn value<'a>(self, record: &AccessRecord<'a>, cut: Cut) -> Value<'a> {
        let text = |bytes: &'a [u8], slice| match bytes {
            [] => Value::Absent,
            _ => Value::Text { bytes, cut: cut.has(slice) },
        };
        match self {
            Self::Time => Value::Time(record.start_unix_us),
            Self::TimeCommon => Value::TimeCommon(record.start_unix_us),
            Self::Client => {
                record.client.map_or(Value::Absent, |client| Value::Address(client.ip().to_canonical()))
            }
            Self::ClientPort => number_or_absent(record.client.map_or(0, |client| client.port())),
            Self::LocalPort => number_or_absent(record.local_port),
            Self::Method => text(record.method, 0),
            Self::Host => text(record.host, 1),
            Self::Path => text(record.path, 2),
            Self::Protocol => text(record.protocol, 3),
            Self::Status => number_or_absent(record.status),
            Self::BytesIn => Value::Number(record.bytes_in),
            Self::BytesOut => Value::Number(record.bytes_out),
            Self::DurationUs => Value::Number(record.duration_us),
            Self::UpstreamUs => Value::Number(record.upstream_us),
            Self::Retries => Value::Number(record.retries.into()),
            Self::UserAgent => text(record.user_agent, 4),
            Self::Referer => text(record.referer, 5),
            Self::Route => text(record.route, 6),
            Self::Service => text(record.service, 7),
            Self::Endpoint => text(record.endpoint, 8),
            Self::RequestId => text(record.request_id, 9),
            Self::TraceId => record.trace_id.map_or(Value::Absent, Value::Id),
            Self::Fault => record.fault.map_or(Value::Absent, |kind| Value::Word(kind.label())),
            Self::Tls => Value::Flag(record.tls),
            Self::UpstreamReused => Value::Flag(record.upstream_reused),
            Self::Upgraded => Value::Flag(record.upgraded),
            Self::Injected => Value::Flag(record.injected),
            Self::Cache => record.cache.map_or(Value::Absent, |result| Value::Word(result.label())),
        }
    }
}

fn number_or_absent(number: u16) -> Value<'static> {
    if number == 0 { Value::Absent } else { Value::Number(number.into()) }
}

/// The value of one field in one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Absent,
    Number(u64),
    Flag(bool),
    /// Needs no escaping.
    Word(&'static str),
    /// Bytes that a peer chose, some of them cut off when `cut`.
    Text {
        bytes: &'a [u8],
        cut: bool,
    },
    Time(u64),
    TimeCommon(u64),
    Address(IpAddr),
    Id([u8; 16]),
}

impl Value<'_> {
    /// Appends the value as JSON.
    pub(super) fn write_json(self, out: &mut Vec<u8>) {
        match self {
            Self::Absent => out.extend(b"null"),
            Self::Text { bytes, .. } => escape::json_string(bytes, out),
            Self::Number(_) | Self::Flag(_) => self.write_text(out),
            Self::Word(_) | Self::Time(_) | Self::TimeCommon(_) | Self::Address(_) | Self::Id(_) => {
                out.push(b'"');
                self.write_text(out);
                out.push(b'"');
            }
        }
    }

    /// Appends the value as printable ASCII without quotes.
    pub(super) fn write_text(self, out: &mut Vec<u8>) {
        match self {
            Self::Absent => out.push(b'-'),
            Self::Number(number) => display(number, out),
            Self::Flag(flag) => display(flag, out),
            Self::Word(word) => out.extend(word.as_bytes()),
            Self::Text { bytes, cut } => {
                escape::backslash_hex(bytes, out);
                out.extend(if cut { &b"..."[..] } else { b"" });
            }
            Self::Time(unix_us) => display(Rfc3339(unix_us), out),
            Self::TimeCommon(unix_us) => display(CommonLog(unix_us), out),
            Self::Address(address) => display(address, out),
            Self::Id(id) => escape::hex_all(&id, out),
        }
    }
}

fn display(value: impl Display, out: &mut Vec<u8>) {
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_lists_exactly_these_fields_in_this_order() {
        let documented: Vec<_> = (include_str!("../../../../docs/access-log.md").lines())
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(name, _)| name)
            .collect();
        let known: Vec<_> = Field::ALL.iter().map(|field| field.name()).collect();
        assert_eq!(documented, known);
    }
}
