//! What Headgate says about the traffic: the access log, the admin listener, the commands that ask it.

use crate::support::{Headgate, PATIENCE, Port, Service, Wire, one_service, output};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

/// A gateway with an access log of that format on standard output.
fn logging(format: &str, endpoint: std::net::SocketAddr) -> Headgate {
    Headgate::start(&format!("log = {{ format = {format:?} }}\n{}", one_service("", "", &[endpoint])))
}

#[test]
fn every_request_is_one_line_of_json() {
    let service = Service::named("app");
    let mut gateway = logging("json", service.address);
    let mut client = gateway.connect();
    let request =
        "POST /a?b=\"c HTTP/1.1\r\nHost: a.test\r\nUser-Agent: x\"y\\z\r\nContent-Length: 3\r\n\r\nabc";
    let answer = client.ask(request.replace("\"c", "c"));
    client.get("/second");
    let line: Value = serde_json::from_str(&gateway.line()).unwrap();
    for (field, value) in [
        ("method", Value::from("POST")),
        ("host", Value::from("a.test")),
        ("path", Value::from("/a?b=c")),
        ("protocol", Value::from("HTTP/1.1")),
        ("status", Value::from(200)),
        ("client", Value::from("127.0.0.1")),
        ("bytes_in", Value::from(3)),
        ("bytes_out", Value::from(answer.body.len())),
        ("service", Value::from("app")),
        ("endpoint", Value::from(service.address.to_string())),
        ("route", Value::from("/*")),
        ("user_agent", Value::from("x\"y\\z")),
        ("upstream_reused", Value::from(false)),
    ] {
        assert_eq!(line[field], value, "{field} in {line}");
    }
    let line: Value = serde_json::from_str(&gateway.line()).unwrap();
    assert_eq!((&line["path"], &line["upstream_reused"]), (&Value::from("/second"), &Value::from(true)));
}

#[test]
fn what_went_wrong_is_in_the_log() {
    let dead = Port::reserve();
    let mut gateway = logging("%status %fault %path", dead.address);
    gateway.connect().get("/down");
    assert_eq!(gateway.line(), "502 connect_failed /down");
    gateway.connect().get("/../up");
    assert_eq!(gateway.line(), "400 bad_request /../up");
    let mut client = gateway.connect();
    client.send("GET / HTTP/9.9\r\n\r\n");
    client.response();
    assert_eq!(gateway.line(), "505 version_not_supported -");
}

#[test]
fn nothing_that_a_client_sends_can_begin_a_line_of_its_own() {
    let service = Service::named("app");
    let mut gateway = logging("common", service.address);
    let mut client = gateway.connect();
    // No line break gets past the parser; what does are quotes and bytes above 127.
    client.ask(b"GET /\"x HTTP/1.1\r\nHost: a.test\r\nReferer: \xff\"\r\n\r\n");
    client.get("/next");
    let first = gateway.line();
    assert!(first.starts_with("127.0.0.1 - - [") && first.matches('"').count() >= 2, "{first}");
    let next = gateway.line();
    assert!(next.contains("\"GET /next HTTP/1.1\" 200 "), "{next}");
}

#[test]
fn a_log_file_is_opened_again_on_a_hangup() {
    let service = Service::named("app");
    let scratch = crate::support::scratch();
    let (file, moved) = (scratch.file("access.log"), scratch.file("access.log.1"));
    let log = format!("log = {{ format = \"%path\", path = \"{}\" }}\n", file.display());
    let mut gateway = Headgate::start(&format!("{log}{}", one_service("", "", &[service.address])));
    let mut client = gateway.connect();
    client.get("/one");
    wait_for(&file, "/one\n");
    fs::rename(&file, &moved).unwrap();
    gateway.signal(Signal::HUP);
    gateway.event("configuration reloaded");
    client.get("/two");
    wait_for(&file, "/two\n");
    assert_eq!(fs::read_to_string(&moved).unwrap(), "/one\n");
}

fn reload(gateway: &mut Headgate, config: &str) {
    fs::write(gateway.config_file(), config).unwrap();
    gateway.signal(Signal::HUP);
    gateway.event("configuration reloaded");
}

