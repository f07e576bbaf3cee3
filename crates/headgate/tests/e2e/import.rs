//! `headgate import`: what it prints passes `headgate check`, what it could not translate is told by its
//! exit code, and a file of another gateway is refused.

use crate::support::{output, scratch};
use std::fs;
use std::process::Output;

fn import(dialect: &str, text: &str) -> Output {
    let scratch = scratch();
    let file = scratch.file("old.conf");
    fs::write(&file, text).unwrap();
    output(&["import", dialect, file.to_str().unwrap()])
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const PLAIN: &str = "server {\n listen 8080;\n location / { proxy_set_header Host $host; proxy_pass http://10.0.0.1:80; }\n}\n";

#[test]
fn what_is_printed_can_be_run() {
    let old = import("nginx", PLAIN);
    assert_eq!(old.status.code(), Some(0), "{}", text(&old.stderr));
    let scratch = scratch();
    let file = scratch.file("new.toml");
    fs::write(&file, &old.stdout).unwrap();
    let checked = output(&["check", file.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
}

#[test]
fn losses_have_an_exit_code_of_their_own() {
    let lost = import("nginx", &PLAIN.replace(" location", " gzip on;\n location"));
    assert_eq!(lost.status.code(), Some(3));
    assert!(text(&lost.stderr).contains("old.conf:3: gzip on"), "{}", text(&lost.stderr));
}

#[test]
fn what_guards_is_refused_and_listed_apart() {
    let guarded = import("nginx", &PLAIN.replace(" location", " auth_basic staff;\n location"));
    assert_eq!(guarded.status.code(), Some(4));
    let (toml, report) = (text(&guarded.stdout), text(&guarded.stderr));
    assert!(toml.contains("respond = { status = 403 }") && !toml.contains("\nservice ="), "{toml}");
    let (section, rest) = report.split_once("REFUSED UNTIL YOU DECIDE").unwrap();
    assert!(section.trim().is_empty() && rest.contains("old.conf:3: auth_basic staff"), "{report}");
}

#[test]
fn a_file_of_another_gateway_is_refused_with_its_name() {
    let haproxy = "defaults\n  mode http\nfrontend web\n  bind :80\n  default_backend b\nbackend b\n  server s 10.0.0.1:80\n";
    let caddy = "shop.example {\n\treverse_proxy :3000\n}\n";
    for (asked, file, likely) in [
        ("nginx", haproxy, "haproxy"),
        ("caddy", haproxy, "haproxy"),
        ("haproxy", PLAIN, "nginx"),
        ("caddy", PLAIN, "nginx"),
        ("nginx", caddy, "caddy"),
        ("haproxy", caddy, "caddy"),
    ] {
        let refused = import(asked, file);
        assert_eq!(refused.status.code(), Some(1), "{asked} {likely}");
        assert!(refused.stdout.is_empty());
        let report = text(&refused.stderr);
        assert!(report.contains(&format!("headgate import {likely} ")), "{asked}: {report}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_not_translated() {
    let broken = import("nginx", &PLAIN.replace("80; }", "80;"));
    assert_eq!(broken.status.code(), Some(1));
    assert!(broken.stdout.is_empty());
    assert!(text(&broken.stderr).contains("old.conf:1: a `{` without `}`"), "{}", text(&broken.stderr));
}

#[test]
fn includes_are_followed_in_a_dump_and_on_disk() {
    let main = "http {\n include mime.types;\n include sites/*.conf;\n}\n";
    let types = "types {\n text/html html;\n}\n";
    let site = PLAIN.replace(" location", " gzip on;\n location");
    let scratch = scratch();
    for (name, content) in [("nginx.conf", main), ("mime.types", types), ("a.conf", &site)] {
        let file = scratch.file(name);
        fs::write(&file, content).unwrap();
        if name == "a.conf" {
            let sites = file.with_file_name("sites");
            fs::create_dir_all(&sites).unwrap();
            fs::rename(&file, sites.join(name)).unwrap();
        }
    }
    let old = output(&["import", "nginx", scratch.file("nginx.conf").to_str().unwrap()]);
    let report = text(&old.stderr);
    assert_eq!(old.status.code(), Some(3), "{report}");
    assert!(report.contains("/sites/a.conf:3: gzip on"), "{report}");
    assert!(report.contains(", 1 not translated,"), "{report}");
    let dump = format!(
        "# configuration file /nowhere/nginx.conf:\n{main}\n# configuration file /nowhere/mime.types:\n{types}\n\
         # configuration file /nowhere/sites/a.conf:\n{PLAIN}"
    );
    let old = import("nginx", &dump);
    assert_eq!(old.status.code(), Some(0), "{}", text(&old.stderr));
    let gone = import("nginx", main);
    assert_eq!(gone.status.code(), Some(1), "{}", text(&gone.stderr));
}
