//! `http-cache-tests` as it comes from npm: its installation, its origin, its client. It knows nothing of proxies.

use crate::Outcome;
use crate::bench::{Process, free_address};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PACKAGE: &str = "http-cache-tests";
const VERSION: &str = "0.4.5";
/// Every process of a run; none of them is measured.
pub(super) const CORE: usize = 0;

/// Prints all checks: `[{"id", "kind", "group", "name"}]`, without those for browsers. The last group is for
/// surrogates; the suite's own client adds it in the same way.
const LIST: &str = "\
import suites from './tests/index.mjs'
import surrogate from './tests/surrogate-control.mjs'
const checks = [...suites, surrogate].flatMap(suite => suite.tests.filter(test => !test.browser_only)
  .map(test => ({ id: test.id, kind: test.kind || 'required', group: suite.name, name: test.name })))
console.log(JSON.stringify(checks))";

/// The installed suite with its origin running.
#[derive(Debug)]
pub(super) struct Suite {
    folder: PathBuf,
    address: SocketAddr,
    origin: Process,
}

impl Suite {
    pub(super) fn start() -> Outcome<Self> {
        let folder = crate::target().join("tmp").join(PACKAGE);
        install(&folder)?;
        let address = free_address()?;
        let mut arguments = environment(&folder, address, None);
        arguments.extend(["node".to_owned(), "server/server.mjs".to_owned()]);
        let inside = ["-C".to_owned(), package(&folder).display().to_string()];
        let arguments: Vec<String> = inside.into_iter().chain(arguments).collect();
        let mut origin = Process::start("origin", CORE, Path::new("env"), &arguments, &folder)?;
        origin.wait_listening(address)?;
        Ok(Self { folder, address, origin })
    }

    /// Where the origin listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// For files of a run.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What there is to check, as JSON.
    pub(super) fn checks(&self) -> Outcome<String> {
        self.node(&["--input-type=module", "--eval", LIST], &[])
    }

    /// Runs all checks through `proxy`: a JSON object from id to `true` or to what went wrong.
    pub(super) fn results(&mut self, proxy: SocketAddr) -> Outcome<String> {
        eprintln!("running {PACKAGE} {VERSION} ...");
        let printed = self.client(proxy, "")?;
        self.origin.alive()?;
        Ok(printed)
    }

    /// Runs one check, and says what was sent and received.
    pub(super) fn explain(&mut self, id: &str, proxy: SocketAddr) -> Outcome<String> {
        self.client(proxy, id)
    }

    fn client(&self, proxy: SocketAddr, id: &str) -> Outcome<String> {
        let base = format!("http://{proxy}");
        let mut environment = environment(&self.folder, self.address, Some(&base));
        environment.push(format!("npm_package_config_id={id}"));
        self.node(&["--no-warnings", "cli.mjs"], &environment)
    }

    fn node(&self, arguments: &[&str], environment: &[String]) -> Outcome<String> {
        let output = Command::new("env")
            .args(environment)
            .arg("node")
            .args(arguments)
            .current_dir(package(&self.folder))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("node: {error}"))?;
        if !output.status.success() {
            return Err(format!("node: {}", String::from_utf8_lossy(&output.stderr)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The suite reads what npm would set.
fn environment(folder: &Path, origin: SocketAddr, base: Option<&str>) -> Vec<String> {
    let mut variables = vec![
        format!("npm_config_pidfile={}", folder.join("origin.pid").display()),
        format!("npm_config_port={}", origin.port()),
        "npm_config_protocol=http".to_owned(),
    ];
    variables.extend(base.map(|base| format!("npm_config_base={base}")));
    variables
}

fn package(folder: &Path) -> PathBuf {
    folder.join("node_modules").join(PACKAGE)
}

/// Installs the suite where it is not there yet.
fn install(folder: &Path) -> Outcome {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let manifest = fs::read_to_string(package(folder).join("package.json")).unwrap_or_default();
    if manifest.contains(&format!("\"version\": \"{VERSION}\"")) {
        return Ok(());
    }
    eprintln!("installing {PACKAGE} {VERSION} ...");
    let output = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .arg(folder)
        .arg(format!("{PACKAGE}@{VERSION}"))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("npm (`apt-get install npm`) is needed for {PACKAGE}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| line.contains("error")).unwrap_or("npm failed");
    Err(format!("npm cannot install {PACKAGE}@{VERSION}: {line}"))
}
