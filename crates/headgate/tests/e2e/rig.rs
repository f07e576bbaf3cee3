//! The rig: systems of real processes, and studies on them.

use crate::support::Wire;
use headgate_lab::rig::{GATEWAY, Layout, ProcessFault, RigError, System};
use std::path::Path;
use std::time::Duration;

/// Two replicas of a shop that calls a stock; the stock has one.
const SYSTEM: &str = r#"
entry = { "*" = "shop" }
[network]
rtt_within = "0s"
[service.shop]
replicas = 2
retry = { attempts = 2 }
does = [{ work = { constant = "1ms" } }, { calls = [{ service = "stock" }] }]
[service.stock]
does = [{ work = { constant = "1ms" } }]
"#;

fn start(text: &str) -> System {
    let layout = Layout::of(&toml::from_str(text).unwrap(), 1).unwrap();
    System::start(Path::new(env!("CARGO_BIN_EXE_headgate")), &layout).unwrap()
}

fn get(system: &System, path: &str) -> (u16, usize) {
    let answer = Wire::connect(system.gateway()).get(path);
    (answer.head.status(), answer.body.len())
}

fn pids(system: &System) -> Vec<u32> {
    let latest = |name: &str| system.samples(name).all().last().map(|sample| sample.pid);
    system.names().filter_map(latest).collect()
}

/// Whether the process is there and no zombie.
fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_system_answers_through_its_call_graph_and_leaves_no_process() {
    let system = start(SYSTEM);
    assert_eq!(system.names().collect::<Vec<_>>(), [GATEWAY, "shop-0", "shop-1", "stock-0"]);
    for key in 0..4 {
        assert_eq!(get(&system, &format!("/shop/{key}?bytes=5000")), (200, 5_000));
    }
    let calls = |name: &str| system.usage(name).unwrap().calls;
    assert_eq!((calls("shop-0"), calls("shop-1"), calls("stock-0")), (2, 2, 4));
    let used_ms = system.usage("stock-0").unwrap().used_core_ns / 1e6;
    assert!((used_ms - 4.0).abs() < 1e-6, "{used_ms} ms of virtual cores");
    let metrics = Wire::connect(system.admin()).ask("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert!(metrics.text().contains("headgate_requests_total"));
    let processes = pids(&system);
    assert_eq!(processes.len(), 4);
    assert!(processes.iter().all(|pid| lives(*pid)));
    system.stop().unwrap();
    assert!(!processes.iter().any(|pid| lives(*pid)), "a process is left");
}

#[test]
fn processes_are_harmed_by_name_and_come_back() {
    let system = start(SYSTEM);
    let stock = |fault| system.inject("stock-0", fault).map(|()| get(&system, "/shop/1").0);
    let lift = |fault| system.lift("stock-0", fault).map(|()| get(&system, "/shop/1").0);
    let kill = ProcessFault::Kill { cold_start: Duration::ZERO };
    assert_eq!(stock(kill).unwrap(), 500, "the stock is gone");
    assert_eq!(lift(kill).unwrap(), 200, "it is back at its address");
    let fail = ProcessFault::Fail { share: 1.0 };
    assert_eq!((stock(fail).unwrap(), lift(fail).unwrap()), (500, 200));
    system.inject("stock-0", ProcessFault::Stop).unwrap();
    let mut waiting = Wire::connect(system.gateway());
    waiting.send("GET /stock/1 HTTP/1.1\r\nHost: a\r\n\r\n");
    system.lift("stock-0", ProcessFault::Stop).unwrap();
    assert_eq!(waiting.response().head.status(), 200);
    let quota = ProcessFault::Quota { share: 0.5, period: Duration::from_millis(20) };
    system.inject(GATEWAY, quota).unwrap();
    assert_eq!(get(&system, "/shop/1").0, 200);
    system.lift(GATEWAY, quota).unwrap();
    let refused = system.inject(GATEWAY, ProcessFault::Slow { share: 0.5 }).unwrap_err();
    assert!(matches!(refused, RigError::Meaningless { .. }), "{refused}");
    let unknown = system.inject("shop-7", ProcessFault::Stop).unwrap_err().to_string();
    assert!(unknown.contains("shop-7") && unknown.contains("shop-1"), "{unknown}");
    system.stop().unwrap();
}

#[test]
fn a_process_that_ends_by_itself_is_named_with_its_last_lines() {
    let mut layout = Layout::of(&toml::from_str(SYSTEM).unwrap(), 1).unwrap();
    layout.replicas[1].replica.cpus = -1.0;
    let program = Path::new(env!("CARGO_BIN_EXE_headgate"));
    let error = System::start(program, &layout).unwrap_err().to_string();
    assert!(error.contains("shop-1") && error.contains("the cores are a number above zero"), "{error}");
    let error = System::start(Path::new("/nowhere/headgate"), &layout).unwrap_err().to_string();
    assert!(error.contains("cannot start the process"), "{error}");
}
