//! What is usually asked for in which part of the day: for each key and slot, on how many of the last days it was.
//! Times are arguments.

use crate::directory::Directory;

/// Parts of a day: half hours.
pub const SLOTS: usize = 48;
const DAY_S: u64 = 86_400;
/// Length of a slot in seconds.
pub const SLOT_S: u64 = DAY_S / SLOTS as u64;
/// What a new day weighs against those before it: three days in a row make two of three.
const PACE: f32 = 0.3;

/// One slot of one key.
#[derive(Clone, Copy, Debug, Default)]
struct Habit {
    /// The day after the last one on which it was asked for; zero for none.
    after: u32,
    /// Share of days up to then, the recent ones counting more.
    share: f32,
}

/// The habits of keys. Takes about 400 bytes for each, all of it at the start.
#[derive(Clone, Debug)]
pub struct Seasons {
    directory: Directory,
    /// Rows of [`SLOTS`].
    habits: Vec<Habit>,
    keys: Vec<u64>,
    /// Who has been asked for once, and in which slot since 1970: what comes but once leaves no trace.
    door: Directory,
    once: Vec<u64>,
}

impl Seasons {
    /// For that many keys; those that are asked for least give way.
    #[must_use]
    pub fn new(keys: usize) -> Self {
        let directory = Directory::new(keys);
        let rows = directory.rows();
        let habits = vec![Habit::default(); rows * SLOTS];
        let door = Directory::new(keys);
        Self { directory, habits, keys: vec![0; rows], once: vec![0; door.rows()], door }
    }

    /// Somebody asked for `key`, at that many seconds since 1970. A key counts from its second time within a slot on.
    pub fn observe(&mut self, key: u64, unix_s: u64) {
        if self.directory.find(key).is_none() && !self.comes_again(key, unix_s / SLOT_S) {
            return;
        }
        let claim = self.directory.claim(key);
        let first = claim.row * SLOTS;
        if claim.is_new {
            self.keys[claim.row] = key;
            self.habits[first..first + SLOTS].fill(Habit::default());
        }
        let (day, slot) = place(unix_s);
        let habit = &mut self.habits[first + slot];
        // Once for each day; a clock that was set back says nothing new.
        if day >= habit.after {
            let share = habit.on(day);
            *habit = Habit { after: day + 1, share: share + PACE * (1.0 - share) };
        }
    }

    fn comes_again(&mut self, key: u64, slot: u64) -> bool {
        let claim = self.door.claim(key);
        let before = std::mem::replace(&mut self.once[claim.row], slot);
        !claim.is_new && before == slot
    }

    /// Keys that were asked for in the slot of that moment on at least `share` of the days before, likeliest first, at
    /// most `most`.
    #[must_use]
    pub fn usual(&self, unix_s: u64, share: f32, most: usize) -> Vec<(u64, f32)> {
        let (day, slot) = place(unix_s);
        let rows = self.habits.chunks_exact(SLOTS).zip(&self.keys);
        let shares = rows.map(|(habits, key)| (*key, habits[slot].on(day)));
        let mut usual: Vec<(u64, f32)> = shares.filter(|(_, on)| *on >= share && *on > 0.0).collect();
        usual.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        usual.truncate(most);
        usual
    }
}

impl Habit {
    /// The share as of `day`: each day without it counts.
    fn on(self, day: u32) -> f32 {
        let missed = day.saturating_sub(self.after).min(1_000);
        self.share * libm::powf(1.0 - PACE, missed as f32)
    }
}

/// Day and slot of a moment.
fn place(unix_s: u64) -> (u32, usize) {
    let day = u32::try_from(unix_s / DAY_S).unwrap_or(u32::MAX - 1).min(u32::MAX - 1);
    (day, (unix_s % DAY_S / SLOT_S) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    const NINE: u64 = 9 * 3_600;

    #[test]
    fn what_comes_at_nine_is_known_for_nine_after_a_few_days_and_forgotten_after_more() {
        for seed in 0..10 {
            let (mut seasons, mut dice) = (Seasons::new(256), Dice::new(seed));
            for day in 0..5 {
                for _ in 0..500 {
                    // Some of everything all day, and key 7 between nine and half past.
                    seasons.observe(100 + dice.below(5_000), day * DAY_S + dice.below(DAY_S));
                }
                (0..3).for_each(|_| seasons.observe(7, day * DAY_S + NINE + dice.below(SLOT_S)));
            }
            let usual = |day: u64, at| seasons.usual(day * DAY_S + at, 0.6, 10);
            assert_eq!(usual(5, NINE).iter().map(|(key, _)| *key).collect::<Vec<_>>(), [7], "seed {seed}");
            assert!(usual(5, NINE)[0].1 > 0.8, "seed {seed}");
            assert!(usual(5, NINE + SLOT_S).is_empty() && usual(5, NINE - 1).is_empty(), "seed {seed}");
            assert!(usual(8, NINE).is_empty(), "seed {seed}: it has not come for three days");
        }
    }

    #[test]
    fn one_day_is_no_habit_however_often() {
        let mut seasons = Seasons::new(16);
        (0..1_000).for_each(|at| seasons.observe(7, NINE + at % 60));
        assert_eq!(seasons.usual(DAY_S + NINE, 0.5, 10), []);
    }

    #[test]
    fn clocks_that_jump_and_hostile_times_break_nothing() {
        let mut seasons = Seasons::new(16);
        for unix_s in [u64::MAX, 0, 3 * DAY_S, DAY_S, u64::MAX, 5] {
            (0..2).for_each(|_| seasons.observe(1, unix_s));
            assert!(seasons.usual(unix_s, 0.0, 10).iter().all(|(_, share)| (0.0..=1.0).contains(share)));
        }
    }
}
