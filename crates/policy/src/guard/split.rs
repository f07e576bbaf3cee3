//! Which units get the learned policy: a stable share of them by hash. Wait-free and without allocation, so that a
//! copy can ride with the traffic; what the share should be is decided elsewhere.

/// How far a learned policy may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// Not asked at all.
    Off,
    /// Asked, but does not act: counted as "would have".
    Shadow,
    /// Acts for this share of the units, above 0 and below 1.
    Share(f64),
    /// Acts for all units but the yardstick.
    On,
}

impl Mode {
    pub(super) fn rank(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::Shadow => 1,
            Self::Share(_) => 2,
            Self::On => 3,
        }
    }
}

/// One side of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm {
    Learned,
    Baseline,
}

/// What becomes of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The side that its outcome is to be observed for.
    pub counted: Arm,
    /// The side that decides: the same, but always the baseline in an A/A test.
    pub acts: Arm,
}

/// The present split. A unit (a request, a key, an interval) that is learned at one share is so at every larger one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// Hashes below it are the learned policy's.
    below: u64,
    salt: u64,
    a_a: bool,
}

impl Split {
    pub(super) fn new(share: f64, salt: u64, a_a: bool) -> Self {
        // Saturates at the ends.
        Self { below: (share * 2f64.powi(64)) as u64, salt, a_a }
    }

    /// What becomes of a unit, by a hash of what it is. The salt keeps the splits of several guards apart.
    #[must_use]
    pub fn assign(&self, unit_hash: u64) -> Assigned {
        let learned = mix(unit_hash ^ self.salt) < self.below;
        let counted = if learned { Arm::Learned } else { Arm::Baseline };
        Assigned { counted, acts: if self.a_a { Arm::Baseline } else { counted } }
    }
}

/// The finalizer of MurmurHash3 (Appleby): each bit of the input turns half of the bits of the result.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(split: Split) -> Vec<u64> {
        (0..100_000).filter(|unit| split.assign(*unit).counted == Arm::Learned).collect()
    }

    #[test]
    fn a_share_is_stable_even_and_grows_around_what_it_had() {
        let (small, large) = (learned(Split::new(0.1, 7, false)), learned(Split::new(0.5, 7, false)));
        assert!((9_700..10_300).contains(&small.len()), "{}", small.len());
        assert!((49_500..50_500).contains(&large.len()), "{}", large.len());
        assert!(small.iter().all(|unit| large.binary_search(unit).is_ok()));
        let other = learned(Split::new(0.1, 8, false));
        let both = small.iter().filter(|unit| other.binary_search(unit).is_ok()).count();
        assert!((850..1_150).contains(&both), "two guards are independent: {both}");
    }

    #[test]
    fn none_all_and_a_test_of_equals() {
        assert!(learned(Split::new(0.0, 7, false)).is_empty());
        let split = Split::new(0.5, 7, true);
        assert_eq!(learned(split).len(), learned(Split::new(0.5, 7, false)).len());
        assert!((0..1_000).all(|unit| split.assign(unit).acts == Arm::Baseline));
    }
}
