//! What a guard keeps over a restart, on its way between the clock of this process and the book on disk, which goes by the
//! wall clock.

use crate::guard_desk::Names;
use headgate_model::units::Tick;
use headgate_observe::guard_book::{GuardBook, GuardRecord, GuardWord};
use headgate_policy::balance::hash::hash;
use headgate_policy::guard::{Hold, Memory, Mode, Settings};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One guard's page in the book.
#[derive(Debug)]
pub(crate) struct Page {
    book: Arc<GuardBook>,
    policy: &'static str,
    /// Names the settings: with others it is another guard.
    settings: String,
    /// What the book has.
    known: Memory,
}

impl Page {
    pub(crate) fn new(book: Arc<GuardBook>, names: &Names, settings: &Settings) -> Self {
        // The salt is new in every process.
        let named = Settings { salt: 0, ..settings.clone() };
        let settings = format!("{:016x}", hash(format!("{names:?} {named:?}").as_bytes()));
        Self { book, policy: names.policy, settings, known: Memory::default() }
    }

    /// What a guard of the same settings left.
    pub(crate) fn recall(&mut self, now: Tick) -> Option<Memory> {
        let record = self.book.recall(self.policy, &self.settings)?;
        self.known = read(&record, now, unix_s());
        Some(self.known)
    }

    /// To be called whenever there may be something new.
    pub(crate) fn keep(&mut self, memory: Memory, now: Tick) {
        if memory == self.known {
            return;
        }
        let is_something = memory != Memory::default();
        let record = is_something.then(|| write(&memory, &self.settings, now, unix_s()));
        self.book.keep(self.policy, record);
        self.known = memory;
    }
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn write(memory: &Memory, settings: &str, now: Tick, now_unix_s: u64) -> GuardRecord {
    let word = memory.word.map(|mode| match mode {
        Mode::Off => GuardWord::Off,
        Mode::Shadow => GuardWord::Shadow,
        Mode::Share(share) => GuardWord::Share(share),
        Mode::On => GuardWord::On,
    });
    let paused_until_unix_s = match memory.hold {
        // A second more rather than less.
        Hold::Paused { until } => Some(now_unix_s.saturating_add(until.since(now).as_secs() + 1)),
        Hold::None | Hold::Stopped => None,
    };
    GuardRecord {
        settings: settings.to_owned(),
        word,
        pauses: memory.pauses,
        relapses: memory.relapses,
        stopped: memory.hold == Hold::Stopped,
        paused_until_unix_s,
        at_unix_s: now_unix_s,
    }
}

fn read(record: &GuardRecord, now: Tick, now_unix_s: u64) -> Memory {
    let word = record.word.map(|word| match word {
        GuardWord::Off => Mode::Off,
        GuardWord::Shadow => Mode::Shadow,
        GuardWord::Share(share) => Mode::Share(share),
        GuardWord::On => Mode::On,
    });
    let hold = match record.paused_until_unix_s {
        _ if record.stopped => Hold::Stopped,
        Some(until_unix_s) => {
            // A clock that was put back makes no pause longer than it was.
            let left_s = until_unix_s.saturating_sub(now_unix_s.max(record.at_unix_s));
            Hold::Paused { until: now + Duration::from_secs(left_s) }
        }
        None => Hold::None,
    };
    Memory { word, pauses: record.pauses, relapses: record.relapses, hold }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_policy::guard::{Better, Metric};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_pause_goes_on_by_the_wall_clock_and_grows_by_no_change_of_it() {
        let (then, now) = (Tick(0) + 5_000 * SECOND, Tick(1));
        let memory =
            Memory { pauses: 2, hold: Hold::Paused { until: then + 600 * SECOND }, ..Memory::default() };
        let record = write(&memory, "s", then, 1_000_000);
        for (unix_s, left_s) in
            [(1_000_000, 601), (1_000_100, 501), (1_000_601, 0), (2_000_000, 0), (900_000, 601)]
        {
            let until = now + left_s * SECOND;
            assert_eq!(
                read(&record, now, unix_s),
                Memory { hold: Hold::Paused { until }, ..memory },
                "{unix_s}"
            );
        }
        let never = GuardRecord { paused_until_unix_s: Some(u64::MAX), ..record };
        assert_eq!(read(&never, now, 0).hold, Hold::Paused { until: Tick(u64::MAX) });
    }

    #[test]
    fn whatever_is_kept_is_read_again() {
        for word in [None, Some(Mode::Off), Some(Mode::Shadow), Some(Mode::Share(0.3)), Some(Mode::On)] {
            for hold in [Hold::None, Hold::Stopped] {
                let memory = Memory { word, pauses: 3, relapses: 1, hold };
                assert_eq!(read(&write(&memory, "s", Tick(9), 5), Tick(1), 7), memory);
            }
        }
    }

    #[test]
    fn other_settings_are_another_guard() {
        let goal = Metric { name: "hit ratio", unit: "", better: Better::Higher, low: 0.0, high: 1.0 };
        let names = |baseline| Names { policy: "evict.adaptive", subject: "cache", baseline };
        let settings = Settings::new(goal);
        let book = Arc::new(GuardBook::default());
        let page = |baseline, settings: &Settings| Page::new(Arc::clone(&book), &names(baseline), settings);
        let memory = Memory { word: Some(Mode::Off), ..Memory::default() };
        page("lru", &settings).keep(memory, Tick(1));
        let salted = Settings { salt: 7, ..settings.clone() };
        assert_eq!(page("lru", &salted).recall(Tick(1)), Some(memory), "of another process");
        assert_eq!(page("lru", &Settings { share: 0.2, ..settings.clone() }).recall(Tick(1)), None);
        page("lru", &settings).keep(memory, Tick(1));
        assert_eq!(page("fifo", &settings).recall(Tick(1)), None);
    }
}
