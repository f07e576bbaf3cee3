//! The fate of one response that was fetched before anybody asked for it: a flag that travels from the order to the
//! stored object, set by whoever knows, read by whoever ordered. When nobody else holds it, the object is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// One fetch ahead.
#[derive(Debug, Default)]
pub struct Ahead {
    state: AtomicU8,
    /// When the stored response is no longer fresh, in milliseconds since 1970.
    fresh_until_ms: AtomicU64,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    UnderWay,
    /// It is stored, and nobody has asked for it.
    Stored,
    /// Somebody asked for it when it was stored.
    Used,
    /// Somebody asked for it when it was under way.
    Late,
    /// The origin was not asked.
    Skipped,
}

const STATES: [State; 5] = [State::UnderWay, State::Stored, State::Used, State::Late, State::Skipped];

impl Ahead {
    #[must_use]
    pub fn state(&self) -> State {
        STATES[usize::from(self.state.load(Ordering::Relaxed)) % STATES.len()]
    }

    #[must_use]
    pub fn fresh_until_ms(&self) -> u64 {
        self.fresh_until_ms.load(Ordering::Relaxed)
    }

    /// Whether nobody but the caller knows of it any more: its fetch has ended, and nothing of it is stored.
    #[must_use]
    pub fn is_gone(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
    }

    /// Somebody asked for it; true for the first one who found it stored.
    pub fn ask(&self) -> bool {
        if self.change(State::Stored, State::Used) {
            return true;
        }
        self.change(State::UnderWay, State::Late);
        false
    }

    /// It was not asked for after all.
    pub fn skip(&self) {
        self.change(State::UnderWay, State::Skipped);
    }

    pub(crate) fn store(&self, fresh_until_ms: u64) {
        self.fresh_until_ms.store(fresh_until_ms, Ordering::Relaxed);
        self.change(State::UnderWay, State::Stored);
    }

    fn change(&self, from: State, to: State) -> bool {
        // A line that is only read stays with all who read it.
        self.state() == from
            && self.state.compare_exchange(from as u8, to as u8, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_who_asks_decides() {
        let ahead = Ahead::default();
        ahead.store(7);
        assert!(ahead.ask() && !ahead.ask());
        assert_eq!((ahead.state(), ahead.fresh_until_ms()), (State::Used, 7));
        let late = Ahead::default();
        assert!(!late.ask());
        late.store(7);
        late.skip();
        assert_eq!(late.state(), State::Late);
    }
}
