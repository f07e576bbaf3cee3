//! What Headgate decided by itself, and how it is asked why.

use crate::support::{Headgate, PATIENCE, Port, Service, one_service, output, scratch};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::time::Instant;

/// What `headgate why` prints with these arguments.
fn why(arguments: &[&str]) -> String {
    let output = output(&[&["why"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn decisions_are_told_while_it_runs_after_it_ran_and_when_it_runs_again() {
    let service = Service::start(|_| b"HTTP/1.1 500 Sick\r\ncontent-length: 0\r\n\r\n".to_vec());
    let endpoint = service.address.to_string();
    let (admin, folder) = (Port::reserve(), scratch());
    let (place, dir) = (admin.address.to_string(), folder.file("state"));
    let dir = dir.to_str().unwrap();
    let settings = "outlier = { consecutive_failures = 3 }\nretry = { attempts = 1 }\n\
                    breaker = { minimum_requests = 4, failure_percent = 50 }";
    let config = format!(
        "admin = {{ bind = \"{place}\" }}\nstate = {{ dir = {dir:?} }}\n{}\
         [[chaos]]\nname = \"slow-day\"\npercent = 0\nfault = {{ delay = {{ constant = \"1ms\" }} }}\n",
        one_service("", settings, &[service.address])
    );
    let mut gateway = Headgate::start(&config);
    let mut client = gateway.connect();
    for _ in 0..6 {
        client.get("/");
    }
    let started = Instant::now();
    let ejected = loop {
        let told = why(&[&endpoint, "--since", "1h", "--admin", &place]);
        if told.contains(" outlier: ") {
            break told;
        }
        assert!(started.elapsed() < PATIENCE, "{told}");
    };
    let expected =
        format!("outlier: app {endpoint} ejected for 30 s: 3 failures in a row (failures in a row 3");
    assert!(ejected.contains(&expected) && ejected.contains("otherwise: send on to it"), "{ejected}");
    let opened = why(&["breaker", "--admin", &place]);
    assert!(
        opened.contains(" breaker: app open for ") && opened.contains("(failed 4, requests 4)"),
        "{opened}"
    );
    let begun = why(&["chaos", "--admin", &place]);
    assert!(begun.contains(" chaos: slow-day begins: delay for 0 % of its attempts: start"), "{begun}");
    fs::write(gateway.config_file(), "workers = \"many\"").unwrap();
    gateway.signal(Signal::HUP);
    gateway.event("configuration not reloaded");
    let refused = why(&["config", "--admin", &place]);
    assert!(refused.contains(" refused; generation 1 stays: "), "{refused}");
    gateway.signal(Signal::TERM);
    assert!(gateway.wait().0.success());

    let kept = why(&["--dir", dir]);
    for policy in ["outlier", "breaker", "chaos", "config"] {
        assert!(kept.contains(&format!(" {policy}: ")), "{policy}: {kept}");
    }
    let json: Value = serde_json::from_str(&why(&["outlier", "--json", "--dir", dir])).unwrap();
    let entry = &json["entries"][0];
    assert_eq!(
        (entry["policy"].as_str(), entry["evidence"][0]["value"].as_f64()),
        (Some("outlier"), Some(3.0))
    );

    let _again = Headgate::start(&config);
    let told = why(&["outlier", "--admin", &place]);
    assert!(told.contains(&expected), "{told}");
}
