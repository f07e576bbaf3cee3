//! A running process: the server, the control loops beside it, and what happens on a signal, a changed
//! file, a reload or an upgrade. It carries no traffic.

use crate::run::{Failure, load};
use crate::server::{Server, seed};
use crate::upgrade;
use headgate_control::context::Context;
use headgate_control::discovery::Update;
use headgate_control::discovery::dns::Resolver;
use headgate_control::watch::Watch;
use headgate_control::{self as control, Loops};
use headgate_gateway::snapshot::{Discovered, Snapshot};
use headgate_gateway::worker::Shared;
use headgate_model::spec::Config;
use headgate_observe::log::{self, Level};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Updates from discovery that may wait to be taken over.
const UPDATES: usize = 64;

/// What others may do to a running Headgate.
#[derive(Clone)]
pub(crate) struct Running {
    file: Option<Arc<PathBuf>>,
    server: Arc<Mutex<Option<Server>>>,
    shared: Arc<Shared>,
}

impl Running {
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// The addresses that are listened on, by listener name.
    pub(crate) fn addresses(&self) -> Vec<(String, String)> {
        self.with_server(|server| server.addresses()).unwrap_or_default()
    }

    /// Reads the configuration file again and swaps it in; a file that cannot be used changes nothing.
    /// Gives a line that says what is in force now, or why nothing changed.
    pub(crate) fn reload(&self) -> Result<String, String> {
        let Some(file) = &self.file else {
            return Err("started without a file; there is nothing to reload".to_owned());
        };
        let result = load(file).and_then(|config| {
            let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
            let server = server.as_mut().ok_or("this Headgate is stopping")?;
            server.apply(Arc::new(config))
        });
        let generation = self.shared.snapshot().generation;
        match result {
            Ok(()) => {
                log::event(Level::Info, "configuration reloaded", &[("generation", &generation)]);
                Ok(format!("{} is in force (generation {generation})", file.display()))
            }
            Err(error) => {
                let fields: log::Fields<'_> = &[("error", &error), ("generation", &generation)];
                log::event(Level::Error, "configuration not reloaded; the old one stays", fields);
                Err(error.to_string())
            }
        }
    }

    fn with_server<T>(&self, act: impl FnOnce(&mut Server) -> T) -> Option<T> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(act)
    }
}

/// Runs until a stop signal. `ready` is called once when everything listens.
pub(crate) fn run(
    file: Option<PathBuf>,
    config: Config,
    ready: impl FnOnce(&Running) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let snapshot = Snapshot::compile(Arc::new(config), &Discovered::new(), None)?;
    let inherited = upgrade::inherited()?;
    let server = Server::start(snapshot, inherited)?;
    let shared = Arc::clone(&server.shared);
    let running =
        Running { file: file.map(Arc::new), server: Arc::new(Mutex::new(Some(server))), shared };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        ready(&running)?;
        upgrade::take_over();
        supervise(&running).await
    })?;
    let server = running.server.lock().unwrap_or_else(PoisonError::into_inner).take();
    server.map_or(Ok(()), Server::stop)?;
    log::report_suppressed();
    Ok(())
}

/// The loops and the signals, until one of them says stop.
async fn supervise(running: &Running) -> Result<(), Failure> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut upgrade = signal(SignalKind::user_defined2())?;
    let (updates, mut found) = mpsc::channel(UPDATES);
    let shared = running.shared();
    let services = {
        let shared = Arc::clone(&shared);
        Arc::new(move || {
            shared.snapshot().services.iter().map(|service| Arc::clone(&service.state)).collect()
        })
    };
    let control_id = usize::MAX; // no worker has it
    let context = Context {
        services,
        now: Arc::new(move || shared.now()),
        metrics: running.shared.registry.worker(control_id),
        seed: seed(control_id),
    };
    let resolver = Arc::new(Resolver::system()?);
    let signals = running.with_server(Server::take_signals).unwrap_or_default();
    let loops = control::run(Loops { context, resolver, updates, signals });
    let mut watch = Watch::new(running.file.iter().map(|file| file.to_path_buf()));
    let mut successor = None;
    tokio::pin!(loops);
    loop {
        tokio::select! {
            () = &mut loops => return Err("the control loops ended".into()),
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = hangup.recv() => { let _ = running.reload(); }
            _ = watch.changed(), if running.file.is_some() => { let _ = running.reload(); }
            _ = upgrade.recv() => {
                match running.with_server(|server| upgrade::start_successor(server)) {
                    Some(Ok(child)) => successor = Some(child),
                    Some(Err(error)) => {
                        log::event(Level::Error, "upgrade failed; this process goes on", &[("error", &error)]);
                    }
                    None => {}
                }
            }
            Some(update) = found.recv() => take_over(running, update),
            () = upgrade::failed(&mut successor) => {
                log::event(Level::Error, "the successor ended before it was ready; this process goes on", &[]);
            }
        }
    }
}

fn take_over(running: &Running, update: Update) {
    let result = match update {
        Update::Endpoints(found) => {
            running.with_server(|server| server.discovered(found.service, found.endpoints))
        }
        // Names are resolved as they are dialled.
        Update::Name(_) => return,
    };
    if let Some(Err(error)) = result {
        log::event(Level::Error, "discovered endpoints not taken over", &[("error", &error)]);
    }
}
