//! The files of an imported configuration: the one that was named and, for NGINX, those that it includes and
//! that are where it says. Names are resolved as NGINX does, from the folder of the named file.

use headgate_import::{Dialect, Import, SourceFile};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that are read beyond the named one, and their bytes together; later ones are noted as not found.
const MAX_FILES: usize = 1_000;
const MAX_BYTES: usize = 16 << 20;

pub(super) struct Source {
    name: String,
    /// The number of its first line in notes; numbers go on from file to file.
    first_line: usize,
    pub(super) text: String,
}

impl Source {
    fn shared(&self) -> SourceFile<'_> {
        SourceFile { name: &self.name, first_line: self.first_line, text: &self.text }
    }
}

/// The named file first.
pub(super) struct Sources {
    pub(super) files: Vec<Source>,
}

impl Sources {
    /// # Errors
    /// When the file cannot be read as text.
    pub(super) fn read(file: &Path) -> Result<Self, String> {
        let name = file.display().to_string();
        let text = fs::read_to_string(file).map_err(|error| format!("cannot read {name}: {error}"))?;
        Ok(Self { files: vec![Source { name, first_line: 1, text }] })
    }

    /// With the files that NGINX would include, those that can be read. A dump of `nginx -T` has them already.
    pub(super) fn with_included(mut self) -> Self {
        if headgate_import::is_dump(&self.files[0].text) {
            return self;
        }
        let folder = Path::new(&self.files[0].name).parent().unwrap_or(Path::new("")).to_owned();
        let mut known = BTreeSet::from([PathBuf::from(&self.files[0].name)]);
        let (mut at, mut bytes) = (0, 0);
        while let Some(source) = self.files.get(at) {
            let mut line = self.files.iter().map(|source| source.first_line + lines(&source.text)).max();
            for pattern in headgate_import::includes(&source.text) {
                for path in matching(&folder.join(pattern)) {
                    if self.files.len() > MAX_FILES || known.contains(&path) {
                        continue;
                    }
                    let Ok(text) = fs::read_to_string(&path) else { continue };
                    bytes += text.len();
                    if bytes > MAX_BYTES {
                        return self;
                    }
                    let first_line = line.unwrap_or(1);
                    line = Some(first_line + lines(&text));
                    self.files.push(Source { name: path.display().to_string(), first_line, text });
                    known.insert(path);
                }
            }
            at += 1;
        }
        self
    }

    pub(super) fn import(&self, dialect: Dialect, name: &str) -> Import {
        let [only] = self.files.as_slice() else {
            let files: Vec<SourceFile<'_>> = self.files.iter().map(Source::shared).collect();
            return headgate_import::nginx_files(&files, name);
        };
        dialect.import(&only.text, name)
    }

    /// The file and line of a note.
    pub(super) fn place(&self, line: usize) -> String {
        let found = self.files.iter().rfind(|source| source.first_line <= line);
        match found {
            Some(source) => format!("{}:{}", source.name, line - source.first_line + 1),
            None => self.files[0].name.clone(),
        }
    }
}

fn lines(text: &str) -> usize {
    text.lines().count() + 1
}

/// The files that a pattern stands for, in the order of their names.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let special = |part: &Path| part.to_string_lossy().contains(['*', '?', '[']);
    if !special(pattern) {
        return vec![pattern.to_owned()];
    }
    let Some(folder) = pattern.parent() else { return Vec::new() };
    let folders = if special(folder) { matching(folder) } else { vec![folder.to_owned()] };
    let entries = folders.iter().filter_map(|folder| {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        fs::read_dir(folder).ok()
    });
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .map(|path| path.strip_prefix(".").map(Path::to_owned).unwrap_or(path))
        .filter(|path| headgate_import::matches(&pattern.to_string_lossy(), &path.to_string_lossy()))
        .collect();
    paths.sort();
    paths
}
