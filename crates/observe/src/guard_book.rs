//! What guards of learned policies keep over a restart: one small file, written whole at each change, beside the decision
//! journal. It knows no guards; what a record means is theirs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::log::{self, Level};

const NAME: &str = "guards.json";
/// Another one is not understood, and not touched before there is something to write.
const VERSION: u32 = 1;
/// Bytes of the file, and guards in it.
const FILE_MAX: u64 = 64 << 10;
const GUARDS_MAX: usize = 64;

/// What one guard keeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GuardRecord {
    /// Of the settings that it was for; with others it is of no use.
    pub settings: String,
    /// An operator's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<GuardWord>,
    /// Pauses in close succession; those for being worse.
    pub pauses: u32,
    pub relapses: u32,
    /// Only an operator brings it back.
    pub stopped: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until_unix_s: Option<u64>,
    /// When it was written.
    pub at_unix_s: u64,
}

/// A mode that an operator set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardWord {
    Off,
    Shadow,
    /// Of the units, above 0 and below 1.
    Share(f64),
    On,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    guards: BTreeMap<String, GuardRecord>,
}

/// The records of all guards, in memory and, where a folder is set, in its file.
#[derive(Debug, Default)]
pub struct GuardBook {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Guards may be at work by what is known: no file changes that any more.
    is_open: bool,
    folder: Option<PathBuf>,
    guards: BTreeMap<String, GuardRecord>,
}

impl GuardBook {
    /// Keeps the records in `folder` from now on, or nowhere. The first time they are read from there; later another
    /// folder gets what is known.
    ///
    /// # Errors
    /// The file cannot be read, or not be understood: then nothing is known, and the next record takes its place. Or it
    /// cannot be written.
    pub fn keep_in(&self, folder: Option<&Path>) -> io::Result<()> {
        let mut inner = self.lock();
        let is_first = !std::mem::replace(&mut inner.is_open, true);
        if inner.folder.as_deref() == folder {
            return Ok(());
        }
        inner.folder = folder.map(Path::to_owned);
        match folder {
            Some(folder) if is_first => inner.guards = read(&folder.join(NAME))?,
            _ => inner.write()?,
        }
        Ok(())
    }

    /// What the guard of `policy` kept under these settings. What was kept under others is forgotten.
    #[must_use]
    pub fn recall(&self, policy: &str, settings: &str) -> Option<GuardRecord> {
        let mut inner = self.lock();
        let record = inner.guards.get(policy)?.clone();
        if record.settings == settings {
            return Some(record);
        }
        inner.guards.remove(policy);
        inner.write_or_tell();
        None
    }

    /// Keeps a record, or that there is nothing to keep. A folder that cannot be written to is told in the log.
    pub fn keep(&self, policy: &str, record: Option<GuardRecord>) {
        let mut inner = self.lock();
        match record {
            Some(record) if inner.guards.len() < GUARDS_MAX || inner.guards.contains_key(policy) => {
                inner.guards.insert(policy.to_owned(), record);
            }
            Some(_) => return,
            None => {
                if inner.guards.remove(policy).is_none() {
                    return;
                }
            }
        }
        inner.write_or_tell();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn write_or_tell(&self) {
        if let Err(error) = self.write() {
            let folder = self.folder.as_deref().unwrap_or(Path::new("")).display();
            let message =
                "where the guards stand is not kept on disk: make the folder of [state] dir writable";
            log::event(Level::Error, message, &[("dir", &folder), ("error", &error)]);
        }
    }

    /// All of it, or what was there before.
    fn write(&self) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let document = Document { version: VERSION, guards: self.guards.clone() };
        let text = serde_json::to_vec_pretty(&document).map_err(io::Error::other)?;
        fs::create_dir_all(folder)?;
        // A predecessor or successor may write at the same time: each its own draft.
        let draft = folder.join(format!("{NAME}.{}", std::process::id()));
        let written = write_durably(&draft, &text).and_then(|()| fs::rename(&draft, folder.join(NAME)));
        if written.is_err() {
            // It may not be there at all.
            let _ = fs::remove_file(&draft);
            return written;
        }
        File::open(folder)?.sync_all()
    }
}

fn write_durably(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text)?;
    file.sync_all()
}

