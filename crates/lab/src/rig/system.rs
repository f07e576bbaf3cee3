//! A whole system of processes: started in order, known by name, watched, harmed and stopped together. It ends
//! with whoever holds it, however that comes about.

use super::admin;
use super::error::RigError;
use super::false_clock::{ClockError, FalseClock};
use super::keeper::Keeper;
use super::layout::{LISTENER, Layout};
use super::process::{Process, ProcessFault};
use super::replica::{Command, Usage};
use super::sample::{Samples, look};
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The gateway's name among the processes.
pub const GATEWAY: &str = "gateway";
/// How often processes are looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// A running system. Its methods can be called from several threads.
#[derive(Debug)]
pub struct System {
    members: Arc<Vec<Member>>,
    /// By name: the gateway is the first member.
    gateway: SocketAddr,
    admin: SocketAddr,
    start: Instant,
    keeper: Keeper,
    program: PathBuf,
    folder: PathBuf,
    sampler: Option<(Sender<()>, JoinHandle<()>)>,
}

/// One process with what is remembered of it while it is down.
#[derive(Debug)]
struct Member {
    name: String,
    /// The service that it is a replica of; none for the gateway.
    service: Option<String>,
    /// Of a replica: kept for it, so that it comes back to where it was.
    seat: Option<(Socket, SocketAddr)>,
    /// Where its wall clock can be set.
    clock: Option<FalseClock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    process: Option<Process>,
    /// What it was told, and is told again when it starts anew.
    speed: f64,
    /// It stands still and answers nobody.
    stopped: bool,
    samples: Samples,
}

impl System {
    /// Starts the replicas, then the gateway, and waits until each of them says that it listens. `program` is
    /// the `headgate` binary.
    ///
    /// # Errors
    /// When a process cannot be started, or ends before it listens. Nothing is left running.
    pub fn start(program: &Path, layout: &Layout) -> Result<Self, RigError> {
        let folder = folder()?;
        let members = layout.replicas.iter().map(|seat| Member::replica(&seat.replica.name, &seat.service));
        let mut members: Vec<Member> = members.collect::<Result<_, _>>()?;
        members.insert(0, Member::new(GATEWAY, None, None));
        for member in members.iter_mut().filter(|member| layout.clocks.contains(&member.name)) {
            let clock = FalseClock::new(folder.join(format!("{}.clock", member.name)));
            let cannot =
                |source| RigError::system(format!("cannot set the clock of {}", member.name), source);
            member.clock = Some(clock.map_err(cannot)?);
        }
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut system = Self {
            members: Arc::new(members),
            gateway: nowhere,
            admin: nowhere,
            start: Instant::now(),
            keeper: Keeper::new()?,
            program: program.to_owned(),
            folder,
            sampler: None,
        };
        for seat in &layout.replicas {
            let text = serde_json::to_string(&seat.replica)
                .map_err(|error| RigError::system("cannot write a replica's file", error))?;
            system.write(&format!("{}.json", seat.replica.name), &text)?;
        }
        // All at once, then one after the other is waited for.
        for member in &system.members[1..] {
            member.lock().process = Some(system.spawn_replica(member, Duration::ZERO)?);
        }
        for member in &system.members[1..] {
            member.running(|process| process.wait_for("listening on ", "listen", Duration::ZERO))?;
        }
        let config = layout.with_addresses(system.members[1..].iter().filter_map(Member::address));
        system.start_gateway(&config)?;
        for member in &system.members[1..] {
            member.running(|process| process.tell(Command::Gateway(system.gateway)))?;
        }
        system.sample()?;
        Ok(system)
    }

