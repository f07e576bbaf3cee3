//! A running Headgate: listening sockets, one thread per worker, and the swap to another configuration.
//! The only place where the crates are wired together.

use crate::chaos_book::{ChaosBook, Entry, compiled};
use crate::guards;
use crate::kept_sockets::{Matched, OpenSockets, match_up};
use crate::open_files;
use headgate_gateway::accept::accept;
use headgate_gateway::prefetch;
use headgate_gateway::snapshot::{Discovered, Snapshot};
use headgate_gateway::worker::{Outlets, Shared, Worker};
use headgate_model::address::BindAddress;
use headgate_model::signal::{self, SignalReceiver};
use headgate_model::spec::{self, Config};
use headgate_net::listener::{self, ListenSocket};
use headgate_observe::access_log::{AccessLog, AccessLogWriter, Format, RING_BYTES, Target};
use headgate_observe::log::{self, Level};
use headgate_observe::registry::Registry;
use std::collections::BTreeMap;
use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Connections that may wait to be accepted, per socket.
const BACKLOG: u32 = 4_096;
const BIND_REMEDY: &str = "; for a port below 1024 give the program the right to it \
    (`setcap cap_net_bind_service=+ep PROGRAM`, or AmbientCapabilities=CAP_NET_BIND_SERVICE in a systemd unit), \
    for a Unix socket the right to write to its folder";
/// How long the last lines of the access log may take at the end.
const LOG_PATIENCE: Duration = Duration::from_secs(5);
/// Label sets that one metric may have.
const LABEL_SETS: usize = 20_000;
/// Tasks run between two looks at the sockets. Under load a larger batch means fewer calls into the kernel;
/// a batch still lasts well under a millisecond.
const TASKS_PER_POLL: u32 = 256;

/// What a worker is told to do.
enum Command {
    /// To accept on a socket, and to hold on to `ours` as long: by that is known whether it is still open.
    Listen { name: Box<str>, bind: Box<str>, socket: ListenSocket, ours: Arc<ListenSocket> },
    /// To tell requests to this access log from now on, or to none.
    LogTo(Option<AccessLog>),
}

pub(crate) struct Server {
    pub(crate) shared: Arc<Shared>,
    workers: Vec<WorkerThread>,
    /// Each listener's sockets, which a worker accepts from too.
    sockets: BTreeMap<String, Sockets>,
    /// Sockets of former listeners, as long as a worker still takes what had begun there.
    leaving: Vec<Weak<ListenSocket>>,
    discovered: Discovered,
    /// The control loops' end of each worker's queue of outcomes.
    signals: Vec<SignalReceiver>,
    log: Option<AccessLogWriter>,
    pub(crate) chaos: ChaosBook,
}

struct Sockets {
    bind: String,
    sockets: Vec<Arc<ListenSocket>>,
}

struct WorkerThread {
    commands: mpsc::UnboundedSender<Command>,
    /// Ends with the number of connections that it cut.
    thread: JoinHandle<io::Result<usize>>,
}

impl Server {
    /// Binds all listeners and starts the workers. What is `inherited` is not bound again.
    ///
    /// # Errors
    /// Names the listener that could not be bound, before any worker starts.
    pub(crate) fn start(mut snapshot: Snapshot, inherited: OpenSockets) -> io::Result<Self> {
        let config = Arc::clone(&snapshot.config);
        let count =
            config.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let wanted = config.listeners.iter().map(|(name, spec)| (name, &spec.bind));
        let Matched { kept, left } = match_up(wanted.clone(), inherited);
        let sockets = Sockets::open_all(wanted, count, kept, &left)?;
        // The predecessor, which may yet go on with them, closes them in the end.
        drop(left);
        let mut chaos = ChaosBook::default();
        let rules = chaos.with_file(&config);
        snapshot.chaos = compiled(&rules);
        let shared = Shared::new(snapshot, Registry::new(LABEL_SETS));
        let connections = open_files::raise();
        shared.limit_connections(connections);
        let wanted =
            shared.snapshot().listeners.iter().map(|listener| listener.spec.limits.connections).max();
        if wanted.is_some_and(|wanted| wanted > connections) {
            let fields: log::Fields<'_> = &[("connections", &connections)];
            let message = "the hard limit of open files (ulimit -Hn) allows fewer connections than `limits` of a listener";
            log::event(Level::Info, message, fields);
        }
        headgate_gateway::peers::follow(&shared);
        chaos.journal = shared.journal.clone();
        chaos.enter(rules, "start");
        guards::keep(&shared);
        prefetch::follow(&shared, &config, count, seed(count));
        let mut workers = Vec::with_capacity(count);
        let mut signals = Vec::with_capacity(count);
        let (log, logs) = match &config.log {
            Some(spec) => {
                let (writer, logs) = start_log(spec, &shared.registry, count).map_err(io::Error::other)?;
                (Some(writer), logs)
            }
            None => (None, Vec::new()),
        };
        let mut logs = logs.into_iter();
        for id in 0..count {
            let (orders, commands) = mpsc::unbounded_channel();
            let (sender, receiver) = signal::queue();
            signals.push(receiver);
            let outlets = Outlets { signals: Some(sender), access_log: logs.next() };
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new()
                .name(format!("worker-{id}"))
                .spawn(move || work(id, shared, outlets, commands))?;
            workers.push(WorkerThread { commands: orders, thread });
        }
        let (leaving, discovered) = (Vec::new(), Discovered::new());
        let server = Self { shared, workers, sockets, leaving, discovered, signals, log, chaos };
        for (name, sockets) in &server.sockets {
            server.listen(name, sockets)?;
        }
        Ok(server)
    }

