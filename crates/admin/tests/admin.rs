//! The admin listener over real sockets: every page, what it refuses, its limits, and how it stops.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use headgate_admin::{Admin, ChaosAsk, ChaosChange, ChaosRefusal, Reload, State, serve};
use headgate_model::decision::Decision;
use headgate_model::spec::{AdminSpec, Config};
use headgate_observe::journal::Journal;
use headgate_observe::process::ProcessMetrics;
use headgate_observe::registry::Registry;
use headgate_observe::request_metrics::RouteMetrics;
use headgate_observe::top::TopSnapshot;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTIONS_MAX: usize = 64;

/// What the tests set and see of the rest of the program.
struct World {
    ready: Mutex<Result<(), String>>,
    outcome: Mutex<Result<String, String>>,
    /// A reload takes one permit before it ends.
    go: Semaphore,
    begun: Semaphore,
    ended: AtomicU32,
    journal: Journal,
    this: std::sync::Weak<Self>,
}

impl State for World {
    fn ready(&self) -> Result<(), String> {
        self.ready.lock().unwrap().clone()
    }

    fn reload(&self) -> Reload {
        let world = self.this.upgrade().unwrap();
        Box::pin(async move {
            world.begun.add_permits(1);
            world.go.acquire().await.unwrap().forget();
            world.ended.fetch_add(1, SeqCst);
            world.outcome.lock().unwrap().clone()
        })
    }

    fn config(&self) -> Arc<Config> {
        let admin = AdminSpec { bind: "127.0.0.1:0".to_owned(), hosts: vec!["gate.internal".to_owned()] };
        Arc::new(Config { workers: Some(3), admin: Some(admin), ..Config::default() })
    }

    fn purge(&self, text: Vec<u8>) -> Reload {
        Box::pin(async move {
            let text = String::from_utf8(text).unwrap();
            if text == "odd" { Err(text) } else { Ok(format!("purged {text}")) }
        })
    }

    fn refresh_metrics(&self) {}

    fn guards(&self) -> String {
        "{\"guards\":[]}".to_owned()
    }

    fn set_guard(&self, text: &[u8]) -> Result<String, String> {
        if text.is_empty() { Err("which?".to_owned()) } else { Ok("done".to_owned()) }
    }

    fn cache_curve(&self) -> Option<String> {
        self.ready.lock().unwrap().is_ok().then(|| "{\"points\":[]}".to_owned())
    }

    fn chaos(&self, ask: ChaosAsk) -> ChaosChange {
        Box::pin(async move {
            match ask {
                ChaosAsk::List => Ok("{\"rules\":[]}".to_owned()),
                ChaosAsk::Add(text) if text == b"odd" => Err(ChaosRefusal::Faulty("odd".to_owned())),
                ChaosAsk::Add(text) if text == b"twice" => Err(ChaosRefusal::Conflict("twice".to_owned())),
                ChaosAsk::Remove(name) if name == "none" => Err(ChaosRefusal::Unknown("none".to_owned())),
                ask => Ok(format!("{ask:?}")),
            }
        })
    }
}

