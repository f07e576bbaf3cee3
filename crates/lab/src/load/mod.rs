//! A load generator that does not lie: it says when it was late, counts what it did not send, and measures
//! from the time at which a request was planned as well as from when it was sent. What is asked for comes from
//! [`crate::workload`]. Its sockets and its reading of HTTP/1 are its own, not the gateway's.
//!
//! A [`Plan`] is carried out by [`run`], which gives a [`Summary`]: as text, JSON or report.

mod agenda;
mod clock;
mod connections;
mod engine;
mod error;
mod exchange;
mod expect;
mod http1;
mod http2;
mod notes;
mod page;
mod plan;
mod progress;
mod record;
mod request;
mod response;
mod run;
mod summary;
mod tally;
mod target;
mod text;
mod timeline;
mod tls;
mod wire;

pub use error::LoadError;
pub use expect::{Expectation, Verdict};
pub use plan::Plan;
pub use progress::Progress;
pub use request::RequestSpec;
pub use run::run;
pub use summary::{
    DistributionPoint, FORMAT, Failed, Generator, Latency, Measured, Model, PhaseResult, Protocol,
    RunDescription, Summary,
};
pub use tally::Tally;
pub use target::Target;
pub use timeline::{Moment, Point};
pub use tls::Trust;
