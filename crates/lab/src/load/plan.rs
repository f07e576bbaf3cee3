//! What a run is to do, as its caller says it, and the checks that can be made before it begins.

use super::error::LoadError;
use super::request::RequestSpec;
use super::tally::Tally;
use super::target::Target;
use super::tls::Trust;
use crate::workload::{Load, Workload};
use std::sync::Arc;
use std::time::Duration;

/// Phases that are told apart in the results.
const PHASES_MAX: usize = 100;
/// Descriptors for everything but connections.
const OTHER_FILES: u64 = 64;

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub target: Target,
    /// Who asks for what and when.
    pub workload: Workload,
    /// The seed that the workload was made with; kept for the record.
    pub seed: u64,
    pub requests: RequestSpec,
    pub http2: bool,
    pub trust: Trust,
    /// Connections of all threads. Default: one per user; for arrivals 64; with HTTP/2 as many as the streams
    /// ask for.
    pub connections: Option<usize>,
    /// Requests at once on one HTTP/2 connection.
    pub streams: usize,
    /// For an answer, for a free connection and for a connection to open.
    pub timeout: Duration,
    /// Generator threads.
    pub threads: usize,
    /// Told of everything that is over, as it happens.
    pub tally: Option<Arc<Tally>>,
}

/// Connections of the open model unless told otherwise.
const OPEN_CONNECTIONS: usize = 64;

impl Plan {
    /// A run of this workload with the defaults.
    #[must_use]
    pub fn new(target: Target, workload: Workload, seed: u64) -> Self {
        Self {
            target,
            workload,
            seed,
            requests: RequestSpec::default(),
            http2: false,
            trust: Trust::default(),
            connections: None,
            streams: 100,
            timeout: Duration::from_secs(10),
            threads: 1,
            tally: None,
        }
    }

    /// Whether arrivals wait for no answer.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.workload.load(), Load::Open(_))
    }

    /// Connections of all threads.
    #[must_use]
    pub fn connections(&self) -> usize {
        let default = || match self.workload.load() {
            Load::Closed(closed) if self.http2 => (closed.users() as usize).div_ceil(self.streams.max(1)),
            Load::Closed(closed) => closed.users() as usize,
            Load::Open(_) if self.http2 => 1,
            Load::Open(_) => OPEN_CONNECTIONS,
        };
        self.connections.unwrap_or_else(default).max(self.threads)
    }

    /// What can be checked before the run begins.
    ///
    /// # Errors
    /// [`LoadError::Setting`] or [`LoadError::OpenFiles`].
    pub fn check(&self) -> Result<(), LoadError> {
        let setting = |setting, problem: &str, remedy| {
            Err(LoadError::Setting { setting, problem: problem.to_owned(), remedy })
        };
        if self.threads == 0 || self.threads > 1_024 {
            return setting("threads", "not from 1 to 1024", "write as many as the generator may have cores");
        }
        if self.streams == 0 || self.streams > 10_000 {
            return setting(
                "streams",
                "not from 1 to 10000",
                "write how many requests a connection carries at once",
            );
        }
        if self.timeout < Duration::from_millis(1) {
            return setting("timeout", "shorter than a millisecond", "write one like 10s");
        }
        if self.connections == Some(0) {
            return setting("connections", "0", "write at least 1");
        }
        if self.http2 && self.requests.close {
            return setting("close", "HTTP/2 has no such thing", "leave out --close or --http2");
        }
        if self.workload.phases().all().len() > PHASES_MAX {
            return setting("phases", "more than 100", "join some, or write their rates as a trace");
        }
        raise_open_files(self.connections() as u64 + OTHER_FILES)
    }
}

/// Lifts the limit of open files as far as it may be lifted.
fn raise_open_files(needed: u64) -> Result<(), LoadError> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let limit = current.unwrap_or(u64::MAX);
    if limit >= needed {
        return Ok(());
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum });
    raised.map_err(|_| LoadError::OpenFiles { limit, needed })
}
