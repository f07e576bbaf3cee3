//! Many connections at once: everything arrives whole, and nothing is left behind.

use crate::support::{Headgate, PATIENCE, Service, Wire, assert_same, noise, one_service, response};
use headgate_model::dice::Dice;
use std::thread;
use std::time::{Duration, Instant};

const CONNECTIONS: u64 = 500;
const REQUESTS: u64 = 4;

fn echo() -> Service {
    Service::start(|request| response(&[], &request.body))
}

/// A few requests with bodies of random sizes, some in chunks, all checked.
fn talk(client: &mut Wire, seed: u64) {
    let mut dice = Dice::new(seed);
    for turn in 0..REQUESTS {
        let len = match dice.below(10) {
            0 => 0,
            1 => 100_000 + dice.below(100_000),
            _ => dice.below(10_000),
        };
        let body = noise(seed << 8 | turn, len as usize);
        let request = if dice.below(2) == 0 {
            let head = format!("POST /{seed} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {len}\r\n\r\n");
            [head.as_bytes(), &body].concat()
        } else {
            let mut request =
                format!("PUT /{seed} HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n")
                    .into_bytes();
            for piece in body.chunks(1 + dice.below(5_000) as usize) {
                request.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                request.extend_from_slice(piece);
                request.extend_from_slice(b"\r\n");
            }
            request.extend_from_slice(b"0\r\n\r\n");
            request
        };
        let response = client.ask(request);
        assert_eq!(response.status(), 200);
        assert_same(&response.body, &body, "echoed");
    }
}

#[test]
fn hundreds_of_connections_at_once_get_their_own_bytes() {
    let service = echo();
    let config = one_service("", "", &[service.address]).replace("workers = 1", "workers = 2");
    let gateway = Headgate::start(&config);
    let clients: Vec<Wire> = (0..CONNECTIONS).map(|_| gateway.connect()).collect();
    thread::scope(|scope| {
        for (mut client, seed) in clients.into_iter().zip(0..) {
            scope.spawn(move || talk(&mut client, seed));
        }
    });
    assert_eq!(service.requests() as u64, CONNECTIONS * REQUESTS);
}

/// Connections that end well, are reset, time out, break off or are refused: none keeps a descriptor.
#[test]
fn no_descriptor_is_left_behind() {
    let service = echo();
    let settings = "timeouts.head = \"100ms\"\ntimeouts.idle = \"100ms\"\ntimeouts.body = \"100ms\"";
    let config = one_service(settings, "pool.idle_timeout = \"100ms\"", &[service.address]);
    let gateway = Headgate::start(&config);
    gateway.connect().get("/");
    let before = settle(&gateway, usize::MAX);
    for seed in 0..60 {
        talk(&mut gateway.connect(), seed);
        let mut reset = gateway.connect();
        reset.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello");
        reset.reset();
        let mut left = gateway.connect();
        left.send("GET / HTTP/1.1\r\n");
        drop(left);
        let mut refused = gateway.connect();
        refused.send("GET / HTTP/9.9\r\n\r\n");
        assert_eq!(refused.response().status(), 505);
        gateway.connect();
    }
    let silent: Vec<Wire> = (0..50).map(|_| gateway.connect()).collect();
    for mut client in silent {
        client.assert_ended();
    }
    let after = settle(&gateway, before);
    assert!(after <= before, "{after} descriptors are open, {before} were");
}

/// Waits until no more than `level` descriptors are open, or for the patience's end; with no level, until the
/// resting connections have been closed.
fn settle(gateway: &Headgate, level: usize) -> usize {
    let started = Instant::now();
    let mut least = gateway.open_files();
    let patience = if level == usize::MAX { Duration::from_secs(3) } else { PATIENCE };
    while started.elapsed() < patience && (least > level || level == usize::MAX) {
        thread::sleep(Duration::from_millis(20));
        least = least.min(gateway.open_files());
    }
    least
}
