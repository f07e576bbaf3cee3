//! The real binary as a process: started with a configuration, waited for, ended with the test.

use super::{Origin, PATIENCE, Wire};
use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};
use std::fs;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Stands in a configuration for the address that the test connects to.
pub(crate) const LISTEN: &str = "@LISTEN@";

/// A port that nobody else on the machine is given for as long as this lives. Its socket is bound but does
/// not listen, so a process that is told the port can take it.
pub(crate) struct Port {
    _reserved: Socket,
    pub address: SocketAddr,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        Self::reserve_on(Ipv4Addr::LOCALHOST.into()).unwrap()
    }

    pub(crate) fn reserve_on(ip: IpAddr) -> std::io::Result<Self> {
        let any = SocketAddr::new(ip, 0);
        let socket = Socket::new(Domain::for_address(any), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&any.into())?;
        let address = socket.local_addr()?.as_socket().unwrap();
        Ok(Self { _reserved: socket, address })
    }
}

/// A directory of its own for one test, removed at the end.
pub(crate) struct Scratch(PathBuf);

pub(crate) fn scratch() -> Scratch {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("headgate-e2e-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
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
    /// Reads what the process complains of, to its end.
    stderr: Option<JoinHandle<String>>,
    port: Port,
    scratch: Scratch,
}

impl Headgate {
    /// With this configuration, in which [`LISTEN`] is filled in.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_on(Port::reserve(), config)
    }

    pub(crate) fn start_on(port: Port, config: &str) -> Self {
        let scratch = scratch();
        let file = scratch.file("headgate.toml");
        fs::write(&file, config.replace(LISTEN, &port.address.to_string())).unwrap();
        let mut command = headgate();
        command.arg("run").arg(&file);
        Self::spawn(command, port, scratch)
    }

    /// In front of one origin, with every default.
    pub(crate) fn before(origin: &Origin) -> Self {
        Self::start(&one_service("", "", &[origin.address]))
    }

    /// With flags in place of a file.
    pub(crate) fn with_flags(flags: &[&str]) -> Self {
        let port = Port::reserve();
        let mut command = headgate();
        command.arg("run").arg("--listen").arg(port.address.to_string()).args(flags);
        Self::spawn(command, port, scratch())
    }

    fn spawn(mut command: Command, port: Port, scratch: Scratch) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut pipe = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            let _ = pipe.read_to_string(&mut text);
            text
        });
        let mut this = Self { child, stderr: Some(stderr), port, scratch };
        this.wait_until_it_accepts();
        this
    }

    fn wait_until_it_accepts(&mut self) {
        let started = Instant::now();
        while std::net::TcpStream::connect(self.port.address).is_err() {
            assert!(started.elapsed() < PATIENCE, "headgate does not accept on {}", self.port.address);
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("headgate ended with {status}: {}", self.stderr.take().unwrap().join().unwrap());
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address
    }

    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.port.address)
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
                return (status, self.stderr.take().map_or_else(String::new, |stderr| stderr.join().unwrap()));
            }
            assert!(started.elapsed() < PATIENCE, "headgate does not end");
            thread::sleep(Duration::from_millis(2));
        }
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
        let Some(stderr) = self.stderr.take() else { return };
        let text = stderr.join().unwrap_or_default();
        if thread::panicking() {
            eprintln!("headgate wrote to standard error:\n{text}");
        } else {
            assert!(!text.contains("panicked"), "headgate panicked: {text}");
        }
    }
}

/// Runs a command of the binary to its end.
pub(crate) fn output(arguments: &[&str]) -> Output {
    headgate().args(arguments).output().unwrap()
}