    /// Swaps another configuration in: all of it, or nothing. Open connections stay; listeners that are gone
    /// stop accepting, new ones begin.
    ///
    /// # Errors
    /// Says what cannot be used; the configuration in force is then untouched.
    pub(crate) fn apply(&mut self, config: Arc<Config>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let before = self.shared.snapshot();
        let mut snapshot = Snapshot::compile(Arc::clone(&config), &self.discovered, Some(&before))?;
        let chaos = self.chaos.with_file(&config);
        snapshot.chaos = compiled(&chaos);
        let stays = |name: &String, known: &Sockets| {
            config.listeners.get(name).is_some_and(|spec| spec.bind == known.bind)
        };
        let moving = self.sockets.iter().filter(|(name, known)| !stays(name, known));
        let moving = moving.map(|(name, known)| (name.clone(), known.sockets.clone())).collect();
        let wanted = config.listeners.iter().map(|(name, spec)| (name, &spec.bind));
        let wanted =
            wanted.filter(|(name, _)| !self.sockets.get(*name).is_some_and(|known| stays(name, known)));
        let Matched { kept, mut left } = match_up(wanted.clone(), moving);
        left.extend(self.leaving.iter().filter_map(Weak::upgrade));
        let opened = Sockets::open_all(wanted, self.workers.len(), kept, &left)?;
        // Nothing may fail after this but the handing over of sockets, which fails only when workers are gone.
        self.change_log(config.log.as_ref())?;
        prefetch::follow(&self.shared, &config, self.workers.len(), seed(self.workers.len()));
        for socket in &left {
            // Where it cannot be silenced, a handshake under way as the worker closes it is reset; no more.
            let _ = socket.silence();
        }
        self.leaving = left.iter().map(Arc::downgrade).collect();
        self.shared.publish(snapshot);
        self.chaos.enter(chaos, "reload");
        // A source that comes back later starts with what it finds then.
        let is_discovered =
            |name: &String| config.services.get(name).is_some_and(|spec| spec.discover.is_some());
        self.discovered.retain(|name, _| is_discovered(name));
        self.sockets.retain(|name, _| config.listeners.contains_key(name));
        for (name, sockets) in opened {
            let handed_over = self.listen(&name, &sockets);
            self.sockets.insert(name, sockets);
            handed_over?;
        }
        Ok(())
    }

    /// Switches the access log on, off or to another place. What was sent to one that is switched off is
    /// written.
    fn change_log(&mut self, spec: Option<&spec::AccessLog>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let tell = |logs: Vec<Option<AccessLog>>| {
            for (worker, log) in self.workers.iter().zip(logs) {
                // A worker that has ended logs nothing.
                let _ = worker.commands.send(Command::LogTo(log));
            }
        };
        match (&self.log, spec) {
            (None, None) => {}
            (Some(log), Some(spec)) => log.change(Target::from(spec), Format::parse(&spec.format)?)?,
            (None, Some(spec)) => {
                let (writer, logs) = start_log(spec, &self.shared.registry, self.workers.len())?;
                tell(logs.into_iter().map(Some).collect());
                self.log = Some(writer);
            }
            (Some(_), None) => {
                tell(self.workers.iter().map(|_| None).collect());
                self.log = None;
            }
        }
        Ok(())
    }

