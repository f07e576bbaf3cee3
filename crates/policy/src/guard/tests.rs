//! What a user of the guard would notice.

use super::*;
use headgate_model::dice::Dice;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn hits() -> Metric {
    Metric { name: "hit ratio", unit: "", better: Better::Higher, low: 0.0, high: 1.0 }
}

fn latency() -> Metric {
    Metric { name: "latency", unit: "ms", better: Better::Lower, low: 0.0, high: 1_000.0 }
}

fn settings() -> Settings {
    Settings { window: SECOND, window_units: 100.0, horizon: 200, ..Settings::new(hits()) }
}

/// A guard with its clock and dice.
struct World {
    guard: Guard,
    now: Tick,
    dice: Dice,
}

impl World {
    fn new(settings: Settings) -> Self {
        Self { guard: Guard::new(settings).unwrap(), now: Tick(1), dice: Dice::new(11) }
    }

    /// Hits of both policies among 400 sampled requests, second by second; the first switch within `seconds`.
    fn pairs(&mut self, learned: f64, baseline: f64, seconds: u32) -> Option<Switch> {
        for _ in 0..seconds {
            let mut ratio =
                |chance: f64| (0..400).filter(|_| self.dice.unit() < chance).count() as f64 / 400.0;
            let pair = Paired { learned: ratio(learned), baseline: ratio(baseline), units: 400.0 };
            self.guard.observe_pair(0, pair);
            if let Some(switch) = self.tick() {
                return Some(switch);
            }
        }
        None
    }

    fn tick(&mut self) -> Option<Switch> {
        self.now = self.now + SECOND;
        self.guard.tick(self.now)
    }

    /// Ticks until something happens.
    fn wait(&mut self) -> Switch {
        (0..1_000_000).find_map(|_| self.tick()).unwrap()
    }
}

#[test]
fn a_better_policy_goes_from_the_shadow_to_a_share_to_on() {
    let mut world = World::new(settings());
    assert_eq!(world.guard.decide(1).acts, Arm::Baseline);
    let switch = world.pairs(0.55, 0.5, 200).unwrap();
    assert_eq!((switch.from, switch.to, switch.cause), (Stage::Shadow, Stage::Share(0.1), Cause::Better));
    let decision = switch.decision("evict.adaptive", "cache", "s3fifo");
    assert_eq!(&*decision.decided, "shadow -> share of 10.0 %");
    let gain = decision.expected_gain.unwrap().value;
    assert!((0.02..0.08).contains(&gain), "{gain}");
    let switch = world.pairs(0.55, 0.5, 200).unwrap();
    assert_eq!(switch.to, Stage::On);
    assert_eq!(world.pairs(0.55, 0.5, 2_000), None, "and stays");
    let learned = (0..10_000).filter(|unit| world.guard.decide(*unit).acts == Arm::Learned).count();
    assert!((9_400..9_600).contains(&learned), "a yardstick of 5 % stays: {learned}");
}

#[test]
fn what_turns_bad_is_taken_back_and_rests_twice_as_long_each_time_until_it_is_stopped() {
    let settings = Settings { start: Mode::Share(0.5), most: Mode::Share(0.5), relapses: 3, ..settings() };
    let mut world = World::new(settings);
    assert_eq!(world.pairs(0.5, 0.48, 1_000), None);
    for pause in [600, 1_200, 2_400] {
        let switch = world.pairs(0.4, 0.48, 300).unwrap();
        let until = switch.at + SECOND * pause;
        assert_eq!((switch.to, switch.cause), (Stage::Paused { until }, Cause::Worse));
        assert_eq!(world.guard.decide(1).acts, Arm::Baseline);
        let back = world.wait();
        assert_eq!((back.at, back.to, back.cause), (until, Stage::Share(0.5), Cause::PauseOver));
    }
    assert_eq!(world.pairs(0.4, 0.48, 300).unwrap().to, Stage::Stopped);
    assert!((0..100_000).all(|_| world.tick().is_none()), "only an operator brings it back");
    let now = world.now;
    assert_eq!(world.guard.set(Mode::On, now).unwrap().to, Stage::On);
    let again = world.pairs(0.4, 0.48, 300).unwrap();
    assert_eq!((again.cause, again.relapses), (Cause::Worse, 1), "also what an operator forced is watched");
}

#[test]
fn what_is_never_better_never_leaves_the_shadow_and_loses_its_share() {
    let mut world = World::new(settings());
    assert_eq!(world.pairs(0.5, 0.5, 3_000), None);
    let mut world = World::new(Settings { start: Mode::Share(0.2), ..settings() });
    let switch = world.pairs(0.5, 0.5, 201).unwrap();
    assert_eq!((switch.cause, world.guard.stage().acts()), (Cause::NotBetter, false));
    let mut world = World::new(Settings { start: Mode::On, ..settings() });
    let switch = world.pairs(0.5, 0.5, 20_000).unwrap();
    assert_eq!(switch.cause, Cause::NotBetter, "also where it was on");
}

