//! The proxies that are compared, and how each is started, reloaded and named.

use super::caches;
use super::configs::{self, Net};
use super::process::{Process, free_address};
use crate::Outcome;
use rustix::process::Signal;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The core of the proxy under test.
pub(crate) const PROXY_CORE: usize = 0;
/// The core of generator and origin.
pub(crate) const LOAD_CORE: usize = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Headgate,
    Nginx,
    Haproxy,
    Varnish,
    Relay,
    Answerer,
}

/// What a group of rows needs of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    Plain,
    /// TLS with HTTP/2 by ALPN.
    Tls,
    /// This many routes.
    Routes(usize),
    /// Origin below `/app/`, WebSockets of this server at `/ws`; reloadable. Headgate and NGINX only.
    Tunnel(SocketAddr),
    /// Three endpoints, of which one may be away.
    Several([SocketAddr; 3]),
    /// A cache that holds this much.
    Cache {
        mib: u32,
        tls: bool,
    },
}

impl Setup {
    /// Whether clients come with TLS, and HTTP/2 by ALPN.
    pub(crate) fn tls(self) -> bool {
        matches!(self, Self::Tls | Self::Cache { tls: true, .. })
    }

    /// Memory for stored responses, where there is a cache.
    pub(crate) fn cache_mib(self) -> Option<u32> {
        match self {
            Self::Cache { mib, .. } => Some(mib),
            _ => None,
        }
    }
}

/// The programs that are built here.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) headgate: PathBuf,
    /// This one, for the relay and the paced generator.
    pub(crate) own: PathBuf,
    /// What every proxy is run under, such as an instruction counter; empty: nothing.
    pub(crate) under: Vec<String>,
}

/// A running proxy.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    setup: Setup,
    origin: SocketAddr,
    /// Where Headgate serves its metrics.
    pub(crate) admin: SocketAddr,
    folder: PathBuf,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Headgate, Self::Nginx, Self::Haproxy, Self::Varnish, Self::Relay, Self::Answerer];
    pub(crate) const PROXIES: [Self; 4] = [Self::Headgate, Self::Nginx, Self::Haproxy, Self::Relay];
    pub(crate) const CACHES: [Self; 5] =
        [Self::Headgate, Self::Nginx, Self::Haproxy, Self::Varnish, Self::Answerer];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Headgate => "headgate",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Varnish => "varnish",
            Self::Relay => "relay",
            Self::Answerer => "answerer",
        }
    }

    pub(crate) fn parse(name: &str) -> Outcome<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| format!("no proxy `{name}`; there are {}", Self::ALL.map(Self::name).join(", ")))
    }

    /// A relay neither terminates TLS nor routes; Varnish is there as a cache, and has no TLS.
    pub(crate) fn supports(self, setup: Setup) -> bool {
        match self {
            Self::Relay => setup == Setup::Plain,
            Self::Varnish | Self::Answerer => matches!(setup, Setup::Cache { tls: false, .. }),
            Self::Headgate | Self::Nginx | Self::Haproxy => true,
        }
    }

    /// First line of what the program says about its version.
    pub(crate) fn version(self, headgate: &Path) -> String {
        match self {
            Self::Headgate => version_of(headgate, "--version"),
            Self::Nginx => version_of(Path::new("nginx"), "-v"),
            Self::Haproxy => version_of(Path::new("haproxy"), "-v"),
            Self::Varnish => version_of(Path::new("varnishd"), "-V"),
            Self::Relay => "a byte relay of `cargo xtask relay`".to_owned(),
            Self::Answerer => "what `cargo xtask answerer` makes of one read and one write".to_owned(),
        }
    }
}

/// First line of what `program flag` prints.
pub(crate) fn version_of(program: &Path, flag: &str) -> String {
    let Ok(output) = Command::new(program).arg(flag).output() else { return "not installed".to_owned() };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().unwrap_or("unknown").trim().to_owned()
}

