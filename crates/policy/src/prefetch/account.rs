//! What was admitted and waits for its outcome: fetched ahead, withheld as the control, or only imagined in the shadow.
//! It decides nothing.

use headgate_model::units::Tick;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is open at most.
const OPEN_MAX: usize = 8_192;
/// After so many horizons what was not used never will be.
const LINGERS: u32 = 10;

/// What was done with something that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing, in the shadow.
    Imagined,
    /// Nothing, as the control of what is sent.
    Withheld,
    /// It was fetched ahead.
    Sent,
}

/// How it turned out within the horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Asked for, and there in time.
    InTime,
    /// Asked for while it was under way.
    Late,
    Unused,
}

/// One thing that waits for its outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Open {
    pub kind: Kind,
    /// When its answer is there, or would be.
    pub ready_at: Tick,
    /// Later it does not count as useful.
    pub until: Tick,
    /// Its outcome has been told; it may still be used.
    pub is_judged: bool,
    /// Its fetch has not ended.
    pub is_under_way: bool,
}

/// All that is open, by key.
#[derive(Clone, Debug, Default)]
pub struct Account {
    open: BTreeMap<u64, Open>,
    due: BTreeSet<(Tick, u64)>,
    under_way: usize,
}

impl Account {
    #[must_use]
    pub fn has(&self, key: u64) -> bool {
        self.open.contains_key(&key)
    }

    #[must_use]
    pub fn get(&self, key: u64) -> Option<Open> {
        self.open.get(&key).copied()
    }

    #[must_use]
    pub fn is_full(&self) -> bool {
        self.open.len() >= OPEN_MAX
    }

    /// Fetches that have not ended.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Takes up what is not open yet.
    pub fn enter(&mut self, key: u64, open: Open) {
        self.remove(key);
        self.under_way += usize::from(open.is_under_way);
        self.due.insert((open.until, key));
        self.open.insert(key, open);
    }

    /// The fetch has ended.
    pub fn arrived(&mut self, key: u64) {
        if let Some(open) = self.open.get_mut(&key) {
            self.under_way -= usize::from(std::mem::take(&mut open.is_under_way));
        }
    }

    pub fn remove(&mut self, key: u64) -> Option<Open> {
        let open = self.open.remove(&key)?;
        self.under_way -= usize::from(open.is_under_way);
        self.due.remove(&(open.until, key));
        Some(open)
    }

    /// The next one whose time is over. What was sent comes twice: first to be judged, much later as lost.
    pub fn next_due(&mut self, now: Tick, horizon: Duration) -> Option<(u64, Open)> {
        let (_, key) = self.due.first().copied().filter(|(at, _)| *at <= now)?;
        let open = self.remove(key)?;
        if open.kind == Kind::Sent && !open.is_judged {
            let until = open.until + horizon * LINGERS;
            self.enter(key, Open { until, is_judged: true, ..open });
        }
        Some((key, open))
    }

    /// Forgets what was imagined.
    pub fn forget_imagined(&mut self) {
        let imagined = |(key, open): (&u64, &Open)| (open.kind == Kind::Imagined).then_some(*key);
        let keys: Vec<u64> = self.open.iter().filter_map(imagined).collect();
        for key in keys {
            self.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(kind: Kind, until: u64) -> Open {
        Open {
            kind,
            ready_at: Tick(0),
            until: Tick(until),
            is_judged: false,
            is_under_way: kind == Kind::Sent,
        }
    }

    #[test]
    fn what_was_sent_is_due_twice_and_others_once() {
        let mut account = Account::default();
        account.enter(1, open(Kind::Sent, 10));
        account.enter(2, open(Kind::Withheld, 5));
        let horizon = Duration::from_nanos(10);
        assert_eq!(account.next_due(Tick(4), horizon), None);
        assert_eq!(account.next_due(Tick(20), horizon).map(|(key, _)| key), Some(2));
        let (key, first) = account.next_due(Tick(20), horizon).unwrap();
        assert!(key == 1 && !first.is_judged && account.under_way() == 1);
        assert_eq!(account.next_due(Tick(20), horizon), None);
        let (key, last) = account.next_due(Tick(110), horizon).unwrap();
        assert!(key == 1 && last.is_judged && !account.has(1) && account.under_way() == 0);
    }

    #[test]
    fn ends_and_removals_are_counted_once() {
        let mut account = Account::default();
        account.enter(1, open(Kind::Sent, 10));
        account.enter(1, open(Kind::Sent, 11));
        account.enter(2, open(Kind::Imagined, 10));
        assert_eq!(account.under_way(), 1);
        account.arrived(1);
        account.arrived(1);
        account.forget_imagined();
        assert!(account.under_way() == 0 && account.has(1) && !account.has(2));
        assert!(account.remove(1).is_some() && account.remove(1).is_none());
        assert_eq!(account.next_due(Tick(100), Duration::ZERO), None);
    }
}
