//! The wall clock of a gateway is set while it runs: what is stored grows old with the time that passes.

use crate::support::{Headgate, LISTEN, PATIENCE, Scratch, Service, noise, response, scratch};
use headgate_lab::rig::{ClockError, FalseClock};
use rustix::process::Signal;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

/// Of a response that the disk takes.
const LENGTH: usize = 20_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// None, and says so, where it cannot be had.
fn clock(scratch: &Scratch) -> Option<FalseClock> {
    match FalseClock::new(scratch.file("clock")) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: {error}");
            None
        }
        clock => Some(clock.unwrap()),
    }
}

fn config(service: SocketAddr, cache: &str) -> String {
    format!(
        "workers = 1
         [listen.web]
         bind = \"{LISTEN}\"
         [cache]
         {cache}
         [service.app]
         endpoints = [\"{service}\"]
         [[route]]
         match = \"/clock\"
         respond = {{ status = 204 }}
         [[route]]
         match = \"/*\"
         service = \"app\"
         cache = true\n"
    )
}

/// Sets the clock and waits until the gateway goes by it.
fn set(clock: &FalseClock, off: ClockError, gateway: &Headgate) {
    clock.set(off).unwrap();
    let started = Instant::now();
    loop {
        let answer = gateway.connect().get("/clock");
        let date = httpdate::parse_http_date(answer.head.value("date").unwrap()).unwrap();
        let now = SystemTime::now();
        let right = match off {
            ClockError::Ahead(by) => now + by,
            ClockError::Behind(by) => now - by,
        };
        let wrong_by = date.duration_since(right).unwrap_or_else(|error| error.duration());
        if wrong_by < HOUR / 2 {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "its date is {date:?}");
    }
}

fn service() -> Service {
    Service::start(|request| {
        let seconds = if request.head.target() == "/short" { 1 } else { 600 };
        response(&[("cache-control", &format!("max-age={seconds}"))], &noise(1, LENGTH))
    })
}

#[test]
fn a_clock_that_is_set_keeps_nothing_too_long_and_drops_nothing() {
    let (scratch, service) = (scratch(), service());
    let Some(clock) = clock(&scratch) else { return };
    let gateway = Headgate::start_by(&clock, &config(service.address, ""));
    let ask = |path: &str| {
        assert_eq!(gateway.connect().get(path).body.len(), LENGTH);
        service.requests()
    };
    assert_eq!((ask("/long"), ask("/long")), (1, 1));
    let asked = ask("/short");
    set(&clock, ClockError::Behind(HOUR), &gateway);
    let started = Instant::now();
    while ask("/short") == asked {
        assert!(started.elapsed() < PATIENCE, "fresh for a second has become fresh for an hour");
    }
    let asked = ask("/long");
    assert_eq!(ask("/long"), asked);
    set(&clock, ClockError::Ahead(HOUR), &gateway);
    assert_eq!(ask("/long"), asked, "ten minutes have not passed");
}

#[test]
fn what_a_clock_that_was_ahead_left_on_disk_is_asked_for_again() {
    let (scratch, service) = (scratch(), service());
    let Some(clock) = clock(&scratch) else { return };
    let folder = scratch.file("tier");
    let config = config(service.address, &format!("disk = {{ path = {folder:?}, size = \"16MiB\" }}"));
    clock.set(ClockError::Ahead(HOUR)).unwrap();
    for asked in [1, 2, 2] {
        let mut gateway = Headgate::start_by(&clock, &config);
        gateway.event("tier on disk is on");
        assert_eq!(gateway.connect().get("/long").body.len(), LENGTH);
        assert_eq!(service.requests(), asked);
        gateway.signal(Signal::TERM);
        assert!(gateway.wait().0.success());
        clock.set(ClockError::Ahead(Duration::ZERO)).unwrap();
    }
}
