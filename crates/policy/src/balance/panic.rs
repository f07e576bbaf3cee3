//! The panic rule: when too few endpoints are usable, health is ignored and all that are not draining
//! are used. The few left would only fall over next, and the check itself may be what is wrong.

/// Whether to ignore health and ejection: less than `panic_percent` of the `present` endpoints (those
/// that are not draining and have weight) are `usable`. Zero percent: never.
#[must_use]
pub fn panics(usable: usize, present: usize, panic_percent: u8) -> bool {
    (usable as u128) * 100 < (present as u128) * u128::from(panic_percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_below_the_percent() {
        assert!(!panics(3, 10, 30));
        assert!(panics(2, 10, 30));
        assert!(panics(0, 1, 30));
        assert!(!panics(0, 10, 0), "zero switches it off");
        assert!(!panics(0, 0, 100), "nothing to fall back on");
        assert!(panics(9, 10, 100));
        assert!(!panics(10, 10, 100));
    }
}
