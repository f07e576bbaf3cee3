//! The proxies that the suite can run through, each with its cache on and nothing else changed.

use super::suite::CORE;
use crate::Outcome;
use crate::bench::{Process, free_address};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Headgate,
    Nginx,
    Haproxy,
    Varnish,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Headgate, Self::Nginx, Self::Haproxy, Self::Varnish];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Headgate => "headgate",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Varnish => "varnish",
        }
    }

    pub(super) fn parse(name: &str) -> Outcome<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| format!("no proxy `{name}`; there are {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// A running proxy, with an empty cache.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    _process: Process,
}

impl Proxy {
    /// `headgate`: the binary, when it is not to be built. `folder` is for configuration and stored responses.
    pub(super) fn start(
        kind: Kind,
        headgate: Option<&Path>,
        origin: SocketAddr,
        folder: &Path,
    ) -> Outcome<Self> {
        let folder = folder.join(kind.name());
        // What an earlier run stored would be found again: its URLs are random, but its space is not free.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let address = free_address()?;
        let config = folder.join("config");
        let write =
            |text: String| fs::write(&config, text).map_err(|error| format!("{}: {error}", config.display()));
        let text = |path: &Path| path.display().to_string();
        let (program, arguments) = match kind {
            Kind::Headgate => {
                let program = headgate.map_or_else(build, |path| Ok(path.to_owned()))?;
                let listen = ["--listen".to_owned(), address.to_string()];
                let to = ["--to".to_owned(), origin.to_string(), "--cache".to_owned()];
                (program, ["run".to_owned()].into_iter().chain(listen).chain(to).collect())
            }
            Kind::Nginx => {
                write(nginx(address, origin, &folder))?;
                (PathBuf::from("nginx"), vec!["-p".to_owned(), text(&folder), "-c".to_owned(), text(&config)])
            }
            Kind::Haproxy => {
                write(haproxy(address, origin))?;
                (PathBuf::from("haproxy"), vec!["-db".to_owned(), "-f".to_owned(), text(&config)])
            }
            Kind::Varnish => {
                let to = ["-b".to_owned(), origin.to_string(), "-n".to_owned(), text(&folder)];
                let listen = ["-F".to_owned(), "-a".to_owned(), address.to_string()];
                (PathBuf::from("varnishd"), listen.into_iter().chain(to).collect::<Vec<_>>())
            }
        };
        let mut process = Process::start(kind.name(), CORE, &program, &arguments, &folder)?;
        process.wait_listening(address)?;
        Ok(Self { address, _process: process })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The debug build: it is what the tests use, and this is one.
fn build() -> Outcome<PathBuf> {
    let status = Command::new("cargo")
        .args(["build", "--quiet", "-p", "headgate"])
        .current_dir(crate::root())
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if !status.success() {
        return Err("headgate does not build".to_owned());
    }
    Ok(crate::target().join("debug/headgate"))
}

fn nginx(listen: SocketAddr, origin: SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "daemon off; master_process off;
pid {folder}/pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  proxy_cache_path {folder}/cache levels=1:2 keys_zone=cache:8m max_size=1000m inactive=600m;
  server {{
    listen {listen};
    location / {{ proxy_pass http://{origin}; proxy_cache cache; proxy_cache_revalidate on; }}
  }}
}}
"
    )
}

fn haproxy(listen: SocketAddr, origin: SocketAddr) -> String {
    format!(
        "defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
cache cache
  total-max-size 64
  max-object-size 1000000
  max-age 3600
  process-vary on
frontend web
  bind {listen}
  http-request cache-use cache
  http-response cache-store cache
  default_backend origin
backend origin
  server origin {origin}
"
    )
}