#[test]
fn a_reload_switches_the_access_log_on_and_off() {
    let service = Service::named("app");
    let scratch = crate::support::scratch();
    let file = scratch.file("access.log");
    let quiet = one_service("", "", &[service.address]);
    let logged = format!("log = {{ format = \"%path\", path = \"{}\" }}\n{quiet}", file.display());
    let mut gateway = Headgate::start(&quiet);
    let mut client = gateway.connect();
    client.get("/before");
    reload(&mut gateway, &logged);
    client.get("/one");
    gateway.connect().get("/two");
    // Whatever the writer has not seen yet when it is switched off is written.
    reload(&mut gateway, &quiet);
    client.get("/unseen");
    wait_for(&file, "/one\n/two\n");
    reload(&mut gateway, &logged);
    client.get("/three");
    wait_for(&file, "/one\n/two\n/three\n");
}

#[test]
fn a_reload_moves_the_admin_listener() {
    let service = Service::named("app");
    let config = one_service("", "", &[service.address]);
    let [first, second] = [(); 2].map(|()| Port::reserve());
    let at = |admin: &Port, rest: &str| format!("admin = {{ bind = \"{}\"{rest} }}\n{config}", admin.address);
    let mut gateway = Headgate::start(&config);
    reload(&mut gateway, &at(&first, ""));
    assert_eq!(ask(&first, "GET /healthz").0, 200);
    // Asked there, it answers before it leaves.
    fs::write(gateway.config_file(), at(&second, ", hosts = [\"gate.test\"]")).unwrap();
    assert_eq!(ask(&first, "POST /reload").0, 200);
    assert_eq!(ask(&second, "GET /healthz").0, 200);
    let started = Instant::now();
    while TcpStream::connect(first.address).is_ok() {
        assert!(started.elapsed() < PATIENCE, "the old address still accepts");
    }
    let named =
        || Wire::connect(second.address).ask("GET /healthz HTTP/1.1\r\nHost: gate.test\r\n\r\n").status();
    assert_eq!(named(), 200);
    reload(&mut gateway, &at(&second, ""));
    while named() != 421 {
        assert!(started.elapsed() < PATIENCE, "its names do not follow");
    }
    fs::write(gateway.config_file(), at(&second, "").replace(&second.address.to_string(), "192.0.2.1:1"))
        .unwrap();
    let (status, text) = ask(&second, "POST /reload");
    assert!(status == 422 && text.contains("192.0.2.1:1"), "{status} {text}");
    assert_eq!(ask(&second, "GET /healthz").0, 200, "an address that cannot be bound changes nothing");
    reload(&mut gateway, &config);
    while TcpStream::connect(second.address).is_ok() {
        assert!(started.elapsed() < PATIENCE, "the closed listener still accepts");
    }
}

#[test]
fn flags_stand_over_the_file_after_a_reload_too() {
    let service = Service::named("app");
    let config = one_service("", "", &[service.address]);
    let admin = Port::reserve();
    let flags = ["--admin", &admin.address.to_string(), "--access-log", "%path"];
    let mut gateway = Headgate::start_with(&config, &flags);
    reload(&mut gateway, &config);
    gateway.connect().get("/logged");
    assert_eq!(gateway.line(), "/logged");
    assert_eq!(ask(&admin, "GET /healthz").0, 200);
}