#[test]
fn a_rail_stops_a_policy_that_buys_its_gain() {
    let rail = Rail { metric: latency(), worse_percent: 5.0 };
    let mut world = World::new(Settings { rails: vec![rail], start: Mode::On, ..settings() });
    let run = |world: &mut World, learned_ms: f64| {
        (0..300).find_map(|_| {
            let noise = world.dice.unit();
            let pair = |learned, baseline| Paired { learned, baseline, units: 200.0 };
            world.guard.observe_pair(0, pair(0.6 + noise * 0.01, 0.5));
            let other = world.dice.unit();
            world.guard.observe_pair(1, pair(learned_ms + noise, 100.0 + other));
            world.tick()
        })
    };
    assert_eq!(run(&mut world, 103.0), None, "3 % are allowed");
    let switch = run(&mut world, 110.0).unwrap();
    assert_eq!(switch.cause, Cause::RailBroken("latency"));
    assert_eq!(switch.cause.to_string(), "latency is worse than allowed");
}

#[test]
fn a_share_with_a_broken_rail_is_not_promoted() {
    let rail = Rail { metric: latency(), worse_percent: 0.0 };
    let mut world = World::new(Settings { rails: vec![rail], ..settings() });
    let promoted = (0..500).find_map(|_| {
        let noise = world.dice.unit();
        world.guard.observe_pair(0, Paired { learned: 0.6 + noise * 0.01, baseline: 0.5, units: 200.0 });
        world.guard.observe_pair(1, Paired { learned: 110.0, baseline: 100.0, units: 200.0 });
        world.tick()
    });
    assert_eq!(promoted, None);
}

#[test]
fn no_data_and_data_of_one_arm_change_nothing() {
    let mut world = World::new(Settings { start: Mode::Share(0.5), ..settings() });
    assert!((0..10_000).all(|_| world.tick().is_none()));
    let one_sided = (0..10_000).all(|_| {
        world.guard.observe(0, Arm::Learned, 0.1, 1_000.0);
        world.tick().is_none()
    });
    assert!(one_sided);
    for (value, units) in [(f64::NAN, 1.0), (f64::INFINITY, 1.0), (1.0, 0.0), (1.0, f64::NAN), (1.0, -1.0)] {
        world.guard.observe(0, Arm::Baseline, value, units);
    }
    world.guard.observe(7, Arm::Baseline, 1.0, 1.0);
    world.guard.observe_pair(0, Paired { learned: f64::NAN, baseline: 1.0, units: 5.0 });
    assert_eq!(world.guard.counts().refused, 7);
    world.guard.observe(0, Arm::Baseline, 1e9, 1.0);
    assert_eq!(world.guard.counts().clamped, 1);
}

#[test]
fn weather_that_both_arms_have_is_no_difference() {
    let mut world = World::new(Settings { start: Mode::On, most: Mode::On, ..settings() });
    for second in 0..400 {
        let weather = 0.5 + 0.4 * f64::from(second % 100) / 100.0;
        let mut gain = || 0.01 * world.dice.unit();
        let (learned, baseline) = (weather + gain() + 0.004, weather + gain());
        world.guard.observe_pair(0, Paired { learned, baseline, units: 400.0 });
        let switch = world.tick();
        assert!(switch.is_none(), "{switch:?}");
    }
}

#[test]
fn choices_beyond_hard_bounds_are_the_baselines() {
    let mut world = World::new(Settings { start: Mode::On, ..settings() });
    let guard = &mut world.guard;
    let small = |percent: &u32| (1..=40).contains(percent);
    let chosen: Vec<u32> = (0..100).map(|unit| guard.choose(unit, 10, || 90, small).value).collect();
    assert!(chosen.iter().all(|percent| *percent == 10));
    let beyond = guard.counts().out_of_bounds;
    assert!((80..=100).contains(&beyond), "{beyond}");
    let choice = (0..100).map(|unit| guard.choose(unit, 10, || 4, small));
    let acted = choice.filter(|choice| choice.value == 4 && choice.assigned.acts == Arm::Learned).count();
    assert_eq!(guard.counts().acted, acted as u64);
    let mut shadow = World::new(settings()).guard;
    assert!((0..50).all(|unit| shadow.choose(unit, 10, || 4 + unit % 2 * 6, |_| true).value == 10));
    assert_eq!((shadow.counts().would_have, shadow.counts().acted), (25, 0));
    let mut off = World::new(Settings { start: Mode::Off, ..settings() }).guard;
    assert_eq!(off.choose(1, 10, || unreachable!("it is off"), |_| true).value, 10);
}

