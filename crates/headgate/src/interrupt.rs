//! What a command that measures does on SIGINT and SIGTERM: it ends early and says what it has; asked
//! twice, mostly at once.

use crate::say::Failure;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::signal::unix::{SignalKind, signal};

/// What a shell says of a command that was interrupted.
const INTERRUPTED: i32 = 130;

/// What the second signal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Second {
    /// Whoever asks twice does not want to wait.
    EndsProcess,
    /// There is something to take back, which takes seconds at most.
    DoesNothing,
}

/// Sets the flag on the first signal.
///
/// # Errors
/// When the system denies to listen for signals.
pub(crate) fn stop_on_signal(stop: &Arc<AtomicBool>, second: Second) -> Result<(), Failure> {
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
                if stop.swap(true, Relaxed) && second == Second::EndsProcess {
                    std::process::exit(INTERRUPTED);
                }
            }
        });
    })?;
    Ok(())
}
