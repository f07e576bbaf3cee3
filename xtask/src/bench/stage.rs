//! The stage of a bench: a temporary folder with certificates, files and scripts, and the origin in it.

use super::configs;
use super::load::WRK_DONE;
use super::machine::require;
use super::options::Options;
use super::peers::{Kind, LOAD_CORE, Peer, Programs, Setup};
use super::probe;
use super::process::{Process, free_address};
use crate::Outcome;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) origin: SocketAddr,
    pub(crate) programs: Programs,
    folder: Folder,
    // Stopped before its folder goes.
    _origin: Process,
}

/// Started peers, or why one could not be.
pub(crate) type Peers = Vec<(Kind, Outcome<Peer>)>;

impl Stage {
    /// Installs and builds what is missing, then starts the origin.
    pub(crate) fn set(options: &Options) -> Outcome<Self> {
        for (program, package) in [("nginx", "nginx-light"), ("haproxy", "haproxy"), ("wrk", "wrk")]
            .into_iter()
            .chain([("h2load", "nghttp2-client"), ("openssl", "openssl"), ("taskset", "util-linux")])
        {
            require(program, package)?;
        }
        if options.only.contains(&Kind::Varnish) {
            require("varnishd", "varnish")?;
        }
        raise_open_files();
        // Relay and paced generator are this program, with the same optimisation as what they are compared to.
        let own = build("xtask")?;
        let headgate = match &options.headgate {
            Some(path) => path.clone(),
            None if options.only.contains(&Kind::Headgate) => build("headgate")
                .map_err(|error| format!("{error}; `--only nginx,haproxy,relay` measures the others"))?,
            None => PathBuf::from("headgate"),
        };
        let folder = Folder::create()?;
        folder.fill(options)?;
        let origin = free_address()?;
        folder.write("origin.conf", &configs::origin("origin", origin, &folder.0))?;
        let arguments = ["-p".into(), folder.0.clone(), "-c".into(), folder.0.join("origin.conf")];
        let mut process = Process::start("origin", LOAD_CORE, Path::new("nginx"), &arguments, &folder.0)?;
        process.wait_listening(origin).map_err(|error| format!("origin: {error}"))?;
        let programs = Programs { headgate, own, under: Vec::new() };
        Ok(Self { origin, programs, folder, _origin: process })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder.0
    }

    pub(crate) fn script(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    /// Writes the configuration of one more origin and says where it is.
    pub(crate) fn endpoint_config(&self, number: usize, address: SocketAddr) -> Outcome<PathBuf> {
        let name = format!("endpoint{number}");
        let file = format!("{name}.conf");
        self.folder.write(&file, &configs::origin(&name, address, self.folder()))?;
        Ok(self.script(&file))
    }

    /// Starts every wanted proxy that can do `setup` and checks that it does the compared work.
    pub(crate) fn start_peers(&self, only: &[Kind], setup: Setup) -> Peers {
        only.iter()
            .filter(|kind| kind.supports(setup))
            .map(|&kind| (kind, self.start_peer(kind, setup)))
            .collect()
    }

    pub(crate) fn start_peer(&self, kind: Kind, setup: Setup) -> Outcome<Peer> {
        let peer = Peer::start(kind, setup, self.origin, &self.programs, self.folder())?;
        let (host, path) = match setup {
            // wrk and h2load check themselves that TLS works, the cache rows what they need.
            Setup::Tls | Setup::Cache { .. } => return Ok(peer),
            Setup::Plain | Setup::Several(_) => ("bench.example", "/forwarded"),
            Setup::Routes(_) => ("host0.example", "/path0/forwarded"),
            Setup::Tunnel(_) => ("bench.example", "/app/forwarded"),
        };
        let (status, body) = probe::get(peer.address, host, path)?;
        if status != 200 {
            return Err(format!("answers {status} to GET {path}"));
        }
        if kind != Kind::Relay && !body.contains("127.0.0.1") {
            return Err("does not send X-Forwarded-For".to_owned());
        }
        Ok(peer)
    }
}

/// A folder that goes with its owner.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn create() -> Outcome<Self> {
        // In memory where there is such a place: no disk takes part in what is measured.
        let memory = Some(PathBuf::from("/dev/shm")).filter(|path| path.is_dir());
        let parent = memory.unwrap_or_else(std::env::temp_dir);
        let path = parent.join(format!("headgate-bench-{}", std::process::id()));
        fs::create_dir_all(path.join("files")).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, content: &str) -> Outcome {
        let path = self.0.join(name);
        fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn fill(&self, options: &Options) -> Outcome {
        self.write("files/64k", &"x".repeat(64 * 1024))?;
        self.write("files/1m", &"x".repeat(1024 * 1024))?;
        self.write("get.lua", WRK_DONE)?;
        let post = "wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", 16384)\n";
        self.write("post.lua", &[post, WRK_DONE].concat())?;
        let list: String = configs::routes(options.routes, None)
            .iter()
            .map(|route| {
                let (host, prefix) = (&route.host, &route.prefix);
                format!("\"GET {prefix}item HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n\",\n")
            })
            .collect();
        let routes = format!(
            "local all = {{\n{list}}}\nlocal i = 0
request = function() i = i % #all + 1; return all[i] end\n"
        );
        self.write("routes.lua", &[&routes, WRK_DONE].concat())?;
        let (key, cert) = (self.0.join("key.pem"), self.0.join("cert.pem"));
        let output = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&cert)
            .output()
            .map_err(|error| format!("openssl: {error}"))?;
        if !output.status.success() {
            return Err(format!("openssl: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let read =
            |path: &Path| fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
        self.write("both.pem", &[read(&cert)?, read(&key)?].concat())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Builds a package's release binary and says where it is.
pub(crate) fn build(package: &str) -> Outcome<PathBuf> {
    let root = crate::root();
    eprintln!("building {package} in release mode ...");
    let status = Command::new("cargo")
        .args(["build", "--release", "--quiet", "-p", package])
        .current_dir(root)
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if !status.success() {
        return Err(format!("{package} does not build"));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release").join(package))
}

/// Lets this process and its children open as many files as the system allows.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const WANTED: u64 = 65_536;
    let now = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: Some(WANTED), maximum: Some(now.maximum.unwrap_or(WANTED).max(WANTED)) };
    // Raising the hard limit is for root; anyone may go up to it.
    if setrlimit(Resource::Nofile, raised).is_err() {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, maximum: now.maximum });
    }
}
