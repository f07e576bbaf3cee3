//! The folder of a study's results: the study file as it was run, the files that it names, and one line for each
//! finished run, which is on the disk before the next begins. What an interruption or a fault of the disk has damaged is
//! told and made again; nothing that can be read is lost.

use super::{Finished, NamedFiles};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

const STUDY: &str = "study.toml";
/// The files that the study names, as one JSON object: their names may be any path.
const FILES: &str = "files.json";
const RUNS: &str = "runs.jsonl";
/// A longer line is damaged: a run has a few hundred bytes.
const LINE_MAX: usize = 64 * 1024;
/// A longer file of runs is none.
const RUNS_BYTES_MAX: u64 = 1 << 30;

/// Why a folder cannot be used. Nothing in it has been changed.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("cannot use {}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} holds the results of another study; name another folder, or remove it", path.display())]
    Another { path: PathBuf },
    #[error("{} holds no results of a study: there is no study.toml", path.display())]
    Empty { path: PathBuf },
    #[error("{} has runs and no study.toml that says what they are; put the study's file there, or name another folder", path.display())]
    Nameless { path: PathBuf },
    #[error("{} holds results with other content of the files that the study names; name another folder, or remove it", path.display())]
    OtherFiles { path: PathBuf },
    #[error("somebody else is making runs into {}; wait for them, or name another folder", path.display())]
    Busy { path: PathBuf },
    #[error("{} is no file of runs: it is larger than 1 GiB; name another folder", path.display())]
    Huge { path: PathBuf },
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Counted from 1.
    pub line: usize,
    pub problem: String,
}

/// What a folder holds.
#[derive(Debug)]
pub struct Kept {
    pub study: String,
    pub files: NamedFiles,
    pub finished: Vec<Finished>,
    pub damage: Vec<Damage>,
}

/// A folder that runs are made into, by nobody else at the same time.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    runs: File,
    finished: Vec<Finished>,
    damage: Vec<Damage>,
}

impl Folder {
    /// Opens the folder of the study with this text and these files, or makes it.
    ///
    /// # Errors
    /// When it holds another study, is in use, or cannot be read or written.
    pub fn open(path: &Path, study: &str, files: &NamedFiles) -> Result<Self, FolderError> {
        fs::create_dir_all(path).map_err(io_error(path))?;
        let file = path.join(RUNS);
        let has_runs = file.metadata().is_ok_and(|runs| runs.len() > 0);
        match fs::read_to_string(path.join(STUDY)) {
            Ok(known) if known == study => {}
            // An interruption can leave an empty file; with runs beside it, it is another matter.
            Ok(known) if known.is_empty() && !has_runs => {}
            Ok(_) => return Err(FolderError::Another { path: path.to_owned() }),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                if has_runs {
                    return Err(FolderError::Nameless { path: path.to_owned() });
                }
            }
            Err(source) => return Err(FolderError::Io { path: path.join(STUDY), source }),
        }
        if has_runs && read_files(path)? != *files {
            return Err(FolderError::OtherFiles { path: path.to_owned() });
        }
        let mut runs =
            OpenOptions::new().read(true).append(true).create(true).open(&file).map_err(io_error(&file))?;
        // Other errors are of file systems that know no locks.
        if let Err(TryLockError::WouldBlock) = runs.try_lock() {
            return Err(FolderError::Busy { path: path.to_owned() });
        }
        if !has_runs {
            put(path, STUDY, study)?;
            if !files.is_empty() {
                let files = serde_json::to_string(files).map_err(|bad| io_error(path)(bad.into()))?;
                put(path, FILES, &files)?;
            }
        }
        let (finished, damage, ends_within_line) = read(&mut runs, &file)?;
        if ends_within_line {
            // What follows shall not be damaged by it.
            runs.write_all(b"\n").map_err(io_error(&file))?;
        }
        Ok(Self { path: path.to_owned(), runs, finished, damage })
    }

    /// Reads the results that are there, also while runs are made, and changes nothing.
    ///
    /// # Errors
    /// When there are none, or they cannot be read.
    pub fn read(path: &Path) -> Result<Kept, FolderError> {
        let file = path.join(STUDY);
        let study = fs::read_to_string(&file).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => FolderError::Empty { path: path.to_owned() },
            _ => io_error(&file)(error),
        })?;
        let file = path.join(RUNS);
        let mut runs = File::open(&file).map_err(io_error(&file))?;
        let (finished, damage, _) = read(&mut runs, &file)?;
        Ok(Kept { study, files: read_files(path)?, finished, damage })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is finished, in the order in which it was.
    #[must_use]
    pub fn finished(&self) -> &[Finished] {
        &self.finished
    }

    /// Lines that could not be read. They stay in the file; their runs are to be made again.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Adds a finished run. On return it is on the disk.
    ///
    /// # Errors
    /// When it could not be written; what was finished before is not touched.
    pub fn add(&mut self, run: Finished) -> Result<(), FolderError> {
        let error = |source| FolderError::Io { path: self.path.join(RUNS), source };
        let mut line = serde_json::to_string(&run).map_err(|bad| error(bad.into()))?;
        line.push('\n');
        self.runs.write_all(line.as_bytes()).map_err(error)?;
        self.runs.sync_data().map_err(error)?;
        self.finished.push(run);
        Ok(())
    }
}

/// Puts a file into a folder: all of it, or what was there before.
///
/// # Errors
/// When it could not be written.
pub fn put(folder: &Path, name: &str, text: &str) -> Result<PathBuf, FolderError> {
    let (file, draft) = (folder.join(name), folder.join(format!("{name}.{}.new", std::process::id())));
    let written = write_durably(&draft, text).and_then(|()| fs::rename(&draft, &file));
    written.map_err(io_error(&file))?;
    Ok(file)
}

fn write_durably(file: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(file)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> FolderError {
    move |source| FolderError::Io { path: path.to_owned(), source }
}

/// None are named when there is no such file.
fn read_files(folder: &Path) -> Result<NamedFiles, FolderError> {
    let file = folder.join(FILES);
    match fs::read(&file) {
        Ok(text) => serde_json::from_slice(&text).map_err(|bad| io_error(&file)(bad.into())),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(NamedFiles::new()),
        Err(source) => Err(io_error(&file)(source)),
    }
}

/// The runs, what is damaged, and whether the file ends within a line. Of a run that is there twice the first
/// counts.
fn read(file: &mut File, path: &Path) -> Result<(Vec<Finished>, Vec<Damage>, bool), FolderError> {
    let io = |source| FolderError::Io { path: path.to_owned(), source };
    if file.metadata().map_err(io)?.len() > RUNS_BYTES_MAX {
        return Err(FolderError::Huge { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(io)?;
    let mut finished = BTreeMap::new();
    let mut damage = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let parsed = if line.len() > LINE_MAX {
            Err("longer than any run".to_owned())
        } else {
            serde_json::from_slice::<Finished>(line).map_err(|error| error.to_string())
        };
        match parsed {
            Ok(run) => {
                let key = (run.levels.clone(), run.repeat, run.ground as u8);
                finished.entry(key).or_insert((index, run));
            }
            Err(problem) => damage.push(Damage { line: index + 1, problem }),
        }
    }
    let mut finished: Vec<(usize, Finished)> = finished.into_values().collect();
    finished.sort_by_key(|(index, _)| *index);
    let finished = finished.into_iter().map(|(_, run)| run).collect();
    Ok((finished, damage, bytes.last().is_some_and(|last| *last != b'\n')))
}
