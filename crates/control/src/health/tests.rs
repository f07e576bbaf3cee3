//! The whole health loop against endpoints on real sockets.

use super::{PROBES_MAX, run};
use crate::testkit::{World, service, until, with_endpoints};
use headgate_model::state::HealthVerdict::{Healthy, Unhealthy, Unknown};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU16, Ordering::SeqCst};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// An endpoint that answers every request with a status that can be changed. At zero it does not answer.
async fn endpoint() -> (String, Arc<AtomicU16>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let status = Arc::new(AtomicU16::new(200));
    let answer = Arc::clone(&status);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let status = answer.load(SeqCst);
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 1_024]).await;
                if status == 0 {
                    return std::future::pending().await;
                }
                let _ = stream.write_all(format!("HTTP/1.1 {status} S\r\n\r\n").as_bytes()).await;
            });
        }
    });
    (address, status)
}

const CHECK: &str = "health = { path = \"/\", interval = \"10ms\", timeout = \"100ms\" }";

#[tokio::test]
async fn a_verdict_follows_the_endpoint_and_goes_with_the_check() {
    let (address, status) = endpoint().await;
    let shop = service("shop", CHECK, &[&address]);
    let world = World::new(vec![Arc::clone(&shop)]);
    let looping = tokio::spawn(run(world.context()));
    let endpoint = &shop.endpoints[0];
    until("healthy", || endpoint.health() == Healthy).await;
    assert_eq!((endpoint.since(), world.metric("headgate_endpoint_unhealthy")), (None, 0));

    status.store(503, SeqCst);
    until("unhealthy", || endpoint.health() == Unhealthy).await;
    assert_eq!(world.metric("headgate_endpoint_unhealthy"), 1);
    status.store(204, SeqCst);
    until("healthy again", || endpoint.health() == Healthy).await;
    assert!(endpoint.since().is_some(), "slow start begins");
    status.store(0, SeqCst);
    until("unhealthy by timeout", || endpoint.health() == Unhealthy).await;

    world.replace(vec![with_endpoints("shop", "", shop.endpoints.clone())]);
    until("nobody says it is unhealthy", || endpoint.health() == Unknown).await;
    assert_eq!(world.metric("headgate_endpoint_unhealthy"), 0);
    assert!(world.metric("headgate_health_checks_total") >= 8, "1 + 3 + 2 + 3 probes made the changes");
    looping.abort();
}

#[tokio::test]
async fn endpoints_that_come_are_probed_and_a_reload_changes_the_check() {
    let ((one, _), (two, status)) = (endpoint().await, endpoint().await);
    let before = service("shop", CHECK, &[&one]);
    let world = World::new(vec![Arc::clone(&before)]);
    let looping = tokio::spawn(run(world.context()));
    until("the first is healthy", || before.endpoints[0].health() == Healthy).await;

    status.store(404, SeqCst);
    let new = service("shop", CHECK, &[&two]);
    let both = vec![Arc::clone(&before.endpoints[0]), Arc::clone(&new.endpoints[0])];
    world.replace(vec![with_endpoints("shop", CHECK, both.clone())]);
    until("the new one is not healthy", || both[1].health() == Unhealthy).await;
    assert_eq!(both[0].health(), Healthy);

    let by_tcp = CHECK.replace("path = \"/\"", "kind = \"tcp\"");
    world.replace(vec![with_endpoints("shop", &by_tcp, both.clone())]);
    until("it accepts connections", || both[1].health() == Healthy).await;
    looping.abort();
}

#[tokio::test]
async fn a_shorter_interval_does_not_wait_for_the_longer_one_to_pass() {
    let (address, status) = endpoint().await;
    let before =
        service("shop", "health = { path = \"/\", interval = \"1000s\", timeout = \"10s\" }", &[&address]);
    let world = World::new(vec![Arc::clone(&before)]);
    let looping = tokio::spawn(run(world.context()));
    let endpoint = &before.endpoints[0];
    status.store(503, SeqCst);
    until("the first probe, soon", || world.metric("headgate_health_checks_total") == 1).await;
    world.replace(vec![with_endpoints("shop", CHECK, before.endpoints.clone())]);
    until("probed in the new rhythm", || endpoint.health() == Unhealthy).await;
    looping.abort();
}

/// More endpoints than probes that may be under way, each answering when it is let.
#[tokio::test]
async fn probes_under_way_are_bounded() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (open, most) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let answers = Arc::new(Semaphore::new(0));
    let (count, peak, allowed) = (Arc::clone(&open), Arc::clone(&most), Arc::clone(&answers));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            peak.fetch_max(count.fetch_add(1, SeqCst) + 1, SeqCst);
            let (count, allowed) = (Arc::clone(&count), Arc::clone(&allowed));
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 1_024]).await;
                allowed.acquire().await.unwrap().forget();
                // Before the answer, after which the next probe may begin.
                count.fetch_sub(1, SeqCst);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            });
        }
    });
    let keys = "health = { path = \"/\", interval = \"10ms\", timeout = \"60s\" }";
    let services = (0..PROBES_MAX * 2).map(|n| service(&n.to_string(), keys, &[&address]));
    let world = World::new(services.collect());
    let looping = tokio::spawn(run(world.context()));
    let full = PROBES_MAX as i64;
    until("as many as there may be", || open.load(SeqCst) == full).await;
    let rounds = PROBES_MAX * 6;
    answers.add_permits(rounds);
    until("each was probed", || world.metric("headgate_health_checks_total") == rounds as i64).await;
    until("as many again", || open.load(SeqCst) == full).await;
    assert_eq!(most.load(SeqCst), full, "never more");
    looping.abort();
}
