//! Discovery against a DNS server of its own, over real sockets, and against files.

use super::dns::{Answer, ResolveError, Resolver};
use super::srv::services;
use super::{ENDPOINTS_MAX, Found, run};
use crate::testkit::{Folder, World, service, until};
use headgate_model::address::EndpointAddress;
use headgate_model::state::ServiceState;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const SRV: u16 = 33;

/// One record's type, time to live and data.
#[derive(Clone)]
struct Record(u16, u32, Vec<u8>);

/// A DNS server (RFC 1035 section 4) with a zone that can be changed. Of names outside of the zone it says
/// that they do not exist; those marked `None` it refuses to answer (SERVFAIL).
#[derive(Clone, Default)]
struct Zone(Arc<Mutex<Answers>>, Arc<Mutex<BTreeSet<(String, u16)>>>);

/// By name and type.
type Answers = BTreeMap<(String, u16), Option<Vec<Record>>>;

impl Zone {
    async fn serve(&self) -> Arc<Resolver> {
        Arc::new(Resolver::with_servers(&[self.listen().await]).unwrap())
    }

    /// Over UDP, where long answers are cut, and over TCP at the same port.
    async fn listen(&self) -> SocketAddr {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let (address, zone) = (udp.local_addr().unwrap(), self.clone());
        tokio::spawn(async move {
            let mut query = [0; 1_500];
            loop {
                let (len, from) = udp.recv_from(&mut query).await.unwrap();
                let Some(mut answer) = zone.answer(&query[..len]) else { continue };
                if answer.len() > 1_232 {
                    // No records, and the bit that says so.
                    answer[2] |= 2;
                    answer[6..12].fill(0);
                    answer.truncate(question_end(&query));
                }
                let _ = udp.send_to(&answer, from).await;
            }
        });
        let zone = self.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                let zone = zone.clone();
                tokio::spawn(async move {
                    while let Ok(len) = stream.read_u16().await {
                        let mut query = vec![0; usize::from(len)];
                        stream.read_exact(&mut query).await.unwrap();
                        let answer = zone.answer(&query).unwrap();
                        stream.write_u16(answer.len() as u16).await.unwrap();
                        stream.write_all(&answer).await.unwrap();
                    }
                });
            }
        });
        address
    }

    fn set(&self, name: &str, records: Vec<Record>) {
        let mut zone = self.0.lock().unwrap();
        for kind in [A, AAAA, SRV] {
            let of_kind = records.iter().filter(|record| record.0 == kind || record.0 == CNAME).cloned();
            zone.insert((name.to_owned(), kind), Some(of_kind.collect()));
        }
    }

    fn fail(&self, name: &str, kinds: &[u16]) {
        let mut zone = self.0.lock().unwrap();
        kinds.iter().for_each(|kind| drop(zone.insert((name.to_owned(), *kind), None)));
    }

    /// Does not answer such questions at all.
    fn ignore(&self, name: &str, kind: u16) {
        self.1.lock().unwrap().insert((name.to_owned(), kind));
    }

    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let question_end = question_end(query);
        let name = name_of(&query[12..]);
        let kind = u16::from_be_bytes([query[question_end - 4], query[question_end - 3]]);
        if self.1.lock().unwrap().contains(&(name.clone(), kind)) {
            return None;
        }
        let zone = self.0.lock().unwrap();
        let (code, records) = match zone.get(&(name, kind)) {
            None => (3, &[][..]),
            Some(None) => (2, &[][..]),
            Some(Some(records)) => (0, &records[..]),
        };
        // Response, authoritative, recursion desired and available; one question; the answers.
        let mut answer = query[..2].to_vec();
        answer.extend([0x85, 0x80 | code, 0, 1]);
        answer.extend((records.len() as u16).to_be_bytes());
        answer.extend([0; 4]);
        answer.extend(&query[12..question_end]);
        let mut owner = vec![0xc0, 12];
        for Record(kind, ttl, data) in records {
            answer.extend(&owner);
            answer.extend(kind.to_be_bytes());
            answer.extend([0, 1]);
            answer.extend(ttl.to_be_bytes());
            answer.extend((data.len() as u16).to_be_bytes());
            answer.extend(data);
            if *kind == CNAME {
                owner = data.clone();
            }
        }
        Some(answer)
    }
}

