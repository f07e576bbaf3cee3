//! The cache's tier in Redis while Redis stalls, dies, forgets and comes back with an older state: no request fails, no
//! body is wrong, and nothing purged comes back.

use crate::redis_cache::Gateway;
use crate::support::{PATIENCE, Redis, Response, Service, Wire, noise, response, scratch};
use headgate_model::dice::Dice;
use rustix::process::Signal;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

const ON: &str = "tier in Redis is on";
const OFF: &str = "tier in Redis is off";
const DOUBTED: &str = "may have been missed";
const CAUGHT_UP: &str = "what others purged meanwhile";
const TARGETS: usize = 24;
/// Cycles of the test with random faults; `HEADGATE_REDIS_CYCLES` asks for more.
const CYCLES: u64 = 6;

/// An origin whose targets have versions.
struct Origin {
    service: Service,
    versions: Arc<[AtomicU64]>,
}

fn len_of(target: usize, version: u64) -> usize {
    1_000 + Dice::new(target as u64 * 1_000 + version).below(30_000) as usize
}

fn content(target: usize, version: u64) -> Vec<u8> {
    noise(target as u64 * 1_000_003 + version, len_of(target, version))
}

impl Origin {
    fn start() -> Self {
        let versions: Arc<[AtomicU64]> = (0..TARGETS).map(|_| AtomicU64::new(1)).collect();
        let current = Arc::clone(&versions);
        let service = Service::start(move |request| {
            let target: usize = request.head.target()[1..].parse().unwrap();
            let version = current[target].load(Ordering::SeqCst);
            let (etag, tag) = (format!("\"{version}\""), format!("tag-{}", target % 4));
            if request.head.value("if-none-match") == Some(&etag) {
                return format!("HTTP/1.1 304 Not Modified\r\netag: {etag}\r\n\r\n").into_bytes();
            }
            let fields = [("cache-control", "max-age=600"), ("etag", &etag), ("surrogate-key", &tag)];
            response(&fields, &content(target, version))
        });
        Self { service, versions }
    }

