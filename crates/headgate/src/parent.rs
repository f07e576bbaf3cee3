//! Whoever started this process, where it asked not to be outlived. Nothing here says what the two have to do
//! with each other.

use rustix::process::{Signal, set_parent_process_death_signal};
use std::io;

/// From now on the kernel ends this process when the thread that started it is gone, also while it is stopped.
///
/// # Errors
/// When the kernel denies it.
pub(crate) fn follow() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Ends this process when its standard input does. That covers what [`follow`] misses: a parent that was gone
/// before it was called.
///
/// # Errors
/// When there is no thread for it.
pub(crate) fn watch_input() -> io::Result<()> {
    std::thread::Builder::new().name("parent".to_owned()).spawn(|| {
        // What is read does not matter, nor whether it ends in an error.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(1);
    })?;
    Ok(())
}
