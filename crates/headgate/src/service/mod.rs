//! `headgate service`: a small real HTTP service with a chosen behaviour, for demos, tests and studies. It is
//! a neighbour of the gateway, not a part of it: it shares no networking code with what it is measured behind.

mod behaviour;
mod control;
mod downstream;
mod pace;
mod query;
mod server;
mod station;
mod work;

use crate::parent;
use crate::say::{Failure, say};
use headgate_lab::rig::ReplicaSpec;
use headgate_lab::workload::Distribution;
use headgate_model::spec::Span;

use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// How a service behaves.
#[derive(Clone, Debug)]
pub(crate) struct ServiceOptions {
    pub(crate) listen: SocketAddr,
    /// Sent as `x-served-by` and in the body.
    pub(crate) name: String,
    /// Virtual cores that requests in work share evenly, each using one at most. Default: one for each.
    pub(crate) cores: Option<f64>,
    /// How the service's own work for a request is spread. Default: by `mean` and `variation`.
    pub(crate) work: Option<Distribution<Span<0>>>,
    /// Mean time of the service's own work for a request.
    pub(crate) mean: Duration,
    /// Standard deviation of that time over its mean; the times are lognormal. Zero: constant.
    pub(crate) variation: f64,
    /// Mean bytes of the body. The counts in it need about 150; less is not padded.
    pub(crate) payload: usize,
    /// Bodies are uniform within this share of the mean around it, 0 to 1.
    pub(crate) payload_jitter: f64,
    /// Requests worked on at once; others wait in order.
    pub(crate) concurrency: usize,
    /// Requests that may wait; others are answered 503 at once.
    pub(crate) queue: usize,
    /// `http://host:port/path` of the services that each request calls.
    pub(crate) downstream: Vec<String>,
    /// Calls them at the same time instead of one after the other.
    pub(crate) parallel: bool,
    /// Share of requests answered 500, 0 to 1.
    pub(crate) error_rate: f64,
    /// Of the dice for times, sizes and errors.
    pub(crate) seed: u64,
    /// From the start of the process to the moment at which it listens.
    pub(crate) cold_start: Duration,
    /// How long the speed rises from a tenth to all of it.
    pub(crate) ramp: Duration,
    /// One replica of a study, in place of all that says what a request costs.
    pub(crate) replica: Option<ReplicaSpec>,
    /// Obey the lines of standard input, and end when whoever holds its other end is gone.
    pub(crate) with_parent: bool,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            name: "service".to_owned(),
            cores: None,
            work: None,
            mean: Duration::from_millis(5),
            variation: 0.0,
            payload: 512,
            payload_jitter: 0.0,
            concurrency: 64,
            queue: 10_000,
            downstream: Vec::new(),
            parallel: false,
            error_rate: 0.0,
            seed: 1,
            cold_start: Duration::ZERO,
            ramp: Duration::ZERO,
            replica: None,
            with_parent: false,
        }
    }
}

/// Serves until SIGTERM or SIGINT, then lets what is in work finish.
///
/// # Errors
/// When an option is out of range, or the address cannot be bound.
pub(crate) async fn run(options: ServiceOptions) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (lines, gone) = if options.with_parent {
        parent::follow()?;
        let (lines, gone) = control::listen()?;
        (Some(lines), Some(gone))
    } else {
        (None, None)
    };
    tokio::time::sleep(options.cold_start).await;
    let address = options.listen;
    let listener =
        TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    say(&format!("listening on {}", listener.local_addr()?))?;
    let stop = async {
        let gone = async {
            match gone {
                // It says nothing: its end is the signal.
                Some(gone) => _ = gone.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = gone => {}
        }
    };
    Ok(server::serve(listener, options, lines, stop).await?)
}
