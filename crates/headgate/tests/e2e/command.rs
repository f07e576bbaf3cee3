//! The command line: what a user is told before any traffic flows.

use crate::support::{Headgate, PATIENCE, Service, one_service, output, scratch};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;

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
    assert!(text.contains("good.toml: fine (1 listener, 0 services, 1 route)"), "{text}");
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
fn clients_do_not_come_to_the_admin_listener_by_a_flag() {
    let scratch = scratch();
    let file = scratch.file("headgate.toml");
    fs::write(&file, GOOD.replace("127.0.0.1:0", "0.0.0.0:18089")).unwrap();
    let file = file.to_str().unwrap();
    let admin = "127.0.0.1:18089";
    for arguments in
        [&["run", file, "--admin", admin][..], &["run", "--to", ":1", "--listen", admin, "--admin", admin]]
    {
        let output = output(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && text.contains("write another address"), "{text}");
    }
    for flag in ["--cache", "--balance=p2c", "--from=a.test"] {
        let output = output(&["run", file, flag]);
        assert!(!output.status.success(), "{flag} would be ignored beside a file");
    }
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

/// What `check` says about a file, and its exit code.
fn check(text: &str) -> (String, Option<i32>) {
    let scratch = scratch();
    let file = scratch.file("headgate.toml");
    fs::write(&file, text).unwrap();
    let output = output(&["check", file.to_str().unwrap()]);
    (
        String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap(),
        output.status.code(),
    )
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let (text, code) = check(&format!("log = {{ path = \"/no/such/folder/access.log\" }}\n{GOOD}"));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(":1:9: there is no folder /no/such/folder"), "{text}");
    let (text, code) =
        check(&format!("{GOOD}listeners = [\"web\"]\n[listen.idle]\nbind = \"127.0.0.1:1\"\n"));
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("warning: ") && text.contains(":7:9: no route belongs to the listener idle"),
        "{text}"
    );
    assert!(text.contains("usable, with warnings"), "{text}");
}

#[test]
fn a_file_that_cannot_be_read_is_named_where_the_configuration_names_it() {
    for (text, place) in [
        (
            "[listen.web]\nbind = \":0\"\ntls = { certificates = [{ cert = \"no.pem\", key = \"no.key\" }] }",
            ":3:34: ",
        ),
        (
            "[listen.web]\nbind = \":0\"\n[service.a]\nendpoints = [\":1\"]\nfallback = { file = \"no.html\" }",
            ":5:21: ",
        ),
        (
            "[listen.web]\nbind = \":0\"\n[service.a]\nendpoints = [\":1\"]\ntls = { ca = \"no.pem\" }",
            ":5:14: ",
        ),
    ] {
        let route = "\n[[route]]\nmatch = \"/*\"\nrespond = {}\n";
        let (found, code) = check(&format!("{text}{route}"));
        assert_eq!(code, Some(1), "{found}");
        assert!(found.contains(place) && found.contains("No such file"), "{found}");
    }
    let watched = "[listen.web]\nbind = \":0\"\n[service.a]\ndiscover = \"file:no.txt\"\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n";
    let (found, code) = check(watched);
    assert_eq!(code, Some(0), "{found}");
    assert!(found.contains("warning: ") && found.contains(":4:12: "), "{found}");
}

#[test]
fn an_unknown_policy_is_answered_with_the_known_ones() {
    let output = output(&["run", "--to", ":1", "--balance", "p2d"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("round_robin") && text.contains("p2c") && text.contains("rendezvous"), "{text}");
}

/// Whether a service answers there; somebody else may have the port by now.
fn is_served(address: &str) -> bool {
    let answer = TcpStream::connect(address).and_then(|mut stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map(|_| answer)
    });
    answer.is_ok_and(|answer| String::from_utf8_lossy(&answer).contains("x-served-by"))
}

#[test]
fn the_services_of_a_demo_end_with_it_however_it_ends() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_headgate"))
        .args(["demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Kept to the end: a demo that cannot write any more ends by itself.
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut services = Vec::new();
    for line in lines.by_ref() {
        let line = line.unwrap();
        if let Some(address) = line.strip_prefix("service ").and_then(|rest| rest.split("http://").nth(1)) {
            services.push(address.split_whitespace().next().unwrap().to_owned());
        }
        if line.contains("gateway ") {
            break;
        }
    }
    assert_eq!(services.len(), 3);
    let started = Instant::now();
    let wait_for = |answers: bool| {
        for address in &services {
            while is_served(address) != answers {
                assert!(started.elapsed() < PATIENCE, "{address}");
            }
        }
    };
    wait_for(true);
    demo.kill().unwrap();
    demo.wait().unwrap();
    wait_for(false);
}

#[test]
fn a_flag_is_read_as_strictly_as_a_file_and_named_in_the_error() {
    for (flags, flag, remedy) in [
        (&["--to", "3000"][..], "--to", "\":3000\""),
        (&["--to", ":1", "--listen", "8080"], "--listen", "\":8080\""),
        (&["--to", ":1", "--admin", "9090"], "--admin", "127.0.0.1:9090"),
        (&["--to", ":1", "--from", "no host"], "--from", "host"),
        (&["--to", ":1", "--workers", "0"], "--workers", "1..=1024"),
        (&["--to", ":1", "--workers", "5000"], "--workers", "1..=1024"),
    ] {
        let output = output(&[&["run"], flags].concat());
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(flag) && text.contains(remedy), "{flags:?}: {text}");
    }
}
