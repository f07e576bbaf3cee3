//! How much a learner remembers for how many bytes.

use super::foresight::Limits;
use headgate_learn::sequence::predictor::Settings;

/// What the default limits take when all is in use, roughly: the tables a third, the rest texts and sessions.
const DEFAULT_BYTES: u64 = 64 << 20;

impl Limits {
    /// The default limits, smaller or larger so that they take about `bytes`. What answers show takes half of the room of
    /// sessions and of pairs.
    #[must_use]
    pub fn within(bytes: u64, reads_answers: bool) -> Self {
        let share = bytes as f64 / DEFAULT_BYTES as f64;
        let some = |count: usize, least: usize| ((count as f64 * share) as usize).max(least);
        // Tables round up to powers of two.
        let rows = |count: usize| (some(count, 32) + 1).next_power_of_two() / 2;
        let mut keys = Settings::default();
        for order in &mut keys.tables.orders {
            order.contexts = rows(order.contexts);
        }
        keys.tables.association.contexts = rows(keys.tables.association.contexts);
        let (all, part) = (Self::default(), if reads_answers { 2 } else { 1 });
        Self {
            sessions: some(all.sessions / part, 64),
            paths: rows(all.paths),
            templates: some(all.templates, 256),
            pairs: some(all.pairs / part, 512),
            seasons: rows(all.seasons),
            keys,
            ..all
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_stays_and_others_follow_the_bytes() {
        let (all, same) = (Limits::default(), Limits::within(64 << 20, false));
        let (half, reading) = (Limits::within(32 << 20, false), Limits::within(64 << 20, true));
        assert_eq!((same.sessions, same.paths), (all.sessions, all.paths));
        assert_eq!(same.keys.tables, all.keys.tables);
        assert_eq!((reading.sessions, reading.pairs), (all.sessions / 2, all.pairs / 2));
        assert_eq!((half.paths, half.keys.tables.orders[1].contexts), (all.paths / 2, 1 << 15));
        assert!(Limits::within(0, true).sessions > 0 && Limits::within(0, true).paths > 0);
    }
}
