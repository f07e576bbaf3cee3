//! How files looked when they were read, to tell later whether they have changed. Looks at times, length and
//! identity, not at content.

use std::os::unix::fs::MetadataExt;

/// Files and how they looked at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamps(Vec<(String, Stamp)>);

impl Stamps {
    /// How `files` look now. To be taken before they are read: a change in between is found by the next look.
    #[must_use]
    pub fn of<'f>(files: impl IntoIterator<Item = &'f String>) -> Self {
        Self(files.into_iter().map(|file| (file.clone(), stamp(file))).collect())
    }

    /// Whether any of them looks different now: one `stat` per file.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.0.iter().any(|(file, seen)| *seen != stamp(file))
    }
}

/// Identity of a file's state: device, inode, length, and the times of the last change to content and to
/// attributes in nanoseconds. `None` when it is missing.
type Stamp = Option<(u64, u64, u64, i128, i128)>;

/// Follows symbolic links, since secrets are often mounted as links that are switched over.
fn stamp(file: &str) -> Stamp {
    let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let meta = std::fs::metadata(file).ok()?;
    let modified = nanos(meta.mtime(), meta.mtime_nsec());
    Some((meta.dev(), meta.ino(), meta.len(), modified, nanos(meta.ctime(), meta.ctime_nsec())))
}