#[test]
fn a_test_of_equals_never_acts_and_counts_its_alarms() {
    let settings = Settings { a_a: true, start: Mode::Share(0.5), horizon: 100, ..settings() };
    let mut world = World::new(settings);
    assert!((0..1_000).all(|unit| world.guard.decide(unit).acts == Arm::Baseline));
    let mut alarms = 0;
    for _ in 0..205 {
        alarms += u64::from(world.pairs(0.5, 0.5, 100).is_some());
    }
    let found = world.guard.false_alarms();
    assert!(found.attempts >= 200 && found.worse + found.better == alarms, "{found:?} {alarms}");
    assert!(found.worse <= 20 && found.better <= 20, "{found:?}");
    world.pairs(0.3, 0.5, 100).unwrap();
    assert_eq!(world.guard.stage(), Stage::Share(0.5), "an alarm changes nothing");
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let wrong = |change: fn(&mut Settings)| {
        let mut settings = settings();
        change(&mut settings);
        Guard::new(settings).unwrap_err().to_string()
    };
    assert!(wrong(|it| it.goal.high = f64::INFINITY).contains("bounds of a metric"));
    assert!(wrong(|it| it.yardstick = 0.0).contains("yardstick"));
    assert!(wrong(|it| it.most = Mode::Share(2.0)).contains("share of a mode"));
    assert!(wrong(|it| it.window_units = f64::NAN).contains("window_units"));
    assert!(wrong(|it| it.most = Mode::Off).contains("the mode to start with"));
    assert!(wrong(|it| it.block = 0).contains("block"));
    assert!(wrong(|it| it.spared = 1 << 20).contains("spared"));
    assert!(wrong(|it| it.horizon = 0).contains("horizon"));
    let rail = Rail { metric: latency(), worse_percent: f64::NAN };
    let mut settings = settings();
    settings.rails = vec![rail];
    assert!(Guard::new(settings).is_err());
}

/// What a successor makes of what `world` leaves, at the same time.
fn succeed(world: &World) -> (World, Option<Switch>) {
    let mut next = World::new(settings());
    next.now = world.now;
    let switch = next.guard.resume(&world.guard.memory(), next.now).unwrap();
    (next, switch)
}

#[test]
fn a_restart_keeps_an_operators_word() {
    for (mode, stage) in [
        (Mode::Off, Stage::Off),
        (Mode::Shadow, Stage::Shadow),
        (Mode::Share(0.3), Stage::Share(0.3)),
        (Mode::On, Stage::On),
    ] {
        let mut world = World::new(settings());
        world.guard.set(mode, world.now).unwrap();
        let (mut next, switch) = succeed(&world);
        assert_eq!(next.guard.stage(), stage);
        assert_eq!(
            switch.map(|switch| (switch.from, switch.to, switch.cause)),
            (stage != Stage::Shadow).then_some((Stage::Shadow, stage, Cause::Restart))
        );
        let further = next.pairs(0.6, 0.4, 2_000).map(|switch| switch.to);
        assert_eq!(further, None, "{mode:?}: no further than that on evidence alone");
    }
}

#[test]
fn a_restart_keeps_a_fall_back_and_what_it_costs() {
    let mut world = World::new(settings());
    world.guard.set(Mode::On, world.now).unwrap();
    let Some(Switch { to: Stage::Paused { until }, .. }) = world.pairs(0.3, 0.5, 2_000) else { panic!() };
    let (mut next, switch) = succeed(&world);
    assert_eq!(switch.unwrap().to, Stage::Paused { until });
    let over = next.wait();
    assert_eq!((over.cause, over.at), (Cause::PauseOver, until), "no sooner, and no later");
    assert_eq!(over.relapses, 1);
    let (after, switch) = succeed(&next);
    assert_eq!((after.guard.stage(), switch), (Stage::Shadow, None), "it is not forced again");
    // The next pause is longer, as if there had been no restart.
    next.guard.set(Mode::On, next.now).unwrap();
    assert_eq!(next.guard.memory().pauses, 0, "the operator forgives");
}

#[test]
fn a_restart_brings_nothing_back_that_was_stopped_and_keeps_nothing_won() {
    let mut world = World::new(Settings { relapses: 0, ..settings() });
    world.guard.set(Mode::On, world.now).unwrap();
    assert_eq!(world.pairs(0.3, 0.5, 2_000).unwrap().to, Stage::Stopped);
    let (next, switch) = succeed(&world);
    assert_eq!((next.guard.stage(), switch.unwrap().cause), (Stage::Stopped, Cause::Restart));
    let mut good = World::new(settings());
    good.pairs(0.6, 0.4, 2_000).unwrap();
    good.pairs(0.6, 0.4, 2_000).unwrap();
    assert_eq!(good.guard.stage(), Stage::On);
    let (next, switch) = succeed(&good);
    assert_eq!((next.guard.stage(), switch, good.guard.memory()), (Stage::Shadow, None, Memory::default()));
}

#[test]
fn nothing_that_memory_can_hold_harms_a_guard() {
    let far = Tick(u64::MAX);
    for hold in [Hold::None, Hold::Stopped, Hold::Paused { until: far }, Hold::Paused { until: Tick(0) }] {
        let mut world = World::new(settings());
        let memory = Memory { word: Some(Mode::On), pauses: u32::MAX, relapses: u32::MAX, hold };
        world.guard.resume(&memory, world.now).unwrap();
        if let Stage::Paused { until } = world.guard.stage() {
            assert!(until <= world.now + settings().longest_pause);
            world.now = until;
            world.tick();
        }
        world.pairs(0.3, 0.5, 2_000);
        let wrong = Memory { word: Some(Mode::Share(f64::NAN)), ..memory };
        assert!(World::new(settings()).guard.resume(&wrong, Tick(1)).is_err());
    }
}
