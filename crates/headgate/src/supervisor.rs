//! A running process: the server, the control loops and the admin listener beside it, and what happens on a
//! signal, a changed file, a reload or an upgrade. It carries no traffic.

use crate::admin_listener::{self, AdminListener};
use crate::aside_gauges::AsideGauges;
use crate::chaos_control;
use crate::curve;
use crate::file::{ConfigFile, located};
use crate::guards;
use crate::journal;
use crate::mistakes::one_line;
use crate::say::Failure;
use crate::server::{Server, seed};
use crate::spare_memory;
use crate::upgrade;
use crate::{cache_figures, purge};
use headgate_admin::{Admin, ChaosAsk, ChaosChange, ChaosRefusal, Reload, State};
use headgate_control::context::Context;
use headgate_control::discovery::Found;
use headgate_control::discovery::dns::Resolver;
use headgate_control::watch::Watch;
use headgate_control::{self as control, Loops};
use headgate_gateway::listener::Listener;
use headgate_gateway::snapshot::{Discovered, Snapshot};
use headgate_gateway::upstream_tls::UpstreamTls;
use headgate_gateway::worker::Shared;
use headgate_model::dice::Dice;
use headgate_model::spec::Config;
use headgate_observe::cache_metrics::{DiskFigures, DiskMetrics, RedisMetrics, StoreFigures, StoreMetrics};
use headgate_observe::log::{self, Level};
use headgate_observe::process::{ConfigMetrics, ProcessMetrics};
use headgate_observe::registry::WorkerMetrics;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Sleep, sleep, timeout};

/// How long an answer to a purge waits for the tiers of the cache.
const PURGE_PATIENCE: Duration = Duration::from_secs(5);
/// Updates from discovery that may wait to be taken over.
const UPDATES: usize = 64;
/// How long the last lines of the decision journal may take at the end.
const JOURNAL_PATIENCE: Duration = Duration::from_secs(2);
/// Why a process stops whose listeners go on in another.
const SUCCEEDED: &str = "a successor took over";
/// The control thread among the workers' metrics; no worker has this number.
const CONTROL_ID: usize = usize::MAX;

/// What others may do to a running Headgate.
#[derive(Clone)]
pub(crate) struct Running {
    file: Option<Arc<ConfigFile>>,
    server: Arc<Mutex<Option<Server>>>,
    admin: Arc<Mutex<AdminListener>>,
    shared: Arc<Shared>,
    metrics: Arc<Mutex<ConfigMetrics>>,
    asides: AsideGauges,
    stored: StoreMetrics,
    on_disk: Option<Arc<DiskMetrics>>,
    in_redis: Option<Arc<RedisMetrics>>,
    /// A stop was asked for, and new connections are still taken.
    leaving: Arc<AtomicBool>,
}

impl State for Running {
    fn ready(&self) -> Result<(), String> {
        let stopping = self.leaving.load(Ordering::Relaxed) || *self.shared.stops().borrow();
        if stopping { Err("stopping: open requests are being finished".to_owned()) } else { Ok(()) }
    }

