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