fn question_end(query: &[u8]) -> usize {
    12 + query[12..].iter().position(|&byte| byte == 0).unwrap() + 5
}

fn name_of(mut labels: &[u8]) -> String {
    let mut name = String::new();
    while labels[0] > 0 {
        let (label, rest) = labels[1..].split_at(labels[0] as usize);
        name.push_str(&String::from_utf8_lossy(label).to_ascii_lowercase());
        name.push('.');
        labels = rest;
    }
    name
}

fn wire_name(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).chain([0]).collect()
}

fn a(address: &str, ttl: u32) -> Record {
    match address.parse().unwrap() {
        IpAddr::V4(v4) => Record(A, ttl, v4.octets().to_vec()),
        IpAddr::V6(v6) => Record(AAAA, ttl, v6.octets().to_vec()),
    }
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Record {
    let numbers = [priority, weight, port].into_iter().flat_map(u16::to_be_bytes);
    Record(SRV, 60, numbers.chain(wire_name(target)).collect())
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn both_families_are_asked_and_the_shortest_time_to_live_counts() {
    let zone = Zone::default();
    let resolver = zone.serve().await;
    zone.set(
        "shop.test.",
        vec![a("10.0.0.2", 90), a("10.0.0.1", 60), a("2001:db8::1", 120), a("10.0.0.2", 90)],
    );
    let answer = resolver.addresses("shop.test", &[]).await.unwrap();
    let found = ips(&["10.0.0.1", "10.0.0.2", "2001:db8::1"]);
    assert_eq!(answer, Answer { found, ttl: Duration::from_secs(60), missing: None });

    zone.set("alias.test.", vec![Record(CNAME, 5, wire_name("shop.test")), a("10.0.0.9", 60)]);
    let answer = resolver.addresses("alias.test", &[]).await.unwrap();
    assert!(answer.found.contains(&IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9))), "{answer:?}");
    assert_eq!(answer.ttl, Duration::from_secs(5), "the alias expires first");
}

#[tokio::test]
async fn a_name_without_addresses_and_one_that_fails_are_told_apart() {
    let zone = Zone::default();
    let resolver = zone.serve().await;
    assert!(matches!(resolver.addresses("none.test", &[]).await, Err(ResolveError::Empty { .. })));
    zone.fail("broken.test.", &[A, AAAA]);
    assert!(matches!(resolver.addresses("broken.test", &[]).await, Err(ResolveError::Failed { .. })));

    zone.set("half.test.", vec![a("10.0.0.1", 60)]);
    zone.fail("half.test.", &[AAAA]);
    let known = ips(&["10.0.0.7", "2001:db8::7"]);
    let answer = resolver.addresses("half.test", &known).await.unwrap();
    assert_eq!(answer.found, ips(&["10.0.0.1", "2001:db8::7"]), "the family that fails is kept");
    assert_eq!(answer.ttl, Duration::from_secs(5), "and asked for again soon");
}

#[tokio::test]
async fn localhost_needs_no_server() {
    let resolver = Resolver::with_servers(&[]).unwrap();
    assert_eq!(resolver.addresses("localhost", &[]).await.unwrap().found, ips(&["127.0.0.1", "::1"]));
}

#[tokio::test]
async fn a_family_that_is_never_answered_holds_up_the_other_for_a_moment_only() {
    let zone = Zone::default();
    let resolver = zone.serve().await;
    zone.set("shop.test.", vec![a("10.0.0.1", 60)]);
    zone.ignore("shop.test.", AAAA);
    let known = ips(&["2001:db8::7"]);
    let answer = resolver.addresses("shop.test", &known).await.unwrap();
    assert_eq!(answer.found, ips(&["10.0.0.1", "2001:db8::7"]), "it counts as failed");
    assert_eq!(answer.ttl, Duration::from_secs(5));
}