    fn reload(&self) -> Reload {
        let running = self.clone();
        Box::pin(async move {
            let reloaded = tokio::task::spawn_blocking(move || Self::reload(&running)).await;
            reloaded.unwrap_or_else(|panic| Err(format!("the reload failed: {panic}")))
        })
    }

    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.shared.snapshot().config)
    }

    fn purge(&self, text: Vec<u8>) -> Reload {
        let shared = self.shared();
        Box::pin(async move {
            let cache = Arc::clone(&shared);
            // It may look at every key.
            let purged = tokio::task::spawn_blocking(move || purge::answer(&shared, &text)).await;
            let unsettled = timeout(PURGE_PATIENCE, cache.cache.unsettled()).await;
            let late = purge::unsettled(unsettled.as_deref().unwrap_or(&["tier"]));
            let purged = purged.unwrap_or_else(|panic| Err(format!("the purge failed: {panic}")));
            purged.map(|done| done + &late)
        })
    }

    fn cache_curve(&self) -> Option<String> {
        curve::answer(&self.shared)
    }

    fn guards(&self) -> String {
        guards::listed(&self.shared)
    }

    fn set_guard(&self, text: &[u8]) -> Result<String, String> {
        guards::set(&self.shared, text)
    }

    fn refresh_metrics(&self) {
        self.asides.refresh(&self.shared, &self.shared.registry.worker(CONTROL_ID));
        let cache = &self.shared.cache;
        let fill = cache.store.fill();
        self.stored.set(&StoreFigures {
            memory: cache.memory(),
            bytes: fill.bytes,
            objects: fill.objects,
            fills: cache.fills.count() as u64,
            evicted: fill.evicted,
            refused: fill.refused,
            unheard: fill.unheard,
        });
        if let (Some(metrics), Some((disk, late))) = (&self.on_disk, cache.disk_figures()) {
            metrics.set(&DiskFigures {
                on: disk.ready,
                bytes: disk.bytes,
                objects: disk.objects,
                events: [
                    disk.hits,
                    disk.misses,
                    late,
                    disk.busy,
                    disk.damaged,
                    disk.read_errors,
                    disk.written,
                    disk.dropped,
                    disk.write_errors,
                ],
            });
        }
        if let (Some(metrics), Some(redis)) = (&self.in_redis, cache.redis_figures()) {
            metrics.set(&cache_figures::of_redis(&redis));
        }
    }

    fn chaos(&self, ask: ChaosAsk) -> ChaosChange {
        let running = self.clone();
        Box::pin(async move {
            let answered = tokio::task::spawn_blocking(move || {
                let answer = running.with_server(|server| chaos_control::answer(server, ask));
                running.count(|_| {});
                answer.unwrap_or_else(|| Err(ChaosRefusal::Failed("this Headgate is stopping".to_owned())))
            });
            answered.await.unwrap_or_else(|panic| Err(ChaosRefusal::Failed(panic.to_string())))
        })
    }
}

impl Running {
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// The addresses that are listened on, by listener name.
    pub(crate) fn addresses(&self) -> Vec<(String, String)> {
        self.with_server(|server| server.addresses()).unwrap_or_default()
    }

    /// Where the admin listener is.
    pub(crate) fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.lock().unwrap_or_else(PoisonError::into_inner).address()
    }

    /// Reads the configuration file again and swaps it in; a file that cannot be used changes nothing.
    /// Gives a line that says what is in force now, or why nothing changed.
    pub(crate) fn reload(&self) -> Result<String, String> {
        let Some(file) = &self.file else {
            log::event(Level::Warn, "nothing to reload: started without a file", &[]);
            return Err("started without a file; there is nothing to reload".to_owned());
        };
        let result = self.apply(file);
        self.count(|metrics| if result.is_ok() { metrics.applied() } else { metrics.refused() });
        let generation = self.shared.snapshot().generation;
        self.reload_certificates();
        match result {
            Ok(()) => {
                let config = &self.shared.snapshot().config;
                let (listeners, services) = (config.listeners.len(), config.services.len());
                let fields: log::Fields<'_> = &[
                    ("file", &file.path.display()),
                    ("generation", &generation),
                    ("listeners", &listeners),
                    ("services", &services),
                    ("routes", &config.routes.len()),
                ];
                log::event(Level::Info, "configuration reloaded", fields);
                let decided = format!("in force as generation {generation}");
                journal::reloaded(&self.shared.journal, &file.path, decided, "it is valid");
                Ok(format!("{} is in force (generation {generation})", file.path.display()))
            }
            Err(error) => {
                let line = one_line(&*error);
                let decided = format!("refused; generation {generation} stays");
                journal::reloaded(&self.shared.journal, &file.path, decided, &line);
                let fields: log::Fields<'_> = &[("error", &line), ("generation", &generation)];
                log::event(Level::Error, "configuration not reloaded; the old one stays", fields);
                Err(error.to_string())
            }
        }
    }

    /// Swaps what `file` says in: all of it, or nothing.
    fn apply(&self, file: &ConfigFile) -> Result<(), Failure> {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let server = server.as_mut().ok_or("this Headgate is stopping")?;
        // Not before: of two reloads at once the later shall not be undone by what the earlier has read.
        let config = file.load()?;
        let mut admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        let moved = admin.prepare(config.admin.as_ref())?;
        server.apply(Arc::new(config)).map_err(|error| located(Some(&file.path), error))?;
        if let Some(moved) = moved {
            log::event(Level::Info, "admin listener moved", &[("to", &moved.place())]);
            admin.enact(moved);
        }
        journal::keep(&self.shared);
        guards::keep(&self.shared);
        spare_memory::give_back();
        Ok(())
    }

    /// Counts, one at a time, and shows which configuration is in force.
    fn count(&self, count: impl FnOnce(&ConfigMetrics)) {
        let metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        count(&metrics);
        metrics.in_force(self.shared.snapshot().generation);
    }

    /// Takes over certificates, keys and authorities whose files have changed. One that cannot be used leaves
    /// the old one in use.
    fn reload_certificates(&self) {
        let snapshot = self.shared.snapshot();
        let mut upstream = snapshot.services.iter().filter_map(|service| service.tls.as_ref());
        if snapshot.listeners.iter().any(Listener::is_outdated) || upstream.any(UpstreamTls::is_outdated) {
            match self.with_server(Server::renew) {
                Some(Err(error)) => {
                    log::event(
                        Level::Error,
                        "TLS files not read again; the old ones stay",
                        &[("error", &error)],
                    );
                }
                _ => log::event(Level::Info, "TLS files read again", &[]),
            }
        }
        for listener in &self.shared.snapshot().listeners {
            let Some(tls) = listener.tls.as_ref().filter(|tls| tls.certificates.changed()) else { continue };
            match tls.certificates.reload() {
                Ok(_) => log::event(Level::Info, "certificates reloaded", &[("listener", &listener.name)]),
                Err(error) => {
                    let fields: log::Fields<'_> = &[("listener", &listener.name), ("error", &error)];
                    log::event(Level::Error, "certificates not reloaded; the old ones stay", fields);
                }
            }
        }
    }

    fn with_server<T>(&self, act: impl FnOnce(&mut Server) -> T) -> Option<T> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(act)
    }
}

