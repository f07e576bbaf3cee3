//! The admin listener of a running process: bound at the start, and moved, opened or closed when a reload
//! says so. What it answers is not its matter.

use crate::say::Failure;
use headgate_admin::Admin;
use headgate_model::address::BindAddress;
use headgate_model::spec::AdminSpec;
use headgate_net::listener::{self, ListenSocket};
use headgate_observe::log::{self, Level};
use std::fmt::Display;
use std::net::{SocketAddr, TcpListener};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 128;

/// Says where the admin listener is.
pub(crate) struct AdminListener {
    bind: Option<String>,
    address: Option<SocketAddr>,
    moves: mpsc::UnboundedSender<Option<TcpListener>>,
}

/// Listeners to go over to; `None` closes.
pub(crate) type Moves = mpsc::UnboundedReceiver<Option<TcpListener>>;

/// A move for which everything that can fail is done.
pub(crate) struct Move {
    bind: Option<String>,
    listener: Option<TcpListener>,
}

impl Move {
    /// Where it goes, for the log.
    pub(crate) fn place(&self) -> &str {
        self.bind.as_deref().unwrap_or("none")
    }
}

impl AdminListener {
    /// One that is nowhere yet, and what [`serve`] needs to follow it.
    pub(crate) fn new() -> (Self, Moves) {
        let (moves, receiver) = mpsc::unbounded_channel();
        (Self { bind: None, address: None, moves }, receiver)
    }

    /// Where it listens; with port 0 in the configuration the kernel has chosen one.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Binds what `spec` asks for, unless it is bound already: then there is nothing to enact.
    ///
    /// # Errors
    /// When the address cannot be bound; all is as before.
    pub(crate) fn prepare(&self, spec: Option<&AdminSpec>) -> Result<Option<Move>, Failure> {
        let bind = spec.map(|spec| spec.bind.clone());
        if bind == self.bind {
            return Ok(None);
        }
        let listener = bind.as_deref().map(bound).transpose()?;
        Ok(Some(Move { bind, listener }))
    }

    /// Leaves the address to a successor. Answers that were begun are sent.
    pub(crate) fn leave(&mut self) {
        self.enact(Move { bind: None, listener: None });
    }

    /// Goes over to the new address. Answers that were begun on the old one are sent.
    pub(crate) fn enact(&mut self, Move { bind, listener }: Move) {
        self.bind = bind;
        self.address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        // Nobody follows any more at the end of the process only.
        let _ = self.moves.send(listener);
    }
}

fn bound(bind: &str) -> Result<TcpListener, Failure> {
    let failed = |error: &dyn Display| format!("cannot listen on {bind} for [admin]: {error}");
    let address: BindAddress = bind.parse().map_err(|error| failed(&error))?;
    // Shared, so that a successor can listen before its predecessor has ended.
    match listener::bind(&address, true, BACKLOG).map_err(|error| failed(&error))? {
        ListenSocket::Tcp(socket) => Ok(socket),
        ListenSocket::Unix(_) => Err(failed(&"it must be a TCP address").into()),
    }
}

/// Serves wherever the moves lead, until `stops` is dropped and the answers that were begun are sent.
pub(crate) async fn serve(mut moves: Moves, admin: Admin, mut stops: oneshot::Receiver<()>) {
    let mut serving = JoinSet::new();
    let mut here: Option<oneshot::Sender<()>> = None;
    loop {
        tokio::select! {
            Some(listener) = moves.recv() => {
                drop(here.take());
                let Some(listener) = listener else { continue };
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => {
                        let (stop, stopped) = oneshot::channel();
                        here = Some(stop);
                        // Sent never; dropped when it is to stop.
                        let stopped = async { stopped.await.unwrap_or_default() };
                        serving.spawn(headgate_admin::serve(listener, admin.clone(), stopped));
                    }
                    Err(error) => log::event(Level::Error, "no admin listener", &[("error", &error)]),
                }
            }
            Some(_) = serving.join_next() => {}
            _ = &mut stops => break,
        }
    }
    drop(here);
    while serving.join_next().await.is_some() {}
}
