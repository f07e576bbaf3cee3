//! `headgate service`: a small real HTTP service with a chosen behaviour, for demos, tests and studies. It is
//! a neighbour of the gateway, not a part of it: it shares no networking code with what it is measured behind.

mod downstream;
mod server;
mod work;

use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// How a service behaves.
#[derive(Clone, Debug)]
pub(crate) struct ServiceOptions {
    pub(crate) listen: SocketAddr,
    /// Sent as `x-served-by` and in the body.
    pub(crate) name: String,
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
    /// Stop when standard input ends, as it does when whoever holds its other end is gone.
    pub(crate) with_parent: bool,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            name: "service".to_owned(),
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
            with_parent: false,
        }
    }
}

/// Serves until SIGTERM or SIGINT, then lets what is in work finish.
///
/// # Errors
/// When an option is out of range, or the address cannot be bound.
pub(crate) async fn run(options: ServiceOptions) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (here, gone) = oneshot::channel::<()>();
    // Held to the end where nobody watches.
    let mut here = Some(here);
    if options.with_parent {
        let here = here.take();
        std::thread::Builder::new().name("parent".to_owned()).spawn(move || {
            // What is read does not matter, nor whether it ends in an error.
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            drop(here);
        })?;
    }
    let address = options.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| std::io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
    server::serve(listener, options, async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = gone => {}
        }
    })
    .await
}