#[tokio::test]
async fn an_answer_that_does_not_fit_a_datagram_comes_whole() {
    let zone = Zone::default();
    let resolver = zone.serve().await;
    let many: Vec<Record> = (0..700).map(|n| a(&Ipv4Addr::from(0x0a00_0000 + n).to_string(), 60)).collect();
    zone.set("many.test.", many);
    assert_eq!(resolver.addresses("many.test", &[]).await.unwrap().found.len(), 700);
}

#[tokio::test]
async fn a_hosts_file_comes_first_and_is_read_again_when_it_changes() {
    let (zone, folder) = (Zone::default(), Folder::new("hosts"));
    let file = folder.write("hosts", "10.0.0.1 app.test\n");
    let resolver = Resolver::new(Some(vec![zone.listen().await]), file).unwrap();
    zone.set("app.test.", vec![a("10.9.9.9", 60)]);
    assert_eq!(resolver.addresses("app.test", &[]).await.unwrap().found, ips(&["10.0.0.1"]));
    folder.write("hosts", "10.0.0.1 other.test\n10.0.0.22 app.test\n");
    assert_eq!(resolver.addresses("app.test", &[]).await.unwrap().found, ips(&["10.0.0.22"]));
    folder.write("hosts", "");
    assert_eq!(resolver.addresses("app.test", &[]).await.unwrap().found, ips(&["10.9.9.9"]));
}

async fn services_of(
    resolver: &Arc<Resolver>,
    known: &[&str],
) -> Result<Answer<(EndpointAddress, u16)>, ResolveError> {
    let known: Vec<_> = known.iter().map(|text| (text.parse().unwrap(), 1)).collect();
    services(resolver, "_http._tcp.test", &known).await
}

/// What SRV records lead to, as text.
async fn led_to(zone: &Zone, resolver: &Arc<Resolver>, records: Vec<Record>) -> Vec<String> {
    zone.set("_http._tcp.test.", records);
    let answer = services_of(resolver, &[]).await.unwrap();
    answer.found.iter().map(|(address, weight)| format!("{address} {weight}")).collect()
}

#[tokio::test]
async fn srv_records_give_ports_and_weights_of_the_best_priority() {
    let zone = Zone::default();
    let resolver = zone.serve().await;
    zone.set("a.test.", vec![a("10.0.0.1", 30), a("2001:db8::1", 30)]);
    zone.set("b.test.", vec![a("10.0.0.2", 30)]);
    let records = vec![srv(1, 5, 8001, "b.test"), srv(1, 0, 8002, "a.test"), srv(2, 9, 8003, "b.test")];
    let expected = ["10.0.0.1:8002 1", "10.0.0.2:8001 5", "[2001:db8::1]:8002 1"];
    assert_eq!(led_to(&zone, &resolver, records).await, expected);
    assert_eq!(services_of(&resolver, &[]).await.unwrap().ttl, Duration::from_secs(30));

    let large = vec![srv(0, 60_000, 1, "a.test"), srv(0, 6_000, 2, "b.test"), srv(0, 1, 3, "b.test")];
    let expected = ["10.0.0.1:1 1000", "10.0.0.2:2 100", "10.0.0.2:3 1", "[2001:db8::1]:1 1000"];
    assert_eq!(led_to(&zone, &resolver, large).await, expected, "weights are scaled");
    let dangling = vec![srv(0, 1, 1, "gone.test"), srv(0, 1, 2, "b.test"), srv(0, 3, 2, "b.test")];
    assert_eq!(led_to(&zone, &resolver, dangling).await, ["10.0.0.2:2 3"], "without addresses: left out");
}

