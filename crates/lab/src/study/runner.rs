//! Makes the runs of a study that are not finished yet, on several threads, and puts each on the disk as it
//! ends. Interrupted at any moment it loses only what was under way.

use super::error::StudyError;
use super::on_rig::{Bench, OnRigError, run_on_rig};
use super::plan::Run;
use super::simulate::simulate;
use super::spec::Study;
use super::{Finished, Folder, FolderError, Ground, Measures, Origin};
use std::collections::{BTreeMap, BTreeSet};
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
    #[error(transparent)]
    OnRig(#[from] OnRigError),
}

/// On which ground runs are made, and with what.
#[derive(Clone, Copy, Debug)]
pub enum Making<'a> {
    /// In the simulator, on so many threads.
    Sim { threads: usize },
    /// On the rig, one after the other: runs at once would measure each other.
    Rig(Bench<'a>),
}

impl Making<'_> {
    #[must_use]
    pub fn ground(self) -> Ground {
        match self {
            Self::Sim { .. } => Ground::Sim,
            Self::Rig(_) => Ground::Rig,
        }
    }
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

/// The runs of the plan that the folder does not hold of this ground.
#[must_use]
pub fn missing(study: &Study, folder: &Folder, ground: Ground) -> Vec<Run> {
    let of = |run: &Finished| (run.levels.clone(), run.repeat);
    let done: BTreeSet<_> = folder.finished().iter().filter(|run| run.ground == ground).map(of).collect();
    let cells = study.plan().cells();
    study.plan().runs().filter(|run| !done.contains(&(cells[run.cell].by_factor(), run.repeat))).collect()
}

/// Makes all missing runs. `tell` is called after each.
///
/// # Errors
/// The first that a run or the folder gave; the other threads finish what they are at.
pub fn run(
    study: &Study,
    folder: &mut Folder,
    origin: &Origin,
    making: Making<'_>,
    tell: &mut dyn FnMut(Progress),
) -> Result<(), RunError> {
    let missing = missing(study, folder, making.ground());
    let threads = match making {
        Making::Sim { threads } => threads,
        Making::Rig(_) => 1,
    };
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
                    let made = make(study, run, making, origin);
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

fn make(study: &Study, run: Run, making: Making<'_>, origin: &Origin) -> Result<Finished, RunError> {
    let begun = Instant::now();
    let mut finished = Finished {
        levels: study.plan().cells()[run.cell].by_factor(),
        repeat: run.repeat,
        seed: run.seed,
        ground: making.ground(),
        measures: Measures::new(),
        digest: None,
        processes: BTreeMap::new(),
        notes: Vec::new(),
        took_s: 0.0,
        origin: origin.clone(),
    };
    match making {
        Making::Sim { .. } => {
            let (measures, results) = simulate(study, run)?;
            (finished.measures, finished.digest) = (measures, Some(format!("{:016x}", results.digest())));
        }
        Making::Rig(bench) => {
            let (measures, outcome) = run_on_rig(study, run, bench)?;
            (finished.measures, finished.processes) = (measures, outcome.processes);
            finished.notes = outcome.load.notes;
        }
    }
    finished.took_s = begun.elapsed().as_secs_f64();
    Ok(finished)
}
