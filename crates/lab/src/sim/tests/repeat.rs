//! Exact repetition, and whole random systems under random faults: nothing panics, every request is answered
//! exactly once, and nothing depends on how the run is cut or how the file is ordered.

use super::{run, sim};
use crate::workload::{Workload, WorkloadSpec, no_files};
use headgate_model::dice::Dice;

const SHOP: [&str; 3] = [
    "[service.front]
    replicas = 3
    balance = \"p2c\"
    does = [{ work = { lognormal = { mean = \"2ms\", cv = 1.0 } } },
            { calls = [{ service = \"items\" }, { service = \"users\", share = 0.5 }] }]\n",
    "[service.items]
    replicas = 4
    balance = \"peak_ewma\"
    retry = { attempts = 3 }
    outlier = {}
    timeout = \"200ms\"
    does = [{ work = { exponential = { mean = \"5ms\" } } }]\n",
    "[service.users]
    replicas = 2
    balance = \"random\"
    cache = { lru = 100 }
    does = [{ work = { constant = \"3ms\" } }]\n",
];
const TOP: &str = "entry = { \"*\" = \"front\" }\n";
const FAULTS: &str = "[[fault]]\nat = \"10s\"\nlasts = \"5s\"\nservice = \"items\"\nreplicas = 2\njitter = \"3s\"\nwhat = \"kill\"\n\
                      [[fault]]\nat = \"20s\"\nlasts = \"5s\"\nnode = 0\nwhat = \"stop\"\n";
const LOAD: &str =
    "open = { phases = [{ lasts = \"40s\", level = 200 }] }\nkeys = { zipf = { keys = 1000 } }";

fn shop(order: [usize; 3]) -> String {
    format!("{TOP}{}{}{}{FAULTS}", SHOP[order[0]], SHOP[order[1]], SHOP[order[2]])
}

#[test]
fn the_seed_and_nothing_else_decides() {
    let digest = run(&shop([0, 1, 2]), LOAD, 1).digest();
    assert_eq!(run(&shop([0, 1, 2]), LOAD, 1).digest(), digest, "again");
    assert_eq!(run(&shop([2, 0, 1]), LOAD, 1).digest(), digest, "with the file in another order");
    assert_ne!(run(&shop([0, 1, 2]), LOAD, 2).digest(), digest, "another seed");
    let mut pieces = sim(&shop([0, 1, 2]), LOAD, 1).unwrap();
    let mut until_ns = 0;
    while pieces.run_until(until_ns) {
        until_ns += 1_234_567_890;
    }
    assert_eq!(pieces.run().digest(), digest, "piece by piece");
}

/// A service that nobody calls takes nothing from the dice of the others.
#[test]
fn one_more_service_changes_nothing_for_the_others() {
    let idle = "[service.aaa]\nnodes = [9]\ndoes = [{ work = { constant = \"1ms\" } }]\n";
    let fixed = |text: &str| text.replace("replicas = ", "nodes = [0, 1, 2, 3, 4]\nreplicas = ");
    let calm = format!("{TOP}{}", SHOP.concat());
    let before = run(&fixed(&calm), LOAD, 1);
    let after = run(&fixed(&calm).replace(TOP, &format!("{TOP}{idle}")), LOAD, 1);
    assert_eq!(before.latency.histogram(), after.latency.histogram());
    assert_eq!(before.services[1].attempts, after.services[2].attempts);
}

fn random_system(dice: &mut Dice) -> String {
    let pick = |dice: &mut Dice, from: &[&str]| from[dice.below(from.len() as u64) as usize].to_owned();
    let services = 1 + dice.below(5);
    let mut text = format!(
        "entry = {{ \"*\" = \"s0\" }}\ninterval = \"5s\"\ngateway = {{ count = {}, bypass = {:?} }}\n\
         nodes = {{ count = 3, vcpus = {:?} }}\nnetwork = {{ zones = [\"a\", \"b\"] }}\n",
        1 + dice.below(3),
        [0.0, 0.3][dice.below(2) as usize],
        [0.7, 2.0, 8.0][dice.below(3) as usize],
    );
    for service in 0..services {
        let balance =
            pick(dice, &["p2c", "round_robin", "peak_ewma", "least_requests", "maglev", "rendezvous"]);
        let calls: Vec<String> = (service + 1..services)
            .filter(|_| dice.below(2) == 0)
            .map(|other| {
                format!(
                    "{{ service = \"s{other}\", share = 0.{}, optional = {} }}",
                    1 + other,
                    other % 2 == 0
                )
            })
            .collect();
        text += &format!(
            "[service.s{service}]\nreplicas = {}\nconcurrency = {}\nqueue = {}\ntimeout = \"{}ms\"\nbalance = \"{balance}\"\n\
             retry = {{ attempts = {} }}\ncold_start = {{ constant = \"{}ms\" }}\n\
             does = [{{ work = {{ lognormal = {{ mean = \"3ms\", cv = 1.5 }} }} }}, {{ calls = [{}] }}]\n",
            1 + dice.below(4),
            1 + dice.below(20),
            dice.below(10),
            5 + dice.below(300),
            1 + dice.below(4),
            dice.below(3_000),
            calls.join(", "),
        );
        for extra in [
            "outlier = {}",
            "breaker = { minimum_requests = 5, open = \"1s\" }",
            "bulkhead = { in_flight = 8, queue = 4, queue_timeout = \"30ms\" }",
            "health = { interval = \"500ms\" }",
            "slow_start = \"3s\"",
            "cache = { lru = 20 }",
            "noise = { every = \"700ms\", speeds = [1.0, 0.2, 0.0] }",
        ] {
            if dice.below(3) == 0 {
                text += &format!("{extra}\n");
            }
        }
    }
    for _ in 0..dice.below(5) {
        let what = pick(
            dice,
            &[
                "\"kill\"",
                "\"stop\"",
                "{ slow = 0.1 }",
                "{ fail = 0.5 }",
                "{ delay = \"20ms\" }",
                "{ partition = [\"a\", \"b\"] }",
            ],
        );
        let whom = pick(dice, &["service = \"s0\"\nreplicas = 1", "node = 1", "zone = \"b\""]);
        let lasts = pick(dice, &["lasts = \"4s\"", ""]);
        text += &format!("[[fault]]\nat = \"{}ms\"\n{lasts}\n{whom}\nwhat = {what}\n", dice.below(15_000));
    }
    text
}

#[test]
fn random_systems_answer_every_request_once_and_repeat() {
    let loads = [
        "open = { phases = [{ lasts = \"20s\", level = 150 }] }\nkeys = { uniform = { keys = 40 } }\n[steps.x]\nwrites = 0.3",
        "[closed]\nthink = { constant = \"50ms\" }\nphases = [{ lasts = \"10s\", from = 0, level = 30 }, { lasts = \"10s\", level = 5 }]",
        "open = { arrive = \"sessions\", phases = [{ lasts = \"20s\", level = 30 }] }\n[steps.x]\nnext = { x = 0.7 }\nthink = { constant = \"30ms\" }",
    ];
    for seed in 0..120 {
        let mut dice = Dice::new(seed);
        let system = random_system(&mut dice);
        let load = loads[dice.below(3) as usize];
        let once = || {
            let mut sim =
                sim(&system, load, seed).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{system}"));
            // Somebody scales while all this goes on.
            let mut until_ns = 0;
            let mut hand = Dice::new(seed);
            while sim.run_until(until_ns) {
                until_ns += 700_000_000;
                match hand.below(6) {
                    0 => sim.start_replica(0),
                    1 if sim.view(0).up > 1 => sim.stop_replica(0),
                    2 => sim.restart(hand.below(sim.fleet.replicas.len() as u64) as u32),
                    _ => {}
                }
            }
            sim.run()
        };
        let results = once();
        assert_eq!(results.ends.iter().sum::<u64>(), results.offered, "seed {seed}\n{system}");
        assert!(results.offered > 100, "seed {seed}");
        assert_eq!(once().digest(), results.digest(), "seed {seed}\n{system}");
    }
}

/// Memory is that of what is under way, however long the run.
#[test]
fn a_long_run_needs_no_more_room_than_a_short_one() {
    let system = format!("interval = \"1h\"\n{TOP}{}", SHOP.concat());
    let run = |hours: u64| {
        let load = format!("open = {{ phases = [{{ lasts = \"{hours}h\", level = 100 }}] }}");
        let spec: WorkloadSpec = toml::from_str(&load).unwrap();
        let workload = Workload::new(&spec, 1, &mut no_files()).unwrap();
        let mut sim = crate::sim::Sim::new(&toml::from_str(&system).unwrap(), workload, 1).unwrap();
        let results = sim.run();
        (results.calls_most, results.offered)
    };
    let ((short, few), (long, many)) = (run(1), run(4));
    assert!(many > 3 * few);
    assert!(long < 2 * short && long < 200, "{short} at most in one hour, {long} in four");
}
