//! `headgate lab gameday` against a real gateway: what it finds out, and that nothing of it stays.

use crate::support::{
    Headgate, LISTEN, PATIENCE, Port, Scratch, Service, Wire, headgate, one_service, output, response,
    scratch,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A gateway in front of two services.
struct System {
    gateway: Headgate,
    services: [Service; 2],
    admin: Port,
    scratch: Scratch,
}

fn system(service: &str) -> System {
    let (services, admin) = ([Service::named("ada"), Service::named("grace")], Port::reserve());
    let endpoints = [services[0].address, services[1].address];
    let config =
        format!("admin = {{ bind = \"{}\" }}\n{}", admin.address, one_service("", service, &endpoints));
    System { gateway: Headgate::start(&config), services, admin, scratch: scratch() }
}

impl System {
    /// A game day of about three seconds; `rest` is its method and what else it needs.
    fn file(&self, rest: &str) -> String {
        let text = format!(
            "name = \"day\"
             hypothesis = \"Nobody notices.\"
             seed = 1
             system.gateway = \"http://{}\"
             system.admin = \"{}\"
             system.target.ada.endpoint = \"{}\"
             system.target.grace.endpoint = \"{}\"
             load = {{ rate = 100, timeout = \"20s\" }}
             stages = {{ warm_up = \"0s\", before = \"1s\", after = \"1s\" }}
             {rest}",
            self.gateway.listener("web"),
            self.admin.address,
            self.services[0].address,
            self.services[1].address,
        );
        let file = self.scratch.file("day.toml");
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn out(&self) -> String {
        self.scratch.file("out").to_str().unwrap().to_owned()
    }

    /// Exit code, and what was said.
    fn run(&self, rest: &str) -> (Option<i32>, String) {
        said(&output(&["lab", "gameday", &self.file(rest), "--out", &self.out(), "--quiet"]))
    }

    /// The same in the background.
    fn spawn(&self, rest: &str) -> Child {
        let mut command = headgate();
        command.args(["lab", "gameday", &self.file(rest), "--out", &self.out(), "--quiet"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn report(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.scratch.file("out/report.json")).unwrap()).unwrap()
    }

    fn rules(&self) -> Vec<Value> {
        let mut wire = Wire::connect(self.admin.address);
        let text = wire.ask("GET /chaos HTTP/1.1\r\nHost: localhost\r\n\r\n").text();
        let listed: Value = serde_json::from_str(&text).unwrap();
        listed["rules"].as_array().unwrap().clone()
    }

    /// Waits until the gateway has so many rules.
    fn wait_for_rules(&self, count: usize) {
        let started = Instant::now();
        while self.rules().len() != count {
            assert!(started.elapsed() < PATIENCE, "{:?}", self.rules());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn said(output: &Output) -> (Option<i32>, String) {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

const RETRY: &str = "retry = { attempts = 2, backoff = \"0s\", budget_percent = 100 }";
const CAP: &str = "blast_radius = { requests_percent = 100, endpoints_percent = 50 }\n";
const PROBES: &str = "[[probe]]\nname = \"no errors\"\nload = \"errors<=0%\"\n\
                      [[probe]]\nname = \"alive\"\nhttp = { url = \"admin:/healthz\" }\n";
const DOWN: &str = "[[method]]\nname = \"dies\"\nat = \"200ms\"\nlasts = \"1s\"\ntargets = [\"ada\", \"grace\"]\n\
                    pick = 1\nchaos = { fault = \"down\" }\n";
const ABORT: &str = "[[abort]]\nload = \"errors>90%\"\nfor = \"1h\"\n";
/// Longer than any test waits.
const LONG: &str = "[[method]]\nname = \"dies\"\nat = \"0s\"\nlasts = \"1h\"\ntargets = [\"ada\"]\n\
                    chaos = { fault = { abort = { status = 503 } } }\n";

#[test]
fn a_hypothesis_that_holds() {
    let system = system(RETRY);
    let (code, text) = system.run(&format!("{CAP}{PROBES}{DOWN}{ABORT}"));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("the hypothesis held") && text.contains("rolled back    1 of 1"), "{text}");
    let report = system.report();
    assert_eq!((&report["verdict"], &report["budget"]["failed"]), (&Value::from("held"), &Value::from(0)));
    let fault = &report["faults"][0];
    assert!(fault["hits"].as_u64().unwrap() > 0 && fault["rolled_back"] == true, "{fault}");
    assert!(fault["mitigated_s"] == 0.0 && report["stages"].as_array().unwrap().len() == 3);
    assert!(system.rules().is_empty());
    let page = fs::read_to_string(system.scratch.file("out/report.html")).unwrap();
    for piece in ["Nobody notices.", "the hypothesis held", "no errors", "Faults", "error budget"] {
        assert!(page.contains(piece), "{piece}");
    }
}

#[test]
fn a_hypothesis_that_does_not_hold() {
    let system = system("");
    let failing = DOWN.replace("\"down\"", "{ abort = { status = 503 } }");
    let (code, text) = system.run(&format!("{CAP}{PROBES}{failing}{ABORT}"));
    assert_eq!(code, Some(3), "{text}");
    let report = system.report();
    assert_eq!(report["verdict"], "not_held");
    let probe = |stage: &str| {
        let probes = report["probes"].as_array().unwrap();
        let found = probes.iter().find(|probe| probe["name"] == "no errors" && probe["stage"] == stage);
        found.unwrap()["passed"].as_bool().unwrap()
    };
    assert!(probe("before") && !probe("during") && probe("after"), "{text}");
    assert!(report["budget"]["spent_percent"].as_f64().unwrap() > 100.0);
    assert!(report["score"]["total"].as_f64().unwrap() < 100.0);
    assert!(system.rules().is_empty());
}

#[test]
fn without_a_steady_state_nothing_is_done() {
    let system = system("");
    let odd = "[[probe]]\nname = \"odd\"\nhttp = { url = \"/\", contains = \"not there\" }\n";
    let (code, text) = system.run(&format!("{CAP}{PROBES}{odd}{DOWN}{ABORT}"));
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("not begun") && text.contains("does not contain"), "{text}");
    let report = system.report();
    assert_eq!(
        (&report["verdict"], report["faults"].as_array().unwrap().len()),
        (&Value::from("not_begun"), 0)
    );
    assert!(!output(&["chaos", "list", "--admin", &system.admin.address.to_string()]).stdout.is_empty());
}

#[test]
fn a_condition_to_abort_takes_all_faults_back() {
    let system = system("");
    let abort = "[[abort]]\nload = \"errors>10%\"\n";
    let (code, text) = system.run(&format!("{CAP}{PROBES}{LONG}{abort}"));
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("aborted: errors>10%: "), "{text}");
    let report = system.report();
    assert_eq!((&report["verdict"], &report["faults"][0]["rolled_back"]), (&"aborted".into(), &true.into()));
    assert!(report["aborts"][0]["met_at_s"].is_number());
    // It was looked at how the system does without the fault.
    assert!(
        report["probes"].as_array().unwrap().iter().any(|it| it["stage"] == "after" && it["passed"] == true)
    );
    assert!(system.rules().is_empty());
}

#[test]
fn a_blast_radius_beyond_the_cap_is_refused_up_front() {
    let system = system("");
    let narrow = "blast_radius = { requests_percent = 20 }\n";
    let (code, text) = system.run(&format!("{narrow}{PROBES}{LONG}{ABORT}"));
    assert!(code == Some(1) && text.contains("50.0 % of the requests would be hit, above 20 %"), "{text}");
    assert!(text.contains("day.toml:"), "{text}");
    // By the file alone it fits; the gateway knows better.
    let unknown = LONG.replace("targets = [\"ada\"]", "targets = [\"other\"]");
    let target = "system.target.other.endpoint = \"127.0.0.1:1\"\n";
    let (code, text) = system.run(&format!("{target}{CAP}{PROBES}{unknown}{ABORT}"));
    assert!(code == Some(1) && text.contains("the gateway has no such endpoint"), "{text}");
    assert!(!system.scratch.file("out/report.json").exists());
    // What a command without targets reaches is not known.
    let all = "[[method]]\nname = \"all\"\nat = \"0s\"\nlasts = \"1h\"\n\
               command = { run = [\"true\"], undo = [\"true\"] }\n";
    let (code, text) = system.run(&format!("{narrow}{PROBES}{all}{ABORT}"));
    assert!(code == Some(1) && text.contains("100.0 % of the requests"), "{text}");
}

#[test]
fn a_blast_radius_that_grows_beyond_the_cap_aborts() {
    // Whoever fails at once has the fewest requests, and so gets the next: a black hole. The plan says half.
    let slow = Service::start(|_| {
        thread::sleep(Duration::from_millis(20));
        response(&[], b"slow")
    });
    let mut system = system("balance = \"least_requests\"");
    let config = fs::read_to_string(system.gateway.config_file()).unwrap();
    let config = config.replace(&system.services[1].address.to_string(), &slow.address.to_string());
    system.services[1] = slow;
    system.gateway = Headgate::start(&config);
    let rest = format!("blast_radius = {{ requests_percent = 60 }}\n{PROBES}{LONG}{ABORT}");
    let file = system.file(&rest);
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("rate = 100", "users = 10")).unwrap();
    let (code, text) = said(&output(&["lab", "gameday", &file, "--out", &system.out(), "--quiet"]));
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("aborted: the blast radius: ") && text.contains("above 60 %"), "{text}");
    assert!(system.rules().is_empty());
}

#[test]
fn an_interrupted_or_killed_game_day_leaves_nothing_behind() {
    let system = system("");
    let (done, undone) = (system.scratch.file("done"), system.scratch.file("undone"));
    let command = format!(
        "[[method]]\nname = \"own\"\nat = \"0s\"\nlasts = \"1h\"\ntargets = [\"grace\"]\n\
         command = {{ run = [\"sh\", \"-c\", \"echo {{target}} >> {}\"], \
         undo = [\"sh\", \"-c\", \"echo {{target}} >> {}\"] }}\n",
        done.display(),
        undone.display()
    );
    let wide = "blast_radius = { requests_percent = 100, endpoints_percent = 100 }\n";
    let rest = format!("{wide}{PROBES}{LONG}{command}{ABORT}");
    let mut count = 0;
    for signal in [Signal::TERM, Signal::INT, Signal::KILL] {
        let child = system.spawn(&rest);
        count += 1;
        wait_for_lines(&done, count);
        system.wait_for_rules(1);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let (code, text) = said(&child.wait_with_output().unwrap());
        if signal != Signal::KILL {
            assert!(code == Some(5) && text.contains("interrupted"), "{signal:?}: {code:?} {text}");
            assert_eq!(system.rules().len(), 0, "{signal:?}");
            assert_eq!(system.report()["verdict"], "interrupted");
        }
        // Nobody is left to wait for when the game day was killed: its guard acts by itself.
        system.wait_for_rules(0);
        wait_for_lines(&undone, count);
        assert_eq!(lines(&undone), count, "{signal:?}: taken back once");
    }
}

/// A gateway that finds its endpoint by SRV records of a server of ours.
fn by_name() -> (System, Headgate) {
    let mut system = system("");
    let name = |name: &str, service: &Service| {
        let port = service.address.port();
        format!("[name.\"{name}\"]\nttl = \"0s\"\nsrv = [{{ target = \"host.test\", port = {port} }}]\n")
    };
    let names = [
        "[name.\"host.test\"]\naddresses = [\"127.0.0.1\"]\n".to_owned(),
        name("_a._tcp.test", &system.services[0]),
        name("_b._tcp.test", &system.services[1]),
    ];
    let dns = Headgate::dns(&names.concat());
    let config = format!(
        "admin = {{ bind = \"{}\" }}\nworkers = 1\ndns.servers = [\"{}\"]\n\
         [listen.web]\nbind = \"{LISTEN}\"\n[service.app]\ndiscover = \"srv:_a._tcp.test\"\n\
         [[route]]\nmatch = \"/*\"\nservice = \"app\"\n",
        system.admin.address,
        dns.listener("dns"),
    );
    system.gateway = Headgate::start(&config);
    (system, dns)
}

/// Asks until this service answers.
fn wait_for(system: &System, name: &str) {
    let started = Instant::now();
    loop {
        let answer = system.gateway.connect().get("/");
        if answer.text().starts_with(name) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{} {}", answer.status(), answer.text());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn names_are_asked_of_the_configured_server_and_followed() {
    let (system, mut dns) = by_name();
    wait_for(&system, "ada ");
    let file = dns.config_file();
    let text = fs::read_to_string(&file).unwrap();
    let (ada, grace) = (system.services[0].address.port(), system.services[1].address.port());
    let changed = text.replace(&format!("port = {ada}"), &format!("port = {grace}"));
    fs::write(&file, &changed).unwrap();
    assert_eq!(dns.line(), "the file was read again");
    wait_for(&system, "grace ");
    // A faulty file changes nothing.
    fs::write(&file, "listen = 5").unwrap();
    dns.event("warning: ");
    wait_for(&system, "grace ");
    // Another server, while it runs.
    let names: String = text.lines().skip(1).map(|line| format!("{line}\n")).collect();
    let other = Headgate::dns(&names);
    let config = fs::read_to_string(system.gateway.config_file()).unwrap();
    let (before, after) = (dns.listener("dns").to_string(), other.listener("dns").to_string());
    fs::write(system.gateway.config_file(), config.replace(&before, &after)).unwrap();
    wait_for(&system, "ada ");
}

#[test]
fn a_name_that_is_not_answered_for_takes_nothing_down() {
    let (system, dns) = by_name();
    wait_for(&system, "ada ");
    let path = dns.config_file();
    let mut method = String::new();
    for (fault, at_ms) in [("nxdomain", 0), ("servfail", 600), ("timeout", 1_200)] {
        method.push_str(&format!(
            r#"
            [[method]]
            name = "{fault}"
            at = "{at_ms}ms"
            lasts = "500ms"
            file = {{ path = "{}", from = "addresses = [", to = "fault = \"{fault}\"\naddresses = [" }}
            "#,
            path.display()
        ));
    }
    let felt = "[[probe]]\nname = \"felt\"\nwhen = [\"during\"]\nmode = \"eventually\"\n\
                metric = { name = \"headgate_discovery_failures_total\", at_least = 1, growth = true }\n";
    let file = system.file(&format!("{CAP}{PROBES}{felt}{method}{ABORT}"));
    // Of the two targets only one is an endpoint now.
    let text = fs::read_to_string(&file).unwrap();
    let plain: Vec<&str> = text.lines().filter(|line| !line.contains("system.target")).collect();
    fs::write(&file, plain.join("\n")).unwrap();
    let before = fs::read_to_string(&path).unwrap();
    let (code, text) = said(&output(&["lab", "gameday", &file, "--out", &system.out(), "--quiet"]));
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(fs::read_to_string(&path).unwrap(), before, "the file is as it was");
}

#[test]
fn a_rig_is_started_harmed_and_stopped() {
    let scratch = scratch();
    let file = scratch.file("day.toml");
    let text = format!(
        r#"
        name = "day"
        hypothesis = "It comes back."
        load = {{ rate = 50, timeout = "20s" }}
        stages = {{ warm_up = "0s", before = "1s", after = "1s" }}
        blast_radius = {{ requests_percent = 50 }}
        [system.rig.service.shop]
        replicas = 2
        retry = {{ attempts = 2 }}
        does = [{{ work = {{ constant = "1ms" }} }}]
        [[probe]]
        name = "answered"
        load = "rate>1"
        [[method]]
        name = "killed"
        at = "100ms"
        lasts = "500ms"
        targets = ["shop-0", "shop-1"]
        pick = 1
        process = {{ kill = {{}} }}
        [[method]]
        name = "stands"
        at = "800ms"
        lasts = "200ms"
        targets = ["shop-0"]
        process = "stop"
        {ABORT}"#
    );
    fs::write(&file, &text).unwrap();
    let out = scratch.file("out");
    let run =
        || said(&output(&["lab", "gameday", file.to_str().unwrap(), "-q", "--out", out.to_str().unwrap()]));
    let (code, told) = run();
    assert_eq!(code, Some(0), "{told}");
    let report: Value = serde_json::from_str(&fs::read_to_string(out.join("report.json")).unwrap()).unwrap();
    let faults = report["faults"].as_array().unwrap();
    assert!(faults.len() == 2 && faults.iter().all(|fault| fault["rolled_back"] == true), "{faults:?}");
    assert!(!report["notes"].to_string().contains("the rig"), "{}", report["notes"]);
    for (from, to, says) in [
        ("process = \"stop\"", "process = { slow = { share = 2.0 } }", "out of range"),
        ("[\"shop-0\"]\n", "[\"gateway\"]\n", "100.0 % of the requests"),
        ("[[probe]]", "[system.target.a]\nendpoint = \":1\"\n[[probe]]", "a rig beside a system"),
        ("replicas = 2", "replicas = 2\ncache = { lru = 5 }", "cache"),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&file, text.replace(from, to)).unwrap();
        let (code, said) = run();
        assert!(code == Some(1) && said.contains(says), "{to}: {said}");
    }
}

fn wait_for_lines(file: &std::path::Path, count: usize) {
    let started = Instant::now();
    while lines(file) < count {
        assert!(started.elapsed() < PATIENCE, "{} of {count} lines in {}", lines(file), file.display());
        thread::sleep(Duration::from_millis(5));
    }
}

fn lines(file: &std::path::Path) -> usize {
    fs::File::open(file).map_or(0, |file| BufReader::new(file).lines().count())
}

#[test]
fn a_file_with_mistakes_and_a_dry_run_touch_nothing() {
    let system = system("");
    let (code, text) = system.run(&format!("{CAP}{PROBES}{}{ABORT}", DOWN.replace("lasts", "last")));
    assert!(code == Some(1) && text.contains("did you mean `lasts`?"), "{text}");
    let file = system.file(&format!("{CAP}{PROBES}{DOWN}{ABORT}"));
    let plan = |flags: &[&str]| said(&output(&[&["lab", "gameday", &file, "--dry-run"], flags].concat()));
    let (code, text) = plan(&[]);
    assert!(code == Some(0) && text.contains("dies") && text.contains("50.0 % of the requests"), "{text}");
    assert_eq!(plan(&[]), (Some(0), text));
    let missing = said(&output(&["lab", "gameday", "/no/such/file"]));
    assert!(missing.0 == Some(1) && missing.1.contains("cannot read"), "{}", missing.1);
    assert_eq!(system.services.iter().map(Service::requests).sum::<usize>(), 0);
    assert!(!system.scratch.file("out").exists());
}
