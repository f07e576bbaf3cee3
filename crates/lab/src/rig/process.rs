//! One process: started, waited for by what it says, spoken to, harmed, and ended. What it is for is not known
//! here.

use super::error::RigError;
use super::false_clock::ClockError;
use super::keeper::Keeper;
use super::replica::Command;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{self, Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a process may take to listen, beyond its cold start.
const START: Duration = Duration::from_secs(30);
/// How long it may take to answer a command.
const ANSWER: Duration = Duration::from_secs(5);
/// How long it may take to end when it is asked to.
const END: Duration = Duration::from_secs(15);
/// Lines of its output that are kept, bytes of each, and lines that may wait to be read.
const LINES: usize = 40;
const LINE_BYTES: u64 = 1_024;
const WAITING: usize = 256;

/// What can be done to a process. All but [`ProcessFault::MemoryCap`] end with [`super::System::lift`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ProcessFault {
    /// Ends at once (SIGKILL); lifted: started anew at the same address, after this cold start.
    Kill { cold_start: Duration },
    /// Stands still (SIGSTOP) with its connections open; the kernel goes on accepting.
    Stop,
    /// Runs for this share of each period and stands still for the rest. It takes away real processor time,
    /// and so hits the gateway; the virtual capacity of a service is taken away by [`ProcessFault::Slow`].
    Quota { share: f64, period: Duration },
    /// Has no more address space than this (RLIMIT_AS): what it asks for beyond it fails.
    MemoryCap { bytes: u64 },
    /// A service works at this share of its virtual speed.
    Slow { share: f64 },
    /// A service answers this share of its calls with 500 at once.
    Fail { share: f64 },
    /// Each message to and from a service takes this much longer.
    Delay { by: Duration },
    /// The wall clock is off, for a process that [`super::Layout::clocks`] names; a second later it sees that.
    Clock(ClockError),
}

impl ProcessFault {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill { .. } => "kill",
            Self::Stop => "stop",
            Self::Quota { .. } => "quota",
            Self::MemoryCap { .. } => "memory cap",
            Self::Slow { .. } => "slow",
            Self::Fail { .. } => "fail",
            Self::Delay { .. } => "delay",
            Self::Clock(_) => "clock",
        }
    }
}

