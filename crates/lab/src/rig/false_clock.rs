//! A wall clock that is off for one process alone. libfaketime stands between the process and the C library, and reads
//! from a file how far off; the monotonic clocks, by which time is measured, stay as they are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Where distributions put it: Debian and Ubuntu below the name of the machine, Fedora and Arch beside the others.
const FOLDERS: [&str; 2] = ["/usr/lib64/faketime", "/usr/lib/faketime"];
const DEBIAN: &str = "/usr/lib";
const LIBRARY: &str = "libfaketimeMT.so.1";
/// It looks into the file again after so long.
const LOOKS_AGAIN_S: u32 = 1;

/// How far a clock is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockError {
    Ahead(Duration),
    Behind(Duration),
}

impl ClockError {
    /// As libfaketime reads it.
    fn seconds(self) -> String {
        match self {
            Self::Ahead(by) => format!("+{:.3}", by.as_secs_f64()),
            Self::Behind(by) => format!("-{:.3}", by.as_secs_f64()),
        }
    }
}

/// The clock of one process, right until it is set.
#[derive(Debug)]
pub struct FalseClock {
    library: PathBuf,
    file: PathBuf,
}

impl FalseClock {
    /// `file` is made, and holds how far off the clock is.
    ///
    /// # Errors
    /// When libfaketime is not installed, or the file cannot be written.
    pub fn new(file: PathBuf) -> io::Result<Self> {
        let missing = "libfaketime is not installed; `apt-get install faketime`, or the package of that name";
        let library = library().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, missing))?;
        let clock = Self { library, file };
        clock.set(ClockError::Ahead(Duration::ZERO))?;
        Ok(clock)
    }

    /// Gives this clock to a process that is to be started.
    pub fn give(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_CACHE_DURATION", LOOKS_AGAIN_S.to_string())
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            // Times of files are not its business.
            .env("NO_FAKE_STAT", "1");
    }

    /// The process has it a second later.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set(&self, off: ClockError) -> io::Result<()> {
        // Half a number would be a wrong one.
        let draft = self.file.with_extension("new");
        fs::write(&draft, format!("{}\n", off.seconds()))?;
        fs::rename(&draft, &self.file)
    }
}

fn library() -> Option<PathBuf> {
    let fixed = FOLDERS.iter().map(|folder| Path::new(folder).join(LIBRARY));
    let machines =
        fs::read_dir(DEBIAN).ok()?.flatten().map(|entry| entry.path().join("faketime").join(LIBRARY));
    fixed.chain(machines).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_off_is_written_as_libfaketime_reads_it() {
        assert_eq!(ClockError::Ahead(Duration::from_millis(3_600_250)).seconds(), "+3600.250");
        assert_eq!(ClockError::Behind(Duration::from_secs(90)).seconds(), "-90.000");
    }
}
