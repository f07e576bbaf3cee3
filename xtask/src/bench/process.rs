//! A child process pinned to one core: started, waited for, measured from `/proc`, and always stopped.

use crate::Outcome;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running child and whatever it forked.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// Processes that took over from the child, to be ended with it.
    successors: Vec<u32>,
}

/// CPU time consumed so far by a process with its descendants.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CpuTime {
    /// Nanoseconds on a core, from the scheduler's own account.
    total_ns: u64,
    user_ticks: u64,
    kernel_ticks: u64,
}

impl Process {
    /// Starts `program` on `core`; what it prints goes to a file in `folder` and is quoted when it fails.
    pub(crate) fn start<A: AsRef<std::ffi::OsStr>>(
        name: &str,
        core: usize,
        program: &Path,
        arguments: &[A],
        folder: &Path,
    ) -> Outcome<Self> {
        let log = folder.join(format!("{name}.log"));
        let failed = |error: std::io::Error| format!("cannot start {}: {error}", program.display());
        let output = File::create(&log).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        let child = pinned(core, program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(failed)?;
        Ok(Self { name: name.to_owned(), child, log, successors: Vec::new() })
    }

    /// Waits until `address` accepts connections; fails at once when the process ends before.
    pub(crate) fn wait_listening(&mut self, address: SocketAddr) -> Outcome {
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            self.alive()?;
            if Instant::now() > deadline {
                return Err(format!("does not listen on {address} after 30 s: {}", self.last_words()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Fails with the last line that the process printed when it has ended.
    pub(crate) fn alive(&mut self) -> Outcome {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("{} ended with {status}: {}", self.name, self.last_words())),
            Err(error) => Err(format!("{}: {error}", self.name)),
        }
    }

    fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("(it printed nothing)").to_owned()
    }

    /// Asks the process to end and waits for it. It is asked again each second: a signal that comes between a
    /// program's look at its flag and its next wait is only seen at the one after.
    pub(crate) fn stop(&mut self) -> Outcome {
        for _ in 0..30 {
            self.signal(Signal::TERM)?;
            let again = Instant::now() + Duration::from_secs(1);
            while Instant::now() < again {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return Ok(());
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Err(format!("{} does not end within 30 s of SIGTERM", self.name))
    }

    /// Waits for the process that the child starts in its own place, and answers for its end.
    pub(crate) fn adopt_successor(&mut self) -> Outcome {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            let mut family = tree(self.child.id());
            family.retain(|&pid| pid != self.child.id());
            if !family.is_empty() {
                self.successors = family;
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(format!("{} started no successor within 10 s: {}", self.name, self.last_words()))
    }

    pub(crate) fn signal(&self, signal: Signal) -> Outcome {
        kill_process(Pid::from_child(&self.child), signal).map_err(|error| format!("{}: {error}", self.name))
    }

    pub(crate) fn cpu_time(&self) -> CpuTime {
        tree(self.child.id()).into_iter().map(cpu_time_of).fold(CpuTime::default(), |sum, one| CpuTime {
            total_ns: sum.total_ns + one.total_ns,
            user_ticks: sum.user_ticks + one.user_ticks,
            kernel_ticks: sum.kernel_ticks + one.kernel_ticks,
        })
    }

    /// Resident memory of the process that carries the traffic: the largest of the tree.
    pub(crate) fn resident_kib(&self) -> u64 {
        tree(self.child.id()).into_iter().filter_map(resident_kib_of).max().unwrap_or(0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut family = tree(self.child.id());
        family.append(&mut self.successors);
        let _ = self.signal(Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(2);
        while self.child.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        for pid in family.into_iter().filter(|&pid| Path::new(&format!("/proc/{pid}")).exists()) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = self.child.wait();
    }
}

impl CpuTime {
    /// Microseconds in user space and in the kernel since `before`. The scheduler's total is exact; its split
    /// is sampled by the clock tick, so it needs seconds to be meaningful.
    pub(crate) fn micros_since(&self, before: &Self) -> (f64, f64) {
        let total = self.total_ns.saturating_sub(before.total_ns) as f64 / 1e3;
        let user = self.user_ticks.saturating_sub(before.user_ticks) as f64;
        let kernel = self.kernel_ticks.saturating_sub(before.kernel_ticks) as f64;
        let share = if user + kernel > 0.0 { user / (user + kernel) } else { 0.0 };
        (total * share, total * (1.0 - share))
    }
}

/// Busy and total clock ticks of one core since boot, from `/proc/stat`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CoreTime {
    busy: u64,
    total: u64,
}

impl CoreTime {
    pub(crate) fn of(core: usize) -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let name = format!("cpu{core} ");
        let Some(line) = text.lines().find(|line| line.starts_with(&name)) else { return Self::default() };
        let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
        // Fields 3 and 4 are idle and waiting for a disk; 8 and 9 (guests) are part of the first two.
        let total: u64 = ticks.iter().take(8).sum();
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        Self { busy: total - idle, total }
    }

    /// Busy share in percent since `before`.
    pub(crate) fn busy_percent_since(&self, before: &Self) -> f64 {
        let total = self.total.saturating_sub(before.total).max(1);
        100.0 * self.busy.saturating_sub(before.busy) as f64 / total as f64
    }
}

/// A command that will run on `core` only, and that ends when this program does, however it ends.
pub(crate) fn pinned(core: usize, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.to_string());
    command.args(["setpriv", "--pdeathsig", "TERM"]).arg(program);
    command
}

/// An address of the loopback interface that was free a moment ago.
pub(crate) fn free_address() -> Outcome<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("no free port on 127.0.0.1: {error}"))
}

fn cpu_time_of(pid: u32) -> CpuTime {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let total_ns = tasks
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    let fields = stat_fields(pid);
    let ticks = |field: usize| fields.get(field).and_then(|text| text.parse().ok()).unwrap_or(0);
    CpuTime { total_ns, user_ticks: ticks(11), kernel_ticks: ticks(12) }
}

fn resident_kib_of(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// `pid` and everything below it.
fn tree(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: Vec<(u32, u32)> = processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat_fields(pid).get(1)?.parse().ok()?)))
        .collect();
    let mut family = vec![pid];
    let mut next = 0;
    while next < family.len() {
        let parent = family[next];
        family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        next += 1;
    }
    family
}

/// The fields of `/proc/PID/stat` after the command name, so that a name with spaces does no harm:
/// 0 is the state, 1 the parent, 11 and 12 user and kernel ticks.
fn stat_fields(pid: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().map(str::to_owned).collect()
}
