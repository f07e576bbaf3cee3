//! Retries, breakers, outcomes for the control loop, fallbacks, the total deadline.

use crate::gateway::{Gateway, wait_until};
use crate::peers::{Upstream, get, nobody, reply, send};
use headgate_gateway::worker::Outlets;
use headgate_model::signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

const ROUTE: &str = "[[route]]\nmatch = \"/*\"\nservice = \"shop\"\n";

fn shop(endpoints: &[&Upstream], rest: &str) -> String {
    let endpoints: Vec<String> = endpoints.iter().map(|one| one.address.to_string()).collect();
    format!("{ROUTE}\n[service.shop]\nendpoints = {endpoints:?}\n{rest}\n")
}

#[test]
fn a_listed_status_is_tried_again_elsewhere() {
    let (bad, good) = (Upstream::fixed(503, "no"), Upstream::fixed(200, "yes"));
    let gateway = Gateway::start(&shop(&[&bad, &good], "retry = { statuses = [503], backoff = \"1ms\" }"));
    for _ in 0..8 {
        let response = get(gateway.address, "/");
        assert_eq!((response.status, response.body.as_str()), (200, "yes"));
    }
    assert!(bad.seen() > 0, "it was asked in its turn");
    let good = good.address.to_string();
    let retries = gateway.metric("headgate_upstream_retries_total", &[("endpoint", &good)]);
    assert_eq!(retries, bad.seen() as i64);
}