struct Served {
    address: SocketAddr,
    world: Arc<World>,
    registry: Registry,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

async fn start() -> Served {
    let world = Arc::new_cyclic(|this| World {
        ready: Mutex::new(Ok(())),
        outcome: Mutex::new(Ok("generation 2".to_owned())),
        go: Semaphore::new(0),
        begun: Semaphore::new(0),
        ended: AtomicU32::new(0),
        journal: Journal::default(),
        this: this.clone(),
    });
    let registry = Registry::default();
    let admin = Admin {
        registry: registry.clone(),
        process: ProcessMetrics::new(&registry.worker(0), "1.2.3"),
        journal: world.journal.clone(),
        state: Arc::clone(&world) as Arc<dyn State>,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(serve(listener, admin, async { stopped.await.unwrap_or_default() }));
    Served { address, world, registry, stop, serving }
}

impl Served {
    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn ask(&self, request: &str) -> Answer {
        Answer::of(self.send(request).await).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await
    }

    async fn post(&self, path: &str, rest: &str) -> Answer {
        self.ask(&format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{rest}")).await
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// Reads until the server closes.
    async fn of(mut stream: TcpStream) -> Self {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: format!("{}\r\n", head.to_ascii_lowercase()), body: body.to_owned() }
    }

    fn has(&self, field: &str) -> bool {
        self.head.contains(&format!("\r\n{field}\r\n"))
    }
}

#[tokio::test]
async fn every_page_of_the_index_answers() {
    let served = start().await;
    served.world.go.add_permits(1);
    let index = served.get("/").await;
    let pages: Vec<(&str, &str)> =
        index.body.lines().skip(2).map(|line| line.split_at(5)).map(|(m, rest)| (m.trim(), rest)).collect();
    assert_eq!(pages.len(), 12, "{}", index.body);
    for (method, rest) in pages {
        let path = rest.split(' ').next().unwrap();
        // It takes questions, and refuses those that it does not know.
        let query = if path == "/journal" { "" } else { "?x=1" };
        let answer = served.ask(&format!("{method} {path}{query} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        assert_eq!(answer.status, 200, "{method} {path}");
        assert!(answer.has("cache-control: no-store") && !answer.body.is_empty(), "{method} {path}");
    }
    assert_eq!(served.get("/nothing").await.status, 404);
}

#[tokio::test]
async fn a_scrape_shows_what_was_counted_until_now() {
    let served = start().await;
    let route = RouteMetrics::new(&served.registry.worker(1), "shop", "catalog");
    for count in 1..=3 {
        route.record(200, 1_000);
        let scrape = served.get("/metrics").await;
        assert!(scrape.has("content-type: text/plain; version=0.0.4; charset=utf-8"), "{}", scrape.head);
        let line =
            format!("headgate_requests_total{{code=\"2xx\",route=\"shop\",service=\"catalog\"}} {count}\n");
        assert!(scrape.body.contains(&line), "{}", scrape.body);
        assert!(scrape.body.contains("headgate_build_info{version=\"1.2.3\"} 1\n"));
    }
}

#[tokio::test]
async fn the_journal_answers_what_is_asked() {
    let served = start().await;
    for (policy, subject) in [("outlier", "shop 10.0.0.1:80"), ("health", "shop 10.0.0.2:80")] {
        let decision = Decision { policy: policy.into(), subject: subject.into(), ..Decision::default() };
        served.world.journal.record(decision);
    }
    let all = served.get("/journal").await;
    assert!(
        all.has("content-type: application/json") && all.body.ends_with("\"dropped\":0}"),
        "{}",
        all.body
    );
    assert_eq!(all.body.matches("\"policy\":").count(), 2, "{}", all.body);
    let one = served.get("/journal?about=10.0.0.2%3A80&since=1h&limit=5").await;
    assert!(one.body.contains("\"policy\":\"health\"") && !one.body.contains("outlier"), "{}", one.body);
    let odd = served.get("/journal?plicy=outlier").await;
    assert!(odd.status == 400 && odd.body.starts_with("plicy: unknown"), "{}", odd.body);
}

#[tokio::test]
async fn top_has_rates_at_once() {
    let served = start().await;
    RouteMetrics::new(&served.registry.worker(1), "shop", "catalog").record(200, 1_000);
    let top = served.get("/top").await;
    assert!(top.has("content-type: application/json"), "{}", top.head);
    let top = TopSnapshot::from_json(&top.body).unwrap();
    assert!(top.interval_s > 0.0 && top.routes[0].route == "shop", "{top:?}");
}

#[tokio::test]
async fn health_and_readiness_are_told_apart() {
    let served = start().await;
    assert_eq!((served.get("/healthz").await.status, served.get("/readyz").await.status), (200, 200));
    *served.world.ready.lock().unwrap() = Err("draining".to_owned());
    let ready = served.get("/readyz").await;
    assert_eq!((ready.status, &*ready.body), (503, "not ready: draining\n"));
    assert_eq!(served.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn the_configuration_in_force_is_shown() {
    let config = start().await.get("/config").await;
    assert!(config.has("content-type: application/toml"), "{}", config.head);
    assert!(config.body.contains("workers = 3\n"), "{}", config.body);
}

#[tokio::test]
async fn other_methods_are_told_which_are_allowed() {
    let served = start().await;
    for path in ["/", "/metrics", "/healthz", "/readyz", "/top", "/config"] {
        for method in ["POST", "DELETE", "OPTIONS"] {
            let answer = served.ask(&format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
            assert!(
                answer.status == 405 && answer.has("allow: get, head"),
                "{method} {path}: {}",
                answer.head
            );
        }
    }
    let answer = served.get("/reload").await;
    assert!(answer.status == 405 && answer.has("allow: post"), "{}", answer.head);
    assert_eq!(served.world.begun.available_permits(), 0, "a GET reloads nothing");

    let head = served.ask("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(head.status == 200 && head.has("content-length: 6") && head.body.is_empty(), "{}", head.head);
}

#[tokio::test]
async fn a_reload_says_what_came_of_it() {
    let served = start().await;
    served.world.go.add_permits(10);
    let good = served.post("/reload", "\r\n").await;
    assert_eq!((good.status, &*good.body), (200, "generation 2\n"));
    let curl = served.post("/reload", "Content-Length: 5\r\n\r\nempty").await;
    assert_eq!(curl.status, 200, "a body means nothing");
    *served.world.outcome.lock().unwrap() = Err("3:1: no such key\n4:1: no such key\n".to_owned());
    let bad = served.post("/reload", "\r\n").await;
    assert_eq!((bad.status, &*bad.body), (422, "3:1: no such key\n4:1: no such key\n"));
}

#[tokio::test]
async fn a_reload_that_panics_is_an_answer_too() {
    let served = start().await;
    served.world.go.close();
    assert_eq!(served.post("/reload", "\r\n").await.status, 500);
    assert_eq!(served.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_reload_does_not_end_with_its_client() {
    let served = start().await;
    let client = served.send("POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    served.world.begun.acquire().await.unwrap().forget();
    drop(client);
    // By now the server has had every chance to notice that the client is gone.
    for _ in 0..10 {
        served.get("/healthz").await;
    }
    served.world.go.add_permits(1);
    while served.world.ended.load(SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn web_pages_of_other_sites_get_nothing() {
    let served = start().await;
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1:9090", 200),
        ("[::1]", 200),
        ("gate.internal", 200),
        ("evil.example", 421),
    ] {
        for path in ["/", "/metrics", "/healthz", "/readyz", "/config", "/nothing"] {
            let answer = served.ask(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
            let status = if path == "/nothing" && status == 200 { 404 } else { status };
            assert_eq!(answer.status, status, "{host} {path}");
        }
    }
    for hostless in ["GET /config HTTP/1.1\r\n\r\n", "GET /config HTTP/1.0\r\n\r\n"] {
        assert_eq!(served.ask(hostless).await.status, 400);
    }
    assert_eq!(served.ask("GET /readyz HTTP/1.0\r\n\r\n").await.status, 200, "of a health checker");
    assert_eq!(served.ask("GET /readyz HTTP/1.0\r\nHost: evil.example\r\n\r\n").await.status, 421);
    assert_eq!(served.ask("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n").await.status, 421);

    assert_eq!(served.post("/reload", "Origin: http://evil.example\r\n\r\n").await.status, 403);
    assert_eq!(served.ask("POST /reload HTTP/1.1\r\nHost: evil.example\r\n\r\n").await.status, 421);
    assert_eq!(served.world.begun.available_permits(), 0, "nothing was reloaded");
    served.world.go.add_permits(1);
    assert_eq!(served.post("/reload", "Origin: http://localhost\r\n\r\n").await.status, 200);
}

#[tokio::test]
async fn chaos_is_listed_added_and_removed_by_operators_only() {
    let served = start().await;
    let listed = served.get("/chaos").await;
    assert_eq!((listed.status, listed.body.as_str()), (200, "{\"rules\":[]}"));
    for (method, path, body, status, says) in [
        ("POST", "/chaos", "{}", 200, "Add([123, 125])\n"),
        ("POST", "/chaos", "odd", 422, "odd\n"),
        ("POST", "/chaos", "twice", 409, "twice\n"),
        ("DELETE", "/chaos", "", 200, "Clear\n"),
        ("DELETE", "/chaos/slow", "", 200, "Remove(\"slow\")\n"),
        ("DELETE", "/chaos/none", "", 404, "none\n"),
        ("POST", "/chaos/slow", "{}", 405, "this page answers DELETE\n"),
        ("DELETE", "/chaos/", "", 404, "no such page; / lists what there is\n"),
    ] {
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n", body.len());
        let answer = served.ask(&format!("{head}\r\n{body}")).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, says), "{method} {path} {body}");
        let foreign = served.ask(&format!("{head}Origin: http://evil.example\r\n\r\n{body}")).await;
        assert!(matches!(foreign.status, 403..=405), "{method} {path}: {}", foreign.status);
    }
}

#[tokio::test]
async fn large_bodies_are_refused() {
    let served = start().await;
    assert_eq!(served.post("/reload", "Content-Length: 1048577\r\n\r\n").await.status, 413);
    // Announced in pieces: the server answers before the last of them.
    let request = "POST /reload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut stream = served.send(request).await;
    let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..17 {
        stream.write_all(piece.as_bytes()).await.unwrap();
    }
    assert_eq!(Answer::of(stream).await.status, 413);
    assert_eq!(served.world.begun.available_permits(), 0);
}

#[tokio::test]
async fn scrapers_that_do_not_read_hinder_nobody() {
    let served = start().await;
    let name = "n".repeat(800);
    for n in 0..1_000 {
        RouteMetrics::new(&served.registry.worker(1), &format!("{n}{name}"), "s").record(200, 1);
    }
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut slow = Vec::new();
    for _ in 0..10 {
        slow.push(served.send(request).await);
    }
    assert_eq!(served.get("/healthz").await.status, 200);
    slow.truncate(1);
    let (one, two, last) =
        tokio::join!(served.get("/metrics"), served.get("/metrics"), Answer::of(slow.remove(0)));
    for scrape in [one, two, last] {
        assert_eq!(scrape.body.matches("code=\"2xx\"").count(), 1_000, "whole, however long it waited");
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_not_waited_for() {
    let served = start().await;
    let began = Instant::now();
    let mut stream = served.send("GET /metrics HTTP/1.1\r\nHo").await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(began.elapsed() >= HEAD_TIMEOUT);
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn too_many_connections_wait_for_their_turn() {
    let served = start().await;
    let began = Instant::now();
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        idle.push(served.send("").await);
    }
    assert_eq!(served.get("/healthz").await.status, 200);
    assert!(began.elapsed() >= HEAD_TIMEOUT, "it was answered when the idle ones had to go");
}

#[tokio::test]
async fn a_stop_lets_answers_end_and_idle_connections_go() {
    let served = start().await;
    let mut idle = served.send("").await;
    let reload = served.send("POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    served.world.begun.acquire().await.unwrap().forget();
    served.stop.send(()).unwrap();
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0, "closed without an answer");
    assert!(TcpStream::connect(served.address).await.is_err(), "nobody listens any more");
    assert!(!served.serving.is_finished());
    served.world.go.add_permits(1);
    let answer = Answer::of(reload).await;
    assert_eq!((answer.status, &*answer.body), (200, "generation 2\n"));
    served.serving.await.unwrap();
}
