//! Faults of the exchange: delay, abort, reset, stall, partition; and what retries, breakers, ejection and
//! fallbacks make of them.

use super::{config, logged, rule};
use crate::support::frames::*;
use crate::support::{End, Headgate, Port, Service, one_service};
use std::time::{Duration, Instant};

const QUICK: &str = "retry = { attempts = 2, statuses = [503], backoff = \"1ms\" }";

#[test]
fn a_delay_is_not_over_before_its_time() {
    let service = Service::named("app");
    for delay in ["{ constant = \"300ms\" }", "{ uniform = { latency = \"400ms\", jitter = \"100ms\" } }"] {
        let gateway = Headgate::start(&config("", &[service.address], &format!("{{ delay = {delay} }}")));
        let started = Instant::now();
        assert_eq!(gateway.connect().get("/").text(), "app GET / HTTP/1.1");
        assert!(started.elapsed() >= Duration::from_millis(300), "{delay}: {:?}", started.elapsed());
    }
}

#[test]
fn an_abort_answers_in_the_endpoints_place() {
    let service = Service::named("app");
    let mut gateway =
        logged(&config("", &[service.address], "{ abort = { status = 418, body = \"injected\" } }"));
    let mut client = gateway.connect();
    for _ in 0..2 {
        let response = client.get("/");
        assert_eq!((response.status(), response.text().as_str()), (418, "injected"));
        assert_eq!(gateway.line(), "418 - true");
    }
    assert_eq!(service.requests(), 0);
}

#[test]
fn an_aborted_upload_does_not_confuse_the_connection() {
    let service = Service::named("app");
    let gateway = Headgate::start(&config("", &[service.address], "{ abort = { status = 503 } }"));
    let mut client = gateway.connect();
    let response = client.ask("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\nbeginning");
    assert_eq!((response.status(), response.head.value("connection")), (503, Some("close")));
    client.finish_sending();
    client.assert_ended();
}

#[test]
fn a_reset_reaches_the_client_and_no_fallback_stands_in() {
    let service = Service::named("app");
    let settings = format!("{QUICK}\nfallback = {{ body = \"sorry\" }}");
    let mut gateway = logged(&config(&settings, &[service.address], "\"reset\""));
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let (bytes, end) = client.rest();
    assert_eq!((bytes.as_slice(), end), (&b""[..], End::Reset));
    assert_eq!(gateway.line(), "500 injected true");
    let mut client = Frames::open(&gateway);
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, get(&[])));
    client.until(|frame| (frame.kind == RST_STREAM).then_some(()));
    client.assert_alive();
    assert_eq!(service.requests(), 0);
}

#[test]
fn a_stall_lasts_until_the_timeouts() {
    let service = Service::named("app");
    for (timeouts, fault) in [
        ("timeouts = { first_byte = \"100ms\" }", "first_byte_timeout"),
        ("timeouts = { total = \"100ms\" }", "deadline"),
    ] {
        let mut gateway = logged(&config(timeouts, &[service.address], "\"stall\""));
        assert_eq!(gateway.connect().get("/").status(), 504);
        assert_eq!(gateway.line(), format!("504 {fault} true"));
    }
    // And no longer than the client stays.
    let mut gateway = logged(&config("", &[service.address], "\"stall\""));
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    client.reset();
    assert_eq!(gateway.line(), "499 client_closed true");
    assert_eq!(service.requests(), 0);
}

#[test]
fn a_partition_is_a_connection_that_fails() {
    let service = Service::named("app");
    for (fault, logged_as) in [
        ("{ partition = \"refuse\" }", "502 connect_failed true"),
        ("\"down\"", "502 connect_failed true"),
        ("{ partition = \"timeout\" }", "504 connect_timeout true"),
    ] {
        let settings = "timeouts = { connect = \"100ms\" }\nretry = { attempts = 1 }";
        let mut gateway = logged(&config(settings, &[service.address], fault));
        gateway.connect().get("/");
        assert_eq!(gateway.line(), logged_as, "{fault}");
    }
    assert_eq!(service.connections(), 0);
}

#[test]
fn a_retry_goes_round_an_endpoint_that_is_hit() {
    let (hit, well) = (Service::named("hit"), Service::named("well"));
    for fault in ["{ abort = { status = 503 } }", "{ partition = \"refuse\" }", "{ reset_peer = {} }"] {
        let config = format!(
            "{}\n{}",
            one_service("", QUICK, &[hit.address, well.address]),
            rule("hit", &format!("endpoint = \"{}\"", hit.address), fault)
        );
        let gateway = Headgate::start(&config);
        let mut client = gateway.connect();
        for _ in 0..6 {
            assert_eq!(client.get("/").text(), "well GET / HTTP/1.1", "{fault}");
        }
    }
}

