//! The cache's tier on disk: what it has after a restart, and that nothing that happens to the process, its files or
//! its device makes it give anything wrong.

use crate::support::{
    Headgate, LISTEN, PATIENCE, Port, Response, Scratch, Service, Wire, noise, response, scratch,
};
use headgate_model::dice::Dice;
use rustix::process::Signal;
use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

const ON: &str = "tier on disk is on";
/// Cycles of the tests that kill and damage; `HEADGATE_KILL_CYCLES` asks for more.
const CYCLES: u64 = 25;

fn cycles() -> u64 {
    std::env::var("HEADGATE_KILL_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(CYCLES)
}

/// A folder for the tier, and the configuration of gateways that use it one after the other.
struct Place {
    scratch: Scratch,
    service: SocketAddr,
    memory: &'static str,
}

impl Place {
    fn new(service: &Service) -> Self {
        Self { scratch: scratch(), service: service.address, memory: "1MiB" }
    }

    fn folder(&self) -> PathBuf {
        self.scratch.file("tier")
    }

    fn config(&self, admin: &Port) -> String {
        format!(
            "workers = 2
             admin.bind = \"{}\"
             [listen.web]
             bind = \"{LISTEN}\"
             [cache]
             memory = {:?}
             disk = {{ path = {:?}, size = \"16MiB\", deadline = \"5s\" }}
             [service.app]
             endpoints = [\"{}\"]
             [[route]]
             match = \"/*\"
             service = \"app\"
             cache = true\n",
            admin.address,
            self.memory,
            self.folder(),
            self.service
        )
    }

    /// A gateway whose tier is on.
    fn start(&self) -> Gateway {
        let mut gateway = self.start_off();
        gateway.event(ON);
        gateway
    }

    fn start_off(&self) -> Gateway {
        let admin = Port::reserve();
        Gateway { gateway: Headgate::start(&self.config(&admin)), admin }
    }

    fn segments(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().path());
        let mut segments: Vec<_> = files.filter(|path| path.extension().is_some()).collect();
        segments.sort();
        segments
    }
}

/// A gateway with an admin listener.
struct Gateway {
    gateway: Headgate,
    admin: Port,
}

impl Deref for Gateway {
    type Target = Headgate;

    fn deref(&self) -> &Headgate {
        &self.gateway
    }
}

impl DerefMut for Gateway {
    fn deref_mut(&mut self) -> &mut Headgate {
        &mut self.gateway
    }
}

/// How often something happened at the tier.
fn count(gateway: &Gateway, result: &str) -> u64 {
    let metrics = gateway.admin.metrics();
    let line = format!("headgate_cache_disk_total{{result=\"{result}\"}} ");
    let value = metrics.lines().find_map(|other| other.strip_prefix(&*line)).unwrap();
    value.parse().unwrap()
}

/// Waits until so many responses were written to the disk.
fn wait_for_written(gateway: &Gateway, written: u64) {
    let started = Instant::now();
    while count(gateway, "written") < written {
        assert!(started.elapsed() < PATIENCE, "not written");
    }
}

fn stop(mut gateway: Gateway) {
    gateway.signal(Signal::TERM);
    let (status, stderr) = gateway.wait();
    assert!(status.success(), "{status}: {stderr}");
}

fn kill(mut gateway: Gateway) {
    gateway.signal(Signal::KILL);
    gateway.wait();
}

fn status_of(response: &Response) -> &str {
    response.head.value("cache-status").unwrap()
}

const FRESH: (&str, &str) = ("cache-control", "max-age=600");

/// Length of the content of an answer; long enough to be kept.
fn len_of(number: u64) -> usize {
    2_000 + Dice::new(number).below(120_000) as usize
}

/// Answers with content that says what it is: the target, the number of the answer, and bytes that follow from it.
fn self_describing() -> Service {
    let answers = AtomicU64::new(0);
    Service::start(move |request| {
        let number = answers.fetch_add(1, Ordering::Relaxed);
        let target = request.head.target().to_owned();
        let len = len_of(number);
        let (seed, tag) = (number.to_string(), target.trim_end_matches(|last| last != '/').to_owned());
        let fields =
            [FRESH, ("x-seed", &seed), ("x-target", &target), ("etag", "\"1\""), ("surrogate-key", &tag)];
        response(&fields, &noise(number, len))
    })
}

/// The number of the answer that a self-describing response is, which must be whole and of that target.
fn number_of(response: &Response, target: &str) -> u64 {
    assert_eq!(response.status(), 200);
    assert_eq!(response.head.value("x-target"), Some(target));
    let number: u64 = response.head.value("x-seed").unwrap().parse().unwrap();
    let len = len_of(number);
    assert!(response.body == noise(number, len), "{target}: a wrong body of answer {number}");
    number
}

#[test]
fn after_a_restart_the_disk_answers() {
    for ends in [stop, kill] as [fn(Gateway); 2] {
        let service = self_describing();
        let place = Place { memory: "64MiB", ..Place::new(&service) };
        let gateway = place.start();
        let mut client = gateway.connect();
        let before: Vec<u64> =
            (0..20).map(|item| number_of(&client.get(&format!("/{item}")), &format!("/{item}"))).collect();
        wait_for_written(&gateway, 20);
        drop(client);
        ends(gateway);
        let gateway = place.start();
        let mut client = gateway.connect();
        for (item, before) in before.iter().enumerate() {
            let target = format!("/{item}");
            let answer = client.get(&target);
            assert_eq!(number_of(&answer, &target), *before);
            assert!(status_of(&answer).contains("hit") && status_of(&answer).contains("detail=disk"));
        }
        let again = client.get("/19");
        assert!(!status_of(&again).contains("disk"), "from memory now: {}", status_of(&again));
        assert_eq!(service.requests(), 20);
        assert_eq!(count(&gateway, "hit"), 20);
        let partly = client.ask("GET /3 HTTP/1.1\r\nHost: a.test\r\nRange: bytes=0-9\r\n\r\n");
        assert_eq!(partly.status(), 206);
    }
}

#[test]
fn what_is_stale_on_disk_is_asked_about() {
    let service = Service::start(|request| {
        if request.head.value("if-none-match") == Some("\"v1\"") {
            return b"HTTP/1.1 304 Not Modified\r\netag: \"v1\"\r\n\r\n".to_vec();
        }
        response(&[("cache-control", "no-cache"), ("etag", "\"v1\"")], &noise(1, 5_000))
    });
    let place = Place::new(&service);
    let gateway = place.start();
    gateway.connect().get("/");
    wait_for_written(&gateway, 1);
    stop(gateway);
    let gateway = place.start();
    let answer = gateway.connect().get("/");
    assert!(answer.body == noise(1, 5_000));
    assert!(status_of(&answer).contains("fwd-status=304"), "{}", status_of(&answer));
}

#[test]
fn variants_come_back_for_whom_they_are() {
    let service = Service::start(|request| {
        let language = request.head.value("accept-language").unwrap_or("none").to_owned();
        response(&[FRESH, ("vary", "accept-language")], language.repeat(1_000).as_bytes())
    });
    let place = Place::new(&service);
    let ask = |client: &mut Wire, language: &str| {
        client.ask(format!("GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Language: {language}\r\n\r\n"))
    };
    let gateway = place.start();
    let mut client = gateway.connect();
    for (at, language) in ["en", "de", "fr"].into_iter().enumerate() {
        assert_eq!(ask(&mut client, language).text(), language.repeat(1_000));
        // One after the other; and what they differ by is written too.
        wait_for_written(&gateway, at as u64 + 2);
    }
    drop(client);
    stop(gateway);
    let gateway = place.start();
    let mut client = gateway.connect();
    for language in ["fr", "en", "de"] {
        let answer = ask(&mut client, language);
        assert_eq!(answer.text(), language.repeat(1_000));
        assert!(status_of(&answer).contains("disk"));
    }
    assert_eq!(ask(&mut client, "it").text(), "it".repeat(1_000));
    assert_eq!(service.requests(), 4);
}

fn purge(gateway: &Gateway, ask: &str) {
    let head =
        format!("POST /cache/purge HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", ask.len());
    let answer = Wire::connect(gateway.admin.address).ask(head + ask);
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

#[test]
fn what_was_purged_stays_purged_over_a_kill() {
    let service = self_describing();
    let place = Place::new(&service);
    let gateway = place.start();
    let mut client = gateway.connect();
    let targets = ["/url", "/tag/a", "/tag/b", "/prefix/a", "/stays"];
    let before = targets.map(|target| number_of(&client.get(target), target));
    client.get("/changed");
    wait_for_written(&gateway, 6);
    for ask in [r#"{"url":"a.test/url"}"#, r#"{"tag":"/tag/"}"#, r#"{"prefix":"http://a.test/prefix/"}"#] {
        purge(&gateway, ask);
    }
    // Its answer waits for no disk, so a purge that does follows it.
    client.ask("POST /changed HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
    purge(&gateway, r#"{"url":"a.test/none"}"#);
    kill(gateway);
    let gateway = place.start();
    let mut client = gateway.connect();
    let after = targets.map(|target| number_of(&client.get(target), target));
    for (at, target) in targets.iter().enumerate() {
        assert_eq!(after[at] == before[at], *target == "/stays", "{target}");
    }
    assert!(!status_of(&client.get("/changed")).contains("disk"));
}

/// Clients that ask for random targets until the gateway is gone. Gives how many answers came from the disk.
fn ask_until_gone(gateway: &Gateway, seed: u64, asked: &Arc<AtomicU64>) -> Vec<thread::JoinHandle<u64>> {
    let address = gateway.listener("web");
    let clients = (0..4).map(|client| {
        let asked = Arc::clone(asked);
        thread::spawn(move || {
            let mut dice = Dice::new(seed * 31 + client);
            let mut wire = Wire::connect(address);
            let mut from_disk = 0;
            loop {
                // Some are asked for often.
                let item = dice.below(300) * dice.below(300) / 300;
                let target = format!("/items/{item}");
                let request = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n");
                let Some(answer) = try_whole(&mut wire, &request) else { return from_disk };
                number_of(&answer, &target);
                from_disk += u64::from(status_of(&answer).contains("disk"));
                asked.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    clients.collect()
}

/// A whole response; None when the connection ends before it does.
fn try_whole(wire: &mut Wire, request: &str) -> Option<Response> {
    wire.try_send(request).ok()?;
    wire.try_response()
}

/// Runs gateways on one folder, each for a random number of answers, and gives how many came from the disk.
fn cycle(place: &Place, cycle: u64, dice: &mut Dice) -> u64 {
    let gateway = place.start();
    let asked = Arc::new(AtomicU64::new(0));
    let clients = ask_until_gone(&gateway, cycle, &asked);
    let enough = 20 + dice.below(150);
    while asked.load(Ordering::Relaxed) < enough {
        assert!(
            !clients.iter().any(thread::JoinHandle::is_finished),
            "a client has ended before the gateway"
        );
        thread::yield_now();
    }
    // In the middle of whatever it does.
    kill(gateway);
    clients.into_iter().map(|client| client.join().unwrap()).sum()
}

#[test]
fn kills_in_the_middle_of_fills_leave_no_wrong_body() {
    let service = self_describing();
    let place = Place::new(&service);
    let mut dice = Dice::new(1);
    let from_disk: u64 = (0..cycles()).map(|number| cycle(&place, number, &mut dice)).sum();
    assert!(from_disk > cycles(), "the disk has answered {from_disk} requests");
}

#[test]
fn damaged_files_leave_no_wrong_body() {
    let service = self_describing();
    let place = Place::new(&service);
    let mut dice = Dice::new(2);
    let mut from_disk = 0;
    for number in 0..cycles() {
        from_disk += cycle(&place, number, &mut dice);
        for segment in place.segments() {
            let file = OpenOptions::new().read(true).write(true).open(&segment).unwrap();
            let len = file.metadata().unwrap().len();
            for _ in 0..dice.below(4) {
                let at = dice.below(len.max(1));
                let mut byte = [0];
                // The last one may be empty.
                if file.read_at(&mut byte, at).unwrap() == 1 {
                    file.write_at(&[byte[0] ^ 1 << dice.below(8)], at).unwrap();
                }
            }
            if dice.below(20) == 0 {
                file.set_len(dice.below(len.max(1))).unwrap();
            }
        }
    }
    assert!(from_disk > 0, "the disk has answered no requests");
}

#[test]
fn a_second_process_leaves_the_folder_to_the_first() {
    let service = self_describing();
    let place = Place::new(&service);
    let first = place.start();
    first.connect().get("/a");
    wait_for_written(&first, 1);
    let mut second = place.start_off();
    second.event("another process has the cache's folder");
    assert_eq!(second.connect().get("/b").status(), 200);
    assert_eq!(count(&second, "dropped"), 1);
    kill(first);
    second.event(ON);
    let answer = second.connect().get("/a");
    assert!(status_of(&answer).contains("disk"), "{}", status_of(&answer));
}

#[test]
fn a_full_disk_fails_no_request() {
    let may_mount = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !may_mount {
        eprintln!("skipped: no small file system can be mounted here");
        return;
    }
    let service = self_describing();
    let place = Place::new(&service);
    fs::create_dir(place.folder()).unwrap();
    let mount = format!("mount -t tmpfs -o size=3m none {}", place.folder().display());
    let admin = Port::reserve();
    let mut gateway = Gateway { gateway: Headgate::start_after(&mount, &place.config(&admin)), admin };
    gateway.event(ON);
    let mut client = gateway.connect();
    let mut answers = 0;
    while count(&gateway, "write_error") == 0 {
        let target = format!("/{answers}");
        number_of(&client.get(&target), &target);
        answers += 1;
        assert!(answers < 1_000, "the disk is not full");
    }
    gateway.event("cannot be written");
    for target in (0..answers).rev().map(|answer| format!("/{answer}")) {
        number_of(&client.get(&target), &target);
    }
    assert!(count(&gateway, "hit") > 0);
}