#[tokio::test]
async fn endpoints_of_a_family_that_fails_are_not_lost() {
    let zone = Zone::default();
    let resolver = zone.serve().await;
    zone.set("a.test.", vec![a("10.0.0.1", 30), a("2001:db8::1", 30)]);
    zone.set("_http._tcp.test.", vec![srv(0, 1, 80, "a.test")]);
    zone.fail("a.test.", &[AAAA]);
    let lost = services_of(&resolver, &["10.0.0.1:80", "[2001:db8::1]:80"]).await;
    assert!(matches!(lost, Err(ResolveError::Missing { .. })), "{lost:?}");
    let found = services_of(&resolver, &["10.0.0.1:80", "10.0.0.2:80"]).await.unwrap().found;
    assert_eq!(found.len(), 1, "there never was another family");
}

#[tokio::test]
async fn an_srv_answer_is_whole_or_an_error() {
    let zone = Zone::default();
    let resolver = zone.serve().await;
    let ask = async |records: Vec<Record>| {
        zone.set("_http._tcp.test.", records);
        services_of(&resolver, &[]).await
    };
    zone.set("b.test.", vec![a("10.0.0.2", 30)]);
    zone.fail("broken.test.", &[A, AAAA]);
    assert!(matches!(ask(vec![srv(0, 0, 0, ".")]).await, Err(ResolveError::NotAvailable { .. })));
    assert!(matches!(ask(vec![]).await, Err(ResolveError::Empty { .. })));
    assert!(matches!(ask(vec![srv(0, 1, 1, "gone.test")]).await, Err(ResolveError::Empty { .. })));
    let second = ask(vec![srv(0, 1, 1, "gone.test"), srv(0, 0, 0, "."), srv(1, 1, 2, "b.test")]).await;
    assert_eq!(second.unwrap().found, [("10.0.0.2:2".parse().unwrap(), 1)], "the best leads nowhere");
    zone.set("many.test.", (0..101).map(|n| a(&Ipv4Addr::from(0x0a00_0000 + n).to_string(), 60)).collect());
    let ports = (0..100).map(|port| srv(0, 1, port, "many.test")).collect();
    assert!(matches!(ask(ports).await, Err(ResolveError::TooMany { .. })), "10,100 endpoints");
    let half = vec![srv(0, 1, 1, "b.test"), srv(0, 1, 1, "broken.test")];
    assert!(matches!(ask(half).await, Err(ResolveError::Failed { .. })));
}

/// The loop over a world, and what it tells.
fn start(world: &World, resolver: Arc<Resolver>) -> mpsc::Receiver<Found> {
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(run(world.context(), resolver, sender));
    receiver
}

async fn told(updates: &mut mpsc::Receiver<Found>) -> Found {
    tokio::time::timeout(Duration::from_secs(60), updates.recv()).await.expect("an update").unwrap()
}

fn found(service: &str, endpoints: &[(&str, u16)]) -> Found {
    let endpoints = endpoints.iter().map(|&(text, weight)| (text.parse().unwrap(), weight)).collect();
    Found { service: service.to_owned(), endpoints }
}

#[tokio::test]
async fn a_name_is_followed_and_what_was_known_outlives_failures() {
    let zone = Zone::default();
    let resolver = zone.serve().await;
    zone.set("shop.test.", vec![a("10.0.0.2", 0), a("10.0.0.1", 0)]);
    let world = World::new(vec![service("shop", "discover = \"dns:shop.test:80\"", &[])]);
    let mut updates = start(&world, resolver);
    assert_eq!(told(&mut updates).await, found("shop", &[("10.0.0.1:80", 1), ("10.0.0.2:80", 1)]));

    zone.fail("shop.test.", &[A, AAAA]);
    until("a failure", || world.metric("headgate_discovery_failures_total") == 1).await;
    zone.set("shop.test.", vec![]);
    until("an empty answer", || world.metric("headgate_discovery_failures_total") >= 2).await;
    zone.set("shop.test.", vec![a("10.0.0.3", 0)]);
    assert_eq!(told(&mut updates).await, found("shop", &[("10.0.0.3:80", 1)]), "nothing was told meanwhile");
    assert_eq!(world.metric("headgate_discovery_endpoints"), 1);
}

