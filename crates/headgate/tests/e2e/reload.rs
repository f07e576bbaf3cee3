//! Another configuration, or another process, takes over: nothing that is open is closed, and no request
//! fails.

use crate::support::{Headgate, LISTEN, Origin, PATIENCE, Port, Service, Wire, one_service, scratch};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, TryRecvError};
use std::thread;
use std::time::Instant;

const RELOADED: &str = "configuration reloaded";
const NOT_RELOADED: &str = "configuration not reloaded";

fn reload(gateway: &mut Headgate, config: &str) {
    fs::write(gateway.config_file(), config).unwrap();
    gateway.signal(Signal::HUP);
    gateway.event(RELOADED);
}

#[test]
fn a_hangup_swaps_the_configuration_under_open_connections() {
    let services = ["old", "new"].map(Service::named);
    let config = |service: &Service| one_service("", "", &[service.address]);
    let mut gateway = Headgate::start(&config(&services[0]));
    let mut client = gateway.connect();
    assert_eq!(client.get("/").text(), "old GET / HTTP/1.1");
    reload(&mut gateway, &config(&services[1]));
    assert_eq!(client.get("/").text(), "new GET / HTTP/1.1");
    assert_eq!(gateway.connect().get("/").text(), "new GET / HTTP/1.1");
}

/// The endpoint is removed while it answers; its connection then belongs to nobody.
#[test]
fn the_connection_of_a_removed_endpoint_is_closed_when_it_comes_back() {
    let (old, new) = (Origin::start(), Service::named("new"));
    let mut gateway = Headgate::start(&one_service("", "", &[old.address]));
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut upstream = old.accept();
    upstream.head();
    reload(&mut gateway, &one_service("", "", &[new.address]));
    assert_eq!(gateway.connect().get("/").text(), "new GET / HTTP/1.1");
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    assert_eq!(client.response().text(), "ok");
    upstream.assert_ended();
}

#[test]
fn a_changed_file_is_noticed() {
    let services = ["old", "new"].map(Service::named);
    let config = |service: &Service| one_service("", "", &[service.address]);
    let mut gateway = Headgate::start(&config(&services[0]));
    fs::write(gateway.config_file(), config(&services[1])).unwrap();
    gateway.event(RELOADED);
    assert_eq!(gateway.connect().get("/").text(), "new GET / HTTP/1.1");
}

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    let service = Service::named("app");
    let config = one_service("", "", &[service.address]);
    let mut gateway = Headgate::start(&config);
    let mut client = gateway.connect();
    for (bad, reason) in [
        (config.replace("endpoints", "endpionts"), "endpionts"),
        (config.replace("match = \"/*\"", "match = \"nonsense\""), "path is missing"),
        (format!("{config}[listen.other]\nbind = \"192.0.2.1:1\"\n"), "192.0.2.1:1"),
    ] {
        fs::write(gateway.config_file(), bad).unwrap();
        gateway.signal(Signal::HUP);
        let event = gateway.event(NOT_RELOADED);
        assert!(event.contains(reason), "{event}");
        assert_eq!(client.get("/").status(), 200);
        assert_eq!(gateway.connect().get("/").status(), 200);
    }
}

#[test]
fn a_request_ends_with_the_configuration_that_it_began_with() {
    let (origin, service) = (Origin::start(), Service::named("new"));
    let mut gateway = Headgate::start(&one_service("", "", &[origin.address]));
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 6\r\n\r\n123");
    let mut upstream = origin.accept();
    upstream.head();
    upstream.expect("123");
    reload(&mut gateway, &one_service("", "", &[service.address]));
    client.send("456");
    upstream.expect("456");
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nold");
    assert_eq!(client.response().text(), "old");
    assert_eq!(client.get("/").text(), "new GET / HTTP/1.1");
}

#[test]
fn what_was_discovered_goes_with_the_discovery() {
    let [found, written] = ["found", "written"].map(Service::named);
    let config = one_service("", "", &[written.address]);
    let scratch = scratch();
    let list = scratch.file("endpoints.txt");
    fs::write(&list, found.address.to_string()).unwrap();
    let endpoints = format!("endpoints = [\"{}\"]", written.address);
    let discovering = config.replace(&endpoints, &format!("discover = \"file:{}\"", list.display()));
    let mut gateway = Headgate::start(&discovering);
    let mut client = gateway.connect();
    let started = Instant::now();
    while client.get("/").status() != 200 {
        assert!(started.elapsed() < PATIENCE, "never discovered");
    }
    reload(&mut gateway, &config);
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), "written GET / HTTP/1.1");
    }
}