    fn change(&self, target: usize) -> u64 {
        self.versions[target].fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// The version of an answer, which must be whole and of that target.
fn version_of(answer: &Response, target: usize) -> u64 {
    assert_eq!(answer.status(), 200, "a failed request for /{target}");
    let version = answer.head.value("etag").unwrap().trim_matches('"').parse().unwrap();
    assert!(answer.body == content(target, version), "/{target}: a wrong body of version {version}");
    version
}

fn get(gateway: &Gateway, target: usize) -> u64 {
    version_of(&gateway.connect().get(&format!("/{target}")), target)
}

#[test]
fn a_gateway_that_has_missed_entries_asks_about_everything_again() {
    let Some(redis) = Redis::start() else { return };
    let origin = Origin::start();
    let (first, mut second) = (start(&redis, &origin, "5s"), start(&redis, &origin, "5s"));
    assert_eq!((get(&second, 0), get(&second, 1)), (1, 1));
    second.signal(Signal::STOP);
    let version = origin.change(0);
    // The first of them reaches it, for it waits for that one. The one that counts is trimmed away.
    for target in [5, 0, 6, 7] {
        assert!(!first.purge(&purge_url(target)).contains("Redis"));
    }
    assert!(redis.command(&["XTRIM", "headgate:purges", "MAXLEN", "1"]).starts_with(':'));
    second.signal(Signal::CONT);
    second.event(DOUBTED);
    wait_for_version(&second, 0, version);
    assert_eq!(get(&second, 1), 1);
}

fn from_disk(gateway: &Gateway, target: usize) -> bool {
    let answer = gateway.connect().get(&format!("/{target}"));
    version_of(&answer, target);
    answer.head.value("cache-status").unwrap().contains("detail=disk")
}

fn purge_url(target: usize) -> String {
    format!("{{\"url\":\"http://a.test/{target}\"}}")
}

fn start(redis: &Redis, origin: &Origin, deadline: &str) -> Gateway {
    Gateway::start(redis, &origin.service, &format!("deadline = \"{deadline}\""))
}

/// Asks until the answer is of that version; nothing else but patience says that it will be.
fn wait_for_version(gateway: &Gateway, target: usize, version: u64) {
    let started = Instant::now();
    while get(gateway, target) < version {
        assert!(started.elapsed() < PATIENCE, "/{target} is not of version {version}");
    }
}

#[test]
fn a_stalled_redis_fails_no_request_and_is_asked_less() {
    let Some(redis) = Redis::start() else { return };
    let origin = Origin::start();
    let mut gateway = start(&redis, &origin, "50ms");
    redis.stall();
    for target in 0..TARGETS {
        assert_eq!(get(&gateway, target), 1);
    }
    // Fewer waited than asked.
    let late = gateway.metric("total{result=\"late\"}");
    assert!((1..TARGETS as u64 / 2).contains(&late), "{late} waited");
    gateway.event("it is not asked for a while");
    gateway.event(OFF);
    assert_eq!(origin.service.requests(), TARGETS);
    redis.go_on();
    gateway.event(ON);
    assert_eq!(get(&gateway, 0), 1);
}

#[test]
fn a_redis_that_takes_no_writes_is_not_used() {
    let Some(redis) = Redis::start() else { return };
    let origin = Origin::start();
    let mut gateway = start(&redis, &origin, "5s");
    assert_eq!(get(&gateway, 0), 1);
    gateway.wait_for_put(1);
    assert!(redis.command(&["REPLICAOF", "127.0.0.1", "1"]).starts_with("+OK"));
    assert_eq!(get(&gateway, 1), 1);
    gateway.event(OFF);
    let version = origin.change(0);
    assert!(gateway.purge(&purge_url(0)).contains("not in Redis yet"));
    assert_eq!(get(&gateway, 0), version);
    assert!(redis.command(&["REPLICAOF", "NO", "ONE"]).starts_with("+OK"));
    assert!(gateway.event(ON).contains("told=1"));
    assert_eq!(get(&start(&redis, &origin, "5s"), 0), version);
}

/// Needs no Redis.
#[test]
fn what_is_no_redis_fails_no_request() {
    let endless = [&b"$536870912\r\n"[..], &[b'x'; 100_000]].concat();
    for says in [None, Some(&b""[..]), Some(b"-ERR no\r\n"), Some(b"HTTP/1.1 400 \r\n\r\n"), Some(&endless)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let says = says.map(<[u8]>::to_vec);
        // Ends with the process of the test.
        thread::spawn(move || {
            let mut silent = Vec::new();
            while let Ok((mut connection, _)) = listener.accept() {
                match &says {
                    None => silent.push(connection),
                    Some(says) => _ = connection.write_all(says),
                }
            }
        });
        let origin = Origin::start();
        let mut gateway = Gateway::start_at(address, &origin.service);
        gateway.event(OFF);
        let version = origin.change(0);
        assert!(gateway.purge(&purge_url(0)).contains("not in Redis yet"));
        assert_eq!(get(&gateway, 0), version);
        assert!((1..TARGETS).all(|target| get(&gateway, target) == 1));
    }
}

#[test]
fn a_purge_during_an_outage_is_made_good_before_redis_is_asked_again() {
    let Some(mut redis) = Redis::start() else { return };
    let origin = Origin::start();
    let (mut first, mut second) = (start(&redis, &origin, "5s"), start(&redis, &origin, "5s"));
    assert_eq!((get(&first, 0), get(&first, 1)), (1, 1));
    first.wait_for_put(2);
    // It comes back with all that it had.
    redis.save();
    redis.kill();
    first.event(OFF);
    second.event(OFF);
    let version = origin.change(0);
    let answer = first.purge(&purge_url(0));
    assert!(answer.contains("not in Redis yet"), "{answer}");
    assert_eq!(first.metric("purges_waiting"), 1);
    assert_eq!(get(&first, 0), version);
    redis.launch();
    assert!(first.event(ON).contains("told=1"));
    second.event(ON);
    wait_for_version(&second, 0, version);
    let third = start(&redis, &origin, "5s");
    assert_eq!(get(&third, 0), version);
    // The rest was still there, and nobody had to ask for it again.
    let requests = origin.service.requests();
    assert_eq!(get(&third, 1), 1);
    assert_eq!(origin.service.requests(), requests);
    assert_eq!(second.metric("purges_total{what=\"doubted\"}"), 0);
}

#[test]
fn a_redis_that_has_forgotten_everything_begins_anew() {
    for forget in [
        |redis: &mut Redis| _ = redis.command(&["FLUSHALL"]),
        |redis: &mut Redis| {
            redis.kill();
            redis.launch();
        },
    ] {
        let Some(mut redis) = Redis::start() else { return };
        let origin = Origin::start();
        let (mut first, mut second) = (start(&redis, &origin, "5s"), start(&redis, &origin, "5s"));
        assert_eq!((get(&first, 0), get(&second, 0)), (1, 1));
        let version = origin.change(0);
        forget(&mut redis);
        // Nobody can know whether somebody has purged.
        for gateway in [&mut first, &mut second] {
            gateway.event(DOUBTED);
            gateway.event(ON);
            assert_eq!(get(gateway, 0), version);
        }
        get(&first, 5);
        first.wait_for_put(1);
        let version = origin.change(5);
        first.purge(&purge_url(5));
        wait_for_version(&second, 5, version);
    }
}

#[test]
fn a_redis_that_has_lost_a_purge_gives_nothing_from_before() {
    let Some(mut redis) = Redis::start() else { return };
    let origin = Origin::start();
    let (mut first, mut second) = (start(&redis, &origin, "5s"), start(&redis, &origin, "5s"));
    get(&first, 0);
    first.wait_for_put(1);
    first.purge(&purge_url(20));
    second.wait_for_heard(1);
    redis.save();
    let version = origin.change(0);
    first.purge(r#"{"tag":"tag-0"}"#);
    second.wait_for_heard(2);
    redis.kill();
    redis.launch();
    for gateway in [&mut first, &mut second] {
        gateway.event(DOUBTED);
        gateway.event(ON);
        assert_eq!(get(gateway, 0), version);
    }
    assert_eq!(get(&start(&redis, &origin, "5s"), 0), version);
}

#[test]
fn what_was_purged_elsewhere_while_a_gateway_was_down_is_not_found_on_its_disk() {
    let Some(mut redis) = Redis::start() else { return };
    let (origin, place) = (Origin::start(), scratch());
    let folder = place.file("tier");
    let other = start(&redis, &origin, "5s");
    let run = || Gateway::start_with_disk(&redis, &origin.service, &folder);
    let stop = |mut gateway: Gateway| {
        gateway.signal(Signal::TERM);
        assert!(gateway.wait().0.success());
    };
    let written = |gateway: &Gateway, count: u64| {
        let started = Instant::now();
        while gateway.value_of("disk_total{result=\"written\"}") < count {
            assert!(started.elapsed() < PATIENCE, "not written");
        }
    };
    let first = run();
    assert_eq!((get(&first, 0), get(&first, 1), get(&first, 2)), (1, 1, 1));
    written(&first, 3);
    stop(first);
    let changed = [origin.change(0), origin.change(1)];
    other.purge(&purge_url(0));
    other.purge(r#"{"tag":"tag-1"}"#);
    let mut second = run();
    assert!(second.event(CAUGHT_UP).contains("exact=true"));
    assert_eq!([get(&second, 0), get(&second, 1)], changed);
    assert!(from_disk(&second, 2), "nobody has purged it");
    stop(second);
    // What it missed is not known any more: nothing from before is used.
    redis.kill();
    redis.launch();
    let mut third = Gateway::start_with_disk(&redis, &origin.service, &folder);
    assert!(third.event(CAUGHT_UP).contains("exact=false"));
    assert!(!from_disk(&third, 2));
}

/// What a gateway must not fall behind, by target.
type Bounds = Arc<[[AtomicU64; TARGETS]; 2]>;

/// Clients that ask for random targets until they are told to stop. Gives how many answers came from Redis.
fn ask_on(
    gateway: &Gateway,
    number: usize,
    seed: u64,
    bounds: &Bounds,
    stop: &Arc<AtomicBool>,
) -> Vec<thread::JoinHandle<u64>> {
    let address = gateway.listener("web");
    let clients = (0..2).map(|client| {
        let (bounds, stop) = (Arc::clone(bounds), Arc::clone(stop));
        thread::spawn(move || {
            let mut dice = Dice::new(seed * 4 + number as u64 * 2 + client);
            let mut wire = Wire::connect(address);
            let mut from_redis = 0;
            while !stop.load(Ordering::Relaxed) {
                let target = dice.below(TARGETS as u64) as usize;
                let bound = bounds[number][target].load(Ordering::SeqCst);
                let answer = wire.get(&format!("/{target}"));
                let version = version_of(&answer, target);
                assert!(version >= bound, "/{target}: {version} after {bound} was purged at this gateway");
                from_redis += u64::from(answer.head.value("cache-status").unwrap().contains("redis"));
            }
            from_redis
        })
    });
    clients.collect()
}

/// Does something to Redis; what was done before may still last.
fn harm(redis: &mut Redis, dice: &mut Dice) {
    match dice.below(6) {
        0 => redis.stall(),
        1 => redis.go_on(),
        2 => {
            redis.go_on();
            redis.command(&["FLUSHALL"]);
        }
        3 => {
            // Comes back as it was when it was last saved, or empty.
            redis.kill();
            redis.launch();
        }
        4 => {
            redis.go_on();
            redis.save();
        }
        _ => {
            redis.kill();
            redis.forget_saved();
            redis.launch();
        }
    }
}

#[test]
fn random_faults_leave_no_wrong_body_and_no_failed_request() {
    let Some(mut redis) = Redis::start() else { return };
    let cycles = std::env::var("HEADGATE_REDIS_CYCLES").ok().and_then(|text| text.parse().ok());
    let origin = Origin::start();
    let gateways = [start(&redis, &origin, "50ms"), start(&redis, &origin, "50ms")];
    let bounds: Bounds = Arc::new(std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(1))));
    let mut from_redis = 0;
    for seed in 0..cycles.unwrap_or(CYCLES) {
        eprintln!("seed {seed}");
        let mut dice = Dice::new(seed);
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = gateways
            .iter()
            .enumerate()
            .flat_map(|(number, gateway)| ask_on(gateway, number, seed, &bounds, &stop))
            .collect();
        for _ in 0..40 {
            assert!(!clients.iter().any(thread::JoinHandle::is_finished), "seed {seed}: a client has failed");
            if dice.below(8) == 0 {
                harm(&mut redis, &mut dice);
            }
            let (number, target) = (dice.below(2) as usize, dice.below(TARGETS as u64) as usize);
            let version = origin.change(target);
            let by_tag = format!("{{\"tag\":\"tag-{}\"}}", target % 4);
            gateways[number].purge(&[by_tag, purge_url(target)][dice.below(2) as usize]);
            bounds[number][target].fetch_max(version, Ordering::SeqCst);
        }
        redis.go_on();
        // Every purge reaches everybody in the end.
        for target in 0..TARGETS {
            for gateway in &gateways {
                wait_for_version(gateway, target, origin.versions[target].load(Ordering::SeqCst));
            }
        }
        stop.store(true, Ordering::Relaxed);
        from_redis += clients.into_iter().map(|client| client.join().unwrap()).sum::<u64>();
    }
    assert!(from_redis > 0, "Redis has answered no request");
}
