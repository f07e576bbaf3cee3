//! What a user would notice of a file: its mistakes with their places, its schedule, its cap.

use super::*;
use crate::workload::no_files;

const FILE: &str = r#"
name = "tiny"
hypothesis = "It goes on."
seed = 7
[system]
gateway = "http://127.0.0.1:8080"
admin = "127.0.0.1:9090"
[system.target.ada]
endpoint = "127.0.0.1:3001"
[system.target.grace]
endpoint = ":3002"
[system.target.edsger]
endpoint = "127.0.0.1:3003"
[load]
rate = 100
[blast_radius]
requests_percent = 50
[[probe]]
name = "fast"
load = "p99<50ms"
[[method]]
name = "dies"
between = ["1s", "60s"]
lasts = "10s"
targets = ["ada", "grace", "edsger"]
pick = 1
chaos = { fault = "down" }
[[abort]]
load = "errors>50%"
"#;

fn read(text: &str, seed: Option<u64>) -> Result<GameDay, Vec<String>> {
    let read = GameDay::read(text, "f.toml", seed, &|_| None, &mut no_files());
    read.map_err(|errors| errors.iter().map(ConfigError::summary).collect())
}

#[test]
fn the_same_file_and_seed_give_the_same_schedule() {
    let file = FILE.replace("lasts = \"10s\"", "lasts = \"1s\"\ntimes = 5").replace("pick = 1", "pick = 2");
    let file = file.replace("requests_percent = 50", "requests_percent = 100\nendpoints_percent = 100");
    let plan = |seed| read(&file, Some(seed)).unwrap().plan().to_vec();
    assert_eq!(plan(1), plan(1));
    assert_ne!(plan(1), plan(2));
    assert_eq!(read(&file, None).unwrap().plan(), plan(7));
    for seed in 0..200 {
        let plan = plan(seed);
        assert_eq!(plan.len(), 5);
        assert!(plan.is_sorted_by_key(|planned| planned.begins), "seed {seed}");
        for planned in &plan {
            let begins = planned.begins.as_millis();
            assert!((1_000..=60_000).contains(&begins), "seed {seed}: {begins}");
            assert_eq!(planned.ends - planned.begins, Duration::from_secs(1));
            assert!(planned.targets.len() == 2 && planned.targets[0] != planned.targets[1], "seed {seed}");
        }
    }
}

#[test]
fn each_target_is_drawn_at_times() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..50 {
        seen.extend(read(FILE, Some(seed)).unwrap().plan()[0].targets.clone());
    }
    assert_eq!(seen.len(), 3);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (from, to, line, says) in [
        ("name = \"tiny\"", "name = \"a b\"", 2, "not a name"),
        ("requests_percent", "request_percent", 17, "did you mean `requests_percent`?"),
        ("requests_percent = 50", "requests_percent = 500", 17, "out of range"),
        ("[blast_radius]\nrequests_percent = 50\n", "", 1, "`blast_radius` is missing"),
        ("rate = 100", "rate = 100\nusers = 5", 14, "either `rate`"),
        ("p99<50ms", "p99<50", 20, "p99<50ms"),
        ("load = \"p99<50ms\"", "load = \"p99<50ms\"\ncommand = { run = [\"x\"] }", 18, "one of `load`"),
        ("\"grace\", \"edsger\"]", "\"grcae\", \"edsger\"]", 25, "did you mean `grace`?"),
        ("between = [\"1s\", \"60s\"]", "between = [\"9s\", \"1s\"]", 23, "ends before it begins"),
        ("between = [\"1s\", \"60s\"]", "", 21, "either `at` or `between`"),
        ("lasts = \"10s\"", "lasts = \"0s\"", 24, "is zero"),
        ("lasts = \"10s\"", "lasts = \"5h\"", 21, "4 hours"),
        ("pick = 1", "pick = 4", 26, "out of range"),
        ("pick = 1\n", "", 21, "blast radius: at"),
        ("fault = \"down\"", "fault = \"donw\"", 27, "did you mean `down`?"),
        ("fault = \"down\"", "percent = 101, fault = \"down\"", 27, "out of range"),
        ("errors>50%", "p99.9>50ms", 29, "not known each second"),
        ("load = \"errors>50%\"", "probe = \"slow\"", 29, "the probes are fast"),
        ("[[abort]]\nload = \"errors>50%\"", "", 1, "`abort` is missing"),
        ("endpoint = \":3002\"", "", 10, "nothing to aim at"),
        ("admin = \"127.0.0.1:9090\"", "admin = \"https://a.test\"", 7, "no TLS"),
    ] {
        assert!(FILE.contains(from), "{from}");
        let errors = read(&FILE.replacen(from, to, 1), None).unwrap_err();
        let found = errors.iter().any(|error| {
            error.contains(says) && (line == 1 || error.starts_with(&format!("f.toml:{line}:")))
        });
        assert!(found, "{to}: expected line {line}, {says:?}: {errors:?}");
    }
}

#[test]
fn a_plan_beyond_the_cap_is_refused_with_what_is_at_fault() {
    let more = "[[method]]\nname = \"slow\"\nat = \"30s\"\nlasts = \"5s\"\nchaos = { percent = 25, fault = \"stall\" }\n";
    let at = FILE.replace("between = [\"1s\", \"60s\"]", "at = \"28s\"");
    let file = format!("{at}{more}");
    // A third of the endpoints down, and a quarter of what is left stalls: exactly half.
    let print = read(&file, None).unwrap().footprint();
    assert!((print.requests_percent - 50.0).abs() < 1e-9, "{print:?}");
    let errors = read(&file.replace("percent = 25", "percent = 26"), None).unwrap_err();
    assert!(errors[0].contains("at 30.0 s, with dies and slow, 50.7 % of the requests"), "{errors:?}");
    let later = file.replace("percent = 25", "percent = 26").replace("at = \"30s\"", "at = \"38s\"");
    assert!(read(&later, None).is_ok(), "one after the other is less at once");
}

