//! Tells when files have changed, by looking at them once a second: their times, length and identity, and
//! their content when those differ. Looking works on network and overlay file systems and through switched
//! symbolic links, where notifications of the kernel are lost; it costs one `stat` per file and second.

use headgate_observe::log::{self, Level};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Time between two looks. A file has settled when two looks in a row see the same.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Bytes of a file that are compared.
const COMPARED_BYTES: u64 = 16 << 20;

/// Files under watch: a configuration and what it names, such as certificates.
#[derive(Debug, Default)]
pub struct Watch {
    files: BTreeMap<PathBuf, Watched>,
    /// Kept when a wait is given up: whoever waits beside things that happen often shall see changes too.
    next_look: Option<Instant>,
}

impl Watch {
    /// Takes the files as they are now for known. To be made before they are read: what changes in between
    /// is then told, at worst once too often. Blocks on the disk.
    #[must_use]
    pub fn new(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut watch = Self::default();
        watch.set_files(files);
        watch
    }

    /// Watches these files from now on. What is known of those that stay is kept. Blocks on the disk.
    pub fn set_files(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        let mut before = std::mem::take(&mut self.files);
        let keep = |file: PathBuf| {
            let watched = before.remove(&file).unwrap_or_else(|| Watched::new(&file));
            (file, watched)
        };
        self.files = files.into_iter().map(keep).collect();
    }

    /// Waits until the content of one or more files has changed and settled, and names them. A file that is
    /// gone or empty is not a change: it is about to be written, or it is an accident. Safe to drop and to
    /// call again.
    pub async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            sleep_until(*self.next_look.get_or_insert_with(|| Instant::now() + LOOK_EVERY)).await;
            let mut files = self.files.clone();
            // A network file system may hang; the other loops must not.
            let looked = tokio::task::spawn_blocking(move || {
                let changed = look(&mut files);
                (files, changed)
            });
            let looked = looked.await;
            self.next_look = None;
            let Ok((files, changed)) = looked else { continue };
            self.files = files;
            if !changed.is_empty() {
                return changed;
            }
        }
    }
}

fn look(files: &mut BTreeMap<PathBuf, Watched>) -> Vec<PathBuf> {
    let mut changed = Vec::new();
    for (file, watched) in files {
        if watched.look(file) {
            changed.push(file.clone());
        }
    }
    changed
}

/// What is known of one file.
#[derive(Clone, Debug)]
struct Watched {
    /// As the last look saw it.
    seen: Option<Stamp>,
    /// The one whose content is known.
    settled: Option<Stamp>,
    content: Option<u64>,
    /// Told in the log, until it can be read again.
    unreadable: bool,
}

impl Watched {
    fn new(file: &Path) -> Self {
        // Not settled: a write within the same tick of the kernel's clock would not show in the times, so the
        // next look compares the content as well.
        Self { seen: stamp(file), settled: None, content: hash(file).ok(), unreadable: false }
    }

    /// One look; whether there is new content.
    fn look(&mut self, file: &Path) -> bool {
        let now = stamp(file);
        let still = std::mem::replace(&mut self.seen, now) == now;
        if !still || now == self.settled {
            return false;
        }
        self.settled = now;
        if now.is_none_or(|stamp| stamp.len == 0) {
            let message = "a watched file is gone or empty; what was read from it stays in force";
            log::event(Level::Warn, message, &[("file", &file.display())]);
            return false;
        }
        let content = match hash(file) {
            Ok(content) => content,
            Err(error) => {
                // Gone again, or not permitted: the next look decides.
                self.settled = None;
                if !std::mem::replace(&mut self.unreadable, true) {
                    let message = "a watched file cannot be read; what was read from it stays in force";
                    log::event(Level::Warn, message, &[("file", &file.display()), ("error", &error)]);
                }
                return false;
            }
        };
        self.unreadable = false;
        self.content.replace(content) != Some(content)
    }
}

