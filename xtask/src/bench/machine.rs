//! What a result depends on besides the code: machine, kernel, versions, installed programs.

use super::options::Options;
use super::peers::version_of;
use crate::Outcome;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Makes sure that `program` is there: installs the Debian package when it may, else says how to get it.
pub(crate) fn require(program: &str, package: &str) -> Outcome {
    if installed(program) {
        return Ok(());
    }
    let missing = format!("{program} is missing: apt-get install {package}");
    if !rustix::process::geteuid().is_root() || !installed("apt-get") {
        return Err(missing);
    }
    eprintln!("installing {package} from Debian ...");
    let status = Command::new("apt-get")
        .args(["install", "-y", "-q", "--no-install-recommends", package])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status();
    if status.is_ok_and(|status| status.success()) && installed(program) {
        return Ok(());
    }
    Err(format!("{missing} (tried, and it failed)"))
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(program).is_file())
}

/// Lines for the head of a report.
pub(crate) fn description(options: &Options, headgate: &Path) -> Vec<String> {
    let mut lines = vec![machine()];
    for kind in &options.only {
        lines.push(format!("{}: {}", kind.name(), kind.version(headgate)));
    }
    lines.push(format!(
        "generators: {}; {}",
        version_of(Path::new("wrk"), "-v"),
        version_of(Path::new("h2load"), "--version")
    ));
    lines.push(format!(
        "TLS library of NGINX, HAProxy and the generators: {}",
        version_of(Path::new("openssl"), "version")
    ));
    if let Some(commit) = commit() {
        lines.push(format!("commit: {commit}"));
    }
    lines
}

/// Stores a report as `docs/results/DATE-NAME.md`, under its title and the command that repeats it.
pub(crate) fn store(name: &str, title: &str, command: &str, text: &str) -> Outcome {
    let today = today();
    let path = format!("docs/results/{today}-{name}.md");
    let text = format!("# {title}, {today}\n\n`{command}`\n\n{text}");
    fs::write(crate::root().join(&path), text).map_err(|error| format!("{path}: {error}"))?;
    println!("stored as {path}");
    Ok(())
}

/// Today's date in UTC, `2026-01-31`.
fn today() -> String {
    let output = Command::new("date").args(["-u", "+%F"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

pub(crate) fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown CPU", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("machine: {model}, {cores} cores, Linux {}", kernel.trim())
}

pub(crate) fn commit() -> Option<String> {
    let git = |arguments: &[&str]| Command::new("git").args(arguments).output().ok();
    let head = git(&["rev-parse", "--short=12", "HEAD"]).filter(|output| output.status.success())?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    let dirty = if changed.stdout.is_empty() { "" } else { " with uncommitted changes" };
    Some(format!("{}{dirty}", String::from_utf8_lossy(&head.stdout).trim()))
}