impl Peer {
    pub(crate) fn start(
        kind: Kind,
        setup: Setup,
        origin: SocketAddr,
        programs: &Programs,
        folder: &Path,
    ) -> Outcome<Self> {
        let address = free_address()?;
        let admin = free_address()?;
        write_config(kind, setup, None, &Net { listen: address, origin, folder }, admin)?;
        if kind == Kind::Nginx {
            // What an earlier one stored would be found again.
            let _ = fs::remove_dir_all(folder.join("stored"));
        }
        let config = config_path(kind, folder);
        let text = |path: &Path| path.display().to_string();
        let (program, arguments): (&Path, Vec<String>) = match (kind, setup) {
            (Kind::Headgate, Setup::Plain) => (
                &programs.headgate,
                ["run", "--listen", &address.to_string(), "--to", &origin.to_string(), "--workers", "1"]
                    .into_iter()
                    .chain(["--admin", &admin.to_string()])
                    .map(str::to_owned)
                    .collect(),
            ),
            (Kind::Headgate, _) => (&programs.headgate, vec!["run".to_owned(), text(&config)]),
            (Kind::Nginx, _) => {
                (Path::new("nginx"), vec!["-p".to_owned(), text(folder), "-c".to_owned(), text(&config)])
            }
            (Kind::Haproxy, Setup::Routes(_)) => (
                Path::new("haproxy"),
                vec!["-W".to_owned(), "-db".to_owned(), "-f".to_owned(), text(&config)],
            ),
            (Kind::Haproxy, _) => {
                (Path::new("haproxy"), vec!["-db".to_owned(), "-f".to_owned(), text(&config)])
            }
            (Kind::Varnish, setup) => {
                let to = ["-b".to_owned(), origin.to_string(), "-n".to_owned(), text(folder)];
                let listen = ["-F".to_owned(), "-a".to_owned(), address.to_string()].into_iter().chain(to);
                let cache = setup.cache_mib().map(caches::varnish).unwrap_or_default();
                (Path::new("varnishd"), listen.chain(cache).collect())
            }
            (Kind::Relay | Kind::Answerer, _) => {
                (&programs.own, vec![kind.name().to_owned(), address.to_string(), origin.to_string()])
            }
        };
        let (program, arguments) = match programs.under.split_first() {
            None => (program, arguments),
            Some((wrapper, options)) => {
                let inner = std::iter::once(text(program)).chain(arguments);
                (Path::new(wrapper), options.iter().cloned().chain(inner).collect())
            }
        };
        let mut process = Process::start(kind.name(), PROXY_CORE, program, &arguments, folder)?;
        process.wait_listening(address)?;
        Ok(Self { kind, address, process, setup, origin, admin, folder: folder.to_owned() })
    }

    /// Rewrites the configuration with one more route and asks the process to take it over.
    pub(crate) fn reload_with_route(&self, prefix: &str) -> Outcome {
        let net = Net { listen: self.address, origin: self.origin, folder: &self.folder };
        write_config(self.kind, self.setup, Some(prefix), &net, self.admin)?;
        self.process.signal(match self.kind {
            Kind::Haproxy => Signal::USR2,
            _ => Signal::HUP,
        })
    }
}

fn config_path(kind: Kind, folder: &Path) -> PathBuf {
    folder.join(match kind {
        Kind::Headgate => "headgate.toml",
        Kind::Nginx => "nginx.conf",
        Kind::Haproxy => "haproxy.cfg",
        Kind::Varnish | Kind::Relay | Kind::Answerer => "none",
    })
}

fn write_config(
    kind: Kind,
    setup: Setup,
    extra_route: Option<&str>,
    net: &Net<'_>,
    admin: SocketAddr,
) -> Outcome {
    let mut files = Vec::new();
    match kind {
        Kind::Headgate => {
            files.push((config_path(kind, net.folder), configs::headgate(setup, extra_route, net, admin)));
        }
        Kind::Nginx => files.push((config_path(kind, net.folder), configs::nginx(setup, extra_route, net))),
        Kind::Haproxy => {
            files.push((config_path(kind, net.folder), configs::haproxy(setup, net)));
            if let Setup::Routes(count) = setup {
                files.push((net.folder.join("routes.map"), configs::haproxy_map(count, extra_route)));
            }
        }
        Kind::Varnish | Kind::Relay | Kind::Answerer => {}
    }
    for (path, text) in files {
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}
