//! `headgate lab dns`: a DNS server for faults of names, until it is stopped.

use crate::say::{Failure, say, warn};
use headgate_lab::dns::Server;
use std::path::Path;
use tokio::runtime::Builder;

/// # Errors
/// When the file is faulty or its address cannot be bound.
pub(crate) fn run(file: &Path) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::bind(file).await?;
        say(&format!("listening on {} [dns]", server.address()?))?;
        server
            .run(&mut |read| match read {
                // Nobody is left to be told when standard output is gone.
                Ok(()) => drop(say("the file was read again")),
                Err(error) => warn(&error),
            })
            .await;
        Ok(())
    })
}
