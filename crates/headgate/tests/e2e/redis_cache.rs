//! The cache's tier in Redis: what gateways that share it have of each other, and what becomes of purges.

use crate::support::{
    Authority, Headgate, LISTEN, PATIENCE, Port, Redis, Response, Service, Wire, noise, response,
};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const ON: &str = "tier in Redis is on";
/// Long enough for a busy machine; a test that wants Redis to be late sets another one.
const GENEROUS: &str = "5s";

/// A gateway with an admin listener and a tier in Redis.
pub(crate) struct Gateway {
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

impl Gateway {
    /// Waits until its tier is on. `settings` are further ones of the tier.
    pub(crate) fn start(redis: &Redis, service: &Service, settings: &str) -> Self {
        let mut gateway = Self::start_off(redis, service, settings);
        gateway.event(ON);
        gateway
    }

    /// With a tier on disk too.
    pub(crate) fn start_with_disk(redis: &Redis, service: &Service, folder: &Path) -> Self {
        let disk =
            format!("disk = {{ path = {folder:?}, size = \"16MiB\", min_object = 0, deadline = \"5s\" }}");
        let mut gateway = Self::configured(&redis.url(), service, "deadline = \"5s\"", &disk);
        gateway.event(ON);
        gateway
    }

    fn start_off(redis: &Redis, service: &Service, settings: &str) -> Self {
        Self::configured(&redis.url(), service, settings, "")
    }

    /// With something at `address` that may be no Redis.
    pub(crate) fn start_at(address: SocketAddr, service: &Service) -> Self {
        Self::configured(&format!("redis://{address}"), service, "deadline = \"50ms\"", "")
    }

