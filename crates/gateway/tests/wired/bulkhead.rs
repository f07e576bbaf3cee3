//! The bulkhead's places and queue, over all workers.

use crate::gateway::{Gateway, PATIENCE, wait_until};
use crate::peers::{Response, Upstream, get, reply};
use headgate_gateway::worker::Outlets;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, spawn};

/// An upstream that holds each request until it is let go, and the paths in the order in which they came.
struct Held {
    upstream: Upstream,
    release: Sender<()>,
    paths: Arc<Mutex<Vec<String>>>,
}

fn held() -> Held {
    let (release, released) = channel();
    let released = Mutex::new(released);
    let paths: Arc<Mutex<Vec<String>>> = Arc::default();
    let came = Arc::clone(&paths);
    let upstream = Upstream::start(move |head| {
        came.lock().unwrap().push(head.split(' ').nth(1).unwrap().to_owned());
        let _ = released.lock().unwrap().recv_timeout(PATIENCE);
        reply(200, "done")
    });
    Held { upstream, release, paths }
}

fn gateway(held: &Held, bulkhead: &str) -> Gateway {
    let config = format!(
        "[[route]]\nmatch = \"/*\"\nservice = \"shop\"\n[service.shop]\nendpoints = [\"{}\"]\nbulkhead = {bulkhead}\n",
        held.upstream.address
    );
    Gateway::start_with("", &config, vec![Outlets::default(), Outlets::default()])
}

fn ask(gateway: &Gateway, path: &'static str) -> JoinHandle<Response> {
    let address = gateway.address;
    spawn(move || get(address, path))
}

const SHOP: &[(&str, &str)] = &[("service", "shop")];

#[test]
fn who_waits_is_served_in_order_over_all_workers() {
    let held = held();
    let gateway = gateway(&held, "{ in_flight = 1, queue = 8, queue_timeout = \"1h\" }");
    let mut asked = vec![ask(&gateway, "/0")];
    wait_until("the first is inside", || held.upstream.seen() == 1);
    for (queued, path) in ["/1", "/2", "/3", "/4", "/5"].into_iter().enumerate() {
        asked.push(ask(&gateway, path));
        gateway.wait_for_metric("headgate_bulkhead_queued", SHOP, queued as i64 + 1);
    }
    assert_eq!(held.upstream.seen(), 1);
    (0..6).for_each(|_| held.release.send(()).unwrap());
    assert!(asked.into_iter().all(|response| response.join().unwrap().status == 200));
    assert_eq!(*held.paths.lock().unwrap(), ["/0", "/1", "/2", "/3", "/4", "/5"]);
    assert_eq!(gateway.metric("headgate_bulkhead_queued", SHOP), 0);
}

#[test]
fn beyond_the_queue_the_answer_comes_at_once() {
    let held = held();
    let gateway = gateway(&held, "{ in_flight = 1, queue = 1, queue_timeout = \"1h\" }");
    let first = ask(&gateway, "/0");
    wait_until("the first is inside", || held.upstream.seen() == 1);
    let second = ask(&gateway, "/1");
    gateway.wait_for_metric("headgate_bulkhead_queued", SHOP, 1);
    let refused = get(gateway.address, "/2");
    assert_eq!((refused.status, refused.values("retry-after")), (503, vec!["1"]));
    assert!(refused.body.contains("overloaded"), "{}", refused.body);
    assert_eq!(gateway.metric("headgate_bulkhead_refused_total", &[("why", "full")]), 1);
    (0..2).for_each(|_| held.release.send(()).unwrap());
    assert_eq!((first.join().unwrap().status, second.join().unwrap().status), (200, 200));
}

#[test]
fn waiting_for_a_place_has_its_timeout() {
    let held = held();
    let gateway = gateway(&held, "{ in_flight = 1, queue = 1, queue_timeout = \"30ms\" }");
    let first = ask(&gateway, "/0");
    wait_until("the first is inside", || held.upstream.seen() == 1);
    let refused = get(gateway.address, "/1");
    assert_eq!(refused.status, 503);
    assert!(refused.body.contains("queue_timeout"), "{}", refused.body);
    assert_eq!(gateway.metric("headgate_bulkhead_refused_total", &[("why", "timeout")]), 1);
    held.release.send(()).unwrap();
    assert_eq!(first.join().unwrap().status, 200);
    assert_eq!(held.upstream.seen(), 1, "who gave up never went in");
}

#[test]
fn a_reload_with_more_places_lets_the_queue_in() {
    let held = held();
    let gateway = gateway(&held, "{ in_flight = 1, queue = 8, queue_timeout = \"1h\" }");
    let asked = [ask(&gateway, "/0"), ask(&gateway, "/1"), ask(&gateway, "/2")];
    gateway.wait_for_metric("headgate_bulkhead_queued", SHOP, 2);
    let config = format!(
        "[[route]]\nmatch = \"/*\"\nservice = \"shop\"\n[service.shop]\nendpoints = [\"{}\"]\nbulkhead = {{ in_flight = 3 }}\n",
        held.upstream.address
    );
    gateway.reload(&config);
    wait_until("all are inside", || held.upstream.seen() == 3);
    (0..3).for_each(|_| held.release.send(()).unwrap());
    assert!(asked.into_iter().all(|response| response.join().unwrap().status == 200));
}
