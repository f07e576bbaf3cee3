//! What a command that measures does on SIGINT and SIGTERM: it ends early and says what it has; asked twice, at once.

use crate::say::Failure;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::signal::unix::{SignalKind, signal};

/// What a shell says of a command that was interrupted.
const INTERRUPTED: i32 = 130;

/// Sets the flag on the first signal and ends the process on the second.
pub(crate) fn stop_on_signal(stop: &Arc<AtomicBool>) -> Result<(), Failure> {
    let stop = stop.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate) = {
        let _in_runtime = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    // It waits for what may never come and ends with the process.
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if stop.swap(true, Relaxed) {
                    std::process::exit(INTERRUPTED);
                }
            }
        });
    })?;
    Ok(())
}
