//! Fetching ahead as clients and services meet it: what was never asked for is there in time, within its budget; and
//! where it must not be, it is not.

use crate::support::{Headgate, LISTEN, Port, Service, Wire, response};
use rustix::process::Signal;
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// To learn and to prove it, in a debug build on a busy machine.
const LIMIT: Duration = Duration::from_secs(150);
/// Of the service: long enough that a hit is worth something.
const TAKES: Duration = Duration::from_millis(4);
/// Users whose first requests come between the two of one user.
const BETWEEN: usize = 8;
const LEARNERS: usize = 4;

/// A service of users and their orders, and what it saw.
#[derive(Default)]
struct Seen {
    /// Targets that were fetched ahead.
    ahead: Mutex<Vec<String>>,
    /// Requests that were fetched ahead and showed who somebody is.
    personal: AtomicUsize,
    fails: AtomicBool,
}

struct World {
    service: Service,
    seen: Arc<Seen>,
    gateway: Headgate,
    admin: Port,
    clients: Clients,
    started: Instant,
}

struct Clients {
    gateway: SocketAddr,
    /// Users so far, each of whom is new.
    users: AtomicUsize,
    /// Requests so far, no two for the same.
    asked: AtomicUsize,
    /// Of these, answered by what was fetched ahead.
    hits: AtomicUsize,
}

/// What clients do after the first request of a user.
#[derive(Clone, Copy)]
enum Then {
    Orders,
    /// What the answer to the first one named.
    Thing,
    Nothing,
}

impl Then {
    fn paths(self, user: usize) -> (String, Option<String>) {
        match self {
            Self::Orders => (format!("/users/{user}"), Some(format!("/users/{user}/orders"))),
            Self::Thing => (format!("/lists/{user}"), Some(format!("/things/{}", thing(user)))),
            Self::Nothing => (format!("/users/{user}"), None),
        }
    }
}

/// A number that nobody guesses from the user's.
fn thing(user: usize) -> u64 {
    headgate_policy::balance::hash::mix(user as u64, 1)
}

