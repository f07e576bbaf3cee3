//! What becomes of a service whose replicas die.

use super::{run, sim};
use crate::sim::Recovery;

const WORKLOAD: &str = "open = { phases = [{ lasts = \"3m\", level = 200 }] }";

fn recovery(what: &str, policies: &str) -> Recovery {
    let system = format!(
        "[service.shop]\nreplicas = 4\ntimeout = \"100ms\"\n\
         does = [{{ work = {{ exponential = {{ mean = \"5ms\" }} }} }}]\n{policies}\n\
         [[fault]]\nat = \"30s\"\nlasts = \"40s\"\nwhat = {what}\nservice = \"shop\"\nreplicas = 2\n"
    );
    sim(&system, WORKLOAD, 1).unwrap().run_through_fault().unwrap()
}

fn seconds(recovery: &Recovery, to: Option<u64>) -> f64 {
    (to.unwrap() - recovery.begins_ns) as f64 / 1e9
}

#[test]
fn what_cannot_be_connected_to_is_known_at_once() {
    let found = recovery("\"kill\"", "");
    assert!(seconds(&found, found.detected_ns) < 0.1, "{found:?}");
    assert!(seconds(&found, found.answered_ns) < 2.0, "{found:?}");
    let restored = seconds(&found, found.restored_ns);
    assert!((45.0..60.0).contains(&restored), "forty seconds down and a cold start of five: {found:?}");
}

#[test]
fn ejection_in_the_data_path_detects_long_before_slow_probes() {
    let quick = recovery("\"stop\"", "outlier = { max_ejected_percent = 50 }");
    let slow = recovery("\"stop\"", "health = { interval = \"10s\", unhealthy_after = 3 }");
    assert!(seconds(&quick, quick.detected_ns) < 2.0, "{quick:?}");
    assert!((20.0..=31.0).contains(&seconds(&slow, slow.detected_ns)), "{slow:?}");
    for recovery in [quick, slow] {
        assert!(recovery.detected_ns <= recovery.answered_ns.map(|at| at + 200_000_000), "{recovery:?}");
        let restored = seconds(&recovery, recovery.restored_ns);
        assert!(
            (30.0..120.0).contains(&restored),
            "an ejection of thirty seconds, or the fault: {recovery:?}"
        );
    }
}

#[test]
fn what_hangs_when_the_fault_is_detected_still_fails_afterwards() {
    let system = "[service.shop]\nreplicas = 4\ntimeout = \"10s\"\nhealth = { interval = \"1s\" }\n\
                  does = [{ work = { exponential = { mean = \"5ms\" } } }]\n\
                  [[fault]]\nat = \"30s\"\nlasts = \"20s\"\nwhat = \"stop\"\nservice = \"shop\"\nreplicas = 2\n";
    let found = sim(system, WORKLOAD, 1).unwrap().run_through_fault().unwrap();
    assert!((2.0..4.0).contains(&seconds(&found, found.detected_ns)), "{found:?}");
    // The last that was sent to a stopped replica fails 10 s after that.
    assert!((12.0..14.1).contains(&seconds(&found, found.answered_ns)), "{found:?}");
    // The workload ends before a minute of patience does.
    let (forever, short) =
        (system.replace("10s", "1m").replace("lasts = \"20s\"", ""), WORKLOAD.replace("3m", "55s"));
    let found = sim(&forever, &short, 1).unwrap().run_through_fault().unwrap();
    assert!(
        found.detected_ns.is_some() && found.answered_ns.is_none(),
        "what hung failed at the end: {found:?}"
    );
}

#[test]
fn without_any_policy_it_is_over_when_the_fault_is() {
    let none = recovery("{ fail = 1.0 }", "");
    assert!((40.0..41.0).contains(&seconds(&none, none.detected_ns)), "{none:?}");
    assert!((39.0..41.0).contains(&seconds(&none, none.answered_ns)), "{none:?}");
}

#[test]
fn a_system_without_faults_has_nothing_to_recover_from_and_looking_changes_nothing() {
    let system = "[service.shop]\nreplicas = 2\ndoes = [{ work = { constant = \"1ms\" } }]\n";
    let mut watched = sim(system, WORKLOAD, 3).unwrap();
    assert_eq!(watched.run_through_fault(), None);
    assert_eq!(watched.run().digest(), run(system, WORKLOAD, 3).digest());
    let system =
        format!("{system}[[fault]]\nat = \"10s\"\nlasts = \"5s\"\nwhat = \"kill\"\nservice = \"shop\"\n");
    let mut watched = sim(&system, WORKLOAD, 3).unwrap();
    assert!(watched.run_through_fault().is_some());
    assert_eq!(watched.run().digest(), run(&system, WORKLOAD, 3).digest());
}
