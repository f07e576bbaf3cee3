//! The rig: systems of real processes, and studies on them.

use crate::support::{PATIENCE, Wire, headgate, output, scratch};
use headgate_lab::rig::{ClockError, GATEWAY, Layout, ProcessFault, RigError, System};
use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

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
    let slow = ProcessFault::Slow { share: 0.0 };
    let usage = || system.usage("stock-0").unwrap();
    system.inject("stock-0", slow).unwrap();
    let before = usage();
    let mut waiting = Wire::connect(system.gateway());
    waiting.send("GET /stock/1 HTTP/1.1\r\nHost: a\r\n\r\n");
    while usage().calls == before.calls {
        std::thread::yield_now();
    }
    assert_eq!(usage().used_core_ns, before.used_core_ns, "it works on at no speed");
    system.lift("stock-0", slow).unwrap();
    assert_eq!(waiting.response().head.status(), 200);
    let delay = ProcessFault::Delay { by: Duration::from_micros(10) };
    assert_eq!((stock(delay).unwrap(), lift(delay).unwrap()), (200, 200));
    system.inject("shop-0", ProcessFault::MemoryCap { bytes: 1 << 33 }).unwrap();
    let pid = system.samples("shop-0").all()[0].pid;
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let limit = limits.lines().find(|line| line.starts_with("Max address space")).unwrap();
    assert!(limit.contains("8589934592"), "{limit}");
    let refused = system.inject(GATEWAY, ProcessFault::Slow { share: 0.5 }).unwrap_err();
    assert!(matches!(refused, RigError::Meaningless { .. }), "{refused}");
    let unknown = system.inject("shop-7", ProcessFault::Stop).unwrap_err().to_string();
    assert!(unknown.contains("shop-7") && unknown.contains("shop-1"), "{unknown}");
    system.stop().unwrap();
}

#[test]
fn the_clock_of_one_process_is_set_and_put_right() {
    let mut layout = Layout::of(&toml::from_str(SYSTEM).unwrap(), 1).unwrap();
    layout.clocks.insert(GATEWAY.to_owned());
    let system = match System::start(Path::new(env!("CARGO_BIN_EXE_headgate")), &layout) {
        Err(RigError::System { source, .. }) if source.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: {source}");
            return;
        }
        system => system.unwrap(),
    };
    let waits_for = |clock: &dyn Fn(SystemTime) -> bool| {
        let started = Instant::now();
        loop {
            // No route: the gateway answers for itself, with its date.
            let answer = Wire::connect(system.gateway()).get("/");
            if clock(httpdate::parse_http_date(answer.head.value("date").unwrap()).unwrap()) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "the clock is not set");
        }
    };
    let half_an_hour = Duration::from_secs(1_800);
    let behind = ProcessFault::Clock(ClockError::Behind(2 * half_an_hour));
    system.inject(GATEWAY, behind).unwrap();
    waits_for(&|date| date + half_an_hour < SystemTime::now());
    assert_eq!(get(&system, "/shop/1").0, 200);
    system.lift(GATEWAY, behind).unwrap();
    waits_for(&|date| date + half_an_hour > SystemTime::now());
    let refused = system.inject("shop-0", behind).unwrap_err();
    assert!(matches!(refused, RigError::Meaningless { .. }), "{refused}");
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

/// A second of load on a small system, with a replica that dies and comes back.
const STUDY: &str = r#"
name = "tiny"
question = "Does it work on processes?"
repeats = 1
[system]
interval = "1s"
entry = { "*" = "shop" }
[system.service.shop]
replicas = 2
retry = { attempts = 2 }
health = { interval = "50ms", unhealthy_after = 1, healthy_after = 1 }
cold_start = { constant = "1ms" }
does = [{ work = { exponential = { mean = "2ms" } } }]
[[system.fault]]
at = "1s"
lasts = "200ms"
what = "kill"
service = "shop"
replicas = 1
[workload.open]
phases = [{ lasts = "1s", level = 100 }, { lasts = "3s", level = 100, measured = false }]
[[factor]]
name = "balance"
level = [{ name = "random", set.system.service.shop.balance = "random" }, { name = "p2c", set.system.service.shop.balance = "p2c" }]
"#;