fn list(user: usize) -> String {
    format!(r#"{{"count": 20, "entries": [{{"title": "a thing", "id": {}}}, {{"id": 5}}]}}"#, thing(user))
}

impl World {
    fn new(settings: &str) -> Self {
        let seen = Arc::new(Seen::default());
        let noting = Arc::clone(&seen);
        let service = Service::start(move |request| {
            let head = &request.head;
            if head.value("sec-purpose") == Some("prefetch") {
                noting.ahead.lock().unwrap().push(head.target().to_owned());
                let shows = ["cookie", "authorization", "x-user"].iter().any(|name| head.has(name));
                noting.personal.fetch_add(usize::from(shows), Ordering::Relaxed);
            }
            if noting.fails.load(Ordering::Relaxed) {
                return b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec();
            }
            thread::sleep(TAKES);
            let fields = [("cache-control", "public, max-age=600"), ("content-type", "application/json")];
            match head.target().strip_prefix("/lists/") {
                Some(user) => response(&fields, list(user.parse().unwrap()).as_bytes()),
                None => response(&fields[..1], head.target().as_bytes()),
            }
        });
        let admin = Port::reserve();
        let gateway = Headgate::start(&config(&service, &admin, settings));
        let clients = Clients {
            gateway: gateway.listener("web"),
            users: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            hits: AtomicUsize::new(0),
        };
        Self { service, seen, gateway, admin, clients, started: Instant::now() }
    }

    fn journeys(&self, users: usize, then: Then, fields: &str) {
        self.clients.journeys(users, then, fields);
        assert!(self.started.elapsed() < LIMIT, "{}", self.metrics());
    }

    fn asked(&self) -> usize {
        self.clients.asked.load(Ordering::Relaxed)
    }

    fn hits(&self) -> usize {
        self.clients.hits.load(Ordering::Relaxed)
    }

    fn metrics(&self) -> String {
        let text = self.admin.metrics();
        let ours = |line: &&str| line.starts_with("headgate_prefetch") || line.starts_with("headgate_guard");
        text.lines().filter(ours).map(|line| format!("{line}\n")).collect()
    }

    fn metric(&self, name: &str) -> i64 {
        let metrics = self.metrics();
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
    }

    fn ahead(&self) -> usize {
        self.seen.ahead.lock().unwrap().len()
    }

    fn refused(&self, reason: &str) -> i64 {
        self.metric(&format!("headgate_prefetch_refused_total{{reason=\"{reason}\"}}"))
    }

    /// Waits until all requests so far are learned from, and all that was ordered has reached the service.
    fn settle(&self) {
        let before = self.refused("identity");
        self.clients.ask_as("Cookie: a=b\r\n");
        let fetched = || self.metric("headgate_prefetch_admitted_total{act=\"fetched\"}");
        while self.refused("identity") == before || self.ahead() as i64 != fetched() {
            assert!(self.started.elapsed() < LIMIT, "it goes on: {} {}", self.ahead(), self.metrics());
        }
    }
}

impl Clients {
    /// One new user who shows this.
    fn ask_as(&self, fields: &str) {
        let user = self.users.fetch_add(1, Ordering::Relaxed);
        self.ask(&mut Wire::connect(self.gateway), user, &format!("/users/{user}"), fields);
    }

    fn ask(&self, wire: &mut Wire, user: usize, path: &str, fields: &str) -> bool {
        let request = format!("GET {path} HTTP/1.1\r\nHost: api.test\r\nX-User: {user}\r\n{fields}\r\n");
        let response = wire.ask(request);
        self.asked.fetch_add(1, Ordering::Relaxed);
        let is_right =
            response.text() == path || (path.starts_with("/lists/") && response.text() == list(user));
        assert!(response.status() == 503 || is_right, "{}", response.text());
        let is_ahead =
            response.head.value("cache-status").is_some_and(|status| status.contains("detail=prefetch"));
        self.hits.fetch_add(usize::from(is_ahead), Ordering::Relaxed);
        is_ahead
    }

    /// Several clients, each with so many new users, whose second requests come a while after the first.
    fn journeys(&self, users: usize, then: Then, fields: &str) {
        thread::scope(|scope| {
            for _ in 0..LEARNERS {
                scope.spawn(|| {
                    let mut wire = Wire::connect(self.gateway);
                    let mut waiting = std::collections::VecDeque::new();
                    for _ in 0..users {
                        let user = self.users.fetch_add(1, Ordering::Relaxed);
                        self.ask(&mut wire, user, &then.paths(user).0, fields);
                        waiting.push_back(user);
                        if let Some(earlier) =
                            (waiting.len() > BETWEEN).then(|| waiting.pop_front()).flatten()
                            && let Some(path) = then.paths(earlier).1
                        {
                            self.ask(&mut wire, earlier, &path, fields);
                        }
                    }
                });
            }
        });
    }
}

fn config(service: &Service, admin: &Port, settings: &str) -> String {
    format!(
        "workers = 2
         admin.bind = \"{}\"
         [listen.web]
         bind = \"{LISTEN}\"
         [cache.prefetch]
         {settings}
         session = \"header:x-user\"
         window = \"20ms\"
         [service.app]
         endpoints = [\"{}\"]
         [[route]]
         match = \"/*\"
         service = \"app\"
         cache = true\n",
        admin.address, service.address
    )
}

#[test]
fn what_was_never_asked_for_is_there_but_for_who_fails_shows_himself_or_switches_it_off() {
    let mut world = World::new("mode = \"on\"");
    while world.hits() < 20 {
        world.journeys(100, Then::Orders, "");
    }
    assert!(world.seen.ahead.lock().unwrap().iter().all(|target| target.ends_with("/orders")));
    assert_eq!(world.seen.personal.load(Ordering::Relaxed), 0);
    let why = crate::support::output(&["why", "--admin", &world.admin.address.to_string()]);
    let why = String::from_utf8(why.stdout).unwrap();
    assert!(why.contains("prefetch") && why.contains("shadow -> share"), "{why}");

    // A service that fails is left alone.
    world.seen.fails.store(true, Ordering::Relaxed);
    world.journeys(5, Then::Nothing, "");
    world.settle();
    let (before, busy) = (world.ahead(), world.refused("busy"));
    world.journeys(50, Then::Nothing, "");
    world.settle();
    assert_eq!(world.ahead(), before, "{}", world.metrics());
    assert!(world.refused("busy") > busy, "{}", world.metrics());

    // When it is well again, it goes on.
    world.seen.fails.store(false, Ordering::Relaxed);
    let hits = world.hits();
    while world.hits() < hits + 5 {
        world.journeys(50, Then::Orders, "");
    }

    // Who shows who they are is left alone too.
    world.settle();
    let (before, identity) = (world.ahead(), world.refused("identity"));
    world.journeys(50, Then::Orders, "Authorization: Basic dTpw\r\n");
    world.settle();
    assert_eq!(world.ahead(), before);
    assert!(world.refused("identity") > identity + 100, "they were predicted");

    let most = world.asked() * 11 / 10;
    assert!(world.service.requests() <= most, "{} of {most}", world.service.requests());

    let off = config(&world.service, &world.admin, "mode = \"off\"");
    fs::write(world.gateway.config_file(), off).unwrap();
    world.gateway.signal(Signal::HUP);
    world.gateway.event("configuration reloaded");
    let (before, told) = (world.ahead(), world.metric("headgate_prefetch_predicted_total"));
    world.journeys(50, Then::Orders, "");
    assert_eq!((world.ahead(), world.metric("headgate_prefetch_predicted_total")), (before, told));
    assert_eq!(world.metric("headgate_guard_stage{policy=\"prefetch\",stage=\"off\"}"), 1);
}

#[test]
fn what_a_json_answer_names_is_there_too() {
    let world = World::new("mode = \"on\"\nread_answers = true");
    while world.hits() < 20 {
        world.journeys(100, Then::Thing, "");
    }
    assert!(world.seen.ahead.lock().unwrap().iter().all(|target| target.starts_with("/things/")));
}

#[test]
fn useless_fetches_stay_within_the_budget() {
    let world = World::new("mode = \"on\"");
    while world.hits() < 20 {
        world.journeys(100, Then::Orders, "");
    }
    // From now on nobody comes for what is predicted.
    world.journeys(300, Then::Nothing, "");
    world.settle();
    let most = world.asked() * 11 / 10;
    assert!(world.service.requests() <= most, "{} of {most}: {}", world.service.requests(), world.metrics());
}

#[test]
fn in_the_shadow_hits_are_counted_and_nothing_is_fetched() {
    let world = World::new("mode = \"shadow\"");
    while world.metric("headgate_prefetch_outcomes_total{outcome=\"would_hit\"}") < 50 {
        world.journeys(50, Then::Orders, "");
    }
    assert_eq!(world.ahead(), 0);
    assert_eq!(world.service.requests(), world.asked());
    assert_eq!(world.metric("headgate_prefetch_admitted_total{act=\"fetched\"}"), 0);
}