#[tokio::test]
async fn an_endpoint_that_is_a_name_has_the_last_addresses_that_were_found() {
    let zone = Zone::default();
    let resolver = zone.serve().await;
    let shop = service("shop", "", &["app.test:3000", "10.0.0.1:80"]);
    let world = World::new(vec![Arc::clone(&shop)]);
    let _updates = start(&world, resolver);
    let resolved = |service: &Arc<ServiceState>| service.endpoints[0].resolved().as_deref().cloned();
    until("the name does not exist", || world.metric("headgate_discovery_failures_total") > 0).await;
    assert_eq!(resolved(&shop), None, "whoever dials asks the system");

    zone.set("app.test.", vec![a("::1", 0), a("127.0.0.1", 0)]);
    until("both addresses", || resolved(&shop) == Some(ips(&["127.0.0.1", "::1"]))).await;
    assert_eq!(shop.endpoints[1].resolved(), None, "an address is no name");

    let failures = world.metric("headgate_discovery_failures_total");
    zone.set("app.test.", vec![]);
    until("an empty answer", || world.metric("headgate_discovery_failures_total") > failures).await;
    assert_eq!(resolved(&shop), Some(ips(&["127.0.0.1", "::1"])), "the last that were known");

    let other = service("other", "", &["app.test:80"]);
    world.replace(vec![Arc::clone(&shop), Arc::clone(&other)]);
    until("a later endpoint of the same name", || resolved(&other) == resolved(&shop)).await;

    zone.set("app.test.", vec![a("10.0.0.9", 0)]);
    until("the new address", || resolved(&shop) == Some(ips(&["10.0.0.9"]))).await;
    until("for all of that name", || resolved(&other) == resolved(&shop)).await;
}

/// `/etc/hosts` comes before DNS, and a failing DNS takes nothing from it.
#[tokio::test]
async fn a_local_name_needs_no_server() {
    let local = service("local", "", &["localhost:3000"]);
    let world = World::new(vec![Arc::clone(&local)]);
    let _updates = start(&world, Arc::new(Resolver::with_servers(&[]).unwrap()));
    let resolved = || local.endpoints[0].resolved().is_some_and(|found| *found == ips(&["127.0.0.1", "::1"]));
    until("localhost", resolved).await;
}

#[tokio::test]
async fn a_file_is_followed_and_a_bad_one_changes_nothing() {
    let folder = Folder::new("discover");
    let file = folder.write("endpoints.txt", "10.0.0.2:80 weight=3\n10.0.0.1:80\n");
    let keys = format!("discover = \"file:{}\"", file.display());
    let world = World::new(vec![service("shop", &keys, &[])]);
    let mut updates = start(&world, Zone::default().serve().await);
    assert_eq!(told(&mut updates).await, found("shop", &[("10.0.0.1:80", 1), ("10.0.0.2:80", 3)]));

    folder.write("endpoints.txt", "10.0.0.9:80\nnonsense\n");
    until("the bad file", || world.metric("headgate_discovery_failures_total") == 1).await;
    folder.write("endpoints.txt", "10.0.0.9:80\n");
    assert_eq!(told(&mut updates).await, found("shop", &[("10.0.0.9:80", 1)]));
}

#[tokio::test]
async fn endpoints_of_one_service_are_bounded_and_the_rest_is_counted() {
    let folder = Folder::new("bounded");
    let lines: Vec<String> = (0..ENDPOINTS_MAX as u32 + 7)
        .map(|n| SocketAddr::new(Ipv4Addr::from(0x0a00_0000 + n).into(), 80).to_string())
        .collect();
    let file = folder.write("endpoints.txt", &lines.join("\n"));
    let keys = format!("discover = \"file:{}\"", file.display());
    let world = World::new(vec![service("shop", &keys, &[])]);
    let mut updates = start(&world, Zone::default().serve().await);
    let found = told(&mut updates).await;
    assert_eq!((found.endpoints.len(), world.metric("headgate_discovery_dropped_total")), (ENDPOINTS_MAX, 7));
}