#[test]
fn a_discovered_endpoint_that_cannot_be_used_stands_in_no_reloads_way() {
    let scratch = scratch();
    let list = scratch.file("endpoints.txt");
    fs::write(&list, "127.0.0.1:1").unwrap();
    let config = format!(
        "workers = 1\n[listen.web]\nbind = \"{LISTEN}\"\n[service.app]\ndiscover = \"file:{}\"\ntls = {{}}\n\
         [[route]]\nmatch = \"/app/*\"\nservice = \"app\"\n",
        list.display()
    );
    let mut gateway = Headgate::start(&config);
    fs::write(&list, "http://127.0.0.1:1").unwrap();
    let refused = gateway.event("discovered endpoints not taken over");
    assert!(refused.contains("http://127.0.0.1:1"), "{refused}");
    reload(&mut gateway, &format!("{config}[[route]]\nmatch = \"/x\"\nrespond = {{ body = \"x\" }}\n"));
    assert_eq!(gateway.connect().get("/x").text(), "x");
}

#[test]
fn a_websocket_survives_ten_reloads() {
    let origin = Origin::start();
    let config = one_service("", "", &[origin.address]);
    let mut gateway = Headgate::start(&config);
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    let mut upstream = origin.accept();
    upstream.head();
    upstream.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.head().status(), 101);
    for turn in 0..10 {
        // Even the service that it talks to may go.
        let endpoint = format!("127.0.0.1:{}", 1 + turn);
        reload(&mut gateway, &config.replace(&origin.address.to_string(), &endpoint));
        client.send(format!("ping {turn}"));
        upstream.expect(format!("ping {turn}"));
        upstream.send(format!("pong {turn}"));
        client.expect(format!("pong {turn}"));
    }
}

#[test]
fn the_limit_of_heads_follows() {
    let service = Service::named("app");
    let config = |listen: &str| one_service(listen, "", &[service.address]);
    let (small, large) =
        (config("limits = { head = \"2KiB\", uri = \"1KiB\" }"), config("limits.head = \"64KiB\""));
    let request = format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {}\r\n\r\n", "a".repeat(30_000));
    let mut gateway = Headgate::start(&small);
    let mut kept = gateway.connect();
    assert_eq!(kept.get("/").status(), 200);
    reload(&mut gateway, &large);
    assert_eq!(gateway.connect().ask(&request).status(), 200);
    assert_eq!(kept.get("/").status(), 200);
    assert_eq!(kept.ask(&request).status(), 200);
    reload(&mut gateway, &small);
    let mut client = gateway.connect();
    client.send(&request);
    assert_eq!(client.response().status(), 431);
}

#[test]
fn listeners_come_and_go() {
    let service = Service::named("app");
    let config = one_service("", "", &[service.address]);
    let mut gateway = Headgate::start(&format!("{config}[listen.going]\nbind = \"{LISTEN}\"\n"));
    let going = gateway.listener("going");
    let mut client = Wire::connect(going);
    assert_eq!(client.get("/").status(), 200);
    let reserved = Port::reserve();
    let coming = reserved.address;
    reload(&mut gateway, &format!("{config}[listen.coming]\nbind = \"{coming}\"\n"));
    assert_eq!(Wire::connect(coming).get("/").status(), 200);
    // What is open on a listener that is gone goes on; new connections are refused soon.
    assert_eq!(client.get("/").status(), 200);
    let started = Instant::now();
    while TcpStream::connect(going).is_ok() {
        assert!(started.elapsed() < PATIENCE, "the removed listener still accepts");
    }
    assert_eq!(gateway.connect().get("/").status(), 200);
}

#[test]
fn pooled_connections_survive_a_reload() {
    let service = Service::named("app");
    let config = one_service("", "", &[service.address]);
    let mut gateway = Headgate::start(&config);
    let mut client = gateway.connect();
    for extra in ["", "[[route]]\nmatch = \"/x\"\nrespond = { body = \"x\" }\n"] {
        reload(&mut gateway, &format!("{config}{extra}"));
        assert_eq!(client.get("/").status(), 200);
    }
    assert_eq!(client.get("/x").text(), "x");
    assert_eq!(service.connections(), 1);
}

/// A process that is started by the upgrade signal; ends with the test.
fn upgrade(gateway: &mut Headgate) -> Successor {
    gateway.signal(Signal::USR2);
    let event = gateway.event("successor started");
    let pid = event.split_once("pid=").unwrap().1;
    let pid: String = pid.chars().take_while(char::is_ascii_digit).collect();
    let successor = Successor(Pid::from_raw(pid.parse().unwrap()).unwrap());
    gateway.read_addresses(1);
    successor
}

