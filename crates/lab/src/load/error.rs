//! Why a run cannot begin. What goes wrong later is counted, not raised.

use crate::workload::SpecError;
use std::io;
use std::net::SocketAddr;

/// Why there is no load. Causes are in `source`.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot use the URL `{url}`: {why}; write it like http://127.0.0.1:3000/path")]
    Url { url: String, why: String },
    #[error("cannot resolve the host `{host}`; check its spelling, or name an address")]
    Resolve { host: String, source: io::Error },
    #[error("nothing can be reached at {address}; is the target running, and is the port right?")]
    Unreachable { address: SocketAddr, source: io::Error },
    #[error("the workload cannot be used")]
    Workload(#[from] SpecError),
    /// A setting with what is wrong with it and what to write instead.
    #[error("{setting}: {problem}; {remedy}")]
    Setting { setting: &'static str, problem: String, remedy: &'static str },
    #[error("TLS with {host}: {why}")]
    Tls { host: String, why: String },
    #[error(
        "the limit of open files is {limit}, the run needs {needed}; raise it with `ulimit -n {needed}`, or \
         lower --connections or --users"
    )]
    OpenFiles { limit: u64, needed: u64 },
    #[error("none of {count} connections to {address} came to be: {why}")]
    NoConnection { count: usize, address: SocketAddr, why: String },
    #[error("{what}")]
    System { what: &'static str, source: io::Error },
}
