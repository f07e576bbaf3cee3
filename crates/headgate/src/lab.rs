//! `headgate lab`: runs studies and shows how far they are. What a study is, and what its results mean, is
//! the lab's own matter.

use crate::interrupt::{Second, stop_on_signal};
use crate::say::{Failure, say, warn};
use headgate_lab::study::{
    self, Bench, Damage, Finished, Folder, Kept, Making, Origin, Progress, Study, analysis,
};
use std::fs::{File, read_to_string};
use std::io::{IsTerminal, Read, Write, stderr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// What `headgate lab run` was asked.
pub(crate) struct RunOptions {
    pub file: PathBuf,
    pub out: Option<PathBuf>,
    pub threads: Option<usize>,
    /// On real processes, not in the simulator.
    pub rig: bool,
}

/// Runs what is missing of a study.
pub(crate) fn run(options: &RunOptions) -> Result<(), Failure> {
    let file = options.file.display();
    let text = read_to_string(&options.file).map_err(|error| format!("cannot read {file}: {error}"))?;
    let study = Study::read(&text, &mut |name: &str| beside(&options.file, name))
        .map_err(|error| format!("{file}: {error}"))?;
    let can_be_run = match options.rig {
        true => study::check_for_rig(&study),
        false => study::check_for_sim(&study),
    };
    can_be_run.map_err(|error| format!("{file}: {error}"))?;
    let out = options.out.clone().unwrap_or_else(|| Path::new("lab-results").join(&study.spec.name));
    let mut folder = Folder::open(&out, &text, &study.files)?;
    for damage in folder.damage() {
        let problem =
            format!("{}, line {}: {}", out.join("runs.jsonl").display(), damage.line, damage.problem);
        warn(&format!("{problem}; that run is made again"));
    }
    let (cells, planned) = (study.plan().cells().len(), study.plan().runs().count());
    say(&format!("{}: {}", study.spec.name, study.spec.question))?;
    say(&format!(
        "{cells} combinations x {} repeats = {planned} runs {}, into {}",
        study.spec.repeats,
        if options.rig { "on the rig" } else { "in the simulator" },
        out.display()
    ))?;
    let threads =
        options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let mut bar = Bar::new();
    let (program, stop) = (std::env::current_exe()?, Arc::new(AtomicBool::new(false)));
    let making = if options.rig {
        stop_on_signal(&stop, Second::EndsProcess)?;
        Making::Rig(Bench { program: &program, stop: &stop })
    } else {
        Making::Sim { threads }
    };
    let made = study::run(&study, &mut folder, &origin(), making, &mut |progress| bar.show(progress));
    bar.end();
    made?;
    write_report(&study, folder.path(), folder.finished(), folder.damage())
}

/// Makes the files for people and programs from what a folder holds.
pub(crate) fn report(path: &Path) -> Result<(), Failure> {
    let Kept { study, mut files, finished, damage } = Folder::read(path)?;
    let mut kept = |name: &str| files.remove(name).ok_or_else(|| "it is not in files.json".to_owned());
    let study = Study::read(&study, &mut kept)
        .map_err(|error| format!("{}: {error}", path.join("study.toml").display()))?;
    write_report(&study, path, &finished, &damage)
}

fn write_report(
    study: &Study,
    folder: &Path,
    finished: &[Finished],
    damage: &[Damage],
) -> Result<(), Failure> {
    let report = analysis::report(study, finished, damage);
    study::put(folder, "runs.csv", &analysis::csv(study, finished))?;
    let data = serde_json::json!({ "report": report, "runs": finished });
    study::put(folder, "report.json", &serde_json::to_string_pretty(&data)?)?;
    study::put(folder, "report.md", &report.markdown())?;
    let page = study::put(folder, "report.html", &report.html())?;
    say(&format!("report     {}", page.display()))
}

/// Prints what differs between two folders of results.
pub(crate) fn compare(one: &Path, other: &Path) -> Result<(), Failure> {
    let read = |path: &Path| -> Result<Kept, Failure> {
        let kept = Folder::read(path)?;
        if !kept.damage.is_empty() {
            let lines = kept.damage.len();
            warn(&format!("{}: {lines} lines could not be read and are left out", path.display()));
        }
        Ok(kept)
    };
    let (first, second) = (read(one)?, read(other)?);
    if (&first.study, &first.files) != (&second.study, &second.files) {
        warn(&"the two studies are not the same; a difference may come from what they ask");
    }
    let table = analysis::compare(&first.finished, &second.finished);
    if table.rows.is_empty() {
        return Err("the two folders have no combination of levels in common".into());
    }
    say(table.to_string().trim_end())
}

/// A longer file is no trace.
const BESIDE_MAX: u64 = 256 << 20;

/// A file that a study names is looked for beside the study.
pub(crate) fn beside(study: &Path, name: &str) -> Result<String, String> {
    let path = study.parent().unwrap_or(Path::new("")).join(name);
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(BESIDE_MAX + 1).read_to_string(&mut text));
    read.map_err(|error| format!("{}: {error}", path.display()))?;
    if text.len() as u64 > BESIDE_MAX {
        return Err(format!("{}: longer than 256 MiB", path.display()));
    }
    Ok(text)
}

fn origin() -> Origin {
    let commit = option_env!("HEADGATE_COMMIT").unwrap_or("unknown commit");
    Origin { headgate: format!("{} ({commit})", env!("CARGO_PKG_VERSION")), machine: machine() }
}

/// Processor, number of cores and kernel.
pub(crate) fn machine() -> String {
    let first = |file: &str, key: &str| {
        let text = read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let processor = first("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{processor}, {cores} cores, Linux {}", kernel.trim())
}

/// How far a study is, on standard error: a bar on a terminal, else a line now and then.
struct Bar {
    terminal: bool,
    last: Option<Instant>,
}

const BAR_WIDTH: usize = 30;
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Bar {
    fn new() -> Self {
        Self { terminal: stderr().is_terminal(), last: None }
    }

    fn show(&mut self, progress: Progress) {
        let Progress { finished, planned, left, .. } = progress;
        let left = left.map_or_else(String::new, |left| format!(", {} left", human(left)));
        let text = format!("{finished} of {planned} runs{left}");
        let is_over = finished == planned;
        // Nobody is left to be told when standard error is gone.
        let _ = if self.terminal {
            let full = BAR_WIDTH * finished / planned.max(1);
            write!(stderr(), "\r\x1b[K[{}{}] {text}", "#".repeat(full), ".".repeat(BAR_WIDTH - full))
        } else if is_over || self.last.is_none_or(|last| last.elapsed() >= LINE_EVERY) {
            self.last = Some(Instant::now());
            writeln!(stderr(), "{text}")
        } else {
            Ok(())
        };
    }

    fn end(&self) {
        if self.terminal {
            let _ = writeln!(stderr());
        }
    }
}

fn human(left: Duration) -> String {
    let seconds = left.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}