#[test]
fn a_listener_keeps_its_socket_under_another_name() {
    let service = Service::named("app");
    for workers in [1, 2] {
        let port = Port::reserve();
        let config = |name: &str| {
            one_service("", "", &[service.address])
                .replace("workers = 1", &format!("workers = {workers}"))
                .replace("[listen.web]", &format!("[listen.{name}]"))
                .replace(LISTEN, &port.address.to_string())
        };
        let mut gateway = Headgate::start(&config("web"));
        let mut client = Wire::connect(port.address);
        assert_eq!(client.get("/").status(), 200);
        reload(&mut gateway, &config("front"));
        for _ in 0..20 {
            assert_eq!(Wire::connect(port.address).get("/").status(), 200);
        }
        assert_eq!(client.get("/").status(), 200);
        // The name may change with the process too.
        fs::write(gateway.config_file(), config("door")).unwrap();
        let _successor = upgrade(&mut gateway);
        assert_eq!(gateway.listener("door"), port.address);
        assert_eq!(Wire::connect(port.address).get("/").status(), 200);
        drop(client);
        let (status, stderr) = gateway.wait();
        assert!(status.success(), "{status}: {stderr}");
    }
}

#[test]
fn a_listener_takes_more_addresses_of_its_port_or_fewer() {
    let service = Service::named("app");
    for workers in [1, 2] {
        let port = Port::reserve();
        let config = |bind: &str| {
            one_service("", "", &[service.address])
                .replace("workers = 1", &format!("workers = {workers}"))
                .replace(LISTEN, &format!("{bind}:{}", port.address.port()))
        };
        let other = SocketAddr::from(([127, 0, 0, 2], port.address.port()));
        let mut gateway = Headgate::start(&config("127.0.0.1"));
        thread::scope(|threads| {
            // Dropped at the end, also by an assertion that fails.
            let (_still_moving, over) = mpsc::channel::<()>();
            // A client that never pauses is not reset either: its handshakes end where they began.
            threads.spawn(move || {
                while over.try_recv() != Err(TryRecvError::Disconnected) {
                    assert_eq!(Wire::connect(port.address).get("/").status(), 200);
                }
            });
            for (bind, takes_other) in
                [("0.0.0.0", true), ("", true), ("127.0.0.1", false), ("", true)].repeat(3)
            {
                reload(&mut gateway, &config(bind));
                for _ in 0..20 {
                    assert_eq!(Wire::connect(port.address).get("/").status(), 200, "{bind}");
                }
                let started = Instant::now();
                while TcpStream::connect(other).is_ok() != takes_other {
                    assert!(started.elapsed() < PATIENCE, "{bind}: {other}");
                }
            }
        });
        fs::write(gateway.config_file(), config("0.0.0.0")).unwrap();
        let _successor = upgrade(&mut gateway);
        assert_eq!(Wire::connect(other).get("/").status(), 200);
    }
}

/// A connection that comes as the old process leaves the admin listener may be reset: then it is not.
fn is_ready(admin: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(admin)?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

#[test]
fn a_successor_takes_the_listeners_over_without_losing_a_connection() {
    let origin = Origin::start();
    let admin = Port::reserve();
    let config = one_service("", "", &[origin.address]);
    let mut gateway = Headgate::start(&format!("{config}[admin]\nbind = \"{}\"\n", admin.address));
    let mut before = gateway.connect();
    before.send("GET /before HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut upstream = origin.accept();
    upstream.head();
    let address = gateway.listener("web");
    let successor = upgrade(&mut gateway);
    assert_eq!(gateway.listener("web"), address);
    // One process answers for both, while the other still has a request: as long as two listened, no such
    // run of answers would come.
    let (started, mut run) = (Instant::now(), 0);
    while run < 40 {
        assert!(started.elapsed() < PATIENCE, "the old process still answers at the admin listener");
        run = if is_ready(admin.address) { run + 1 } else { 0 };
    }
    // What was under way ends in the old process, and what is new is served by the new one.
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nbefore");
    assert_eq!(before.response().text(), "before");
    drop(before);
    let (status, stderr) = gateway.wait();
    assert!(status.success(), "{status}: {stderr}");
    let mut after = Wire::connect(address);
    after.send("GET /after HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut upstream = origin.accept();
    assert_eq!(upstream.head().target(), "/after");
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nafter");
    assert_eq!(after.response().text(), "after");
    drop(successor);
}

#[test]
fn the_file_of_a_unix_socket_goes_with_its_last_process() {
    let (service, scratch) = (Service::named("app"), scratch());
    let path = scratch.file("front");
    let bind = format!("unix:{}", path.display());
    let mut gateway = Headgate::start(&one_service("", "", &[service.address]).replace(LISTEN, &bind));
    let successor = upgrade(&mut gateway);
    assert!(gateway.wait().0.success());
    assert_eq!(Wire::connect_unix(&path).get("/").status(), 200, "the successor serves it");
    kill_process(successor.0, Signal::TERM).unwrap();
    let started = Instant::now();
    while path.exists() {
        assert!(started.elapsed() < PATIENCE, "the file stays");
    }
}

/// Ends a process that is not our child.
struct Successor(Pid);

impl Drop for Successor {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}
