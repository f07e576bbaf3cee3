//! Programs that others wrote, on both sides of the gateway: curl, nghttp2, Node, Python, gRPC, WebSocket. Those that
//! are not there are left out, which is printed; `cargo xtask test` installs what Python needs.

use crate::support::{Authority, Headgate, Service, one_service, response, scratch};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Whether the program is there; says so when it is not.
fn is_there(program: &Path) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: this machine has no {}", program.display());
    }
    found
}

/// The Python with the packages that `cargo xtask test` installs, or `None` without `module`.
fn python_with(module: &str) -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop/bin/python");
    let import = Command::new(&python).args(["-c", &format!("import {module}")]).output();
    let found = import.is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: {} has no package {module}; `cargo xtask test` installs it", python.display());
    }
    found.then_some(python)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(name)
}

/// A server in another process, ended with the test.
struct Peer {
    process: Child,
    address: SocketAddr,
}

impl Peer {
    /// Runs `script serve`, which says its port.
    fn serve(python: &Path, script: &Path) -> Self {
        let mut command = Command::new(python);
        command.arg(script).arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port: u16 = line.trim().parse().unwrap();
        Self { process, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a program to its end, which has to be a success; gives what it wrote.
#[track_caller]
fn run(program: impl AsRef<Path>, arguments: &[&str]) -> String {
    let output = Command::new(program.as_ref()).args(arguments).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}: {said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Python on both sides, the gateway between.
fn both_sides(module: &str, name: &str, listen: &str, service: &str, further: &[&str]) {
    let Some(python) = python_with(module) else { return };
    let script = script(name);
    let peer = Peer::serve(&python, &script);
    let gateway = Headgate::start(&one_service(listen, service, &[peer.address]));
    let address = gateway.listener("web").to_string();
    run(python, &[&[script.to_str().unwrap(), "call", &address], further].concat());
}

#[test]
fn grpc_in_the_clear() {
    both_sides("grpc", "grpc_peer.py", "http2 = true", "protocol = \"http2\"", &[]);
}

#[test]
fn grpc_over_tls() {
    let authority = Authority::new();
    let pair = authority.certificate("a", &["a.test"]);
    let listen = format!("http2 = true\ntls = {{ certificates = [{}] }}", pair.entry());
    let ca = authority.file();
    both_sides("grpc", "grpc_peer.py", &listen, "protocol = \"http2\"", &[ca.to_str().unwrap()]);
}

#[test]
fn websockets() {
    both_sides("websockets", "websocket_peer.py", "", "", &[]);
}

#[test]
fn http_1_by_python() {
    both_sides("http.client", "http_peer.py", "", "", &[]);
}

fn echo() -> Service {
    Service::start(|request| response(&[("x-seen", request.head.first_line())], &request.body))
}

#[test]
fn curl_in_every_protocol() {
    if !is_there(Path::new("curl")) {
        return;
    }
    let authority = Authority::new();
    let service = echo();
    let pair = authority.certificate("a", &["a.test"]);
    let plain = Headgate::start(&one_service("http2 = true", "", &[service.address]));
    let tls = format!("http2 = true\ntls = {{ certificates = [{}] }}", pair.entry());
    let tls = Headgate::start(&one_service(&tls, "", &[service.address]));
    let (plain, tls) = (plain.listener("web"), tls.listener("web"));
    let scratch = scratch();
    let upload = scratch.file("upload");
    std::fs::write(&upload, crate::support::noise(7, 1 << 20)).unwrap();
    let (ca, upload) = (authority.file(), format!("@{}", upload.display()));
    let resolve = format!("a.test:{}:{}", tls.port(), tls.ip());
    let (http, https) = (format!("http://{plain}/x"), format!("https://a.test:{}/x", tls.port()));
    for (options, url, version) in [
        (&["--http1.0"][..], &http, "1.0"),
        (&["--http1.1"], &http, "1.1"),
        // An upgrade that is not followed: the answer comes in HTTP/1.1.
        (&["--http2"], &http, "1.1"),
        (&["--http2-prior-knowledge"], &http, "2"),
        (&["--http1.1"], &https, "1.1"),
        (&["--http2"], &https, "2"),
    ] {
        let ask = |further: &[&str]| {
            let out = ["-sS", "--max-time", "20", "-o", "/dev/null", "-w"];
            let told = "%{http_code} %{http_version} %{size_download} %{num_connects}\n";
            let trust = ["--cacert", ca.to_str().unwrap(), "--resolve", &resolve];
            run("curl", &[&out[..], &[told], &trust, options, further].concat())
        };
        // HTTP/1.0 does not ask to stay.
        let again = i32::from(version == "1.0");
        // The answer to HTTP/1.0 may say 1.1 (RFC 9110 section 2.5).
        let said = if version == "1.0" { "1.1" } else { version };
        let expected = format!("200 {said} 0 1\n200 {said} 0 {again}\n");
        // curl 7.88 fails the second request on such a connection with any server.
        if options != ["--http2-prior-knowledge"] {
            assert_eq!(ask(&["-o", "/dev/null", url, url]), expected, "{options:?}");
        }
        let posted = ask(&["--data-binary", &upload, url]);
        assert_eq!(posted, format!("200 {said} {} 1\n", 1 << 20), "{options:?}");
        assert_eq!(ask(&["--head", url]), format!("200 {said} 0 1\n"), "{options:?}");
        if version != "1.0" {
            let chunked = ask(&["-H", "Transfer-Encoding: chunked", "--data-binary", &upload, url]);
            assert_eq!(chunked, format!("200 {said} {} 1\n", 1 << 20), "{options:?}");
        }
    }
}

#[test]
fn node_over_http_2() {
    if !is_there(Path::new("node")) {
        return;
    }
    let service = echo();
    let gateway = Headgate::start(&one_service("http2 = true", "", &[service.address]));
    let script = script("http2_calls.js");
    run("node", &[script.to_str().unwrap(), &gateway.listener("web").to_string()]);
}

#[test]
fn h2load_gets_every_answer() {
    if !is_there(Path::new("h2load")) {
        return;
    }
    let service = echo();
    let gateway = Headgate::start(&one_service("http2 = true", "", &[service.address]));
    let url = format!("http://{}/", gateway.listener("web"));
    for protocol in [&["-m", "50"][..], &["--h1"]] {
        let text = run("h2load", &[&["-n", "2000", "-c", "8"], protocol, &[&url]].concat());
        assert!(text.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{text}");
        assert!(text.contains("2000 2xx, 0 3xx, 0 4xx, 0 5xx"), "{text}");
    }
}