fn read(path: &Path) -> io::Result<BTreeMap<String, GuardRecord>> {
    let mut text = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(FILE_MAX).read_to_end(&mut text)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let document: Document = serde_json::from_slice(&text)?;
    if document.version != VERSION {
        return Err(io::Error::other(format!("it is of version {}, not {VERSION}", document.version)));
    }
    let mut guards = document.guards;
    while guards.len() > GUARDS_MAX {
        guards.pop_last();
    }
    Ok(guards)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A folder of its own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name =
                format!("headgate-guards-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            Self(std::env::temp_dir().join(name))
        }

        fn book(&self) -> GuardBook {
            let book = GuardBook::default();
            book.keep_in(Some(&self.0)).unwrap();
            book
        }

        fn files(&self) -> Vec<String> {
            let names = fs::read_dir(&self.0).unwrap().map(|file| file.unwrap().file_name());
            names.map(|name| name.into_string().unwrap()).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn record(word: Option<GuardWord>) -> GuardRecord {
        GuardRecord {
            settings: "s".to_owned(),
            word,
            relapses: 2,
            paused_until_unix_s: Some(7),
            ..GuardRecord::default()
        }
    }

    #[test]
    fn what_is_kept_is_there_again_and_nothing_else() {
        let folder = Folder::new();
        let book = folder.book();
        for word in [None, Some(GuardWord::Off), Some(GuardWord::Share(0.25)), Some(GuardWord::On)] {
            book.keep("a", Some(record(word)));
            book.keep("b", Some(record(None)));
            book.keep("b", None);
            let next = folder.book();
            assert_eq!((next.recall("a", "s"), next.recall("b", "s")), (Some(record(word)), None));
            assert_eq!(folder.files(), [NAME]);
        }
        assert_eq!(folder.book().recall("a", "other settings"), None);
        assert_eq!(folder.book().recall("a", "s"), None, "they are forgotten for good");
    }

    #[test]
    fn a_damaged_file_is_said_and_replaced_by_the_next_record() {
        let whole = {
            let folder = Folder::new();
            folder.book().keep("a", Some(record(Some(GuardWord::On))));
            fs::read(folder.0.join(NAME)).unwrap()
        };
        let newer = String::from_utf8(whole.clone()).unwrap().replace("\"version\": 1", "\"version\": 2");
        let mut flipped = whole.clone();
        flipped[0] ^= 1;
        let long = [&whole[..], &vec![b' '; FILE_MAX as usize], b"x"].concat();
        for text in [&b""[..], &whole[..whole.len() / 2], b"{}", b"[1]", newer.as_bytes(), &flipped] {
            let folder = Folder::new();
            fs::create_dir_all(&folder.0).unwrap();
            fs::write(folder.0.join(NAME), text).unwrap();
            let book = GuardBook::default();
            book.keep_in(Some(&folder.0)).unwrap_err();
            assert_eq!(book.recall("a", "s"), None);
            book.keep("a", Some(record(None)));
            assert_eq!(folder.book().recall("a", "s"), Some(record(None)));
        }
        let folder = Folder::new();
        fs::create_dir_all(&folder.0).unwrap();
        fs::write(folder.0.join(NAME), long).unwrap();
        assert!(folder.book().recall("a", "s").is_some(), "it is read so far and no further");
    }

    #[test]
    fn another_folder_gets_what_is_known() {
        let (first, second) = (Folder::new(), Folder::new());
        let book = first.book();
        book.keep("a", Some(record(None)));
        book.keep_in(Some(&second.0)).unwrap();
        book.keep_in(None).unwrap();
        book.keep("a", None);
        assert_eq!(second.book().recall("a", "s"), Some(record(None)));
        let late = GuardBook::default();
        late.keep_in(None).unwrap();
        late.keep_in(Some(&second.0)).unwrap();
        assert_eq!(late.recall("a", "s"), None, "who has begun without a folder goes on as it stands");
        assert_eq!(second.book().recall("a", "s"), None);
        assert!(book.keep_in(Some(&second.0.join(NAME).join("below"))).is_err(), "a file is no folder");
        book.keep("a", Some(record(None)));
        assert_eq!(book.recall("a", "s"), Some(record(None)), "without a file it is known all the same");
    }
}