/// Runs until a stop signal. `watch` was made before `file` was read, so that no change falls in between.
/// `ready` is called once when everything listens.
pub(crate) fn run(
    file: Option<ConfigFile>,
    watch: Watch,
    config: Config,
    ready: impl FnOnce(&Running) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let snapshot = Snapshot::compile(Arc::new(config), &Discovered::new(), None)
        .map_err(|error| located(file.as_ref().map(|file| file.path.as_path()), error.into()))?;
    upgrade::remember_program()?;
    let inherited = upgrade::inherited()?;
    let mut server = Server::start(snapshot, inherited)?;
    upgrade::inherit_chaos(&mut server);
    let shared = Arc::clone(&server.shared);
    journal::keep(&shared);
    let cells = shared.registry.worker(CONTROL_ID);
    let (mut admin, moves) = AdminListener::new();
    if let Some(first) = admin.prepare(shared.snapshot().config.admin.as_ref())? {
        admin.enact(first);
    }
    let running = Running {
        file: file.map(Arc::new),
        server: Arc::new(Mutex::new(Some(server))),
        admin: Arc::new(Mutex::new(admin)),
        metrics: Arc::new(Mutex::new(ConfigMetrics::new(&cells))),
        asides: AsideGauges::default(),
        stored: StoreMetrics::new(&cells),
        on_disk: shared.cache.disk_figures().map(|_| Arc::new(DiskMetrics::new(&cells))),
        in_redis: shared.cache.redis_figures().map(|_| Arc::new(RedisMetrics::new(&cells))),
        leaving: Arc::default(),
        shared,
    };
    running.count(|_| {});
    let journal = running.shared.journal.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before anybody is told that we run: until then a signal would end the process at once.
        let mut signals = Signals::listen()?;
        let (stop_admin, admin_stops) = oneshot::channel::<()>();
        let admin = Admin {
            registry: running.shared.registry.clone(),
            process: ProcessMetrics::new(&cells, env!("CARGO_PKG_VERSION")),
            journal: running.shared.journal.clone(),
            state: Arc::new(running.clone()),
        };
        let admin = tokio::spawn(admin_listener::serve(moves, admin, admin_stops));
        // Ends with the runtime.
        tokio::spawn(headgate_gateway::eviction::run(running.shared()));
        report_start(&running);
        spare_memory::give_back();
        ready(&running)?;
        upgrade::take_over();
        let supervised = supervise(&running, &mut signals, watch, cells).await;
        let why = supervised.as_ref().copied().unwrap_or("failure");
        let drain = running.shared.snapshot().config.drain.0;
        let fields: log::Fields<'_> = &[("why", &why), ("at_most_s", &drain.as_secs_f64())];
        log::event(Level::Info, "stopping; open requests are being finished", fields);
        guards::let_go(&running.shared);
        // Without a successor the admin listener stays while open requests are finished, to say that this is what happens.
        if why != SUCCEEDED {
            running.with_server(|server| server.remove_socket_files());
        }
        let server = running.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut stop = tokio::task::spawn_blocking(move || server.map_or(Ok(0), Server::stop));
        let stopped = tokio::select! {
            stopped = &mut stop => stopped,
            // Whoever asks twice does not want to wait.
            _ = signals.stop() => {
                log::event(Level::Warn, "asked to stop again; open requests are cut", &[]);
                running.shared.hurry();
                stop.await
            }
        };
        drop(stop_admin);
        // A panic in it was reported where it happened.
        let _ = admin.await;
        supervised?;
        log::event(Level::Info, "stopped", &[("connections_cut", &stopped??)]);
        Ok::<_, Failure>(())
    })?;
    journal.close(JOURNAL_PATIENCE);
    log::report_suppressed();
    Ok(())
}

