//! Slow start: the part of its weight that a new or recovered endpoint gets, growing with time. Cold
//! caches and connection pools would otherwise turn its first second into the next outage.

use std::time::Duration;

/// The share at the start: enough traffic to warm up on, and to see whether it works.
pub const FLOOR: f32 = 0.1;

/// The share in [`FLOOR`]..=1 at `since_ready` after the endpoint became usable: a straight line from
/// the floor to one over `window`. A zero `window` means the full share at once.
#[must_use]
pub fn share(since_ready: Duration, window: Duration) -> f32 {
    if since_ready >= window {
        return 1.0;
    }
    let progress = since_ready.as_secs_f32() / window.as_secs_f32();
    FLOOR + (1.0 - FLOOR) * progress
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_in_a_line_from_the_floor_to_one() {
        let window = Duration::from_secs(30);
        assert_eq!(share(Duration::ZERO, window), FLOOR);
        assert!((share(window / 2, window) - 0.55).abs() < 1e-6);
        assert_eq!(share(window, window), 1.0);
        assert_eq!(share(Duration::MAX, window), 1.0);
        let shares: Vec<f32> = (0..300).map(|tenth| share(window / 300 * tenth, window)).collect();
        assert!(shares.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn no_window_is_the_full_share() {
        assert_eq!(share(Duration::ZERO, Duration::ZERO), 1.0);
    }
}
