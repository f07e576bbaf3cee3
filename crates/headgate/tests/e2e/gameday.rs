//! `headgate lab gameday` against a real gateway: what it finds out, and that nothing of it stays.

use crate::support::{
    Headgate, PATIENCE, Port, Scratch, Service, Wire, headgate, one_service, output, response, scratch,
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
             load = {{ rate = 100 }}
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
    let (code, text) = system.run(&format!("{CAP}{PROBES}{DOWN}{ABORT}"));
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