/// A course with a letter for each second: `.` good, `x` bad.
fn course(text: &str) -> Vec<CoursePoint> {
    let point = |(at, letter): (usize, char)| CoursePoint {
        at_s: at as f64,
        stage: Stage::During,
        planned: 100,
        answered: 100,
        errors: 0,
        p50_ms: 1.0,
        p99_ms: 1.0,
        is_good: letter == '.',
        faults: 0,
    };
    text.chars().enumerate().map(point).collect()
}

fn alarm(at_s: f64, endpoint: &str, is_raised: bool) -> AlarmChange {
    AlarmChange {
        at_s,
        kind: "ejected".to_owned(),
        service: "shop".to_owned(),
        endpoint: endpoint.to_owned(),
        is_raised,
        is_false: false,
    }
}

/// A fault on ada from second 2 to second 10.
fn carried(game_day: &GameDay) -> conductor::Carried {
    let planned = Planned { targets: vec!["ada".to_owned()], ..game_day.plan()[0].clone() };
    conductor::Carried {
        planned,
        what: Vec::new(),
        began: Some(Duration::from_secs(2)),
        ended: Some(Duration::from_secs(10)),
        hits: Some(5),
        problem: None,
        is_rolled_back: true,
    }
}

const ADA: &str = "127.0.0.1:3001";

#[test]
fn effects_are_read_off_the_course() {
    let expect = "pick = 1\nexpect = { detected_within = \"2s\", mitigated_within = \"2s\" }";
    let game_day = read(&FILE.replace("pick = 1", expect), None).unwrap();
    let one = carried(&game_day);
    let of = |text: &str, alarms: &[AlarmChange]| {
        let result = effect::result(&one, &game_day.spec, &course(text), alarms);
        (result.detected_s, result.mitigated_s, result.recovered_s)
    };
    assert_eq!(of("...............", &[]), (None, Some(0.0), Some(0.0)), "nobody noticed");
    assert_eq!(of("..xx...........", &[]), (None, Some(2.0), Some(0.0)));
    assert_eq!(of("..xx..x...x....", &[]), (None, Some(5.0), Some(1.0)), "two good seconds are none");
    assert_eq!(of("..xxxxxxxxxx...", &[]), (None, None, Some(2.0)));
    assert_eq!(of("..xxxxxxxxxxxxx", &[]), (None, None, None));
    let mine = [alarm(3.5, ADA, true), alarm(13.0, ADA, false)];
    assert_eq!(of("..xx...........", &mine), (Some(1.5), Some(2.0), Some(3.0)));
    assert_eq!(of("..xx...........", &mine[..1]), (Some(1.5), Some(2.0), None), "it is still out");
    assert_eq!(of("...............", &[alarm(3.5, "127.0.0.1:3003", true)]).0, None, "another one");
    let result = effect::result(&one, &game_day.spec, &course("..xxx.........."), &mine);
    let met: Vec<bool> = result.expectations.iter().map(|it| it.met).collect();
    assert_eq!(met, [true, false]);
}

#[test]
fn alarms_that_no_fault_explains_are_false() {
    let game_day = read(FILE, None).unwrap();
    let one = carried(&game_day);
    let count = |alarms: &mut [AlarmChange]| {
        effect::mark_false(alarms, &game_day.spec, std::slice::from_ref(&one), 1.0)
    };
    let mut alarms = [
        alarm(0.5, "127.0.0.1:3003", true),
        alarm(1.5, ADA, true),
        alarm(3.0, ADA, true),
        alarm(3.0, "127.0.0.1:3003", true),
        alarm(14.0, ADA, true),
        alarm(16.0, ADA, true),
        alarm(17.0, ADA, false),
    ];
    assert_eq!(count(&mut alarms), 3);
    let marked = alarms.map(|alarm| alarm.is_false);
    assert_eq!(marked, [false, true, false, true, false, true, false]);
}

#[test]
fn the_score_follows_its_formula() {
    let probe = |stage, passed| ProbeResult {
        name: "p".to_owned(),
        stage,
        passed,
        asked: 1,
        wrong: u64::from(!passed),
        evidence: String::new(),
    };
    let game_day =
        read(&FILE.replace("pick = 1", "pick = 1\nexpect.detected_within = \"1s\""), None).unwrap();
    let fault = |is_rolled_back| {
        let one = conductor::Carried { is_rolled_back, ..carried(&game_day) };
        effect::result(&one, &game_day.spec, &course("..............."), &[])
    };
    let probes = [probe(Stage::Before, true), probe(Stage::During, false), probe(Stage::After, true)];
    let budget = Budget { spent_percent: 40.0, ..Budget::default() };
    let total = |verdict, faults: &[FaultResult]| score::score(verdict, &probes, faults, &budget, 1).total;
    // Hypothesis 1/2, detection 0/1, budget 0.6, precision 1/2; the rest was not expected.
    let expected = 100.0 * (40.0 * 0.5 + 15.0 * 0.0 + 10.0 * 0.6 + 5.0 * 0.5) / 70.0;
    assert!((total(Verdict::NotHeld, &[fault(true)]) - expected).abs() < 1e-9);
    let aborted = 100.0 * (10.0 * 0.6 + 5.0 * 0.5) / 70.0;
    assert!((total(Verdict::Aborted, &[fault(true)]) - aborted).abs() < 1e-9);
    assert_eq!(total(Verdict::NotHeld, &[fault(false)]), 0.0, "what may still be there");
    assert_eq!(total(Verdict::NotBegun, &[]), 0.0);
}