/// The DNS servers that the configuration names; `None` for those of the system.
fn dns_servers(config: &Config) -> Option<Vec<SocketAddr>> {
    // Validation lets nothing else come this far.
    let servers: Vec<SocketAddr> = config.dns.servers.iter().filter_map(|text| text.parse().ok()).collect();
    (!servers.is_empty()).then_some(servers)
}

/// Says in the log what began to run.
fn report_start(running: &Running) {
    let addresses = running.addresses().into_iter().map(|(name, address)| format!("{name}={address}"));
    let listeners = addresses.collect::<Vec<_>>().join(",");
    let workers = running.with_server(|server| server.workers()).unwrap_or_default();
    let config = &running.shared.snapshot().config;
    let admin = config.admin.as_ref().map_or("none", |admin| &admin.bind);
    let fields: log::Fields<'_> = &[
        ("version", &env!("CARGO_PKG_VERSION")),
        ("workers", &workers),
        ("listeners", &listeners),
        ("admin", &admin),
    ];
    log::event(Level::Info, "started", fields);
}

/// The signals that mean something to a running Headgate.
struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
    upgrade: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for one that says stop; its name.
    async fn stop(&mut self) -> &'static str {
        stopped(&mut self.interrupt, &mut self.terminate).await
    }
}

async fn stopped(interrupt: &mut Signal, terminate: &mut Signal) -> &'static str {
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