#[test]
fn an_outlier_is_ejected_and_a_breaker_opens_for_injected_faults() {
    let (hit, well) = (Service::named("hit"), Service::named("well"));
    let outlier = "outlier = { consecutive_failures = 3, ejection = \"1h\" }\nretry = { attempts = 1 }";
    let only_hit = rule("hit", &format!("endpoint = \"{}\"", hit.address), "{ abort = { status = 500 } }");
    let config_text = format!("{}\n{only_hit}", one_service("", outlier, &[hit.address, well.address]));
    let mut gateway = Headgate::start(&config_text);
    let mut client = gateway.connect();
    let failed = (0..6).filter(|_| client.get("/").status() == 500).count();
    assert!(failed >= 3);
    gateway.event("ejected");

    let breaker =
        "breaker = { minimum_requests = 5, failure_percent = 50, open = \"1h\" }\nretry = { attempts = 1 }";
    let mut gateway = logged(&config(breaker, &[well.address], "{ partition = \"refuse\" }"));
    let mut client = gateway.connect();
    let seen: Vec<String> = (0..12)
        .map(|_| {
            client.get("/");
            gateway.line()
        })
        .collect();
    assert_eq!(seen.first().map(String::as_str), Some("502 connect_failed true"));
    assert!(
        seen.last().is_some_and(|last| last.contains("breaker_open") || last.contains("no_endpoint")),
        "{seen:?}"
    );
}

#[test]
fn a_fallback_stands_in_for_a_service_that_is_partitioned() {
    let service = Service::named("app");
    let settings = "fallback = { body = \"sorry\", status = 200 }";
    let gateway = Headgate::start(&config(settings, &[service.address], "\"down\""));
    assert_eq!(gateway.connect().get("/").text(), "sorry");
}

#[test]
fn a_rule_hits_its_route_and_service_and_its_share_and_nothing_else() {
    let (one, two) = (Service::named("one"), Service::named("two"));
    let config = |rules: &str| {
        format!(
            "{}\nname = \"first\"\n[service.other]\nendpoints = [\"{}\"]\n[[route]]\nname = \"second\"\nmatch = \"/other/*\"\n\
             service = \"other\"\n{rules}",
            one_service("", "", &[one.address]),
            two.address
        )
    };
    let answers = |rules: &str| {
        let gateway = Headgate::start(&config(rules));
        let mut client = gateway.connect();
        let both: Vec<u16> = ["/", "/other/"].iter().map(|path| client.get(path).status()).collect();
        for _ in 0..20 {
            assert_eq!(vec![client.get("/").status(), client.get("/other/").status()], both, "{rules}");
        }
        both
    };
    let abort = |further: &str| rule("a", further, "{ abort = { status = 599 } }");
    assert_eq!(answers(""), [200, 200]);
    assert_eq!(answers(&abort("percent = 0")), [200, 200]);
    assert_eq!(answers(&abort("percent = 100")), [599, 599]);
    assert_eq!(answers(&abort("route = \"second\"")), [200, 599]);
    assert_eq!(answers(&abort("service = \"app\"")), [599, 200]);
    assert_eq!(answers(&abort(&format!("endpoint = \"{}\"", two.address))), [200, 599]);
    assert_eq!(answers(&abort("route = \"second\"\nservice = \"app\"")), [200, 200]);
    let gateway = Headgate::start(&config(&abort("percent = 50")));
    let mut client = gateway.connect();
    let hit = (0..400).filter(|_| client.get("/").status() == 599).count();
    // Ten standard deviations.
    assert!((100..=300).contains(&hit), "{hit} of 400");
}

#[test]
fn a_request_that_no_rule_hits_is_untouched() {
    let (service, dead) = (Service::named("app"), Port::reserve());
    let elsewhere = rule("a", &format!("endpoint = \"{}\"", dead.address), "\"down\"");
    let config = format!("{}\n{elsewhere}", one_service("", "", &[service.address]));
    let mut gateway = logged(&config);
    let mut client = gateway.connect();
    for _ in 0..3 {
        client.get("/");
        assert_eq!(gateway.line(), "200 - false");
    }
    assert_eq!(service.connections(), 1, "its connection is kept as ever");
}
