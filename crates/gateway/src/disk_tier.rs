//! Starts the cache's tier on disk, and tells the log what happens to it.

use headgate_cache::disk::{Disk, Event};
use headgate_model::spec::DiskSpec;
use headgate_observe::log::{self, Level};
use std::path::Path;
use std::sync::Arc;

/// Starts the tier on disk; without threads there is none.
pub(crate) fn start(spec: &DiskSpec) -> Option<Arc<Disk>> {
    let path = spec.path.clone();
    let started = Disk::start(Path::new(&spec.path), spec.size.0, move |event| tell(&path, event));
    match started {
        Ok(disk) => Some(Arc::new(disk)),
        Err(error) => {
            log::event(Level::Error, "the cache has no tier on disk", &[("error", &error)]);
            None
        }
    }
}

fn tell(path: &str, event: &Event) {
    match event {
        Event::Waiting => {
            let message =
                "another process has the cache's folder; the tier on disk is off until that one ends";
            log::event(Level::Info, message, &[("path", &path)]);
        }
        Event::Ready { objects, bytes, damaged, lost_purge } => {
            let fields: log::Fields<'_> = &[
                ("path", &path),
                ("objects", objects),
                ("bytes", bytes),
                ("damaged", damaged),
                ("lost_purge", lost_purge),
            ];
            let level = if *lost_purge { Level::Warn } else { Level::Info };
            log::event(level, "the cache's tier on disk is on", fields);
        }
        Event::WriteFailed { error, pause } => {
            let pause_s = pause.as_secs();
            let fields: log::Fields<'_> = &[("path", &path), ("error", error), ("pause_s", &pause_s)];
            log::event(Level::Warn, "the cache's disk cannot be written; nothing is for a while", fields);
        }
        Event::ReadFailed { error } => {
            let fields: log::Fields<'_> = &[("path", &path), ("error", error)];
            log::event(Level::Warn, "the cache's disk cannot be read; nothing is for a while", fields);
        }
        Event::Emptied { emptied: true } => {
            let message =
                "a purge could not be written to the cache's disk, so everything was taken away there";
            log::event(Level::Warn, message, &[("path", &path)]);
        }
        Event::Emptied { emptied: false } => {
            let message = "a purge could not be written to the cache's disk, and its files could not be removed; \
                           remove them before the next start";
            log::event(Level::Error, message, &[("path", &path)]);
        }
    }
}
