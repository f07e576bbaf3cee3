//! What a request of a service that stands alone costs beside its work: size and fate, drawn from the
//! service's dice in order of arrival.

use super::ServiceOptions;
use headgate_model::dice::Dice;

/// One request's draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Draw {
    pub(super) bytes: usize,
    pub(super) fails: bool,
}

/// Draws the next request. Always takes the same number of throws, so that changing one option leaves the
/// draws of the others as they were.
pub(super) fn draw(options: &ServiceOptions, dice: &mut Dice) -> Draw {
    let jitter = options.payload_jitter * (2.0 * dice.unit() - 1.0);
    Draw {
        bytes: (options.payload as f64 * (1.0 + jitter)) as usize,
        fails: dice.unit() < options.error_rate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_errors_follow_their_options_and_the_seed_repeats_them() {
        const DRAWS: usize = 200_000;
        let options = ServiceOptions {
            payload: 1_000,
            payload_jitter: 0.2,
            error_rate: 0.1,
            ..ServiceOptions::default()
        };
        let draws = |seed: u64| {
            let mut dice = Dice::new(seed);
            (0..DRAWS).map(|_| draw(&options, &mut dice)).collect::<Vec<Draw>>()
        };
        let all = draws(1);
        assert!(all.iter().all(|work| (800..=1_200).contains(&work.bytes)));
        assert!(all.iter().any(|work| work.bytes < 820) && all.iter().any(|work| work.bytes > 1_180));
        let failed = all.iter().filter(|work| work.fails).count() as f64 / DRAWS as f64;
        assert!((failed - 0.1).abs() < 0.005, "{failed}");
        assert_eq!(all, draws(1));
        assert_ne!(all, draws(2));
    }
}
