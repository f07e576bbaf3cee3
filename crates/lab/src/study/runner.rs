//! Makes the runs of a study that are not finished yet, on several threads, and puts each on the disk as it
//! ends. Interrupted at any moment it loses only what was under way.

use super::error::StudyError;
use super::plan::Run;
use super::simulate::simulate;
use super::spec::Study;
use super::{Finished, Folder, FolderError, Ground, Origin};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Why the runs ended early. What was finished is on the disk.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Study(#[from] StudyError),
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// How far the runs have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Finished, those of earlier calls included.
    pub finished: usize,
    pub planned: usize,
    /// Since the start of this call.
    pub elapsed: Duration,
    /// Until the end, if the runs to come take as long as those of this call did; none before the first.
    pub left: Option<Duration>,
}

/// Reads files that a study names; called from several threads.
pub type Reader<'a> = &'a (dyn Fn(&str) -> Result<String, String> + Sync);

/// The runs of the plan that the folder does not hold.
#[must_use]
pub fn missing(study: &Study, folder: &Folder) -> Vec<Run> {
    let of = |run: &Finished| (run.levels.clone(), run.repeat);
    let done: BTreeSet<_> =
        folder.finished().iter().filter(|run| run.ground == Ground::Sim).map(of).collect();
    let cells = study.plan().cells();
    study.plan().runs().filter(|run| !done.contains(&(cells[run.cell].by_factor(), run.repeat))).collect()
}

/// Makes all missing runs in the simulator on `threads` threads. `tell` is called after each.
///
/// # Errors
/// The first that a run or the folder gave; the other threads finish what they are at.
pub fn run(
    study: &Study,
    folder: &mut Folder,
    origin: &Origin,
    threads: usize,
    files: Reader<'_>,
    tell: &mut dyn FnMut(Progress),
) -> Result<(), RunError> {
    let missing = missing(study, folder);
    let planned = study.plan().runs().count();
    let before = planned - missing.len();
    let begun = Instant::now();
    let progress = |made: usize| {
        let elapsed = begun.elapsed();
        let left = (made > 0).then(|| elapsed * (missing.len() - made) as u32 / made as u32);
        Progress { finished: before + made, planned, elapsed, left }
    };
    tell(progress(0));
    let next = Mutex::new(missing.iter());
    // As many as there are threads may wait for the disk.
    let (ended, ends) = mpsc::sync_channel(threads);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (ended, next) = (ended.clone(), &next);
            scope.spawn(move || {
                loop {
                    let run = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(&run) = run else { return };
                    let made = make(study, run, origin, files);
                    // Nobody listens any more after an error.
                    if ended.send(made).is_err() {
                        return;
                    }
                }
            });
        }
        drop(ended);
        for (index, made) in ends.into_iter().enumerate() {
            folder.add(made?)?;
            tell(progress(index + 1));
        }
        Ok(())
    })
}

fn make(study: &Study, run: Run, origin: &Origin, files: Reader<'_>) -> Result<Finished, StudyError> {
    let begun = Instant::now();
    let (measures, results) = simulate(study, run, &mut |file: &str| files(file))?;
    Ok(Finished {
        levels: study.plan().cells()[run.cell].by_factor(),
        repeat: run.repeat,
        seed: run.seed,
        ground: Ground::Sim,
        measures,
        digest: Some(format!("{:016x}", results.digest())),
        took_s: begun.elapsed().as_secs_f64(),
        origin: origin.clone(),
    })
}