    fn configured(url: &str, service: &Service, settings: &str, cache: &str) -> Self {
        let admin = Port::reserve();
        let config = format!(
            "workers = 2
             admin.bind = \"{}\"
             [listen.web]
             bind = \"{LISTEN}\"
             [cache]
             memory = \"64MiB\"
             {cache}
             redis = {{ url = \"{url}\", {settings} }}
             [service.app]
             endpoints = [\"{}\"]
             [[route]]
             match = \"/*\"
             service = \"app\"
             cache = true\n",
            admin.address, service.address
        );
        Self { gateway: Headgate::start(&config), admin }
    }

    fn metrics(&self) -> String {
        self.admin.metrics()
    }

    /// The value of a metric of the tier.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        self.value_of(&format!("redis_{name}"))
    }

    /// The value of a metric of the cache.
    pub(crate) fn value_of(&self, name: &str) -> u64 {
        let line = format!("headgate_cache_{name} ");
        let metrics = self.metrics();
        metrics.lines().find_map(|other| other.strip_prefix(&*line)).unwrap().parse().unwrap()
    }

    fn count(&self, result: &str) -> u64 {
        self.metric(&format!("total{{result=\"{result}\"}}"))
    }

    fn wait_for(&self, name: &str, least: u64) {
        let started = Instant::now();
        while self.metric(name) < least {
            assert!(started.elapsed() < PATIENCE, "{name} is not {least}:\n{}", self.metrics());
        }
    }

    /// Waits until so many responses were put into Redis.
    pub(crate) fn wait_for_put(&self, put: u64) {
        self.wait_for("total{result=\"put\"}", put);
    }

    /// Waits until so many purges of others were heard.
    pub(crate) fn wait_for_heard(&self, heard: u64) {
        self.wait_for("purges_total{what=\"heard\"}", heard);
    }

    /// What is answered to a purge.
    pub(crate) fn purge(&self, ask: &str) -> String {
        let len = ask.len();
        let head = format!("POST /cache/purge HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len}\r\n\r\n");
        let answer = Wire::connect(self.admin.address).ask(head + ask);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.text()
    }
}

fn status_of(response: &Response) -> &str {
    response.head.value("cache-status").unwrap()
}

fn is_from_redis(response: &Response) -> bool {
    status_of(response).contains("hit") && status_of(response).contains("detail=redis")
}

/// Answers with content that says what it is, each time another.
fn counting() -> Service {
    let answers = AtomicU64::new(0);
    Service::start(move |request| {
        let number = answers.fetch_add(1, Ordering::Relaxed);
        let target = request.head.target().to_owned();
        let tag = target.trim_end_matches(|last| last != '/').to_owned();
        let fields = [
            ("cache-control", "max-age=600"),
            ("x-seed", &number.to_string()),
            ("x-target", &target),
            ("surrogate-key", &tag),
        ];
        response(&fields, &noise(number, 3_000))
    })
}

/// The number of the answer, which must be a whole one for that target.
fn number_of(response: &Response, target: &str) -> u64 {
    assert_eq!(response.status(), 200);
    assert_eq!(response.head.value("x-target"), Some(target));
    let number = response.head.value("x-seed").unwrap().parse().unwrap();
    assert!(response.body == noise(number, 3_000), "{target}: a wrong body of answer {number}");
    number
}

fn two(redis: &Redis, service: &Service) -> (Gateway, Gateway) {
    let settings = format!("deadline = \"{GENEROUS}\"");
    (Gateway::start(redis, service, &settings), Gateway::start(redis, service, &settings))
}

#[test]
fn what_one_has_fetched_is_a_hit_of_the_other() {
    let Some(redis) = Redis::start() else { return };
    let service = counting();
    let (first, second) = two(&redis, &service);
    let numbers: Vec<u64> = (0..20)
        .map(|item| number_of(&first.connect().get(&format!("/{item}")), &format!("/{item}")))
        .collect();
    first.wait_for_put(20);
    let mut client = second.connect();
    for (item, number) in numbers.into_iter().enumerate() {
        let target = format!("/{item}");
        let answer = client.get(&target);
        assert_eq!(number_of(&answer, &target), number);
        assert!(is_from_redis(&answer), "{}", status_of(&answer));
        assert!(answer.head.has("age"));
        assert!(!is_from_redis(&client.get(&target)), "it is in memory now");
    }
    assert_eq!((service.requests(), second.count("hit")), (20, 20));
}

#[test]
fn tls_is_spoken_with_one_who_is_known() {
    let authority = Authority::new();
    let pair = authority.certificate("redis", &["127.0.0.1"]);
    let Some((_redis, port)) = Redis::start_with_tls(&authority.file(), &pair) else { return };
    let service = counting();
    let url = format!("rediss://{}", port.address);
    let start = |authority: &Authority| {
        let tls = format!("ca = {:?}, cert = {:?}, key = {:?}", authority.file(), pair.cert, pair.key);
        Gateway::configured(&url, &service, &format!("tls = {{ {tls} }}, deadline = \"{GENEROUS}\""), "")
    };
    let (mut first, mut second) = (start(&authority), start(&authority));
    first.event(ON);
    second.event(ON);
    let number = number_of(&first.connect().get("/a"), "/a");
    first.wait_for_put(1);
    let answer = second.connect().get("/a");
    assert!(is_from_redis(&answer) && number_of(&answer, "/a") == number, "{}", status_of(&answer));
    let mut stranger = start(&Authority::new());
    let why = stranger.event("tier in Redis is off");
    assert!(why.to_lowercase().contains("certificate"), "{why}");
    assert_eq!(stranger.connect().get("/a").head.status(), 200);
}

#[test]
fn variants_are_shared_for_whom_they_are() {
    let Some(redis) = Redis::start() else { return };
    let service = Service::start(|request| {
        let language = request.head.value("accept-language").unwrap_or("none").to_owned();
        let fields = [("cache-control", "max-age=600"), ("vary", "accept-language")];
        response(&fields, language.as_bytes())
    });
    let (first, second) = two(&redis, &service);
    let ask = |gateway: &Gateway, language: &str| {
        let head = format!("GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Language: {language}\r\n\r\n");
        gateway.connect().ask(head)
    };
    for (at, language) in ["en", "de"].into_iter().enumerate() {
        assert_eq!(ask(&first, language).text(), language);
        // What they differ by is put too.
        first.wait_for_put(at as u64 + 2);
    }
    for language in ["de", "en"] {
        let answer = ask(&second, language);
        assert!(answer.text() == language && is_from_redis(&answer), "{}", status_of(&answer));
    }
    assert_eq!(ask(&second, "fr").text(), "fr");
    assert_eq!(service.requests(), 3);
}

#[test]
fn only_what_is_neither_too_short_nor_too_long_is_put() {
    let Some(redis) = Redis::start() else { return };
    let service = Service::start(|request| {
        let len = request.head.target()[1..].parse().unwrap();
        response(&[("cache-control", "max-age=600")], &noise(1, len))
    });
    let settings = "deadline = \"5s\", min_object = \"1KiB\", max_object = \"4KiB\"";
    let gateway = Gateway::start(&redis, &service, settings);
    for len in [100, 2_000, 5_000, 4_096] {
        assert_eq!(gateway.connect().get(&format!("/{len}")).body.len(), len);
    }
    gateway.wait_for_put(2);
    let other = Gateway::start(&redis, &service, settings);
    let from_redis =
        [100, 2_000, 4_096, 5_000].map(|len| is_from_redis(&other.connect().get(&format!("/{len}"))));
    assert_eq!(from_redis, [false, true, true, false]);
}

#[test]
fn a_purge_at_one_takes_it_from_the_memory_of_the_other_and_from_redis() {
    let Some(redis) = Redis::start() else { return };
    let service = counting();
    let (first, second) = two(&redis, &service);
    let third = Gateway::start(&redis, &service, "deadline = \"5s\"");
    let targets = ["/url", "/tag/a", "/tag/b", "/prefix/a", "/changed", "/stays"];
    let ask = |gateway: &Gateway| targets.map(|target| number_of(&gateway.connect().get(target), target));
    let before = ask(&first);
    first.wait_for_put(6);
    assert_eq!(ask(&second), before);
    for purge in
        [r#"{"url":"http://a.test/url"}"#, r#"{"tag":"/tag/"}"#, r#"{"prefix":"http://a.test/prefix/"}"#]
    {
        assert!(!first.purge(purge).contains("Redis"), "it is settled");
    }
    first.connect().ask("POST /changed HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
    second.wait_for_heard(4);
    third.wait_for_heard(4);
    // It has nothing in memory: Redis alone decides.
    let after = ask(&third);
    for (at, target) in targets.iter().enumerate() {
        assert_eq!(after[at] == before[at], *target == "/stays", "{target}");
    }
    // Whoever looks finds the same, wherever it comes from.
    third.wait_for_put(5);
    assert_eq!(ask(&second), after);
    assert_eq!(ask(&first), after);
    first.purge(r#"{"everything":true}"#);
    second.wait_for_heard(5);
    assert!(ask(&second).iter().all(|number| !after.contains(number)));
}

#[test]
fn a_soft_purge_at_one_makes_it_stale_at_the_other() {
    let Some(redis) = Redis::start() else { return };
    let service = Service::start(|request| match request.head.value("if-none-match") {
        Some(_) => b"HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n".to_vec(),
        None => {
            response(&[("cache-control", "max-age=600"), ("etag", "\"1\""), ("surrogate-key", "a")], b"same")
        }
    });
    let (first, second) = two(&redis, &service);
    second.connect().get("/");
    first.purge(r#"{"tag":"a","soft":true}"#);
    second.wait_for_heard(1);
    let answer = second.connect().get("/");
    assert!(status_of(&answer).contains("fwd-status=304"), "{}", status_of(&answer));
}

#[test]
fn what_was_asked_for_before_a_purge_elsewhere_is_not_put_after_it() {
    let Some(redis) = Redis::start() else { return };
    // The answer of the first request waits until the purge is over.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(Some(held));
    let answers = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&answers);
    let service = Service::start(move |_| {
        let number = counting.fetch_add(1, Ordering::Relaxed);
        if let Some(held) = held.lock().unwrap().take() {
            held.recv().unwrap();
        }
        response(&[("cache-control", "max-age=600"), ("surrogate-key", "a")], number.to_string().as_bytes())
    });
    let (first, second) = two(&redis, &service);
    let mut client = first.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let started = Instant::now();
    while answers.load(Ordering::Relaxed) == 0 {
        assert!(started.elapsed() < PATIENCE, "not asked");
    }
    second.purge(r#"{"tag":"a"}"#);
    release.send(()).unwrap();
    assert_eq!(client.response().text(), "0");
    first.wait_for("total{result=\"outdated\"}", 1);
    assert_eq!(second.connect().get("/").text(), "1");
}

#[test]
fn a_password_opens_and_is_not_shown() {
    let Some(redis) = Redis::start() else { return };
    let service = counting();
    redis.command(&["CONFIG", "SET", "requirepass", "open sesame"]);
    let mut shut = Gateway::start_off(&redis, &service, "password = \"open poppy\"");
    let why = shut.event("tier in Redis is off");
    assert!(!why.contains("poppy"), "{why}");
    number_of(&shut.connect().get("/a"), "/a");
    let gateway = Gateway::start(&redis, &service, "password = \"open sesame\"");
    gateway.connect().get("/a");
    gateway.wait_for_put(1);
    let ask = "GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let config = Wire::connect(gateway.admin.address).ask(ask).text();
    assert!(config.contains("cache.redis") && !config.contains("sesame"), "{config}");
}

#[test]
fn a_gateway_without_redis_serves_all_the_same() {
    let Some(mut redis) = Redis::start() else { return };
    let service = counting();
    redis.kill();
    let mut gateway = Gateway::start_off(&redis, &service, "deadline = \"5s\"");
    gateway.event("tier in Redis is off");
    let number = number_of(&gateway.connect().get("/a"), "/a");
    assert_eq!(number_of(&gateway.connect().get("/a"), "/a"), number, "from memory");
    assert_eq!(gateway.metric("on"), 0);
    redis.launch();
    gateway.event(ON);
    gateway.connect().get("/b");
    gateway.wait_for_put(1);
}