/// What tells two states of a file apart without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Follows symbolic links. `None` for what is not there or not a file.
fn stamp(file: &Path) -> Option<Stamp> {
    let meta = fs::metadata(file).ok().filter(fs::Metadata::is_file)?;
    Some(Stamp {
        device: meta.dev(),
        inode: meta.ino(),
        len: meta.len(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    })
}

fn hash(file: &Path) -> io::Result<u64> {
    struct Sink(DefaultHasher);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut sink = Sink(DefaultHasher::new());
    io::copy(&mut File::open(file)?.take(COMPARED_BYTES), &mut sink)?;
    Ok(sink.0.finish())
}

#[cfg(test)]
mod tests {
    use super::{LOOK_EVERY, Watch, look};
    use crate::testkit::Folder;
    use std::fs::{self, FileTimes, OpenOptions};
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};
    use tokio::time::{Instant, timeout};

    const NOTHING: [PathBuf; 0] = [];

    /// One look, as once a second.
    fn tick(watch: &mut Watch) -> Vec<PathBuf> {
        look(&mut watch.files)
    }

    #[test]
    fn a_change_is_told_once_and_when_it_has_settled() {
        let folder = Folder::new("watch-settle");
        let file = folder.write("a.toml", "one");
        let other = folder.write("cert.pem", "pem");
        let mut watch = Watch::new([file.clone(), other.clone()]);
        assert_eq!((tick(&mut watch), tick(&mut watch)), (vec![], vec![]));
        folder.write("a.toml", "two, half");
        assert_eq!(tick(&mut watch), NOTHING, "just changed");
        folder.write("a.toml", "two, whole text");
        assert_eq!(tick(&mut watch), NOTHING, "still being written");
        folder.write("cert.pem", "another");
        assert_eq!(tick(&mut watch), [file]);
        assert_eq!(tick(&mut watch), [other]);
        assert_eq!(tick(&mut watch), NOTHING);
    }

    #[test]
    fn a_touched_file_has_not_changed() {
        let folder = Folder::new("watch-touch");
        let file = folder.write("a.toml", "one");
        let mut watch = Watch::new([file.clone()]);
        let later = FileTimes::new().set_modified(SystemTime::now() + Duration::from_secs(9));
        OpenOptions::new().write(true).open(&file).unwrap().set_times(later).unwrap();
        assert_eq!((0..4).map(|_| tick(&mut watch).len()).sum::<usize>(), 0);
        folder.write("a.toml", "two");
        assert_eq!((0..4).map(|_| tick(&mut watch).len()).sum::<usize>(), 1);
    }

    #[test]
    fn a_write_that_the_clock_does_not_show_is_seen() {
        let folder = Folder::new("watch-racy");
        let file = folder.write("a.toml", "one");
        let times = fs::metadata(&file).unwrap().modified().unwrap();
        let mut watch = Watch::new([file.clone()]);
        folder.write("a.toml", "two");
        OpenOptions::new().write(true).open(&file).unwrap().set_modified(times).unwrap();
        assert_eq!((0..4).map(|_| tick(&mut watch).len()).sum::<usize>(), 1);
    }

    #[test]
    fn a_file_that_is_gone_or_empty_is_awaited() {
        let folder = Folder::new("watch-gone");
        let file = folder.write("a.toml", "one");
        let mut watch = Watch::new([file.clone()]);
        let four_looks = |watch: &mut Watch| (0..4).map(|_| tick(watch).len()).sum::<usize>();
        fs::remove_file(&file).unwrap();
        assert_eq!(four_looks(&mut watch), 0);
        folder.write("a.toml", "one");
        assert_eq!(four_looks(&mut watch), 0, "the same again");
        folder.write("a.toml", "");
        assert_eq!(four_looks(&mut watch), 0);
        folder.write("a.toml", "two");
        assert_eq!(four_looks(&mut watch), 1);
    }

    #[test]
    fn a_link_that_is_switched_and_a_file_that_is_replaced_are_changes() {
        let folder = Folder::new("watch-link");
        let (first, second) = (folder.write("1", "one"), folder.write("2", "two"));
        let link = folder.path("current");
        std::os::unix::fs::symlink(&first, &link).unwrap();
        let mut watch = Watch::new([link.clone()]);
        let switched = folder.path("next");
        std::os::unix::fs::symlink(&second, &switched).unwrap();
        fs::rename(&switched, &link).unwrap();
        assert_eq!([tick(&mut watch).len(), tick(&mut watch).len()], [0, 1]);
        fs::rename(folder.write("3", "six"), &second).unwrap();
        assert_eq!([tick(&mut watch).len(), tick(&mut watch).len()], [0, 1]);
    }

    #[test]
    fn what_is_known_of_a_file_survives_a_new_list() {
        let folder = Folder::new("watch-list");
        let (a, b) = (folder.write("a", "one"), folder.write("b", "one"));
        let mut watch = Watch::new([a.clone()]);
        folder.write("a", "changed before the new list");
        watch.set_files([a.clone(), b]);
        assert_eq!([tick(&mut watch).len(), tick(&mut watch).len()], [0, 1]);
        watch.set_files([]);
        folder.write("a", "nobody looks");
        assert_eq!([tick(&mut watch).len(), tick(&mut watch).len()], [0, 0]);
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_again_and_again_sees_the_change() {
        let folder = Folder::new("watch-give-up");
        let file = folder.write("a.toml", "one");
        let mut watch = Watch::new([file.clone()]);
        folder.write("a.toml", "two, longer");
        let began = Instant::now();
        while timeout(LOOK_EVERY / 20, watch.changed()).await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "never");
        }
    }

    #[tokio::test]
    async fn waits_for_the_change() {
        let folder = Folder::new("watch-wait");
        let file = folder.write("a.toml", "one");
        let mut watch = Watch::new([file.clone()]);
        let began = Instant::now();
        folder.write("a.toml", "two, longer");
        let changed = timeout(Duration::from_secs(60), watch.changed()).await.unwrap();
        assert_eq!(changed, [file]);
        assert!(began.elapsed() >= LOOK_EVERY * 2, "two looks saw the same");
    }
}
