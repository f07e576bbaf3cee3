//! The guard on trial, in virtual time: how often equals alarm it, and how soon a planted regression is caught.
//! Pure: a run is a function of its scenario and its seed.

mod scenario;

pub use scenario::Scenario;

use headgate_model::units::Tick;
use headgate_policy::guard::{Cause, FalseAlarms, Guard, Settings, SettingsError};
use scenario::Stream;

/// Windows that were good before a planted regression.
const GOOD_WINDOWS: u32 = 200;

/// How one planted regression ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Taken back as worse, so many windows after it turned.
    Caught(u32),
    /// Taken back as worse while it was still good.
    Early,
    /// Not taken back as worse; it may have been as no better.
    Missed,
}

/// One A/A run: one attempt of `windows` windows in which both arms are the baseline. `spared` as in the guard's settings.
///
/// # Errors
/// So many windows make no sense.
pub fn equals(
    scenario: Scenario,
    spared: u32,
    seed: u64,
    windows: u32,
) -> Result<FalseAlarms, SettingsError> {
    let settings = Settings { a_a: true, horizon: windows, spared, ..scenario.settings() };
    let (mut guard, mut stream, mut now) = (Guard::new(settings)?, Stream::new(scenario, seed), Tick(0));
    guard.tick(now);
    while guard.false_alarms().attempts == 0 {
        stream.window(&mut guard, 0.0);
        now = now + scenario.settings().window;
        guard.tick(now);
    }
    Ok(guard.false_alarms())
}

/// One run of a policy that is on: better by half of `worse` for a while, then worse by `worse` for `windows`.
///
/// # Errors
/// As [`equals`].
pub fn planted(
    scenario: Scenario,
    spared: u32,
    worse: f64,
    seed: u64,
    windows: u32,
) -> Result<Ended, SettingsError> {
    let settings = Settings { horizon: u32::MAX, spared, ..scenario.settings() };
    let (mut guard, mut stream, mut now) = (Guard::new(settings)?, Stream::new(scenario, seed), Tick(0));
    guard.tick(now);
    for window in 0..GOOD_WINDOWS + windows {
        let gain = if window < GOOD_WINDOWS { worse / 2.0 } else { -worse };
        stream.window(&mut guard, gain);
        now = now + scenario.settings().window;
        if guard.tick(now).is_some_and(|switch| switch.cause == Cause::Worse) {
            let after = (window + 1).checked_sub(GOOD_WINDOWS);
            return Ok(after.map_or(Ended::Early, Ended::Caught));
        }
    }
    Ok(Ended::Missed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 200 runs each: at a rate of 5 %, more than 23 alarms have a chance of 1 in 10,000; seeds are fixed.
    #[test]
    fn equals_alarm_at_most_as_often_as_promised() {
        for scenario in
            [Scenario::PairedHits, Scenario::ParetoLatency, Scenario::Following, Scenario::SharedWeather]
        {
            let (mut worse, mut better) = (0, 0);
            for seed in 0..200 {
                let found = equals(scenario, 0, seed, 120).unwrap();
                worse += found.worse;
                better += found.better;
            }
            assert!(worse <= 23 && better <= 23, "{}: {worse} worse, {better} better", scenario.name());
        }
    }

    /// As above; where nothing is spared, a sixth of the runs alarms.
    #[test]
    fn what_is_spared_keeps_the_promise_where_bursts_befall_one_arm() {
        let alarms = |spared| {
            let found = (0..200).map(|seed| equals(Scenario::Bursts, spared, seed, 360).unwrap());
            found.fold((0, 0), |(worse, better), found| (worse + found.worse, better + found.better))
        };
        let ((worse, better), plain) = (alarms(Settings::SPARED), alarms(0));
        assert!(worse <= 23 && better <= 23, "{worse} worse, {better} better");
        assert!(plain.0 + plain.1 > 40, "{plain:?}: then nothing need be spared any more");
    }

    #[test]
    fn planted_regressions_are_caught() {
        for scenario in [Scenario::PairedHits, Scenario::Latency] {
            let (_, [.., large]) = scenario.effects();
            let caught = (0..40).filter(|seed| {
                let ended = planted(scenario, 0, large, *seed, 360).unwrap();
                matches!(ended, Ended::Caught(_))
            });
            let caught = caught.count();
            assert!(caught >= 38, "{}: {caught} of 40", scenario.name());
        }
    }

    #[test]
    fn a_run_can_be_repeated_from_its_seed() {
        let run = || planted(Scenario::Hits, 0, 5.0, 3, 360).unwrap();
        assert_eq!(run(), run());
    }
}