    fn start_gateway(&mut self, config: &headgate_model::spec::Config) -> Result<(), RigError> {
        let text = toml::to_string(config).map_err(|error| {
            RigError::system("cannot write the gateway's configuration", std::io::Error::other(error))
        })?;
        let file = self.write("gateway.toml", &text)?;
        let mut command = process::Command::new(&self.program);
        command.arg("run").arg(file).arg("--with-parent");
        let mut process = self.members[0].start(&self.keeper, command)?;
        let strange = |line: String| RigError::Refused {
            name: GATEWAY.to_owned(),
            command: "say where you listen".to_owned(),
            answer: line,
        };
        let line = process.wait_for("listening on ", "listen", Duration::ZERO)?;
        let end = format!(" [{LISTENER}]");
        let address = line.strip_suffix(&end).and_then(|address| address.parse().ok());
        self.gateway = address.ok_or_else(|| strange(line))?;
        let line = process.wait_for("admin on ", "say where its admin listener is", Duration::ZERO)?;
        self.admin = line.parse().map_err(|_| strange(line))?;
        self.members[0].lock().process = Some(process);
        Ok(())
    }

    fn spawn_replica(&self, member: &Member, cold_start: Duration) -> Result<Process, RigError> {
        let mut command = process::Command::new(&self.program);
        let address = member.address().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        command.args(["service", "--with-parent", "--listen", &address.to_string()]);
        command.args(["--cold-start", &format!("{}us", cold_start.as_micros())]);
        command.arg("--replica").arg(self.folder.join(format!("{}.json", member.name)));
        member.start(&self.keeper, command)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, RigError> {
        let path = self.folder.join(name);
        let cannot = |source| RigError::system(format!("cannot write {}", path.display()), source);
        fs::write(&path, text).map_err(cannot)?;
        Ok(path)
    }

    /// Begins to take samples.
    fn sample(&mut self) -> Result<(), RigError> {
        let (members, start) = (Arc::clone(&self.members), self.start);
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::Builder::new().name("samples".to_owned()).spawn(move || {
            loop {
                for member in members.iter() {
                    let mut state = member.lock();
                    let pid = state.process.as_ref().map(Process::pid);
                    if let Some(sample) = pid.and_then(|pid| look(pid, start)) {
                        state.samples.add(sample);
                    }
                }
                if stopped.recv_timeout(SAMPLE_EVERY) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        let thread = thread.map_err(|source| RigError::system("cannot start a thread", source))?;
        self.sampler = Some((stop, thread));
        Ok(())
    }

    /// Where the gateway takes requests.
    #[must_use]
    pub fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// Where the gateway's admin listener is.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Time zero of all samples.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.start
    }

    /// Names of the processes: [`GATEWAY`], then `SERVICE-0` and so on in the order of the layout.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.name.as_str())
    }

    /// The service and the address of a replica; none for the gateway and for what is not there.
    #[must_use]
    pub fn replica(&self, name: &str) -> Option<(&str, SocketAddr)> {
        let member = self.member(name).ok()?;
        Some((member.service.as_deref()?, member.address()?))
    }

    /// Does something to a process.
    ///
    /// # Errors
    /// When there is no such process, or this cannot be done to it.
    pub fn inject(&self, name: &str, fault: ProcessFault) -> Result<(), RigError> {
        let member = self.member(name)?;
        member.allows(fault)?;
        let mut state = member.lock();
        match fault {
            ProcessFault::Kill { .. } => (state.process, state.stopped) = (None, false),
            ProcessFault::Stop if state.stopped => {}
            ProcessFault::Stop => {
                // Its virtual processor stands still as well.
                if member.service.is_some() {
                    state.running(name)?.tell(Command::Speed(0.0))?;
                }
                state.running(name)?.signal(Signal::STOP)?;
                state.stopped = true;
            }
            ProcessFault::Quota { share, period } => state.running(name)?.begin_quota(share, period)?,
            ProcessFault::MemoryCap { bytes } => state.running(name)?.cap_memory(bytes)?,
            ProcessFault::Slow { share } => {
                state.running(name)?.tell(Command::Speed(share))?;
                state.speed = share;
            }
            ProcessFault::Fail { share } => _ = state.running(name)?.tell(Command::Fail(share))?,
            ProcessFault::Delay { by } => _ = state.running(name)?.tell(Command::Delay(by))?,
            ProcessFault::Clock(off) => member.set_clock(off)?,
        }
        Ok(())
    }

    /// Ends what [`Self::inject`] began. A process that was killed is started anew; this waits until it listens.
    ///
    /// # Errors
    /// When there is no such process, or it does not come back.
    pub fn lift(&self, name: &str, fault: ProcessFault) -> Result<(), RigError> {
        let member = self.member(name)?;
        member.allows(fault)?;
        match fault {
            ProcessFault::Kill { cold_start } => self.restart(member, cold_start)?,
            ProcessFault::Stop => {
                let mut state = member.lock();
                let speed = state.speed;
                let process = state.running(name)?;
                process.signal(Signal::CONT)?;
                if member.service.is_some() {
                    process.tell(Command::Speed(speed))?;
                }
                state.stopped = false;
            }
            ProcessFault::Quota { .. } => member.running(Process::end_quota)?,
            ProcessFault::MemoryCap { .. } => {}
            ProcessFault::Slow { .. } => {
                let mut state = member.lock();
                state.running(name)?.tell(Command::Speed(1.0))?;
                state.speed = 1.0;
            }
            ProcessFault::Fail { .. } => _ = member.running(|process| process.tell(Command::Fail(0.0)))?,
            ProcessFault::Delay { .. } => {
                member.running(|process| process.tell(Command::Delay(Duration::ZERO)))?;
            }
            ProcessFault::Clock(_) => member.set_clock(ClockError::Ahead(Duration::ZERO))?,
        }
        Ok(())
    }

    fn restart(&self, member: &Member, cold_start: Duration) -> Result<(), RigError> {
        let mut process = self.spawn_replica(member, cold_start)?;
        process.wait_for("listening on ", "listen", cold_start)?;
        process.tell(Command::Gateway(self.gateway))?;
        let mut state = member.lock();
        (state.process, state.speed) = (Some(process), 1.0);
        Ok(())
    }

    /// Whether every process runs that was not killed on purpose.
    ///
    /// # Errors
    /// [`RigError::Died`] for the first that does not, with its last lines.
    pub fn check(&self) -> Result<(), RigError> {
        self.members
            .iter()
            .try_for_each(|member| member.lock().process.as_mut().map_or(Ok(()), Process::check))
    }

    /// Whether a process is there; one that stands still is.
    #[must_use]
    pub fn is_running(&self, name: &str) -> bool {
        self.member(name).is_ok_and(|member| member.lock().process.is_some())
    }

    /// The gateway's metrics, as its admin listener gives them.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn metrics(&self) -> Result<String, RigError> {
        admin::metrics(self.admin)
    }

    /// Addresses of the replicas that the gateway sends nothing to: unhealthy, ejected, or behind a breaker that
    /// is not closed.
    ///
    /// # Errors
    /// When the admin listener does not answer.
    pub fn out_of_use(&self) -> Result<BTreeSet<SocketAddr>, RigError> {
        Ok(admin::out_of_use(&self.metrics()?))
    }

    /// What a replica has used of its virtual capacity.
    ///
    /// # Errors
    /// When it is down or does not answer.
    pub fn usage(&self, name: &str) -> Result<Usage, RigError> {
        let member = self.member(name)?;
        if member.lock().stopped {
            return Err(RigError::Down { name: name.to_owned() });
        }
        let answer = member.running(|process| process.tell(Command::Usage))?;
        serde_json::from_str(&answer).map_err(|error| RigError::Refused {
            name: name.to_owned(),
            command: Command::Usage.to_string(),
            answer: error.to_string(),
        })
    }

    /// Samples of a process so far; empty for what is not there.
    #[must_use]
    pub fn samples(&self, name: &str) -> Samples {
        self.member(name).map_or_else(|_| Samples::default(), |member| member.lock().samples.clone())
    }

    /// Stops all: the gateway first, which finishes what it has.
    ///
    /// # Errors
    /// The first process that had ended before or did not end when asked; nothing is left running.
    pub fn stop(mut self) -> Result<(), RigError> {
        let checked = self.check();
        self.end_samples();
        let mut stopped = Ok(());
        for group in [&self.members[..1], &self.members[1..]] {
            let mut ending = Vec::new();
            for member in group {
                if let Some(mut process) = member.lock().process.take() {
                    stopped = stopped.and(process.ask_to_end());
                    ending.push(process);
                }
            }
            for process in ending {
                stopped = stopped.and(process.wait().map(|_| ()));
            }
        }
        checked.and(stopped)
    }

    fn end_samples(&mut self) {
        if let Some((stop, thread)) = self.sampler.take() {
            drop(stop);
            // It ends at its next wait.
            let _ = thread.join();
        }
    }

    fn member(&self, name: &str) -> Result<&Member, RigError> {
        let found = self.members.iter().find(|member| member.name == name);
        let known = || self.names().collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| RigError::Unknown { name: name.to_owned(), known: known() })
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.end_samples();
        self.members.iter().for_each(|member| member.lock().process = None);
        // What is left is a few files in the system's folder for such.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Member {
    fn new(name: &str, service: Option<&str>, seat: Option<(Socket, SocketAddr)>) -> Self {
        let state =
            Mutex::new(State { process: None, speed: 1.0, stopped: false, samples: Samples::default() });
        Self { name: name.to_owned(), service: service.map(str::to_owned), seat, clock: None, state }
    }

    fn start(&self, keeper: &Keeper, mut command: process::Command) -> Result<Process, RigError> {
        if let Some(clock) = &self.clock {
            clock.give(&mut command);
        }
        Process::start(keeper, &self.name, command)
    }

    fn set_clock(&self, off: ClockError) -> Result<(), RigError> {
        let cannot = |source| RigError::system(format!("cannot set the clock of {}", self.name), source);
        self.clock.as_ref().map_or(Ok(()), |clock| clock.set(off)).map_err(cannot)
    }

    /// With a port that nobody else is given: a socket that does not listen is no obstacle to the process.
    fn replica(name: &str, service: &str) -> Result<Self, RigError> {
        let reserve = || {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
            let address = socket.local_addr()?.as_socket();
            let address = address.ok_or_else(|| std::io::Error::other("the socket has no address"))?;
            Ok((socket, address))
        };
        let seat = reserve().map_err(|source: std::io::Error| RigError::system("no port is free", source))?;
        Ok(Self::new(name, Some(service), Some(seat)))
    }

    fn address(&self) -> Option<SocketAddr> {
        self.seat.as_ref().map(|(_, address)| *address)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running<T>(&self, act: impl FnOnce(&mut Process) -> Result<T, RigError>) -> Result<T, RigError> {
        act(self.lock().running(&self.name)?)
    }

    /// Refuses what means nothing to this process.
    fn allows(&self, fault: ProcessFault) -> Result<(), RigError> {
        let why = match fault {
            ProcessFault::Clock(_) if self.clock.is_some() => return Ok(()),
            ProcessFault::Clock(_) => "it was started with the machine's own clock",
            _ if self.service.is_some() => return Ok(()),
            ProcessFault::Stop | ProcessFault::Quota { .. } | ProcessFault::MemoryCap { .. } => return Ok(()),
            ProcessFault::Kill { .. } => "without the gateway there is nothing to be measured",
            _ => "it has no virtual capacity; write a quota, or a rule of docs/chaos.md",
        };
        Err(RigError::Meaningless { name: self.name.clone(), fault: fault.name(), why })
    }
}

impl State {
    fn running(&mut self, name: &str) -> Result<&mut Process, RigError> {
        self.process.as_mut().ok_or_else(|| RigError::Down { name: name.to_owned() })
    }
}

/// A new folder for the files of one system. One of this name may be left from a process that was killed: then another.
fn folder() -> Result<PathBuf, RigError> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Relaxed);
        let path = std::env::temp_dir().join(format!("headgate-rig-{}-{number}", process::id()));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(source) => {
                return Err(RigError::system(format!("cannot make the folder {}", path.display()), source));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_a_killed_process_left_is_passed_over() {
        let (first, second) = (folder().unwrap(), folder().unwrap());
        let number: u32 = second.to_string_lossy().rsplit('-').next().unwrap().parse().unwrap();
        let left = first.with_file_name(format!("headgate-rig-{}-{}", process::id(), number + 1));
        fs::create_dir(&left).unwrap();
        let third = folder().unwrap();
        assert!(![&first, &second, &left].contains(&&third));
        for path in [first, second, left, third] {
            fs::remove_dir(path).unwrap();
        }
    }
}
