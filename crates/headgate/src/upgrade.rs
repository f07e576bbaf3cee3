//! A new binary takes over without losing a connection: it is started as a child that inherits the
//! listening sockets, and when it listens it asks its predecessor to stop, which then finishes what it has.

use crate::kept_sockets::OpenSockets;
use crate::server::Server;
use headgate_net::listener::{LISTENERS_VARIABLE, inherit, pass_on};
use headgate_observe::log::{self, Level};
use rustix::process::{Pid, Signal, getppid, kill_process};
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use tokio::process::Child;

/// Where the binary was when this process started. Asked later, the system names a file that was moved aside
/// or deleted to make room for the new one.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Remembers the path of the binary; to be called when the process starts.
///
/// # Errors
/// When the system cannot tell it.
pub(crate) fn remember_program() -> io::Result<()> {
    let program = std::env::current_exe()?;
    // A second call would tell the same.
    let _ = PROGRAM.set(program);
    Ok(())
}

/// Holds the chaos rules that a predecessor had beside its file.
const CHAOS_VARIABLE: &str = "HEADGATE_CHAOS";
/// The kernel takes no longer variable than 128 KiB.
const CHAOS_BYTES_MAX: usize = 100 * 1024;

/// Names the process that handed its sockets over.
const PREDECESSOR_VARIABLE: &str = "HEADGATE_PREDECESSOR";

/// The sockets that a predecessor handed over; empty for a first start.
///
/// # Errors
/// When the variable that names them does not fit what is open.
pub(crate) fn inherited() -> Result<OpenSockets, headgate_net::listener::InheritError> {
    let taken = inherit(&std::env::var(LISTENERS_VARIABLE).unwrap_or_default())?;
    let shared = |sockets: Vec<_>| sockets.into_iter().map(Arc::new).collect();
    Ok(taken.into_iter().map(|(name, sockets)| (name, shared(sockets))).collect())
}

/// Starts the binary that is now where ours was, with the same arguments and our sockets. A second call while the first child
/// is not ready yet starts another; the first to be ready wins.
pub(crate) fn start_successor(server: &Server) -> io::Result<Child> {
    let program = PROGRAM.get().ok_or_else(|| io::Error::other("the path of the binary is not known"))?;
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1));
    command.env(PREDECESSOR_VARIABLE, std::process::id().to_string());
    let chaos = server.chaos.legacy(server.shared.now()).map_err(io::Error::other)?;
    if chaos.len() <= CHAOS_BYTES_MAX {
        command.env(CHAOS_VARIABLE, chaos);
    } else {
        command.env_remove(CHAOS_VARIABLE);
        log::event(Level::Warn, "chaos rules are too long to pass on; the successor has none of them", &[]);
    }
    pass_on(&server.sockets(), &mut command)?;
    let child = tokio::process::Command::from(command).spawn()?;
    log::event(Level::Info, "successor started", &[("pid", &child.id().unwrap_or_default())]);
    Ok(child)
}

/// Takes over the chaos rules of the predecessor, if there was one.
pub(crate) fn inherit_chaos(server: &mut Server) {
    let Ok(text) = std::env::var(CHAOS_VARIABLE) else { return };
    let config = Arc::clone(&server.shared.snapshot().config);
    let entries = server.chaos.with_legacy(&text, &config, server.shared.now());
    let changed = entries
        .map_err(Into::into)
        .and_then(|entries| server.change_chaos(entries, "passed on by the predecessor"));
    if let Err(error) = changed {
        log::event(Level::Error, "chaos rules of the predecessor are not taken over", &[("error", &error)]);
    }
}

/// Ends when the successor ended, which it only does when it failed: one that is ready stops us first.
pub(crate) async fn failed(successor: &mut Option<Child>) {
    match successor {
        None => std::future::pending().await,
        Some(child) => {
            // Whatever it ended with, it is gone.
            let _ = child.wait().await;
            *successor = None;
        }
    }
}

/// Tells the predecessor, if there is one and it is still our parent, that we listen.
pub(crate) fn take_over() {
    let named = std::env::var(PREDECESSOR_VARIABLE).ok().and_then(|pid| pid.parse().ok());
    let Some(predecessor) = named.and_then(Pid::from_raw).filter(|&pid| getppid() == Some(pid)) else {
        return;
    };
    if let Err(error) = kill_process(predecessor, Signal::TERM) {
        log::event(Level::Error, "the predecessor cannot be told to stop", &[("error", &error)]);
    }
}
