//! What is asked of the gateways: two days of the generated API, or the two halves of a trace of a web server.

use headgate_lab::workload::api::{self, Call, Client, Shows};
use std::io::Read;
use std::path::Path;

/// Requests of a trace in a second of the machine's.
const WEB_RATE: u64 = 600;
/// The trace has no sizes and no times of the service.
const WEB_BYTES: u64 = 8 << 10;
const WEB_LATENCY_US: f64 = 50_000.0;

/// A load.
pub(crate) struct Load {
    pub title: &'static str,
    /// What is learned from, and what is measured.
    pub parts: &'static str,
    calls: Calls,
}

enum Calls {
    Api(Client),
    Web(Vec<Call>),
}

/// Learned from one day, measured on another.
pub(crate) struct Days {
    pub before: Vec<Call>,
    pub measured: Vec<Call>,
}

impl Days {
    pub(crate) fn all(&self) -> impl Iterator<Item = &Call> {
        self.before.iter().chain(&self.measured)
    }
}

impl Load {
    pub(crate) fn api(client: Client) -> Self {
        let title = match client {
            Client::Screens => "Generated API: an app's screens",
            Client::Clicks => "Generated API: one call for each click",
        };
        Self { title, parts: "one day to learn, another one measured", calls: Calls::Api(client) }
    }

    /// Keys of four bytes each, compressed by xz; one after the other, by whoever is free.
    pub(crate) fn web(path: &Path, speed: u64) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        lzma_rust2::XzReader::new(file, true).read_to_end(&mut bytes).map_err(failed)?;
        let (keys, _) = bytes.as_chunks::<4>();
        let call = |(at, key): (u64, &[u8; 4])| Call {
            at_ns: at * speed * 1_000_000_000 / WEB_RATE,
            session: at,
            path: format!("/{}", u32::from_be_bytes(*key)),
            is_safe: true,
            is_stored: true,
            bytes: WEB_BYTES,
            latency_us: WEB_LATENCY_US,
            shows: Shows::Nothing,
        };
        let calls = (0..).zip(keys).map(call).collect();
        let parts = "nobody knows who asked; one half to learn, the other one measured";
        Ok(Self { title: "web07", parts, calls: Calls::Web(calls) })
    }

    pub(crate) fn days(&self, seed: u64) -> Result<Days, String> {
        match &self.calls {
            Calls::Api(client) => {
                Ok(Days { before: api::calls(*client, 1_000 + seed)?, measured: api::calls(*client, seed)? })
            }
            Calls::Web(calls) => {
                let (before, measured) = calls.split_at(calls.len() / 2);
                let from_ns = measured.first().map_or(0, |call| call.at_ns);
                let again = |call: &Call| Call { at_ns: call.at_ns - from_ns, ..call.clone() };
                Ok(Days { before: before.to_vec(), measured: measured.iter().map(again).collect() })
            }
        }
    }
}