/// A running process.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    child: Child,
    pid: Pid,
    stdin: ChildStdin,
    /// What it said on standard output; ends when that is closed.
    said: Receiver<String>,
    last: Arc<Mutex<VecDeque<String>>>,
    readers: Vec<JoinHandle<()>>,
    quota: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Process {
    pub(super) fn start(
        keeper: &Keeper,
        name: &str,
        mut command: process::Command,
    ) -> Result<Self, RigError> {
        let cannot = |what: &str| format!("cannot {what} the process {name}");
        // Whoever interrupts the lab at a terminal interrupts the lab alone; it ends them in order.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = keeper.spawn(command).map_err(|source| RigError::system(cannot("start"), source))?;
        let piped = || std::io::Error::other("a pipe is missing");
        let taken = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = taken else {
            return Err(RigError::system(cannot("speak to"), piped()));
        };
        let last = Arc::new(Mutex::new(VecDeque::with_capacity(LINES)));
        let (saying, said) = sync_channel(WAITING);
        let read = |from: Box<dyn Read + Send>, to: Option<SyncSender<String>>| {
            let last = Arc::clone(&last);
            let thread = std::thread::Builder::new().name("output".to_owned());
            thread
                .spawn(move || follow(from, &last, to))
                .map_err(|source| RigError::system(cannot("read"), source))
        };
        let readers = vec![read(Box::new(stdout), Some(saying))?, read(Box::new(stderr), None)?];
        let pid = Pid::from_child(&child);
        Ok(Self { name: name.to_owned(), child, pid, stdin, said, last, readers, quota: None })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that begins with `prefix`, and gives the rest of it.
    pub(super) fn wait_for(
        &mut self,
        prefix: &str,
        what: &'static str,
        more: Duration,
    ) -> Result<String, RigError> {
        self.line(START + more, what, |line| line.strip_prefix(prefix).map(str::to_owned))
    }

    /// Says `command` and gives what was answered.
    pub(super) fn tell(&mut self, command: Command) -> Result<String, RigError> {
        if writeln!(self.stdin, "{command}").and_then(|()| self.stdin.flush()).is_err() {
            return Err(self.ended());
        }
        let answer = self.line(ANSWER, "answer a command", |line| {
            let known = |word: &str| line == word || line.starts_with(&format!("{word} "));
            (known("ok") || known("error")).then(|| line.to_owned())
        })?;
        match answer.strip_prefix("ok") {
            Some(rest) => Ok(rest.trim_start().to_owned()),
            None => Err(RigError::Refused { name: self.name.clone(), command: command.to_string(), answer }),
        }
    }

    /// The first line that `take` takes, within `patience`; others are passed over.
    fn line(
        &mut self,
        patience: Duration,
        what: &'static str,
        take: impl Fn(&str) -> Option<String>,
    ) -> Result<String, RigError> {
        let until = Instant::now() + patience;
        loop {
            match self.said.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(taken) = take(&line) {
                        return Ok(taken);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let seconds = patience.as_secs();
                    return Err(RigError::Silent {
                        name: self.name.clone(),
                        what,
                        seconds,
                        last: self.last(),
                    });
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            }
        }
    }

    /// It has closed its output, which it does when it ends.
    fn ended(&mut self) -> RigError {
        self.kill();
        match self.child.wait() {
            Ok(status) => self.died(status),
            Err(source) => RigError::system(format!("cannot wait for the process {}", self.name), source),
        }
    }

    fn died(&mut self, status: ExitStatus) -> RigError {
        // What it said last is worth waiting for; its pipes are closed.
        self.readers.drain(..).for_each(|reader| _ = reader.join());
        RigError::Died { name: self.name.clone(), status, last: self.last() }
    }

    fn last(&self) -> Vec<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// An error when it has ended.
    pub(super) fn check(&mut self) -> Result<(), RigError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.died(status)),
            Err(source) => Err(RigError::system(format!("cannot watch the process {}", self.name), source)),
        }
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<(), RigError> {
        kill_process(self.pid, signal)
            .map_err(|source| RigError::system(format!("cannot signal the process {}", self.name), source))
    }

    /// Takes processor time away, from now on.
    pub(super) fn begin_quota(&mut self, share: f64, period: Duration) -> Result<(), RigError> {
        self.end_quota()?;
        let (pid, runs) = (self.pid, period.mul_f64(share.clamp(0.0, 1.0)));
        let (lift, lifted) = channel();
        let thread = std::thread::Builder::new().name("quota".to_owned()).spawn(move || {
            let over = |length| !matches!(lifted.recv_timeout(length), Err(RecvTimeoutError::Timeout));
            // A process that is gone is told by whoever watches it.
            while kill_process(pid, Signal::STOP).is_ok() {
                if over(period - runs) || kill_process(pid, Signal::CONT).is_err() || over(runs) {
                    return;
                }
            }
        });
        let thread = thread.map_err(|source| RigError::system("cannot start a thread", source))?;
        self.quota = Some((lift, thread));
        Ok(())
    }

    pub(super) fn end_quota(&mut self) -> Result<(), RigError> {
        let Some((lift, thread)) = self.quota.take() else { return Ok(()) };
        drop(lift);
        // It ends at once: nothing in it waits for anything else.
        let _ = thread.join();
        self.signal(Signal::CONT)
    }

    pub(super) fn cap_memory(&self, bytes: u64) -> Result<(), RigError> {
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        prlimit(Some(self.pid), Resource::As, limit)
            .map(|_| ())
            .map_err(|source| RigError::system(format!("cannot cap the memory of {}", self.name), source))
    }

    /// Ends it at once and waits for that.
    pub(super) fn kill(&mut self) {
        if let Some((lift, thread)) = self.quota.take() {
            drop(lift);
            let _ = thread.join();
        }
        // Fails only for one that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end.
    pub(super) fn ask_to_end(&mut self) -> Result<(), RigError> {
        self.end_quota()?;
        self.signal(Signal::CONT)?;
        self.signal(Signal::TERM)
    }

    /// Waits for its end, and brings it about when it takes too long.
    pub(super) fn wait(mut self) -> Result<ExitStatus, RigError> {
        let until = Instant::now() + END;
        loop {
            match self.said.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    self.kill();
                    let (seconds, last) = (END.as_secs(), self.last());
                    return Err(RigError::Silent { name: self.name.clone(), what: "stop", seconds, last });
                }
            }
        }
        let status = self.child.wait();
        status
            .map_err(|source| RigError::system(format!("cannot wait for the process {}", self.name), source))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Keeps the last lines of an output, and passes them on while somebody takes them.
fn follow(from: Box<dyn Read + Send>, last: &Mutex<VecDeque<String>>, to: Option<SyncSender<String>>) {
    let mut from = BufReader::new(from);
    loop {
        let mut line = Vec::new();
        // A longer line comes in pieces. An error is an end as well.
        if from.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return;
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.len() == LINES {
                last.pop_front();
            }
            last.push_back(line.clone());
        }
        if let Some(to) = &to {
            // What nobody takes is left out here: a full pipe would stop the process.
            let _ = to.try_send(line);
        }
    }
}
