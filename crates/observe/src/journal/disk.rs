//! The journal's files: JSON lines, appended to `journal.jsonl`, which becomes `journal.1.jsonl` when it is full; the
//! one before is deleted. A line that was torn by a crash is skipped and counted, and costs no other line.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use headgate_model::decision::Entry;

use super::Line;

/// Bytes of one file; there are two.
pub(super) const SEGMENT_BYTES: u64 = 8 << 20;

const NAME: &str = "journal.jsonl";
const NAME_BEFORE: &str = "journal.1.jsonl";

/// The file that is appended to.
#[derive(Debug)]
pub(super) struct Segment {
    folder: PathBuf,
    file: File,
    bytes: u64,
    most: u64,
    /// The file may end within a line.
    torn: bool,
}

impl Segment {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        Self::with_limit(folder, SEGMENT_BYTES)
    }

    pub(super) fn with_limit(folder: &Path, most: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut file = OpenOptions::new().append(true).create(true).read(true).open(folder.join(NAME))?;
        let bytes = file.seek(SeekFrom::End(0))?;
        let mut last = *b"\n";
        if bytes > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok(Self { folder: folder.to_owned(), file, bytes, most, torn: last != *b"\n" })
    }

    /// Appends one line in one write.
    pub(super) fn append(&mut self, text: &[u8]) -> io::Result<()> {
        if self.bytes + text.len() as u64 + 2 > self.most && self.bytes > 0 {
            self.rotate()?;
        }
        let mut line = Vec::with_capacity(text.len() + 2);
        if self.torn {
            line.push(b'\n');
        }
        line.extend_from_slice(text);
        line.push(b'\n');
        // Whatever becomes of it: unless all is written, the file may end within a line.
        self.torn = true;
        self.file.write_all(&line)?;
        self.torn = false;
        self.bytes += line.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let present = self.folder.join(NAME);
        // A predecessor or successor may have done it already: then the file in place is not full.
        let full = fs::metadata(&present).is_ok_and(|file| file.len() * 2 > self.most);
        if full {
            fs::rename(&present, self.folder.join(NAME_BEFORE))?;
        }
        *self = Self::with_limit(&self.folder, self.most)?;
        Ok(())
    }
}

/// What was found in a folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// Lines that could not be read.
    pub damaged: u64,
}

/// Reads the newest `most` entries that are in `folder`. A folder without a journal has none.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn load(folder: &Path, most: usize) -> io::Result<Loaded> {
    let mut entries: VecDeque<Entry> = VecDeque::new();
    let mut damaged = 0;
    // A folder that is not there is a mistake; one without a journal is new.
    fs::read_dir(folder)?;
    for name in [NAME_BEFORE, NAME] {
        for line in tail(&folder.join(name))?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(Line::Entry(entry)) => {
                    if entries.len() == most.max(1) {
                        entries.pop_front();
                    }
                    entries.push_back(*entry);
                }
                Ok(Line::Outcome { outcome_of, outcome }) => {
                    if let Some(entry) = entries.iter_mut().rev().find(|entry| entry.id == outcome_of) {
                        entry.outcome = Some(outcome);
                    }
                }
                Err(_) => damaged += 1,
            }
        }
    }
    let mut entries = Vec::from(entries);
    entries.sort_by_key(|entry| entry.at_us);
    Ok(Loaded { entries, damaged })
}

/// The end of a file, of the size that it may have; empty when there is none.
fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let bytes = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(bytes.saturating_sub(2 * SEGMENT_BYTES)))?;
    let mut text = Vec::new();
    file.take(2 * SEGMENT_BYTES).read_to_end(&mut text)?;
    Ok(text)
}