/// The system knows no `app.invalid` (RFC 6761 section 6.4).
#[test]
fn a_name_is_dialled_where_discovery_says_and_a_refusal_leads_to_the_next_address() {
    let upstream = Upstream::fixed(200, "yes");
    let name = format!("app.invalid:{}", upstream.address.port());
    let service = format!("endpoints = [\"{name}\"]\npool = {{ requests = 1 }}");
    let gateway = Gateway::start(&format!("{ROUTE}\n[service.shop]\n{service}\n"));
    assert_eq!(get(gateway.address, "/").status, 502, "nothing is known of it");
    gateway.resolve("shop", 0, &["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    for _ in 0..9 {
        assert_eq!(get(gateway.address, "/").body, "yes");
    }
    gateway.resolve("shop", 0, &["127.0.0.2"]);
    assert_eq!(get(gateway.address, "/").status, 502, "nobody listens there");
}

#[test]
fn an_endpoint_that_is_drained_does_not_keep_the_others_from_a_panic() {
    let (only, drained) = (Upstream::fixed(200, "yes"), Upstream::fixed(200, "drained"));
    let endpoints = format!("[\"{}\", {{ address = \"{}\", weight = 0 }}]", only.address, drained.address);
    let gateway = Gateway::start(&format!(
        "{ROUTE}\n[service.shop]\nendpoints = {endpoints}\noutlier = {{ panic_percent = 50 }}\n"
    ));
    gateway.eject("shop", 0);
    wait_until("the panic is seen", || get(gateway.address, "/").body == "yes");
}

#[test]
fn the_last_response_is_passed_on_as_it_is() {
    let bad = Upstream::fixed(503, "no");
    let gateway =
        Gateway::start(&shop(&[&bad], "retry = { statuses = [503], attempts = 3, backoff = \"1ms\" }"));
    let response = get(gateway.address, "/");
    assert_eq!((response.status, response.body.as_str()), (503, "no"));
    assert_eq!(bad.seen(), 3);
    let post = send(gateway.address, "POST", "/", "content-length: 0\r\n");
    assert_eq!((post.status, bad.seen()), (503, 4), "a POST may have had its effect");
}

#[test]
fn the_budget_bounds_retries() {
    let bad = Upstream::fixed(503, "no");
    let retry = "retry = { statuses = [503], backoff = \"1ms\", budget_percent = 0 }";
    let gateway = Gateway::start(&shop(&[&bad], retry));
    for _ in 0..30 {
        assert_eq!(get(gateway.address, "/").body, "no");
    }
    // The floor of ten; one more window may have begun on a slow machine.
    assert!((40..=50).contains(&bad.seen()), "{}", bad.seen());
}

#[test]
fn a_breaker_opens_and_answers_at_once() {
    let bad = Upstream::fixed(500, "no");
    let breaker = "breaker = { minimum_requests = 4, open = \"1h\", window = \"1h\" }";
    let gateway = Gateway::start(&shop(&[&bad], breaker));
    for _ in 0..4 {
        assert_eq!(get(gateway.address, "/").body, "no");
    }
    let response = get(gateway.address, "/");
    assert_eq!(response.status, 503);
    assert!(response.body.contains("breaker_open"), "{}", response.body);
    assert_eq!(response.values("retry-after"), ["1"]);
    assert_eq!(bad.seen(), 4);
    let service = &[("service", "shop"), ("endpoint", "")];
    assert_eq!(gateway.metric("headgate_breaker_open", service), 1);

    gateway.reload(&shop(&[&bad], &format!("{breaker}\nslow_start = \"1s\"")));
    assert_eq!(get(gateway.address, "/").status, 503, "a reload that does not concern it keeps it open");
    gateway.reload(&shop(&[&bad], ""));
    assert_eq!(get(gateway.address, "/").status, 500);
    assert_eq!(gateway.metric("headgate_breaker_open", service), 0);
}

#[test]
fn a_probe_that_succeeds_closes_the_breaker() {
    let failing = Arc::new(AtomicBool::new(true));
    let is_failing = Arc::clone(&failing);
    let upstream = Upstream::start(move |_| reply(if is_failing.load(SeqCst) { 500 } else { 200 }, ""));
    let breaker = "breaker = { minimum_requests = 2, open = \"20ms\", probes = 1 }";
    let gateway = Gateway::start(&shop(&[&upstream], breaker));
    for _ in 0..2 {
        get(gateway.address, "/");
    }
    let service = |to| [("service", "shop"), ("endpoint", ""), ("to", to)];
    assert_eq!(gateway.metric("headgate_breaker_changes_total", &service("open")), 1);
    failing.store(false, SeqCst);
    wait_until("the breaker closes", || get(gateway.address, "/").status == 200);
    assert_eq!(gateway.metric("headgate_breaker_changes_total", &service("half_open")), 1);
    assert_eq!(gateway.metric("headgate_breaker_changes_total", &service("closed")), 1);
}

#[test]
fn an_endpoint_whose_breaker_is_open_is_left_out() {
    let (bad, good) = (Upstream::fixed(500, "no"), Upstream::fixed(200, "yes"));
    let breaker = "breaker = { minimum_requests = 4, failure_percent = 80, open = \"1h\", window = \"1h\" }";
    let gateway = Gateway::start(&shop(&[&bad, &good], breaker));
    for _ in 0..20 {
        get(gateway.address, "/");
    }
    assert_eq!((bad.seen(), good.seen()), (4, 16));
}

#[test]
fn the_control_loop_is_told_outcomes_where_it_asked() {
    let (sender, receiver) = signal::queue();
    let outlets = Outlets { signals: Some(sender), access_log: None };
    let (bad, good) = (Upstream::fixed(500, ""), Upstream::fixed(200, ""));
    let config = format!("[service.plain]\nendpoints = [\"{}\"]\n", good.address);
    let config = format!(
        "{}{config}[[route]]\nmatch = \"/plain\"\nservice = \"plain\"\n",
        shop(&[&bad], "outlier = {}")
    );
    let gateway = Gateway::start_with("", &config, vec![outlets]);
    assert_eq!(get(gateway.address, "/").status, 500);
    assert_eq!(get(gateway.address, "/plain").status, 200);
    let mut outcomes = Vec::new();
    receiver.drain_into(&mut outcomes);
    let told: Vec<_> =
        outcomes.iter().map(|outcome| (outcome.endpoint.name.to_string(), outcome.ok)).collect();
    assert_eq!(told, [(bad.address.to_string(), false)]);
}

#[test]
fn another_service_stands_in_for_one_that_is_down() {
    let spare = Upstream::fixed(200, "spare");
    let config = format!(
        "{ROUTE}\n[service.shop]\nendpoints = [\"{}\"]\nfallback = {{ service = \"spare\" }}\n\
         [service.spare]\nendpoints = [\"{}\"]\n",
        nobody(),
        spare.address
    );
    let gateway = Gateway::start(&config);
    assert_eq!(get(gateway.address, "/").body, "spare");
    let post = send(gateway.address, "POST", "/", "content-length: 0\r\n");
    assert_eq!(post.body, "spare", "nothing of it had been delivered");
    assert_eq!(gateway.metric("headgate_fallbacks_total", &[("service", "shop")]), 2);
    assert_eq!(gateway.metric("headgate_faults_total", &[]), 0);
}

#[test]
fn what_may_have_had_its_effect_does_not_go_to_another_service() {
    let (broken, spare) = (Upstream::start(|_| String::new()), Upstream::fixed(200, "spare"));
    let rest =
        format!("fallback = {{ service = \"spare\" }}\n[service.spare]\nendpoints = [\"{}\"]", spare.address);
    let gateway = Gateway::start(&shop(&[&broken], &rest));
    assert_eq!(send(gateway.address, "POST", "/", "content-length: 0\r\n").status, 502);
    assert_eq!(spare.seen(), 0);
    assert_eq!(get(gateway.address, "/").body, "spare");
}

#[test]
fn fixed_content_stands_in_for_a_fault_but_not_for_a_response() {
    let fallback = "fallback = { body = \"sorry\", status = 200, content_type = \"text/x\" }";
    let down = format!("{ROUTE}[service.shop]\nendpoints = [\"{}\"]\n{fallback}\n", nobody());
    let gateway = Gateway::start(&down);
    let response = get(gateway.address, "/");
    assert_eq!((response.status, response.body.as_str()), (200, "sorry"));
    assert_eq!(response.values("content-type"), ["text/x"]);
    let bad = Upstream::fixed(503, "its own");
    gateway.reload(&shop(&[&bad], fallback));
    assert_eq!(get(gateway.address, "/").body, "its own");
}

#[test]
fn the_total_deadline_ends_all_attempts() {
    let held = Upstream::start(|_| {
        std::thread::park_timeout(crate::gateway::PATIENCE);
        String::new()
    });
    let gateway = Gateway::start(&shop(&[&held], "timeouts = { total = \"50ms\" }"));
    let response = get(gateway.address, "/");
    assert_eq!(response.status, 504);
    assert!(response.body.contains("deadline"), "{}", response.body);
    assert_eq!(held.seen(), 1);
}
