//! The real binary as a process: started with a configuration, waited for, ended with the test.

use super::{Origin, PATIENCE, Wire};
use headgate_lab::rig::FalseClock;
use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// Where a listener of a test binds: any free port, which Headgate says when it listens.
pub(crate) const LISTEN: &str = "127.0.0.1:0";

/// A port that nobody else on the machine is given for as long as this lives. Nobody listens on it, unless a
/// process of ours is told to.
pub(crate) struct Port {
    _bound: Socket,
    pub address: SocketAddr,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // A socket that does not listen and allows it is no obstacle to one that will.
        socket.set_reuse_address(true).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self { _bound: socket, address }
    }

    /// What the admin listener there says of itself in numbers.
    pub(crate) fn metrics(&self) -> String {
        Wire::connect(self.address).ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").text()
    }
}

/// A directory of its own for one test, removed at the end.
pub(crate) struct Scratch(PathBuf);

pub(crate) fn scratch() -> Scratch {
    scratch_in(&std::env::temp_dir())
}

/// The same in a directory of another file system.
pub(crate) fn scratch_in(base: &Path) -> Scratch {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("headgate-e2e-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = base.join(name);
    fs::create_dir_all(&path).unwrap();
    Scratch(path)
}

impl Scratch {
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A configuration with one listener and one service that takes every path. `listen` and `service` are
/// further lines of their tables.
pub(crate) fn one_service(listen: &str, service: &str, endpoints: &[SocketAddr]) -> String {
    let endpoints: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
    format!(
        "workers = 1
         [listen.web]
         bind = \"{LISTEN}\"
         {listen}
         [service.app]
         endpoints = {endpoints:?}
         {service}
         [[route]]
         match = \"/*\"
         service = \"app\"\n"
    )
}

/// The command, not yet started.
pub(crate) fn headgate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headgate"));
    command.stdin(Stdio::null());
    command
}

/// A running Headgate.
pub(crate) struct Headgate {
    child: Child,
    /// Standard output, line by line.
    stdout: Receiver<String>,
    /// Standard error: events, and what it complains of.
    stderr: Receiver<String>,
    /// Lines of either that say where it listens.
    places: Receiver<String>,
    /// What of standard error was read.
    said: String,
    /// Addresses by listener name.
    addresses: BTreeMap<String, SocketAddr>,
    scratch: Scratch,
}

impl Headgate {
    /// With this configuration.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_with(config, &[])
    }

    /// With this configuration and flags over it.
    pub(crate) fn start_with(config: &str, flags: &[&str]) -> Self {
        let scratch = scratch();
        let file = scratch.file("headgate.toml");
        fs::write(&file, config).unwrap();
        let mut command = headgate();
        command.arg("run").arg(&file).args(flags);
        Self::spawn(command, config.matches("[listen.").count(), scratch)
    }

    /// With this configuration, by a clock that can be set.
    pub(crate) fn start_by(clock: &FalseClock, config: &str) -> Self {
        let scratch = scratch();
        let file = scratch.file("headgate.toml");
        fs::write(&file, config).unwrap();
        let mut command = headgate();
        command.arg("run").arg(&file);
        clock.give(&mut command);
        Self::spawn(command, config.matches("[listen.").count(), scratch)
    }

    /// With this configuration, and this `ulimit`.
    pub(crate) fn start_under(ulimit: &str, config: &str) -> Self {
        let scratch = scratch();
        let file = scratch.file("headgate.toml");
        fs::write(&file, config).unwrap();
        let run =
            format!("ulimit {ulimit} && exec {} run {}", env!("CARGO_BIN_EXE_headgate"), file.display());
        let mut command = Command::new("sh");
        command.stdin(Stdio::null()).args(["-c", &run]);
        Self::spawn(command, config.matches("[listen.").count(), scratch)
    }

    /// With this configuration, started by a shell that does something else `before`.
    pub(crate) fn start_after(before: &str, config: &str) -> Self {
        let scratch = scratch();
        let file = scratch.file("headgate.toml");
        fs::write(&file, config).unwrap();
        let run = format!("{before} && exec {} run {}", env!("CARGO_BIN_EXE_headgate"), file.display());
        let mut command = Command::new("unshare");
        command.stdin(Stdio::null()).args(["--user", "--map-root-user", "--mount", "sh", "-c", &run]);
        Self::spawn(command, config.matches("[listen.").count(), scratch)
    }

    /// Not a gateway but `headgate lab dns` with these names, at the listener `dns`; its file is
    /// [`Self::config_file`].
    pub(crate) fn dns(names: &str) -> Self {
        let scratch = scratch();
        let file = scratch.file("headgate.toml");
        fs::write(&file, format!("listen = \"{LISTEN}\"\n{names}")).unwrap();
        let mut command = headgate();
        command.args(["lab", "dns"]).arg(&file);
        Self::spawn(command, 1, scratch)
    }

    /// In front of one origin, with every default.
    pub(crate) fn before(origin: &Origin) -> Self {
        Self::start(&one_service("", "", &[origin.address]))
    }

    /// With flags in place of a file.
    pub(crate) fn with_flags(flags: &[&str]) -> Self {
        let mut command = headgate();
        command.args(["run", "--listen", LISTEN]).args(flags);
        Self::spawn(command, 1, scratch())
    }

    fn spawn(mut command: Command, listeners: usize, scratch: Scratch) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, places) = mpsc::channel();
        let stdout = lines(child.stdout.take().unwrap(), sender.clone());
        let stderr = lines(child.stderr.take().unwrap(), sender);
        let said = String::new();
        let mut this = Self { child, stdout, stderr, places, said, addresses: BTreeMap::new(), scratch };
        this.read_addresses(listeners);
        this
    }

    /// Takes in where so many listeners are.
    #[track_caller]
    pub(crate) fn read_addresses(&mut self, listeners: usize) {
        for _ in 0..listeners {
            let line = self.next_of(|this| &this.places);
            let parts = line.strip_prefix("listening on ").and_then(|rest| rest.split_once(" ["));
            let Some((address, name)) = parts else { panic!("not where it listens: {line}") };
            // A Unix socket is known by its path.
            if let Ok(address) = address.parse() {
                self.addresses.insert(name.trim_end_matches(']').to_owned(), address);
            }
        }
    }

    /// Waits for an event that has `text` in its line, and gives that line.
    #[track_caller]
    pub(crate) fn event(&mut self, text: &str) -> String {
        loop {
            let Ok(line) = self.stderr.recv_timeout(PATIENCE) else {
                panic!("no event with {text:?}; so far: {}", self.said)
            };
            self.said.push_str(&line);
            self.said.push('\n');
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Everything that was written to standard error until now.
    fn complaints(&mut self) -> String {
        // After the end of the process the pipe ends, and with it the channel.
        while let Ok(line) = self.stderr.recv_timeout(Duration::from_secs(1)) {
            self.said.push_str(&line);
            self.said.push('\n');
        }
        std::mem::take(&mut self.said)
    }

    /// The next line of standard output.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        self.next_of(|this| &this.stdout)
    }

    #[track_caller]
    fn next_of(&mut self, channel: fn(&Self) -> &Receiver<String>) -> String {
        match channel(self).recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("headgate says nothing"),
            Err(RecvTimeoutError::Disconnected) => {
                let (status, stderr) = self.wait();
                panic!("headgate ended with {status}: {stderr}");
            }
        }
    }

    /// Where the listener of that name is.
    #[track_caller]
    pub(crate) fn listener(&self, name: &str) -> SocketAddr {
        self.addresses[name]
    }

    /// Connects to the listener `web`.
    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.listener("web"))
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.scratch.file("headgate.toml")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end of the process; its status and what it wrote to standard error.
    pub(crate) fn wait(&mut self) -> (ExitStatus, String) {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, self.complaints());
            }
            assert!(started.elapsed() < PATIENCE, "headgate does not end");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Files that the process may have open.
    pub(crate) fn open_files_max(&self) -> String {
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        line.split_whitespace().nth(3).unwrap().to_owned()
    }

    /// File descriptors that the process has open.
    pub(crate) fn open_files(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        fs::read_dir(Path::new(&path)).unwrap().count()
    }
}

impl Drop for Headgate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let text = self.complaints();
        if thread::panicking() {
            eprintln!("headgate wrote to standard error:\n{text}");
        } else {
            assert!(!text.contains("panicked"), "headgate panicked: {text}");
        }
    }
}

/// Reads a pipe to its end, so that its writer never waits. Lines that say where it listens go to `places`.
fn lines(pipe: impl Read + Send + 'static, places: Sender<String>) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let taker = if line.starts_with("listening on ") { &places } else { &sender };
            if taker.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Runs a command of the binary to its end.
pub(crate) fn output(arguments: &[&str]) -> Output {
    headgate().args(arguments).output().unwrap()
}