    /// Opens the access log's file anew, after a rotation has moved it.
    pub(crate) fn reopen_log(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
    }

    /// Takes over what discovery found for a service.
    ///
    /// # Errors
    /// When the configuration cannot be compiled with it; what was in force stays.
    pub(crate) fn discovered(
        &mut self,
        service: String,
        endpoints: Vec<(headgate_model::address::EndpointAddress, u16)>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let known = self.discovered.insert(service.clone(), endpoints);
        self.renew().inspect_err(|_| {
            // Or no later configuration could be compiled either.
            match known {
                Some(known) => self.discovered.insert(service, known),
                None => self.discovered.remove(&service),
            };
        })
    }

    /// Compiles the configuration that is in force once more, for what has changed around it.
    pub(crate) fn renew(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.renew_with(self.chaos.entries())
    }

    fn renew_with(&self, chaos: &[Entry]) -> Result<(), Box<dyn Error + Send + Sync>> {
        let before = self.shared.snapshot();
        let mut snapshot = Snapshot::compile(Arc::clone(&before.config), &self.discovered, Some(&before))?;
        snapshot.chaos = compiled(chaos);
        self.shared.publish(snapshot);
        Ok(())
    }

    /// Changes which chaos rules are in force; `why` is for the log.
    ///
    /// # Errors
    /// As [`Self::renew`]; the rules are then those of before.
    pub(crate) fn change_chaos(
        &mut self,
        entries: Vec<Entry>,
        why: &str,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.renew_with(&entries)?;
        self.chaos.enter(entries, why);
        Ok(())
    }

    /// The control loops' end of each worker's queue; empty when they were taken already.
    pub(crate) fn take_signals(&mut self) -> Vec<SignalReceiver> {
        std::mem::take(&mut self.signals)
    }

    /// Hands each worker its socket.
    fn listen(&self, name: &str, sockets: &Sockets) -> io::Result<()> {
        for (at, socket) in sockets.sockets.iter().enumerate() {
            // More sockets than workers come from a predecessor that had more; each must be accepted on.
            let worker = &self.workers[at % self.workers.len()];
            let (name, bind) = (name.into(), sockets.bind.as_str().into());
            let listen =
                Command::Listen { name, bind, socket: socket.try_clone()?, ours: Arc::clone(socket) };
            worker.commands.send(listen).map_err(|_| io::Error::other("a worker has ended"))?;
        }
        Ok(())
    }

    /// How many threads carry traffic.
    pub(crate) fn workers(&self) -> usize {
        self.workers.len()
    }

    /// The listening sockets, for a successor.
    pub(crate) fn sockets(&self) -> Vec<(&str, &[Arc<ListenSocket>])> {
        self.sockets.iter().map(|(name, sockets)| (name.as_str(), &sockets.sockets[..])).collect()
    }

    /// The addresses that are listened on, by listener name.
    pub(crate) fn addresses(&self) -> Vec<(String, String)> {
        let address = |sockets: &Sockets| match sockets.sockets.first().map(|socket| &**socket) {
            Some(ListenSocket::Tcp(socket)) => {
                socket.local_addr().map_or_else(|_| sockets.bind.clone(), |address| address.to_string())
            }
            _ => sockets.bind.clone(),
        };
        self.sockets.iter().map(|(name, sockets)| (name.clone(), address(sockets))).collect()
    }

    /// Removes the files of Unix sockets. To be called while they are still served: afterwards the path may be
    /// another process's.
    pub(crate) fn remove_socket_files(&self) {
        let sockets = self.sockets.values().filter_map(|sockets| sockets.sockets.first());
        for error in sockets.filter_map(|socket| socket.remove_file().err()) {
            log::event(Level::Warn, "the file of a Unix socket stays", &[("error", &error)]);
        }
    }

    /// Stops accepting, lets what is under way finish, and waits for the workers. Gives the number of
    /// connections that the end of the drain time cut.
    ///
    /// # Errors
    /// When a worker failed.
    pub(crate) fn stop(self) -> io::Result<usize> {
        drop(self.sockets);
        self.shared.stop();
        // A successor waits for the folder; what is finished from here on needs the disk no more.
        self.shared.cache.close();
        let mut cut = 0;
        for worker in self.workers {
            drop(worker.commands);
            cut += worker.thread.join().map_err(|_| io::Error::other("a worker panicked"))??;
        }
        if let Some(log) = self.log
            && !log.stop(LOG_PATIENCE)
        {
            return Err(io::Error::other("the access log could not be written to its end"));
        }
        Ok(cut)
    }
}

