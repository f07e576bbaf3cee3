//! Rules that come and go while Headgate runs: through the admin address, the command line and the file.

use super::rule;
use crate::support::{Headgate, Port, Service, Wire, one_service, output};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;

struct Running {
    gateway: Headgate,
    service: Service,
    admin: Port,
    config: String,
}

fn start(rules: &str) -> Running {
    let (service, admin) = (Service::named("app"), Port::reserve());
    let config = format!(
        "admin = {{ bind = \"{}\" }}\n{}\n{rules}",
        admin.address,
        one_service("", "", &[service.address])
    );
    Running { gateway: Headgate::start(&config), service, admin, config }
}

impl Running {
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        ask(self.admin.address, method, path, body)
    }

    fn command(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let admin = self.admin.address.to_string();
        let output = output(&[&["chaos"], arguments, &["--admin", &admin]].concat());
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    fn rules(&self) -> Vec<Value> {
        let (status, text) = self.ask("GET", "/chaos", "");
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["rules"].as_array().unwrap().clone()
    }

    fn names(&self) -> Vec<String> {
        self.rules().iter().map(|rule| rule["name"].as_str().unwrap().to_owned()).collect()
    }

    fn status(&self) -> u16 {
        self.gateway.connect().get("/").status()
    }
}

fn ask(admin: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let response = Wire::connect(admin).ask(format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
    (response.status(), response.text())
}

const ABORT: &str = "{ abort = { status = 599 } }";

#[test]
fn a_rule_is_added_counted_and_removed() {
    let mut running = start("");
    assert_eq!((running.status(), running.rules().len()), (200, 0));
    let body = r#"{"name":"all","service":"app","fault":{"abort":{"status":599}}}"#;
    assert_eq!(running.ask("POST", "/chaos", body), (200, "the rule all is in force\n".to_owned()));
    assert!(running.gateway.event("chaos rule begins").contains("rule=all"));
    for _ in 0..3 {
        assert_eq!(running.status(), 599);
    }
    let rules = running.rules();
    let fields = ["name", "service", "hits", "from"].map(|field| &rules[0][field]);
    assert_eq!(fields, [&Value::from("all"), &Value::from("app"), &Value::from(3), &Value::from("admin")]);
    let (_, metrics) = running.ask("GET", "/metrics", "");
    assert!(metrics.contains("headgate_chaos_hits_total{rule=\"all\"} 3"), "{metrics}");
    assert_eq!(running.ask("POST", "/chaos", body).0, 409);
    assert_eq!(running.ask("DELETE", "/chaos/all", "").0, 200);
    assert!(running.gateway.event("chaos rule ended").contains("hits=3"));
    assert_eq!((running.status(), running.rules().len()), (200, 0));
    assert_eq!(running.ask("DELETE", "/chaos/all", "").0, 404);
    assert_eq!(running.service.requests(), 2);
}

#[test]
fn what_is_wrong_with_a_rule_is_said_and_nothing_changes() {
    let running = start("");
    for (body, says) in [
        ("", "not a rule in JSON"),
        ("{\"name\":\"a\"}", "fault"),
        ("{\"name\":\"a\",\"fault\":\"down\",\"prcent\":1}", "prcent"),
        ("{\"name\":\"a\",\"fault\":\"down\",\"service\":\"ap\"}", "did you mean `app`?"),
        ("{\"name\":\"a\",\"fault\":\"down\",\"percent\":101}", "percent: out of range"),
        ("{\"name\":\"a b\",\"fault\":\"down\"}", "name: "),
        ("{\"name\":\"a\",\"fault\":{\"abort\":{\"status\":99}}}", "fault.abort.status"),
        ("{\"name\":\"a\",\"fault\":\"down\",\"for\":\"soon\"}", "duration"),
    ] {
        let (status, text) = running.ask("POST", "/chaos", body);
        assert!(status == 422 && text.contains(says), "{body}: {status} {text}");
    }
    assert!(running.rules().is_empty());
    for number in 0..32 {
        let body = format!("{{\"name\":\"r{number}\",\"percent\":0,\"fault\":\"down\"}}");
        assert_eq!(running.ask("POST", "/chaos", &body).0, 200);
    }
    assert_eq!(running.ask("POST", "/chaos", "{\"name\":\"more\",\"fault\":\"down\"}").0, 409);
    assert_eq!((running.status(), running.rules().len()), (200, 32));
    assert_eq!(running.ask("DELETE", "/chaos", "").0, 200);
    assert!(running.rules().is_empty());
}

#[test]
fn a_rule_ends_by_itself() {
    let mut running = start("");
    let body = r#"{"name":"short","for":"100ms","fault":{"abort":{"status":599}}}"#;
    assert_eq!(running.ask("POST", "/chaos", body).0, 200);
    let ended = running.gateway.event("chaos rule ended");
    assert!(ended.contains("rule=short"), "{ended}");
    assert_eq!((running.status(), running.names().len()), (200, 0));
}

#[test]
fn the_command_line_does_all_of_it() {
    let running = start("");
    assert_eq!(running.command(&["list"]), (Some(0), "no rule is in force\n".to_owned()));
    let add = ["add", "slow", "abort.status = 599", "--service", "app", "--percent", "100", "--for", "1h"];
    assert_eq!(running.command(&add), (Some(0), "the rule slow is in force\n".to_owned()));
    assert_eq!(running.status(), 599);
    let (code, listed) = running.command(&["list"]);
    assert_eq!(code, Some(0));
    let line = listed.lines().nth(1).unwrap();
    assert!(line.starts_with("slow ") && line.contains(" 1 ") && line.contains("service app"), "{listed}");
    assert!(line.contains("3600 s") && line.contains("{\"abort\":"), "{listed}");
    assert_eq!(running.command(&["add", "slow", "down"]).0, Some(1));
    let (code, said) = running.command(&["add", "odd", "abrt.status = 599"]);
    assert!(code == Some(1) && said.contains("abrt"), "{said}");
    assert_eq!(running.command(&["remove", "none"]).0, Some(1));
    assert_eq!(running.command(&["remove", "slow"]).0, Some(0));
    assert_eq!(running.command(&["add", "a", "stall"]).0, Some(0));
    assert_eq!(running.command(&["clear"]).0, Some(0));
    assert_eq!(running.status(), 200);
}

#[test]
fn an_added_rule_outlives_a_reload_and_the_file_keeps_its_own() {
    let mut running = start(&rule("filed", "percent = 0", ABORT));
    assert!(running.gateway.event("chaos rule begins").contains("from=file"));
    assert_eq!(running.ask("POST", "/chaos", "{\"name\":\"added\",\"percent\":0,\"fault\":\"down\"}").0, 200);
    assert_eq!(running.names(), ["filed", "added"]);
    // Another rule comes with the file.
    let file = running.gateway.config_file();
    fs::write(&file, format!("{}\n{}", running.config, rule("new", "", ABORT))).unwrap();
    assert_eq!(running.ask("POST", "/reload", "").0, 200);
    assert_eq!(running.names(), ["filed", "new", "added"]);
    assert_eq!(running.status(), 599);
    // Removed for now, it stays away until the file says otherwise.
    assert_eq!(running.ask("DELETE", "/chaos", "").0, 200);
    assert_eq!((running.status(), running.names().len()), (200, 0));
    fs::write(&file, format!("{}\n{}\n", running.config, rule("new", "", ABORT))).unwrap();
    assert_eq!(running.ask("POST", "/reload", "").0, 200);
    assert_eq!(running.status(), 200);
    fs::write(&file, format!("{}\n{}", running.config, rule("new", "percent = 99.999999", ABORT))).unwrap();
    assert_eq!(running.ask("POST", "/reload", "").0, 200);
    assert_eq!(running.names(), ["new"]);
}

#[test]
fn check_warns_and_explain_tells() {
    let running =
        start(&rule("half", "service = \"app\"\npercent = 50", "{ delay = { constant = \"1s\" } }"));
    let file = running.gateway.config_file();
    let file = file.to_str().unwrap();
    let checked = output(&["check", file]);
    assert_eq!(checked.status.code(), Some(0));
    let said = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
    assert!(said.contains("the rule half injects faults into live traffic"), "{said}");
    let explained = String::from_utf8(output(&["explain", file, "GET http://a.test/"]).stdout).unwrap();
    let line = explained.lines().find(|line| line.starts_with("chaos ")).unwrap();
    assert!(line.contains("half") && line.contains("50 %") && line.contains("delay"), "{line}");
}

#[test]
fn an_added_rule_outlives_an_upgrade() {
    let mut running = start("");
    let body = r#"{"name":"all","for":"1h","fault":{"abort":{"status":599}}}"#;
    assert_eq!(running.ask("POST", "/chaos", body).0, 200);
    running.gateway.signal(Signal::USR2);
    let event = running.gateway.event("successor started");
    let pid = event.split_once("pid=").unwrap().1;
    let pid: String = pid.chars().take_while(char::is_ascii_digit).collect();
    let successor = Pid::from_raw(pid.parse().unwrap()).unwrap();
    running.gateway.wait();
    let (status, rules) = (running.status(), running.rules());
    kill_process(successor, Signal::KILL).unwrap();
    assert_eq!((status, rules.len()), (599, 1));
    let left_ms = rules[0]["ends_in_ms"].as_u64().unwrap();
    assert!(left_ms > 0 && left_ms <= 3_600_000, "{left_ms}");
}

#[test]
fn a_rule_hits_health_probes_where_it_says_so() {
    let (service, admin) = (Service::named("app"), Port::reserve());
    let health = "health = { path = \"/\", interval = \"20ms\", healthy_after = 1, unhealthy_after = 1 }";
    let config = format!(
        "admin = {{ bind = \"{}\" }}\n{}",
        admin.address,
        one_service("", health, &[service.address])
    );
    let gateway = Headgate::start(&config);
    let mut running = Running { gateway, service, admin, config };
    let rule =
        |probes: bool| format!(r#"{{"name":"away","probes":{probes},"fault":{{"partition":"refuse"}}}}"#);
    assert_eq!(running.ask("POST", "/chaos", &rule(true)).0, 200);
    assert!(running.gateway.event("an endpoint is unhealthy").contains("refused"));
    assert_eq!(running.ask("DELETE", "/chaos", "").0, 200);
    running.gateway.event("an endpoint is healthy again");
    let bytes = r#"{"name":"b","probes":true,"fault":{"limit_data":{"bytes":"1B"}}}"#;
    let (status, text) = running.ask("POST", "/chaos", bytes);
    assert!(status == 422 && text.contains("byte faults do not befall health probes"), "{text}");
}
