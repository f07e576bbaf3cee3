//! What becomes of a service whose replicas die.

use super::{run, sim};
use crate::sim::Recovery;

const WORKLOAD: &str = "open = { phases = [{ lasts = \"3m\", level = 200 }] }";

fn recovery(policies: &str) -> Recovery {
    let system = format!(
        "[service.shop]\nreplicas = 4\ndoes = [{{ work = {{ exponential = {{ mean = \"5ms\" }} }} }}]\n{policies}\n\
         [[fault]]\nat = \"30s\"\nlasts = \"40s\"\nwhat = \"kill\"\nservice = \"shop\"\nreplicas = 2\n"
    );
    sim(&system, WORKLOAD, 1).unwrap().run_through_fault().unwrap()
}

fn seconds(recovery: &Recovery, to: Option<u64>) -> f64 {
    (to.unwrap() - recovery.begins_ns) as f64 / 1e9
}

#[test]
fn ejection_in_the_data_path_detects_long_before_slow_probes() {
    let quick = recovery("outlier = { max_ejected_percent = 50 }");
    let slow = recovery("health = { interval = \"10s\", unhealthy_after = 3 }");
    assert!(seconds(&quick, quick.detected_ns) < 2.0, "{quick:?}");
    assert!((20.0..=31.0).contains(&seconds(&slow, slow.detected_ns)), "{slow:?}");
    for recovery in [quick, slow] {
        assert!(recovery.detected_ns <= recovery.answered_ns.map(|at| at + 200_000_000), "{recovery:?}");
        let restored = seconds(&recovery, recovery.restored_ns);
        assert!(
            (45.0..120.0).contains(&restored),
            "forty seconds down and a cold start of five: {recovery:?}"
        );
    }
}

#[test]
fn without_any_policy_it_is_over_when_the_fault_is() {
    let none = recovery("");
    assert!((45.0..46.0).contains(&seconds(&none, none.detected_ns)), "{none:?}");
    assert!((44.0..46.0).contains(&seconds(&none, none.answered_ns)), "{none:?}");
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