impl Sockets {
    /// Those of the `wanted` listeners, by name: what is `kept` for them, or new ones. What is `left` may be in
    /// the way, and is ours to share a port with until it is closed.
    fn open_all<'c>(
        wanted: impl Iterator<Item = (&'c String, &'c String)>,
        workers: usize,
        mut kept: OpenSockets,
        left: &[Arc<ListenSocket>],
    ) -> io::Result<BTreeMap<String, Self>> {
        wanted
            .map(|(name, bind)| {
                let kept = kept.remove(name).unwrap_or_default();
                Ok((name.clone(), Self::open(name, bind, workers, kept, left)?))
            })
            .collect()
    }

    /// One socket for each worker: the kernel spreads connections over them.
    fn open(
        name: &str,
        bind: &str,
        workers: usize,
        mut sockets: Vec<Arc<ListenSocket>>,
        left: &[Arc<ListenSocket>],
    ) -> io::Result<Self> {
        let in_place = |error: io::Error| {
            let remedy = match error.kind() {
                io::ErrorKind::PermissionDenied => BIND_REMEDY,
                _ => "",
            };
            io::Error::new(
                error.kind(),
                format!("cannot listen on {bind} for [listen.{name}]: {error}{remedy}"),
            )
        };
        let address: BindAddress = bind
            .parse()
            .map_err(|bad| in_place(io::Error::new(io::ErrorKind::InvalidInput, format!("{bad}"))))?;
        if sockets.is_empty() {
            let socket = listener::bind_beside(&address, left, workers > 1, BACKLOG).map_err(in_place)?;
            sockets.push(Arc::new(socket));
        }
        while sockets.len() < workers {
            let bound = match &*sockets[0] {
                ListenSocket::Unix(_) => None,
                ListenSocket::Tcp(socket) => {
                    let address = match address {
                        BindAddress::Every { .. } => BindAddress::Every { port: socket.local_addr()?.port() },
                        _ => BindAddress::Ip(socket.local_addr()?),
                    };
                    listener::bind(&address, true, BACKLOG).ok()
                }
            };
            // What cannot be bound twice is shared.
            let next = bound.map_or_else(|| Arc::clone(&sockets[0]), Arc::new);
            sockets.push(next);
        }
        Ok(Self { bind: bind.to_owned(), sockets })
    }
}

/// The thread that writes an access log, and each worker's end of it.
fn start_log(
    spec: &spec::AccessLog,
    registry: &Registry,
    workers: usize,
) -> Result<(AccessLogWriter, Vec<AccessLog>), Box<dyn Error + Send + Sync>> {
    let ends = (0..workers).map(|id| AccessLog::new(&registry.worker(id), RING_BYTES));
    let (logs, rings) = ends.unzip();
    let (target, format) = (Target::from(spec), Format::parse(&spec.format)?);
    let writer = AccessLogWriter::spawn(target, format, rings, &registry.worker(workers))?;
    Ok((writer, logs))
}

/// One worker's thread.
fn work(
    id: usize,
    shared: Arc<Shared>,
    outlets: Outlets,
    mut commands: mpsc::UnboundedReceiver<Command>,
) -> io::Result<usize> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .event_interval(TASKS_PER_POLL)
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let worker = Worker::with_outlets(id, shared, seed(id), outlets);
        tokio::task::spawn_local(Rc::clone(&worker).keep_house());
        tokio::task::spawn_local(prefetch::carry_out(Rc::clone(&worker)));
        let mut stops = worker.shared.stops();
        let mut acceptors = JoinSet::new();
        loop {
            tokio::select! {
                // A socket that came before the stop may have connections waiting.
                biased;
                command = commands.recv() => match command {
                    Some(Command::Listen { name, bind, socket, ours }) => {
                        let worker = Rc::clone(&worker);
                        acceptors.spawn_local(async move {
                            let accepted = accept(worker, name, bind, socket).await;
                            drop(ours);
                            accepted
                        });
                    }
                    Some(Command::LogTo(log)) => worker.log_to(log),
                    None => break,
                },
                _ = stops.wait_for(|stopping| *stopping) => break,
            }
        }
        // What still waits in the sockets' queues is served too.
        while acceptors.join_next().await.is_some() {}
        Ok(worker.drain().await)
    })
}

/// Different in every worker and every run: balancing must not repeat itself across restarts.
pub(crate) fn seed(id: usize) -> u64 {
    RandomState::new().hash_one(id)
}