fn runs(out: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(out.join("runs.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_study_runs_on_both_grounds_into_one_report() {
    let scratch = scratch();
    let (file, out) = (scratch.file("tiny.toml"), scratch.file("results"));
    std::fs::write(&file, STUDY).unwrap();
    let run = |flag: &str| {
        let done = output(&["lab", "run", file.to_str().unwrap(), "--out", out.to_str().unwrap(), flag]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    run("--sim");
    run("--rig");
    let runs = runs(&out);
    // Simulated ones end in any order.
    let on = |ground: &str| {
        let mut runs: Vec<_> = runs.iter().filter(|run| run["ground"] == ground).collect();
        runs.sort_by_key(|run| run["levels"].to_string());
        runs
    };
    assert_eq!((on("sim").len(), on("rig").len()), (2, 2));
    for (sim, rig) in on("sim").iter().zip(on("rig")) {
        assert_eq!((&sim["levels"], &sim["seed"]), (&rig["levels"], &rig["seed"]));
        for measure in
            ["latency_mean_ms", "latency_p95_ms", "throughput_per_s", "success_percent", "cpu_percent"]
        {
            assert!(rig["measures"][measure].as_f64().unwrap() > 0.0, "{measure}: {rig}");
        }
        for interval in ["detect_s", "recovery_s"] {
            assert!(rig["measures"][interval].as_f64().is_some(), "{interval}: {rig}");
        }
        let processes: Vec<&String> = rig["processes"].as_object().unwrap().keys().collect();
        assert_eq!(processes, ["gateway", "shop-0", "shop-1"]);
    }
    let html = std::fs::read_to_string(out.join("report.html")).unwrap();
    for piece in ["4 of 4", "Simulator and rig", "off by", "Processes of the rig"] {
        assert!(html.contains(piece), "{piece}");
    }
    // Nothing is missing: nothing is run again.
    run("--rig");
    assert_eq!(self::runs(&out).len(), 4);
}

#[test]
fn what_processes_cannot_show_is_refused_by_its_key_before_anything_runs() {
    let scratch = scratch();
    let (file, out) = (scratch.file("tiny.toml"), scratch.file("results"));
    let cache = "does = [{ work = { exponential = { mean = \"2ms\" } } }]\ncache = { ratio = 0.5 }";
    std::fs::write(&file, STUDY.replace("does = [{ work = { exponential = { mean = \"2ms\" } } }]", cache))
        .unwrap();
    let refused = output(&["lab", "run", file.to_str().unwrap(), "--out", out.to_str().unwrap(), "--rig"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("with balance=random"), "{told}");
    assert!(told.contains("system.service.shop.cache: has no counterpart"), "{told}");
    assert!(!out.exists(), "nothing was begun");
}

#[test]
fn a_rule_of_the_data_path_is_a_fault_of_a_study_on_the_rig_alone() {
    let scratch = scratch();
    let (file, out) = (scratch.file("tiny.toml"), scratch.file("results"));
    let run = |what: &str, ground: &str| {
        let fault = "at = \"1s\"\nlasts = \"200ms\"\nwhat = \"kill\"\nservice = \"shop\"\nreplicas = 1";
        assert!(STUDY.contains(fault));
        let rule = format!("at = \"0s\"\nwhat = {{ chaos = {what} }}\nservice = \"shop\"");
        std::fs::write(&file, STUDY.replace(fault, &rule)).unwrap();
        let done = output(&["lab", "run", file.to_str().unwrap(), "--out", out.to_str().unwrap(), ground]);
        (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (begun, told) = run("{ fault = \"stall\", percent = 200 }", "--rig");
    assert!(!begun && told.contains("system.fault[0].what.chaos.percent: out of range"), "{told}");
    let rule = "{ fault = { abort = { status = 503 } }, percent = 50 }";
    let (begun, told) = run(rule, "--sim");
    assert!(!begun && told.contains("system.fault[0].what.chaos is for the rig: write --rig"), "{told}");
    assert!(!out.exists(), "nothing was begun");
    let (done, told) = run(rule, "--rig");
    assert!(done, "{told}");
    for run in runs(&out) {
        let success = run["measures"]["success_percent"].as_f64().unwrap();
        assert!((20.0..95.0).contains(&success), "half of the attempts fail, and some a second time: {run}");
    }
}

#[test]
fn no_process_outlives_a_lab_that_is_killed() {
    let scratch = scratch();
    let file = scratch.file("long.toml");
    std::fs::write(&file, STUDY.replace("lasts = \"1s\"", "lasts = \"1h\"")).unwrap();
    let mut command = headgate();
    command.args([
        "lab",
        "run",
        file.to_str().unwrap(),
        "--out",
        scratch.file("out").to_str().unwrap(),
        "--rig",
    ]);
    let mut lab = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let mut children = Vec::new();
    while children.len() < 3 {
        assert!(begun.elapsed() < PATIENCE, "its processes do not come: {children:?}");
        children = children_of(lab.id());
        std::thread::yield_now();
    }
    lab.kill().unwrap();
    lab.wait().unwrap();
    while children.iter().any(|pid| lives(*pid)) {
        assert!(begun.elapsed() < 2 * PATIENCE, "a process is left of {children:?}");
        std::thread::yield_now();
    }
}

fn children_of(parent: u32) -> Vec<u32> {
    let folders =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let child = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        (rest.split_whitespace().nth(1)?.parse() == Ok(parent)).then_some(pid)
    };
    folders.filter_map(|name| name.parse().ok()).filter_map(child).collect()
}
