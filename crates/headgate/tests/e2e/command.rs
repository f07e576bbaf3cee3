//! The command line: what a user is told before any traffic flows.

use crate::support::{Headgate, Service, one_service, output, scratch};
use std::fs;
use std::net::TcpListener;

const GOOD: &str =
    "[listen.web]\nbind = \"127.0.0.1:0\"\n[[route]]\nmatch = \"/*\"\nrespond = { body = \"hi\" }\n";

#[test]
fn a_good_file_is_fine() {
    let scratch = scratch();
    let file = scratch.file("good.toml");
    fs::write(&file, GOOD).unwrap();
    let output = output(&["check", file.to_str().unwrap()]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("good.toml: fine (1 listeners, 0 services, 1 routes)"), "{text}");
}

#[test]
fn a_mistake_is_named_with_its_place_and_the_nearest_valid_name() {
    let scratch = scratch();
    let file = scratch.file("bad.toml");
    fs::write(&file, GOOD.replace("bind", "bnid")).unwrap();
    for command in ["check", "run"] {
        let output = output(&[command, file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("bad.toml:2:1") && text.contains("`bind`"), "{command}: {text}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let output = output(&["run", "/does/not/exist.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("cannot read /does/not/exist.toml"), "{text}");
}

#[test]
fn an_address_in_use_is_named_with_its_listener() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let scratch = scratch();
    let file = scratch.file("headgate.toml");
    fs::write(&file, GOOD.replace("127.0.0.1:0", &address)).unwrap();
    let output = output(&["run", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(&address) && text.contains("[listen.web]"), "{text}");
}

#[test]
fn run_needs_a_file_or_an_endpoint() {
    let output = output(&["run"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--to"));
}

#[test]
fn the_schema_is_json() {
    let output = output(&["schema"]);
    assert!(output.status.success());
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["properties"]["listen"].is_object());
}

#[test]
fn a_file_that_changes_while_it_runs_harms_nothing() {
    let service = Service::named("app");
    let gateway = Headgate::start(&one_service("", "", &[service.address]));
    let mut client = gateway.connect();
    assert_eq!(client.get("/").status(), 200);
    fs::write(gateway.config_file(), "this is no configuration").unwrap();
    for _ in 0..20 {
        assert_eq!(client.get("/").status(), 200);
        assert_eq!(gateway.connect().get("/").status(), 200);
    }
}
