//! The way of calls through graphs, networks, caches and limits, with constant times, so that the expected
//! latency is a sum.

use super::{run, sim};
use crate::sim::End;

/// One request each second: nobody meets anybody.
const QUIET: &str = "open = { spacing = \"constant\", phases = [{ lasts = \"101s\", level = 1 }] }";

fn mean_ms(system: &str) -> f64 {
    let results = run(system, QUIET, 1);
    assert_eq!((results.ok(), results.failed()), (100, 0));
    results.latency.mean_ns() / 1e6
}

#[test]
fn sequential_calls_add_up_and_parallel_ones_take_the_longest() {
    let leaves = "
        [service.a]
        does = [{ work = { constant = \"5ms\" } }]
        [service.b]
        does = [{ work = { constant = \"20ms\" } }]
        [service.front]";
    let rest = "entry = { \"*\" = \"front\" }\nnetwork = { rtt_within = \"1ms\" }";
    let front =
        |calls: &str| format!("{rest}{leaves}\ndoes = [{{ work = {{ constant = \"2ms\" }} }}, {calls}]");
    let one_by_one = front("{ calls = [{ service = \"a\" }] }, { calls = [{ service = \"b\" }] }");
    assert!((mean_ms(&one_by_one) - (1.0 + 2.0 + 6.0 + 21.0)).abs() < 1e-3);
    let at_once =
        front("{ calls = [{ service = \"a\" }, { service = \"b\" }] }, { work = { constant = \"3ms\" } }");
    assert!((mean_ms(&at_once) - (1.0 + 2.0 + 21.0 + 3.0)).abs() < 1e-3);
}

#[test]
fn zones_are_as_far_apart_as_the_matrix_says() {
    let system = |zone: &str| {
        format!(
            "nodes = {{ count = 2 }}
            gateway = {{ zone = \"{zone}\" }}
            network = {{ zones = [\"eu\", \"us\", \"as\"], rtt_within = \"2ms\", rtt_between = \"50ms\",
                         rtt = [{{ zones = [\"us\", \"eu\"], rtt = \"80ms\" }}] }}
            [service.only]
            nodes = [1]
            does = [{{ work = {{ constant = \"1ms\" }} }}]"
        )
    };
    for (zone, expected) in [("eu", 81.0), ("us", 3.0), ("as", 51.0)] {
        let mean = mean_ms(&system(zone));
        assert!((mean - expected).abs() < 1e-3, "{zone}: {mean}");
    }
}

#[test]
fn larger_answers_take_more_work() {
    let system = "network = { rtt_within = \"0s\" }\n[service.only]\nwork_per_kib = \"10us\"\n\
                  does = [{ work = { constant = \"1ms\" } }]";
    let workload = format!("{QUIET}\n[steps.all]\nresponse = {{ constant = \"100KiB\" }}");
    let mean = run(system, &workload, 1).latency.mean_ns() / 1e6;
    assert!((mean - 2.0).abs() < 1e-3, "{mean}");
}

#[test]
fn a_call_that_is_optional_may_fail() {
    for (optional, failed) in [(false, 100), (true, 0)] {
        let system = format!(
            "entry = {{ \"*\" = \"front\" }}
            [service.front]
            does = [{{ work = {{ constant = \"1ms\" }} }}, {{ calls = [{{ service = \"ads\", optional = {optional} }}] }}]
            [service.ads]
            does = [{{ work = {{ constant = \"1ms\" }} }}]
            [[fault]]
            at = \"0s\"
            service = \"ads\"
            what = {{ fail = 1.0 }}"
        );
        let results = run(&system, QUIET, 1);
        assert_eq!(results.failed(), failed, "optional: {optional}");
        assert_eq!(results.services[0].name, "ads");
        assert_eq!(results.services[0].ends[End::Error as usize], 100);
    }
}

/// 200 requests a second for one core that does 100.
#[test]
fn an_overload_fills_the_queue_and_then_is_refused() {
    let system = "[service.only]\nconcurrency = 1\nqueue = 10\ndoes = [{ work = { constant = \"10ms\" } }]";
    let workload = "open = { spacing = \"constant\", phases = [{ lasts = \"20s\", level = 200 }] }";
    let results = run(system, workload, 1);
    let full = results.ends[End::Full as usize];
    assert_eq!(results.ok() + full, results.offered);
    assert!((1_980..2_020).contains(&full), "{full}");
    let longest_ms = results.latency.quantile_ns(1.0) as f64 / 1e6;
    assert!((109.0..112.0).contains(&longest_ms), "eleven jobs and the way: {longest_ms}");
}

#[test]
fn a_bulkhead_refuses_at_once_what_it_cannot_hold() {
    let system = "[service.only]\nbulkhead = { in_flight = 2, queue = 3, queue_timeout = \"15ms\" }\n\
                  does = [{ work = { constant = \"10ms\" } }]";
    let workload = "open = { spacing = \"constant\", phases = [{ lasts = \"20s\", level = 200 }] }";
    let results = run(system, workload, 1);
    let [overloaded, timeout] = [End::Overloaded, End::QueueTimeout].map(|end| results.ends[end as usize]);
    assert!(overloaded + timeout > 1_500, "{:?}", results.ends);
    assert!(results.ok() > 1_500, "what is let in is answered: {:?}", results.ends);
    let longest_ms = results.latency.quantile_ns(1.0) as f64 / 1e6;
    assert!(longest_ms < 15.0 + 20.0 + 2.0, "{longest_ms}");
}

/// The replica works on after its caller has gone: the answers of all that was started use its core.
#[test]
fn a_timeout_gives_up_the_attempt_and_not_the_work() {
    let system = "nodes = { count = 1, vcpus = 1.0 }\n[service.only]\ntimeout = \"5ms\"\n\
                  does = [{ work = { constant = \"400ms\" } }]";
    let results = run(system, QUIET, 1);
    assert_eq!(results.ends[End::Timeout as usize], 100);
    let known_ms = results.failures.mean_ns() / 1e6;
    assert!((known_ms - 5.0).abs() < 0.1, "{known_ms}");
    let used = results.services[0].used_core_ns / 1e9;
    assert!((35.0..41.0).contains(&used), "{used} s of a core");
}

#[test]
fn caches_answer_for_the_service() {
    let system = |cache: &str| {
        format!("[service.only]\ncache = {cache}\ndoes = [{{ work = {{ constant = \"1ms\" }} }}]")
    };
    let workload =
        "open = { phases = [{ lasts = \"100s\", level = 100 }] }\nkeys = { uniform = { keys = 50 } }";
    let by_ratio = run(&system("{ ratio = 0.8 }"), workload, 1);
    let only = &by_ratio.services[0];
    assert_eq!(only.cache_hits + only.attempts, by_ratio.offered);
    assert!((only.cache_hits as f64 / by_ratio.offered as f64 - 0.8).abs() < 0.02);
    let large = run(&system("{ lru = 50 }"), workload, 1);
    assert!((50..55).contains(&large.services[0].attempts), "each key is fetched about once");
    let small = run(&system("{ lru = 25 }"), workload, 1);
    let hits = small.services[0].cache_hits as f64 / small.offered as f64;
    assert!((hits - 0.5).abs() < 0.03, "half of the keys fit: {hits}");
    let writing = format!("{workload}\n[steps.all]\nwrites = 0.5");
    let purged = run(&system("{ lru = 50 }"), &writing, 1);
    assert!(purged.services[0].attempts > 5_000, "writes go through, and the next read too");
}

#[test]
fn memory_is_that_of_processes_and_calls() {
    let system = "nodes = { count = 1, memory = \"1GiB\" }\nnetwork = { rtt_within = \"0s\" }\n[service.only]\n\
                  replicas = 2\ncpus = 4.0\nmemory = \"256MiB\"\nmemory_per_call = \"128MiB\"\n\
                  does = [{ work = { constant = \"500ms\" } }]";
    let results =
        run(system, "open = { spacing = \"constant\", phases = [{ lasts = \"200s\", level = 2 }] }", 1);
    let (cpu, memory) = results.cpu_and_memory();
    assert!((cpu - 1.0 / 8.0).abs() < 0.01, "{cpu}");
    assert!((memory - (512.0 + 128.0) / 1024.0).abs() < 0.01, "{memory}");
}

/// Years of work and delay in every place where they can be written.
#[test]
fn the_longest_durations_do_not_overflow() {
    let system = "[service.only]\nwork_per_kib = \"8760h\"\ntimeout = \"8760h\"\ncold_start = { constant = \"8760h\" }\n\
                  does = [{ work = { constant = \"8760h\" } }]\n\
                  [[fault]]\nat = \"10s\"\nlasts = \"1s\"\nservice = \"only\"\nwhat = \"kill\"";
    let delays = "\n[[fault]]\nat = \"0s\"\nservice = \"only\"\nwhat = { delay = \"8760h\" }".repeat(600);
    let system = format!("interval = \"8760h\"\nnetwork = {{ rtt_within = \"8760h\" }}\n{system}{delays}");
    let workload = format!("{QUIET}\n[steps.all]\nresponse = {{ constant = \"1GiB\" }}");
    let results = run(&system, &workload, 1);
    assert_eq!((results.ok(), results.ends[End::Timeout as usize]), (0, 100));
}

#[test]
fn mistakes_are_named_with_their_remedy() {
    let work = "does = [{ work = { constant = \"1ms\" } }]";
    for (system, expected) in [
        (String::new(), "service: is empty; write at least one service"),
        ("[service.a]".to_owned(), "service.a.does: does not begin with work; "),
        (format!("[service.a]\nreplicas = 0\n{work}"), "service.a.replicas: is 0, not from 1 to 50000; "),
        (
            format!("[service.a]\ncpus = 0\n{work}"),
            "service.a.cpus: is 0; write a number of cores above zero",
        ),
        (format!("[service.a]\ntimeout = \"0s\"\n{work}"), "service.a.timeout: is zero; "),
        (
            format!("[service.a]\nnodes = [10]\n{work}"),
            "service.a.nodes: has 10; write numbers below nodes.count",
        ),
        (format!("[service.a]\ncache = {{ ratio = 2.0 }}\n{work}"), "service.a.cache.ratio: is 2; "),
        (
            "[service.a]\ndoes = [{ work = { constant = \"1ms\" } }, { calls = [{ service = \"b\" }] }]"
                .to_owned(),
            "service.a.does[1].calls[0].service: `b` is not a service; ",
        ),
        (
            "[service.a]\ndoes = [{ work = { constant = \"1ms\" } }, { calls = [{ service = \"a\" }] }]"
                .to_owned(),
            "service.a: calls `a`, which needs it in turn; break the circle",
        ),
        (
            format!("[service.a]\n{work}\n[service.b]\n{work}"),
            "entry.all: is missing; say which service takes it",
        ),
        (format!("entry = {{ x = \"a\" }}\n[service.a]\n{work}"), "entry.x: is not a step; "),
        (format!("network = {{ zones = [] }}\n[service.a]\n{work}"), "network.zones: has 0 zones; "),
        (format!("gateway = {{ zone = \"x\" }}\n[service.a]\n{work}"), "gateway.zone: `x` is not a zone; "),
        (format!("interval = \"10us\"\n[service.a]\n{work}"), "interval: makes more than 100000 rows; "),
        (
            format!("[service.a]\n{work}\n[[fault]]\nat = \"1s\"\nwhat = \"kill\""),
            "fault[0]: strikes nobody, or too many; ",
        ),
        (
            format!("[service.a]\n{work}\n[[fault]]\nat = \"1s\"\nservice = \"a\"\nwhat = {{ slow = 7.0 }}"),
            "fault[0].what.slow: is 7; write a share from 0 to 1",
        ),
        (
            format!("[service.a]\n{work}\n[[fault]]\nat = \"1s\"\nwhat = {{ partition = [\"one\", \"x\"] }}"),
            "fault[0].what.partition: `x` is not a zone; ",
        ),
    ] {
        let error = sim(&system, QUIET, 1).map(|_| ()).expect_err(&system);
        assert!(error.starts_with(expected), "{system}\n{error}");
    }
    assert!(sim("[service.a]\nreplica = 3", QUIET, 1).map(|_| ()).unwrap_err().contains("unknown field"));
}

#[test]
fn what_is_used_is_measured_whatever_the_phases_have_of_an_interval() {
    // 100 requests a second of 5 ms are half of one of two cores; the row of 10 s has other phases around them.
    let system = "nodes = { count = 1, vcpus = 2.0 }\nnetwork = { rtt_within = \"0s\" }\n[service.only]\n\
                  does = [{ work = { constant = \"5ms\" } }]";
    let workload = "open = { spacing = \"constant\", phases = [
        { lasts = \"1500ms\", level = 1, measured = false }, { lasts = \"4s\", level = 100 },
        { lasts = \"17s\", level = 1, measured = false }] }";
    let results = run(system, workload, 1);
    let (cpu, memory) = results.cpu_and_memory();
    assert!((cpu - 0.25).abs() < 0.002, "{cpu}");
    assert!(memory > 0.0);
    let ends: Vec<f64> = results.rows.iter().map(|row| row.end_ns as f64 / 1e9).take(5).collect();
    assert_eq!(ends[..4], [1.5, 5.5, 10.0, 20.0], "{ends:?}");
}

#[test]
fn time_goes_on_for_users_who_neither_think_nor_wait() {
    let users = "closed = { think = { constant = \"0s\" }, phases = [{ lasts = \"1s\", level = 3 }] }";
    let at_once = "network = { rtt_within = \"0s\" }\n[service.only]\nreplicas = 1\n";
    let failing = "[[fault]]\nat = \"0s\"\nwhat = { fail = 1.0 }\nservice = \"only\"";
    for system in [
        format!("{at_once}does = [{{ work = {{ constant = \"0s\" }} }}]"),
        format!("{at_once}cache = {{ ratio = 1.0 }}\ndoes = [{{ work = {{ constant = \"1ms\" }} }}]"),
        format!("{at_once}does = [{{ work = {{ constant = \"1ms\" }} }}]\n{failing}"),
    ] {
        let results = run(&system, users, 1);
        assert_eq!(results.offered, 30_000, "{system}");
    }
}

#[test]
fn sessions_without_an_end_do_not_outlive_the_workload() {
    let workload = "open = { arrive = \"sessions\", phases = [{ lasts = \"2s\", level = 10 }] }\n\
                    [steps.a]\nnext = { a = 1.0 }\nthink = { constant = \"100ms\" }";
    let results = run("[service.only]\ndoes = [{ work = { constant = \"1ms\" } }]", workload, 1);
    assert!(results.offered > 50, "{}", results.offered);
    assert!(results.end_ns < 3_000_000_000, "{}", results.end_ns);
}
