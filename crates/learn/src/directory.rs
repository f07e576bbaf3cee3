//! From 64-bit keys to rows of a fixed number: set-associative, so that a key is looked for in eight places and no
//! table grows. It decides who has a row, not what is in it.

const WAYS: usize = 8;
/// What a newcomer that finds no room takes from the worth of those who have it; so nobody keeps a row for ever.
const AGEING: f32 = 0.9;
/// 2^64 over the golden ratio: spreads consecutive keys (Knuth, The Art of Computer Programming, 6.4).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Clone, Copy, Debug, Default)]
struct Tenant {
    key: u64,
    /// Decayed number of uses; zero is an empty row.
    worth: f32,
}

/// Who has which row.
#[derive(Clone, Debug)]
pub struct Directory {
    tenants: Vec<Tenant>,
    shift: u32,
    count: usize,
    replaced: u64,
}

/// The row of a key, and whether somebody else's content is still in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub row: usize,
    pub is_new: bool,
}

impl Directory {
    /// At least `rows` rows: rounded up to a power of two, sixteen at least.
    #[must_use]
    pub fn new(rows: usize) -> Self {
        let rows = rows.clamp(2 * WAYS, 1 << 28).next_power_of_two();
        let sets = (rows / WAYS) as u64;
        Self {
            tenants: vec![Tenant::default(); rows],
            shift: u64::BITS - sets.trailing_zeros(),
            count: 0,
            replaced: 0,
        }
    }

    /// Rows in all.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.tenants.len()
    }

    /// Rows that are taken.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Keys that lost their row to another.
    #[must_use]
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    /// The row of a key that has one.
    #[must_use]
    pub fn find(&self, key: u64) -> Option<usize> {
        let first = self.first(key);
        let set = &self.tenants[first..first + WAYS];
        set.iter().position(|tenant| tenant.worth > 0.0 && tenant.key == key).map(|way| first + way)
    }

    /// Finds the row of `key` or gives it the one that is worth least in its set.
    pub fn claim(&mut self, key: u64) -> Claim {
        let first = self.first(key);
        let set = &mut self.tenants[first..first + WAYS];
        if let Some(way) = set.iter().position(|tenant| tenant.worth > 0.0 && tenant.key == key) {
            set[way].worth += 1.0;
            return Claim { row: first + way, is_new: false };
        }
        let mut least = 0;
        for way in 1..WAYS {
            if set[way].worth < set[least].worth {
                least = way;
            }
        }
        if set[least].worth > 0.0 {
            self.replaced += 1;
            set.iter_mut().for_each(|tenant| tenant.worth *= AGEING);
        } else {
            self.count += 1;
        }
        set[least] = Tenant { key, worth: 1.0 };
        Claim { row: first + least, is_new: true }
    }

    fn first(&self, key: u64) -> usize {
        (key.wrapping_mul(SPREAD) >> self.shift) as usize * WAYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    #[test]
    fn a_key_keeps_its_row_while_there_is_room() {
        let mut directory = Directory::new(1 << 12);
        let rows: Vec<usize> = (0..1_000).map(|key| directory.claim(key).row).collect();
        assert_eq!(directory.replaced(), 0);
        for (key, row) in rows.iter().enumerate() {
            assert_eq!(directory.find(key as u64), Some(*row));
            assert_eq!(directory.claim(key as u64), Claim { row: *row, is_new: false });
        }
        assert_eq!((directory.count(), directory.find(1_000)), (1_000, None));
    }

    #[test]
    fn those_asked_for_often_outlive_a_flood_and_the_flood_is_counted() {
        let mut directory = Directory::new(64);
        let mut dice = Dice::new(1);
        let favourites = [1u64, 2, 3, 4];
        for _ in 0..20_000 {
            directory.claim(dice.bits());
            favourites.iter().for_each(|key| {
                directory.claim(*key);
            });
        }
        assert!(favourites.iter().all(|key| directory.find(*key).is_some()));
        assert!(directory.replaced() > 19_000 && directory.count() == directory.rows());
        // Nobody asks for them any more: they give way.
        (0..200_000).for_each(|_| {
            directory.claim(dice.bits());
        });
        assert!(favourites.iter().all(|key| directory.find(*key).is_none()));
    }
}
