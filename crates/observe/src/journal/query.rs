//! Which entries are asked for.

use std::sync::Arc;

use headgate_model::decision::Entry;

use super::ENTRIES_MAX;

/// What to look for; empty texts match everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// A policy, or the first parts of its name: `evict` has `evict.adaptive`.
    pub policy: String,
    /// A policy as above, or a part of a subject.
    pub about: String,
    /// Not older than this, in microseconds since 1970.
    pub since_us: u64,
    /// The newest so many.
    pub limit: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self { policy: String::new(), about: String::new(), since_us: 0, limit: 100 }
    }
}

impl Query {
    /// Those asked for among `entries`, which are in order of time, and stay so.
    #[must_use]
    pub fn pick(&self, entries: Vec<Arc<Entry>>) -> Vec<Entry> {
        let mut picked: Vec<_> = entries
            .into_iter()
            .rev()
            .filter(|entry| self.matches(entry))
            .take(self.limit.min(ENTRIES_MAX))
            .map(Arc::unwrap_or_clone)
            .collect();
        picked.reverse();
        picked
    }

    fn matches(&self, entry: &Entry) -> bool {
        let decision = &entry.decision;
        let is_policy = |asked: &str| {
            let rest = decision.policy.strip_prefix(asked);
            asked.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        entry.at_us >= self.since_us
            && is_policy(&self.policy)
            && (is_policy(&self.about) || decision.subject.contains(&self.about))
    }
}