/// The loops and the signals, until one of them says stop; which one.
async fn supervise(
    running: &Running,
    signals: &mut Signals,
    mut watch: Watch,
    metrics: WorkerMetrics,
) -> Result<&'static str, Failure> {
    let (updates, mut found) = mpsc::channel(UPDATES);
    let shared = running.shared();
    let services = {
        let shared = Arc::clone(&shared);
        Arc::new(move || {
            shared.snapshot().services.iter().map(|service| Arc::clone(&service.state)).collect()
        })
    };
    let probe_faults = {
        let shared = Arc::clone(&shared);
        Arc::new(move |service: &str, endpoint: &str, dice: &mut Dice| {
            let snapshot = shared.snapshot();
            snapshot.chaos.as_ref()?.verdict_on_probe(service, endpoint, shared.now(), dice)
        })
    };
    let now = Arc::new(move || shared.now());
    let journal = running.shared.journal.clone();
    let context = Context { services, now, metrics, journal, probe_faults, seed: seed(CONTROL_ID) };
    let resolver = Arc::new(Resolver::system()?);
    resolver.set_servers(dns_servers(&running.shared.snapshot().config))?;
    let outcomes = running.with_server(Server::take_signals).unwrap_or_default();
    let loops = control::run(Loops { context, resolver: Arc::clone(&resolver), updates, signals: outcomes });
    let mut successor = None;
    let mut leave: Option<(&'static str, Pin<Box<Sleep>>)> = None;
    let mut changes = running.shared.changes();
    let mut ends = running.with_server(|server| server.chaos.ends()).ok_or("stopped before it ran")?;
    let mut certificates = Watch::new(tls_files(&running.shared.snapshot().config));
    tokio::pin!(loops);
    loop {
        tokio::select! {
            () = &mut loops => return Err("the control loops ended".into()),
            why = stopped(&mut signals.interrupt, &mut signals.terminate) => {
                if successor.is_some() && why == "SIGTERM" {
                    // It answers there now: two that say different things would be heard by turns.
                    running.admin.lock().unwrap_or_else(PoisonError::into_inner).leave();
                    return Ok(SUCCEEDED);
                }
                let delay = running.shared.snapshot().config.drain_delay.0;
                if delay.is_zero() || leave.is_some() {
                    return Ok(why);
                }
                running.leaving.store(true, Ordering::Relaxed);
                let fields: log::Fields<'_> = &[("why", &why), ("for_s", &delay.as_secs_f64())];
                log::event(Level::Info, "not ready any more; connections are still taken", fields);
                leave = Some((why, Box::pin(sleep(delay))));
            }
            why = delay_over(&mut leave) => return Ok(why),
            _ = signals.hangup.recv() => {
                running.with_server(|server| server.reopen_log());
                // What came of it is in the log.
                let _ = State::reload(running).await;
            }
            _ = watch.changed(), if running.file.is_some() => { let _ = State::reload(running).await; }
            _ = certificates.changed() => running.reload_certificates(),
            _ = changes.changed() => {
                let config = Arc::clone(&running.shared.snapshot().config);
                certificates.set_files(tls_files(&config));
                if let Err(error) = resolver.set_servers(dns_servers(&config)) {
                    log::event(Level::Error, "DNS servers not taken over", &[("error", &error)]);
                }
            }
            _ = signals.upgrade.recv() => {
                match running.with_server(|server| upgrade::start_successor(server)) {
                    Some(Ok(child)) => successor = Some(child),
                    Some(Err(error)) => {
                        log::event(Level::Error, "upgrade failed; this process goes on", &[("error", &error)]);
                    }
                    None => {}
                }
            }
            Some(update) = found.recv() => take_over(running, update).await,
            () = chaos_control::first_end(&mut ends, || running.shared.now()) => {
                let here = running.clone();
                // What came of it is in the log.
                let ending = move || here.with_server(chaos_control::end_rules);
                let _ = tokio::task::spawn_blocking(ending).await;
                running.count(|_| {});
            }
            () = upgrade::failed(&mut successor) => {
                log::event(Level::Error, "the successor ended before it was ready; this process goes on", &[]);
            }
        }
    }
}

/// Ends when connections need no longer be taken; never, as long as nobody asked to stop.
async fn delay_over(leave: &mut Option<(&'static str, Pin<Box<Sleep>>)>) -> &'static str {
    match leave {
        None => std::future::pending().await,
        Some((why, delay)) => {
            delay.await;
            why
        }
    }
}

/// Files with certificates, keys and authorities of listeners and services.
fn tls_files(config: &Config) -> impl Iterator<Item = PathBuf> {
    let listeners = config.listeners.values().filter_map(|listener| listener.tls.as_ref());
    let services = config.services.values().filter_map(|service| service.tls.as_ref());
    let served = listeners.clone().flat_map(|tls| &tls.certificates).flat_map(|pair| [&pair.cert, &pair.key]);
    let asked_for = listeners.filter_map(|tls| tls.client_ca.as_ref());
    let shown = services.flat_map(|tls| [&tls.ca, &tls.cert, &tls.key]).flatten();
    served.chain(asked_for).chain(shown).map(PathBuf::from)
}

/// Beside the loops: a large configuration takes long enough to compile to hold up probes.
async fn take_over(running: &Running, found: Found) {
    let here = running.clone();
    let taken_over = tokio::task::spawn_blocking(move || {
        let result = here.with_server(|server| server.discovered(found.service, found.endpoints));
        result.map_or(Ok(()), |result| result.map_err(|error| error.to_string()))
    });
    let result = taken_over.await.unwrap_or_else(|panic| Err(panic.to_string()));
    running.count(|_| {});
    if let Err(error) = result {
        log::event(Level::Error, "discovered endpoints not taken over", &[("error", &error)]);
    }
}
