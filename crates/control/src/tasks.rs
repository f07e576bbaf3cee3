//! Tasks by key: started and stopped so that those that run are those that are wanted.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use tokio::task::{AbortHandle, JoinSet};

/// Running tasks, each with a value that is dropped when the task is stopped. All stop with this.
pub(crate) struct Tasks<K, V> {
    running: BTreeMap<K, (V, AbortHandle)>,
    set: JoinSet<()>,
}

impl<K: Ord, V> Tasks<K, V> {
    pub(crate) fn new() -> Self {
        Self { running: BTreeMap::new(), set: JoinSet::new() }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.running.get(key).map(|(value, _)| value)
    }

    /// Starts a task under a key that is not in use.
    pub(crate) fn start(&mut self, key: K, value: V, task: impl Future<Output = ()> + Send + 'static) {
        let abort = self.set.spawn(task);
        self.running.insert(key, (value, abort));
    }

    /// Stops what is not wanted. On a `current_thread` runtime a stopped task does not run again.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&K) -> bool) {
        self.running.retain(|key, (_, abort)| {
            let keep = wanted(key);
            if !keep {
                abort.abort();
            }
            keep
        });
    }

    /// Passes a task's panic on, so that whoever watches over the loop gets to know. To be called now and
    /// then: it also frees what ended tasks leave behind.
    pub(crate) fn check(&mut self) {
        while let Some(ended) = self.set.try_join_next() {
            if let Err(error) = ended
                && let Ok(panic) = error.try_into_panic()
            {
                resume_unwind(panic);
            }
        }
    }
}
