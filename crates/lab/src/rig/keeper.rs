//! The thread that all processes are children of. The kernel ends a child when the thread that started it ends,
//! so that nothing outlives a lab that was killed; whoever asks for a process may come and go.

use super::error::RigError;
use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};

type Order = (Command, SyncSender<io::Result<Child>>);

/// Starts processes for as long as it lives.
#[derive(Debug)]
pub(super) struct Keeper {
    orders: Sender<Order>,
}

impl Keeper {
    pub(super) fn new() -> Result<Self, RigError> {
        let (orders, taken) = channel::<Order>();
        let thread = std::thread::Builder::new().name("keeper".to_owned()).spawn(move || {
            for (mut command, answer) in taken {
                // Whoever asked waits for the answer.
                let _ = answer.send(command.spawn());
            }
        });
        thread.map_err(|source| RigError::system("cannot start a thread", source))?;
        Ok(Self { orders })
    }

    pub(super) fn spawn(&self, command: Command) -> io::Result<Child> {
        let gone = || io::Error::other("the thread that starts processes is gone");
        let (answer, child) = sync_channel(1);
        self.orders.send((command, answer)).map_err(|_| gone())?;
        child.recv().map_err(|_| gone())?
    }
}
