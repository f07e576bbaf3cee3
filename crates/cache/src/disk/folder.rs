//! The folder with the segment files, as the tier needs it. The only place of the tier that asks the system for
//! files; tests put one in its place that fails when they want it to.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::PathBuf;

/// What a segment file can do. Reads and writes may come from several threads; only one writes.
pub(super) trait SegmentFile: Send + Sync {
    /// Writes all of it at the end. After an error some of it may be there.
    fn append(&self, pieces: &mut [IoSlice<'_>]) -> io::Result<()>;
    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    fn cut(&self, len: u64) -> io::Result<()>;
    /// Waits until the device has it.
    fn sync(&self) -> io::Result<()>;
}

/// What the folder can do.
pub(super) trait Folder: Send {
    /// Takes the folder for this process; false when another one has it.
    fn lock(&mut self) -> io::Result<bool>;
    fn unlock(&mut self);
    fn list(&self) -> io::Result<Vec<u32>>;
    /// Makes a new segment.
    fn create(&self, id: u32) -> io::Result<Box<dyn SegmentFile>>;
    fn open(&self, id: u32) -> io::Result<Box<dyn SegmentFile>>;
    fn remove(&self, id: u32) -> io::Result<()>;
}

const SUFFIX: &str = ".segment";

/// A real folder.
pub(super) struct Directory {
    path: PathBuf,
    lock: Option<File>,
}

impl Directory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, lock: None }
    }

    fn path_of(&self, id: u32) -> PathBuf {
        self.path.join(format!("{id:010}{SUFFIX}"))
    }
}

impl Folder for Directory {
    fn lock(&mut self) -> io::Result<bool> {
        // Responses may be meant for one client alone.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        let mut options = OpenOptions::new();
        let file =
            options.create(true).truncate(false).write(true).mode(0o600).open(self.path.join("lock"))?;
        match file.try_lock() {
            Ok(()) => {
                self.lock = Some(file);
                Ok(true)
            }
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn unlock(&mut self) {
        self.lock = None;
    }

    fn list(&self) -> io::Result<Vec<u32>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)).map(str::parse::<u32>);
            ids.extend(id.and_then(Result::ok));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    fn create(&self, id: u32) -> io::Result<Box<dyn SegmentFile>> {
        let mut options = OpenOptions::new();
        let file = options.create_new(true).read(true).append(true).mode(0o600).open(self.path_of(id))?;
        Ok(Box::new(file))
    }

    fn open(&self, id: u32) -> io::Result<Box<dyn SegmentFile>> {
        Ok(Box::new(File::open(self.path_of(id))?))
    }

    fn remove(&self, id: u32) -> io::Result<()> {
        match fs::remove_file(self.path_of(id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

impl SegmentFile for File {
    fn append(&self, mut pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut file = self;
        IoSlice::advance_slices(&mut pieces, 0);
        while !pieces.is_empty() {
            match file.write_vectored(pieces) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut pieces, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        self.read_exact_at(out, at)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
