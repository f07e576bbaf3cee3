//! A real Redis (or Valkey) as a process that tests stall, kill and empty.

use super::gateway::scratch_in;
use super::tls::Pair;
use super::{PATIENCE, Port, Scratch, Wire, scratch};
use rustix::process::{Pid, Signal, kill_process};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

pub(crate) struct Redis {
    program: &'static str,
    child: Option<Child>,
    port: Port,
    scratch: Scratch,
    /// Further arguments.
    tls: Vec<String>,
}

impl Redis {
    /// None, and says so, where this machine has none.
    pub(crate) fn start() -> Option<Self> {
        let works = |program: &&str| {
            Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
        };
        let Some(program) = ["redis-server", "valkey-server"].into_iter().find(works) else {
            eprintln!("skipped: this machine has no redis-server and no valkey-server");
            return None;
        };
        // What it saves it syncs, for which a busy disk may keep it longer than any test waits.
        let memory = Path::new("/dev/shm");
        let scratch = if memory.is_dir() { scratch_in(memory) } else { scratch() };
        let mut redis = Self { program, child: None, port: Port::reserve(), scratch, tls: Vec::new() };
        redis.launch();
        Some(redis)
    }

    /// One that speaks TLS too, with this certificate, and wants one of its clients from the same authority.
    pub(crate) fn start_with_tls(authority: &Path, pair: &Pair) -> Option<(Self, Port)> {
        let port = Port::reserve();
        let mut redis = Self::start()?;
        redis.kill();
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        redis.tls = [
            ("--tls-port", port.address.port().to_string()),
            ("--tls-cert-file", path(&pair.cert)),
            ("--tls-key-file", path(&pair.key)),
            ("--tls-ca-cert-file", path(authority)),
        ]
        .into_iter()
        .flat_map(|(key, value)| [key.to_owned(), value])
        .collect();
        redis.launch();
        Some((redis, port))
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.port.address)
    }

    /// Starts it again, with what was saved; waits until it answers.
    pub(crate) fn launch(&mut self) {
        let port = self.port.address.port().to_string();
        let folder = self.scratch.file("");
        let mut command = Command::new(self.program);
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]);
        command.arg(folder).args(&self.tls).stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let started = Instant::now();
        while TcpStream::connect(self.port.address).is_err() {
            assert!(started.elapsed() < PATIENCE, "Redis does not listen");
            std::thread::yield_now();
        }
        // It answers with an error while it loads.
        while !self.command(&["PING"]).starts_with("+PONG") {
            assert!(started.elapsed() < PATIENCE, "Redis does not answer");
        }
    }

    /// The first bytes of the answer to a command, as they come.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let mut wire = Wire::connect(self.port.address);
        let words: Vec<String> = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        wire.send(format!("*{}\r\n{}", words.len(), words.concat()));
        assert!(wire.has_more(), "Redis closes the connection");
        wire.arrived()
    }

    pub(crate) fn stall(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.take().unwrap().wait().unwrap();
    }

    pub(crate) fn save(&self) {
        assert!(self.command(&["SAVE"]).starts_with("+OK"));
    }

    /// Forgets what was saved.
    pub(crate) fn forget_saved(&self) {
        let _ = std::fs::remove_file(self.scratch.file("dump.rdb"));
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}
