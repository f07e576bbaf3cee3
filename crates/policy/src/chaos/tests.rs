//! What a user would notice of rules: whom they hit, how often, and what comes of several at once.

use super::*;
use headgate_model::spec::{Abort, Delay, Direction, LimitData, Span};
use headgate_model::toxic::ToxicKind;
use proptest::prelude::*;

const AIM: Aim<'_> = Aim { route: "shop", service: "catalog", endpoint: "10.0.0.1:80" };

fn spec(percent: f64, fault: ChaosFault) -> ChaosRule {
    ChaosRule {
        name: "rule".to_owned(),
        route: None,
        service: None,
        endpoint: None,
        percent,
        fault,
        probes: false,
        seed: None,
        lasts: None,
    }
}

fn rules(specs: &[ChaosRule]) -> Rules {
    Rules::new(
        specs.iter().map(|spec| Rule::new(spec, spec.endpoint.as_deref(), None, &Arc::default())).collect(),
    )
}

fn abort(status: u16) -> ChaosFault {
    ChaosFault::Abort(Abort { status, body: String::new() })
}

fn constant(ms: u64) -> ChaosFault {
    ChaosFault::Delay(Delay::Constant(Span(Duration::from_millis(ms))))
}

#[test]
fn a_rule_is_about_all_that_it_does_not_rule_out() {
    let about = |route: Option<&str>, service: Option<&str>, endpoint: Option<&str>| {
        let mut spec = spec(100.0, ChaosFault::Stall);
        spec.route = route.map(str::to_owned);
        spec.service = service.map(str::to_owned);
        spec.endpoint = endpoint.map(str::to_owned);
        rules(&[spec]).verdict(&AIM, Tick(0), &mut Dice::new(1)).is_some()
    };
    assert!(about(None, None, None));
    assert!(about(Some("shop"), Some("catalog"), Some("10.0.0.1:80")));
    assert!(about(None, None, Some("10.0.0.1:80")));
    assert!(!about(Some("other"), Some("catalog"), None));
    assert!(!about(Some("shop"), Some("other"), None));
    assert!(!about(None, Some("catalog"), Some("10.0.0.2:80")));
}

#[test]
fn a_rule_ends_at_its_time() {
    let rule = Rule::new(&spec(100.0, ChaosFault::Stall), None, Some(Tick(10)), &Arc::default());
    let rules = Rules::new(vec![rule]);
    assert!(rules.verdict(&AIM, Tick(9), &mut Dice::new(1)).is_some());
    assert_eq!(rules.verdict(&AIM, Tick(10), &mut Dice::new(1)), None);
}

#[test]
fn delays_add_up_toxics_line_up_and_one_rule_takes_the_place() {
    let limit = |bytes| {
        let limit = LimitData { bytes: headgate_model::spec::Bytes(bytes), stream: Direction::Upstream };
        spec(100.0, ChaosFault::LimitData(limit))
    };
    let many = [
        spec(100.0, constant(100)),
        limit(1),
        spec(0.0, ChaosFault::Reset),
        spec(100.0, constant(50)),
        limit(2),
        spec(100.0, abort(503)),
        spec(100.0, ChaosFault::Stall),
    ];
    let verdict = rules(&many).verdict(&AIM, Tick(0), &mut Dice::new(1)).unwrap();
    assert_eq!(verdict.delay, Duration::from_millis(150));
    assert_eq!(verdict.instead, Some(Instead::Abort { status: 503, body: "".into() }));
    let limits: Vec<_> = verdict.toxics.iter().map(|toxic| toxic.kind).collect();
    assert_eq!(limits, [ToxicKind::LimitData { bytes: 1 }, ToxicKind::LimitData { bytes: 2 }]);
    assert_eq!(verdict.hits, [0, 1, 3, 4, 5], "what takes the place is the last");
}

proptest! {
    #[test]
    fn the_share_that_is_hit_is_the_percentage(percent in 0.0..=100.0_f64, seed: u64) {
        const ASKED: usize = 4_000;
        let rules = rules(&[spec(percent, abort(500))]);
        let mut dice = Dice::new(seed);
        let hits = (0..ASKED).filter(|_| rules.verdict(&AIM, Tick(0), &mut dice).is_some()).count();
        // Six standard deviations at most: one run in a billion is wrong by more.
        let share = percent / 100.0;
        let slack = 6.0 * (ASKED as f64 * share * (1.0 - share)).sqrt() + 1.0;
        prop_assert!((hits as f64 - ASKED as f64 * share).abs() <= slack, "{} of {}", hits, ASKED);
    }

    #[test]
    fn never_is_never_always_is_always_and_a_seed_repeats_itself(seed: u64) {
        let verdict = |percent, dice: &mut Dice| rules(&[spec(percent, abort(500))]).verdict(&AIM, Tick(0), dice);
        let mut dice = Dice::new(seed);
        for _ in 0..100 {
            prop_assert_eq!(verdict(0.0, &mut dice), None);
            prop_assert!(verdict(100.0, &mut dice).is_some());
        }
        let (mut one, mut other) = (Dice::new(seed), Dice::new(seed));
        for _ in 0..100 {
            prop_assert_eq!(verdict(50.0, &mut one), verdict(50.0, &mut other));
        }
    }
}

#[test]
fn a_seed_gives_the_same_attempts_the_same_fate_whoever_asks() {
    let fates = |seed: u64, dice_seed: u64| -> Vec<bool> {
        let spec = ChaosRule { seed: Some(seed), ..spec(30.0, abort(503)) };
        let (rules, mut dice) = (rules(&[spec]), Dice::new(dice_seed));
        (0..500).map(|_| rules.verdict(&AIM, Tick(0), &mut dice).is_some()).collect()
    };
    assert_eq!(fates(1, 1), fates(1, 2), "the worker's dice have no part in it");
    assert_ne!(fates(1, 1), fates(2, 1));
    let hits = fates(1, 1).iter().filter(|hit| **hit).count();
    assert!((100..200).contains(&hits), "{hits} of 500");
    // Two workers have copies of the rules and one count.
    let asked = Arc::default();
    let shared = ChaosRule { seed: Some(1), ..spec(30.0, abort(503)) };
    let one = Rules::new(vec![Rule::new(&shared, None, None, &asked)]);
    let other = one.clone();
    let fate = |rules: &Rules| rules.verdict(&AIM, Tick(0), &mut Dice::new(9)).is_some();
    let together: Vec<bool> = (0..250).flat_map(|_| [fate(&one), fate(&other)]).collect();
    assert_eq!(together, fates(1, 1));
}

#[test]
fn a_probe_is_hit_by_rules_that_say_so_and_are_about_no_route() {
    let hit = |probes: bool, route: Option<&str>, endpoint: &str| {
        let mut spec = ChaosRule { probes, ..spec(100.0, ChaosFault::Down) };
        spec.route = route.map(str::to_owned);
        spec.endpoint = Some(AIM.endpoint.to_owned());
        let verdict = rules(&[spec]).verdict_on_probe(AIM.service, endpoint, Tick(0), &mut Dice::new(1));
        verdict.is_some()
    };
    assert!(hit(true, None, AIM.endpoint));
    assert!(!hit(false, None, AIM.endpoint) && !hit(true, Some(AIM.route), AIM.endpoint));
    assert!(!hit(true, None, "10.0.0.2:80"));
}