/// Waits until a file holds exactly `text`.
fn wait_for(file: &Path, text: &str) {
    let started = Instant::now();
    while fs::read_to_string(file).unwrap_or_default() != text {
        assert!(started.elapsed() < PATIENCE, "{} never held {text:?}", file.display());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// A gateway with an admin listener.
fn administered(config: &str) -> (Headgate, Port) {
    let admin = Port::reserve();
    (Headgate::start(&format!("admin = {{ bind = \"{}\" }}\n{config}", admin.address)), admin)
}

fn ask(admin: &Port, request: &str) -> (u16, String) {
    let request =
        format!("{request} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let response = Wire::connect(admin.address).ask(request);
    (response.status(), response.text())
}

#[test]
fn metrics_count_what_happened() {
    let service = Service::named("app");
    let (gateway, admin) = administered(&one_service("", "", &[service.address]));
    let mut client = gateway.connect();
    for _ in 0..7 {
        client.get("/");
    }
    let mut bad = gateway.connect();
    bad.send("nonsense\r\n\r\n");
    bad.response();
    let (status, text) = ask(&admin, "GET /metrics");
    assert_eq!(status, 200);
    let endpoint = service.address;
    for line in [
        "headgate_requests_total{code=\"2xx\",route=\"/*\",service=\"app\"} 7".to_owned(),
        format!(
            "headgate_upstream_requests_total{{endpoint=\"{endpoint}\",outcome=\"ok\",service=\"app\"}} 7"
        ),
        format!("headgate_upstream_connections_opened_total{{endpoint=\"{endpoint}\",service=\"app\"}} 1"),
        "headgate_bad_requests_total{listener=\"web\",reason=\"bad_request\"} 1".to_owned(),
        "headgate_requests_total{code=\"4xx\",route=\"none\",service=\"\"} 1".to_owned(),
    ] {
        assert!(text.lines().any(|got| got == line), "{line} is not in\n{text}");
    }
}

#[test]
fn health_and_readiness_are_told_apart_while_it_stops() {
    let origin = crate::support::Origin::start();
    let (mut gateway, admin) = administered(&one_service("", "", &[origin.address]));
    assert_eq!(ask(&admin, "GET /healthz").0, 200);
    assert_eq!(ask(&admin, "GET /readyz").0, 200);
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut upstream = origin.accept();
    upstream.head();
    gateway.signal(Signal::TERM);
    let started = Instant::now();
    while ask(&admin, "GET /readyz").0 == 200 {
        assert!(started.elapsed() < PATIENCE, "still ready while it stops");
    }
    assert_eq!(ask(&admin, "GET /healthz").0, 200);
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    assert_eq!(client.response().text(), "ok");
    drop(client);
    assert!(gateway.wait().0.success());
}

#[test]
fn with_a_delay_it_is_not_ready_and_still_takes_connections() {
    let service = Service::named("app");
    let config = format!("drain_delay = \"1h\"\n{}", one_service("", "", &[service.address]));
    let (mut gateway, admin) = administered(&config);
    gateway.signal(Signal::TERM);
    let started = Instant::now();
    while ask(&admin, "GET /readyz").0 == 200 {
        assert!(started.elapsed() < PATIENCE, "still ready");
    }
    assert_eq!(gateway.connect().get("/").status(), 200);
    gateway.signal(Signal::TERM);
    assert!(gateway.wait().0.success());
}

#[test]
fn the_access_log_has_standard_output_for_itself() {
    let mut child = crate::support::headgate()
        .args(["run", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:9", "--access-log", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut events = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(events.any(|line| line.starts_with("listening on ")));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(ended.stdout).unwrap(), "");
}

#[test]
fn a_page_of_another_site_cannot_use_the_admin_listener() {
    let (_gateway, admin) = administered(&one_service("", "", &[Port::reserve().address]));
    let mut rebound = Wire::connect(admin.address);
    let response = rebound.ask("GET /config HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n");
    assert_eq!(response.status(), 421);
    let mut posted = Wire::connect(admin.address);
    let request =
        "POST /reload HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.test\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(posted.ask(request).status(), 403);
}

#[test]
fn the_reload_command_tells_what_came_of_it() {
    let services = ["old", "new"].map(Service::named);
    let config = |service: &Service| one_service("", "", &[service.address]);
    let (gateway, admin) = administered(&config(&services[0]));
    let address = admin.address.to_string();
    let first = fs::read_to_string(gateway.config_file()).unwrap();
    let old = services[0].address.to_string();

    fs::write(gateway.config_file(), first.replace("workers", "wrokers")).unwrap();
    let refused = output(&["reload", "--admin", &address]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("wrokers") && text.contains("`workers`"), "{text}");
    assert_eq!(gateway.connect().get("/").text(), "old GET / HTTP/1.1");

    fs::write(gateway.config_file(), first.replace(&old, &services[1].address.to_string())).unwrap();
    let applied = output(&["reload", "--admin", &address]);
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    assert_eq!(gateway.connect().get("/").text(), "new GET / HTTP/1.1");
}

#[test]
fn the_configuration_in_force_is_shown_without_secrets() {
    let settings = "sticky = { secret = \"very secret 0123456789\" }";
    let (_gateway, admin) = administered(&one_service("", settings, &[Port::reserve().address]));
    let (status, text) = ask(&admin, "GET /config");
    assert_eq!(status, 200);
    assert!(text.contains("[service.app") && !text.contains("very secret"), "{text}");
}
