//! A running Headgate: binds the listeners, starts one thread per worker, follows configuration changes,
//! stops cleanly. The only place where the crates are wired together.

use headgate_gateway::accept::accept;
use headgate_gateway::snapshot::Snapshot;
use headgate_gateway::worker::{Shared, Worker};
use headgate_model::address::BindAddress;
use headgate_net::listener::{self, ListenSocket};
use headgate_observe::registry::Registry;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;

/// Connections that may wait to be accepted, per socket.
const BACKLOG: u32 = 4_096;
/// Label sets that one metric may have.
const LABEL_SETS: usize = 20_000;
/// Tasks run between two looks at the sockets. Under load a larger batch means fewer calls into the kernel;
/// a batch still lasts well under a millisecond.
const TASKS_PER_POLL: u32 = 256;

/// A socket that a worker shall accept on.
struct Listen {
    name: Box<str>,
    socket: ListenSocket,
}

pub(crate) struct Server {
    pub shared: Arc<Shared>,
    workers: Vec<WorkerThread>,
}

struct WorkerThread {
    listen: mpsc::UnboundedSender<Listen>,
    thread: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Binds all listeners and starts the workers.
    ///
    /// # Errors
    /// Names the listener that could not be bound, before any worker starts.
    pub(crate) fn start(snapshot: Snapshot) -> io::Result<Self> {
        let config = Arc::clone(&snapshot.config);
        let count = config.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let shared = Shared::new(snapshot, Registry::new(LABEL_SETS));
        let mut sockets: Vec<Vec<Listen>> = (0..count).map(|_| Vec::new()).collect();
        for (name, spec) in &config.listeners {
            let address: BindAddress = spec.bind.parse().map_err(|error| {
                io::Error::new(io::ErrorKind::InvalidInput, format!("[listen.{name}]: {error}"))
            })?;
            for socket in bind_for_all(&address, count).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot listen on {} for [listen.{name}]: {error}", spec.bind))
            })?.into_iter().zip(&mut sockets) {
                let (socket, listens) = socket;
                listens.push(Listen { name: name.as_str().into(), socket });
            }
        }
        let mut workers = Vec::with_capacity(count);
        for (id, listens) in sockets.into_iter().enumerate() {
            let (listen, commands) = mpsc::unbounded_channel();
            for one in listens {
                // The receiver is right here.
                let _ = listen.send(one);
            }
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new()
                .name(format!("worker-{id}"))
                .spawn(move || work(id, shared, commands))?;
            workers.push(WorkerThread { listen, thread });
        }
        Ok(Self { shared, workers })
    }

    /// Stops accepting, lets what is under way finish, and waits for the workers.
    pub(crate) fn stop(self) -> io::Result<()> {
        self.shared.stop();
        for worker in self.workers {
            drop(worker.listen);
            worker.thread.join().map_err(|_| io::Error::other("a worker panicked"))??;
        }
        Ok(())
    }
}

/// One socket for each worker: the kernel spreads connections over them. A Unix socket cannot be bound
/// twice and is shared.
fn bind_for_all(address: &BindAddress, workers: usize) -> io::Result<Vec<ListenSocket>> {
    let first = listener::bind(address, workers > 1, BACKLOG)?;
    let mut sockets = vec![first];
    while sockets.len() < workers {
        let next = match &sockets[0] {
            ListenSocket::Unix(socket) => ListenSocket::Unix(socket.try_clone()?),
            ListenSocket::Tcp(socket) => {
                // Port zero was settled by the first.
                listener::bind(&BindAddress::Ip(socket.local_addr()?), true, BACKLOG)?
            }
        };
        sockets.push(next);
    }
    Ok(sockets)
}

/// One worker's thread.
fn work(id: usize, shared: Arc<Shared>, mut commands: mpsc::UnboundedReceiver<Listen>) -> io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .event_interval(TASKS_PER_POLL)
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let worker = Worker::new(id, shared, seed(id));
        tokio::task::spawn_local(Rc::clone(&worker).keep_house());
        let mut stops = worker.shared.stops();
        loop {
            tokio::select! {
                command = commands.recv() => {
                    let Some(Listen { name, socket }) = command else { break };
                    tokio::task::spawn_local(accept(Rc::clone(&worker), name, socket));
                }
                _ = stops.wait_for(|stopping| *stopping) => break,
            }
        }
        worker.drain().await;
        Ok(())
    })
}

use std::rc::Rc;

/// Different in every worker and every run: balancing must not repeat itself across restarts.
fn seed(id: usize) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(id)
}
