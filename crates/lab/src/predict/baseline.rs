//! Plain tables without limits: successors of the last one, two or three keys by count, and the back-off from three to
//! one. The yardstick, as simple as can be.

use super::score::{LISTED, Predicts};
use std::collections::BTreeMap;

type Counts = BTreeMap<u64, u32>;

/// Lists of a table of one order, or of several from the longest context on.
#[derive(Clone, Debug)]
pub struct Tables {
    /// Orders that are asked, the first one first.
    orders: Vec<usize>,
    /// Requests that a longer context needs before it is asked.
    least: u32,
    /// Leave out where the session has been.
    only_new: bool,
    counts: BTreeMap<Vec<u64>, Counts>,
    session: Vec<u64>,
}

impl Tables {
    #[must_use]
    pub fn order(order: usize) -> Self {
        Self { orders: vec![order], least: 1, only_new: false, counts: BTreeMap::new(), session: Vec::new() }
    }

    /// Prediction by partial matching: the list of the longest context that was seen `least` times, filled up from
    /// shorter ones.
    #[must_use]
    pub fn back_off(least: u32) -> Self {
        Self { orders: vec![3, 2, 1], least, ..Self::order(1) }
    }

    /// The same, without keys that the session has asked for already.
    #[must_use]
    pub fn only_new(self) -> Self {
        Self { only_new: true, ..self }
    }

    fn list(&self) -> Vec<u64> {
        let mut list: Vec<u64> = Vec::new();
        for order in &self.orders {
            let Some(context) = self.session.len().checked_sub(*order).map(|from| &self.session[from..])
            else {
                continue;
            };
            let Some(counts) = self.counts.get(context) else { continue };
            if *order > 1 && counts.values().sum::<u32>() < self.least {
                continue;
            }
            let is_open = |key: &u64| !(list.contains(key) || self.only_new && self.session.contains(key));
            let mut best: Vec<(u64, u32)> =
                counts.iter().filter(|(key, _)| is_open(key)).map(|(key, count)| (*key, *count)).collect();
            best.sort_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
            list.extend(best.iter().take(LISTED - list.len()).map(|(key, _)| key));
        }
        list
    }
}

impl Predicts for Tables {
    fn begin(&mut self) {
        self.session.clear();
    }

    fn place(&mut self, key: u64) -> Option<usize> {
        self.list().iter().position(|guess| *guess == key)
    }

    fn observe(&mut self, key: u64) {
        for order in &self.orders {
            if let Some(from) = self.session.len().checked_sub(*order) {
                *self.counts.entry(self.session[from..].to_vec()).or_default().entry(key).or_default() += 1;
            }
        }
        self.session.push(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taught(mut tables: Tables) -> Tables {
        for session in [[1, 2, 3], [1, 2, 3], [4, 2, 5], [9, 2, 5], [8, 2, 5]] {
            tables.begin();
            session.iter().for_each(|key| tables.observe(*key));
        }
        tables.begin();
        [1, 2].iter().for_each(|key| tables.observe(*key));
        tables
    }

    #[test]
    fn longer_contexts_come_first_and_shorter_ones_fill_up() {
        assert_eq!(taught(Tables::order(1)).list(), [5, 3]);
        assert_eq!(taught(Tables::order(2)).list(), [3]);
        assert_eq!(taught(Tables::back_off(1)).list(), [3, 5]);
        assert_eq!(taught(Tables::back_off(3)).list(), [5, 3], "twice is too few");
        let mut tables = taught(Tables::order(1).only_new());
        [5, 2].iter().for_each(|key| tables.observe(*key));
        assert_eq!(tables.list(), [3]);
    }
}
