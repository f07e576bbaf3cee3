//! Adaptive eviction under its guard, as an operator meets it: let in by evidence, told by `headgate why`, shown in
//! metrics, and what more memory would buy.

use crate::support::{Headgate, PATIENCE, Port, Service, Wire, one_service, output, response, scratch};
use headgate_model::dice::Dice;
use rustix::process::Signal;
use std::fs;
use std::time::Instant;

/// A guard that needs few requests: windows of 100 and more.
const CACHE: &str = "[cache]\nmemory = \"2MiB\"\neviction = \"adaptive\"\nguard = { window = \"20ms\" }\n";

fn said(arguments: &[&str]) -> String {
    let output = output(arguments);
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// Every fourth target is large, and as popular as the others: who keeps the small ones has more hits.
fn service() -> Service {
    Service::start(|request| {
        let number: usize = request.head.target().trim_start_matches('/').parse().unwrap();
        let body = vec![b'x'; if number.is_multiple_of(4) { 20_000 } else { 500 }];
        response(&[("cache-control", "max-age=600")], &body)
    })
}

/// 50 requests, sent at once.
fn ask(client: &mut Wire, dice: &mut Dice) {
    let request = |_| format!("GET /{} HTTP/1.1\r\nHost: a.test\r\n\r\n", 3_000f64.powf(dice.unit()) as u64);
    client.send((0..50).map(request).collect::<String>());
    (0..50).for_each(|_| assert_eq!(client.response().head.status(), 200));
}

/// Sends requests until `headgate why` tells all of `told`.
fn ask_until(client: &mut Wire, dice: &mut Dice, admin: &str, told: &[&str]) -> String {
    for _ in 0..100 {
        (0..20).for_each(|_| ask(client, dice));
        let why = said(&["why", "evict", "--admin", admin]);
        if told.iter().all(|part| why.contains(part)) {
            return why;
        }
    }
    panic!("never told: {told:?}\n{}", said(&["why", "--admin", admin]));
}

#[test]
fn it_is_let_in_by_evidence_and_says_why_and_what_more_memory_would_buy() {
    let (service, admin) = (service(), Port::reserve());
    let place = admin.address.to_string();
    let config = |cache: &str| {
        let config = one_service("", "", &[service.address]);
        format!("admin = {{ bind = \"{place}\" }}\n{config}cache = true\n{cache}")
    };
    let mut gateway = Headgate::start(&config(CACHE));
    let none = said(&["cache", "--admin", &place]);
    assert!(none.contains("there is no curve"), "{none}");
    let (mut client, mut dice) = (gateway.connect(), Dice::new(1));
    let told = ["share of 10.0 % -> on", "gdsf (cost^0 / size^1) in place of s3fifo"];
    let why = ask_until(&mut client, &mut dice, &place, &told);
    for part in [
        "evict.adaptive: cache shadow -> share of 10.0 %: better than the baseline, against s3fifo",
        "object hit ratio, learned",
        "since then the learned policy was better",
        "otherwise: s3fifo",
        "the guard lets it act",
    ] {
        assert!(why.contains(part), "{part}:\n{why}");
    }
    let metrics = admin.metrics();
    assert!(
        metrics.contains("\nheadgate_guard_stage{policy=\"evict.adaptive\",stage=\"on\"} 1\n"),
        "{metrics}"
    );
    let curve = said(&["cache", "--admin", &place]);
    assert!(curve.contains("requests saved") && curve.contains("2 MiB") && curve.contains("now"), "{curve}");

    // A reload takes it out again, and changes the size.
    let plain = config("[cache]\nmemory = \"1MiB\"\neviction = \"lru\"\n");
    fs::write(gateway.config_file(), plain).unwrap();
    gateway.signal(Signal::HUP);
    gateway.event("configuration reloaded");
    let bytes = || {
        let metrics = admin.metrics();
        let line = metrics.lines().find(|line| line.starts_with("headgate_cache_bytes ")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    for _ in 0..100 {
        if bytes() <= 1 << 20 {
            break;
        }
        ask(&mut client, &mut dice);
    }
    assert!(bytes() <= 1 << 20, "{}", bytes());
    assert!(said(&["cache", "--admin", &place]).contains("there is no curve"));
}

#[test]
fn an_operator_sees_where_it_stands_and_has_the_last_word() {
    let (service, admin) = (service(), Port::reserve());
    let place = admin.address.to_string();
    let config = one_service("", "", &[service.address]);
    let _gateway =
        Headgate::start(&format!("admin = {{ bind = \"{place}\" }}\n{config}cache = true\n{CACHE}"));
    let guard = |arguments: &[&str]| said(&[&["guard", "--admin", &place], arguments].concat());
    let wait_for = |text: &str| {
        let started = Instant::now();
        while !guard(&[]).contains(text) {
            assert!(started.elapsed() < PATIENCE, "{}", guard(&[]));
        }
    };
    wait_for("evict.adaptive (cache): shadow, against s3fifo");
    guard(&["evict.adaptive", "25%"]);
    wait_for("evict.adaptive (cache): share of 25.0 %");
    guard(&["evict.adaptive", "off"]);
    wait_for("evict.adaptive (cache): off");
    assert!(said(&["why", "evict", "--admin", &place]).contains("an operator said so"));
    assert!(guard(&["prefetch", "on"]).contains("there are: evict.adaptive"));
    assert!(guard(&["evict.adaptive", "full"]).contains("a share like 20%"));
}

#[test]
fn an_operators_word_outlives_the_process_and_a_damaged_file_stops_nothing() {
    let (service, admin, folder) = (service(), Port::reserve(), scratch());
    let (place, dir) = (admin.address.to_string(), folder.file("state"));
    let config = |share: u32| {
        let config = one_service("", "", &[service.address]);
        let guard = format!("guard = {{ window = \"20ms\", share_percent = {share} }}");
        format!(
            "admin = {{ bind = \"{place}\" }}\nstate = {{ dir = {dir:?} }}\n{config}cache = true\n\
             [cache]\nmemory = \"2MiB\"\neviction = \"adaptive\"\n{guard}\n"
        )
    };
    let wait_for = |text: &str| {
        let started = Instant::now();
        while !said(&["guard", "--admin", &place]).contains(text) {
            assert!(started.elapsed() < PATIENCE, "{}", said(&["guard", "--admin", &place]));
        }
    };
    let kill = |mut gateway: Headgate| {
        gateway.signal(Signal::KILL);
        gateway.wait();
    };
    let file = dir.join("guards.json");
    let first = Headgate::start(&config(10));
    said(&["guard", "--admin", &place, "evict.adaptive", "off"]);
    wait_for("evict.adaptive (cache): off");
    // It is shown a moment before it is written.
    let started = Instant::now();
    while !file.exists() {
        assert!(started.elapsed() < PATIENCE);
    }
    kill(first);
    let second = Headgate::start(&config(10));
    wait_for("evict.adaptive (cache): off");
    let why = said(&["why", "evict", "--admin", &place]);
    assert!(why.contains("shadow -> off: so it was before the restart"), "{why}");
    kill(second);
    fs::write(&file, "{\"version\": 1, \"guards\"").unwrap();
    let mut third = Headgate::start(&config(10));
    wait_for("evict.adaptive (cache): shadow");
    said(&["guard", "--admin", &place, "evict.adaptive", "on"]);
    wait_for("evict.adaptive (cache): on");
    third.signal(Signal::TERM);
    let log = third.wait().1;
    assert!(
        log.contains("guards.json in [state] dir is not usable: guards that begin now begin anew"),
        "{log}"
    );
    // Other settings are another guard.
    let _fourth = Headgate::start(&config(20));
    wait_for("evict.adaptive (cache): shadow");
}
