//! Purges that wait to be written to Redis: in their order, none is lost, and they are bounded.

use super::entry::Entry;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Purges that wait, and bytes that they may have. More become one purge of everything.
const PURGES: usize = 65_536;
const BYTES: usize = 16 << 20;

#[derive(Debug, Default)]
pub(super) struct Pending {
    waiting: Mutex<Waiting>,
    /// Tells who writes them.
    pub(super) added: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Purges that were ever added, and that were written.
    added: u64,
    written: u64,
}

impl Pending {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False when there was no room: then one of everything waits in place of all.
    pub(super) fn add(&self, entry: Entry) -> bool {
        let mut waiting = self.waiting();
        let fits = waiting.entries.len() < PURGES && waiting.bytes + entry.size() <= BYTES;
        if fits {
            waiting.bytes += entry.size();
            waiting.entries.push_back(entry);
        } else {
            let everything = Entry::everything(entry.token);
            waiting.bytes = everything.size();
            waiting.entries.clear();
            waiting.entries.push_back(everything);
        }
        waiting.added += 1;
        drop(waiting);
        self.added.notify_one();
        fits
    }

    /// The next ones, and the number to give to [`Self::written`] when they are. They wait until then.
    pub(super) fn next(&self, most: usize) -> (Vec<Entry>, u64) {
        let waiting = self.waiting();
        let rest = waiting.entries.len().saturating_sub(most);
        (waiting.entries.iter().take(most).cloned().collect(), waiting.added - rest as u64)
    }

    /// The `written` purges up to `number` are in Redis. Some of them may have become one of everything meanwhile,
    /// which then stays.
    pub(super) fn written(&self, written: &[Entry], number: u64) {
        let mut waiting = self.waiting();
        for entry in written {
            if waiting.entries.front().is_some_and(|first| first.token == entry.token) {
                waiting.bytes -= entry.size();
                waiting.entries.pop_front();
            }
        }
        waiting.written = waiting.written.max(number);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting().entries.is_empty()
    }

    pub(super) fn count(&self) -> usize {
        self.waiting().entries.len()
    }

    /// Purges that were added so far.
    pub(super) fn added(&self) -> u64 {
        self.waiting().added
    }

    /// Whether the first `number` of them are written.
    pub(super) fn is_written(&self, number: u64) -> bool {
        let waiting = self.waiting();
        waiting.entries.is_empty() || waiting.written >= number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tier::Purge;

    fn entry(number: usize) -> Entry {
        let token = number.to_string();
        Entry { purge: Purge::Key(token.as_bytes().into()), tag: Box::default(), soft: false, token }
    }

    #[test]
    fn purges_wait_in_their_order_until_they_are_written() {
        let pending = Pending::default();
        assert!((0..5).all(|number| pending.add(entry(number))));
        let (first, number) = pending.next(3);
        assert_eq!(first, (0..3).map(entry).collect::<Vec<_>>());
        assert_eq!(pending.next(3).0, first, "they were not written");
        assert!(!pending.is_written(number));
        pending.written(&first, number);
        assert!(pending.is_written(number) && !pending.is_written(pending.added()));
        let (rest, number) = pending.next(3);
        assert_eq!(rest, [entry(3), entry(4)]);
        pending.written(&rest, number);
        assert!(pending.is_empty() && pending.is_written(pending.added()));
        assert_eq!(pending.waiting().bytes, 0);
    }

    #[test]
    fn too_many_become_one_of_everything() {
        let pending = Pending::default();
        assert!((0..PURGES).all(|number| pending.add(entry(number))));
        let (writing, number) = pending.next(10);
        assert!(!pending.add(entry(PURGES)));
        // What was being written does not take away what has taken its place.
        pending.written(&writing, number);
        let (rest, _) = pending.next(10);
        assert_eq!(rest, [Entry::everything(PURGES.to_string())]);
        assert!(!pending.is_written(pending.added()));
    }
}
