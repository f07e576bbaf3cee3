//! `headgate load` against real targets: every planned request is accounted for, a stall and a shortfall show,
//! and what cannot begin says why.

use crate::support::{Authority, Headgate, LISTEN, Port, Service, headgate, output, response, scratch};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Runs the generator to its end; the result as JSON, and the exit code.
fn load(flags: &[&str]) -> (Value, Option<i32>) {
    let ended = output(&[&["load", "--quiet", "--json", "-"], flags].concat());
    let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
    let json = serde_json::from_slice(&ended.stdout).unwrap_or_else(|_| panic!("{errors}"));
    (json, ended.status.code())
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// No request is forgotten, in any phase.
fn assert_accounted(result: &Value) {
    let phases = result["phases"].as_array().unwrap();
    for part in phases.iter().chain([&result["total"]]) {
        let failed: u64 = part["failed"].as_object().unwrap().values().map(count).sum();
        assert_eq!(count(&part["planned"]), count(&part["answered"]) + failed, "{part}");
        let statuses: u64 = part["statuses"].as_object().unwrap().values().map(count).sum();
        assert_eq!(count(&part["answered"]), statuses, "{part}");
    }
}

fn has_note(result: &Value, text: &str) -> bool {
    result["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().contains(text))
}

#[test]
fn both_models_count_what_the_target_saw() {
    for model in [
        &["--users", "8"][..],
        &["--rate", "500"],
        &["--rate", "500", "--pace", "constant", "--threads", "2"],
    ] {
        let service = Service::named("app");
        let url = format!("http://{}/x", service.address);
        let (result, code) = load(&[&[&url, "--duration", "500ms", "--warm-up", "200ms"], model].concat());
        assert_eq!(code, Some(0), "{result}");
        assert_accounted(&result);
        let sent: u64 = result["phases"].as_array().unwrap().iter().map(|phase| count(&phase["sent"])).sum();
        assert_eq!(service.requests() as u64, sent, "{model:?}");
        assert!(
            count(&result["total"]["answered"]) > 100 && sent > count(&result["total"]["sent"]),
            "{result}"
        );
        let connections = count(&result["run"]["connections"]) as usize;
        // One more found out whether there is anybody.
        assert_eq!(service.connections(), connections + 1, "{model:?}");
        let latency = &result["total"]["from_planned"];
        assert_eq!(latency["count"], result["total"]["answered"]);
        assert!(latency["p50_us"].as_f64() <= latency["p99_us"].as_f64());
    }
}

#[test]
fn the_rate_is_kept_whatever_the_answers() {
    let service = Service::named("app");
    let url = format!("http://{}", service.address);
    let (result, _) =
        load(&[&url, "--rate", "400", "--pace", "constant", "--duration", "1s", "--warm-up", "0s"]);
    // The arrival on the very end of the run is not part of it.
    assert_eq!(count(&result["total"]["planned"]), 399);
    assert_eq!(result["run"]["model"], "open");
}

#[test]
fn requests_look_as_asked_for() {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let seeing = seen.clone();
    let service = Service::start(move |request| {
        let head = &request.head;
        let text = format!(
            "{} {:?} {}",
            head.first_line(),
            head.value("x-a"),
            String::from_utf8_lossy(&request.body)
        );
        seeing.lock().unwrap().insert(text);
        response(&[], b"ok")
    });
    let url = format!("http://{}/item/{{key}}?b={{bytes}}", service.address);
    let flags = ["--rate", "200", "--duration", "500ms", "--keys", "uniform:2", "-X", "PUT", "-H", "x-a: 1"];
    let (result, _) = load(&[&[url.as_str(), "--body", "hello"], &flags[..]].concat());
    assert_accounted(&result);
    let expected = [0, 1].map(|key| format!("PUT /item/{key}?b=1024 HTTP/1.1 Some(\"1\") hello"));
    assert_eq!(*seen.lock().unwrap(), BTreeSet::from(expected));
}

#[test]
fn long_bodies_go_both_ways() {
    let service = Service::start(|request| response(&[], &request.body));
    let url = format!("http://{}", service.address);
    let (result, _) =
        load(&[&url, "--users", "2", "--body-size", "300KiB", "--duration", "300ms", "--warm-up", "0s"]);
    assert_accounted(&result);
    let (answered, bytes) = (count(&result["total"]["answered"]), count(&result["total"]["bytes_received"]));
    assert!(answered > 0 && bytes > answered * 300 * 1024, "{answered} answers, {bytes} bytes");
    assert_eq!(result["total"]["error_share"], 0.0);
}

/// Nothing is answered for two seconds. The few requests under way are slow; all that were planned meanwhile
/// have waited, and only the planned time tells.
#[test]
fn a_stall_shows_in_the_latency_from_the_planned_time() {
    let (requests, gate) = (AtomicUsize::new(0), Arc::new((Mutex::new(true), Condvar::new())));
    let service = {
        let gate = gate.clone();
        Service::start(move |_| {
            let (open, changed) = &*gate;
            if requests.fetch_add(1, Relaxed) == 100 {
                *open.lock().unwrap() = false;
                let gate = gate.clone();
                thread::spawn(move || {
                    thread::sleep(Duration::from_secs(2));
                    *gate.0.lock().unwrap() = true;
                    gate.1.notify_all();
                });
            }
            drop(changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
            response(&[], b"ok")
        })
    };
    let url = format!("http://{}", service.address);
    let flags = ["--rate", "200", "--duration", "4s", "--warm-up", "0s", "--connections", "4"];
    let (result, code) = load(&[&[url.as_str()], &flags[..], &["--expect", "p90<100ms"]].concat());
    assert_accounted(&result);
    let total = &result["total"];
    assert_eq!(total["planned"], total["answered"], "all are answered in the end");
    let [planned, sent] = ["from_planned", "from_sent"].map(|from| total[from]["p90_us"].as_f64().unwrap());
    assert!(planned > 1_000_000.0, "half of the run's requests waited up to two seconds: {planned}");
    assert!(sent < 1_000_000.0, "but only four of them after sending: {sent}");
    assert!(count(&total["late"]) > 100 && has_note(&result, "were sent late"), "{result}");
    assert_eq!((code, &result["expectations"][0]["met"]), (Some(3), &Value::Bool(false)));
}

#[test]
fn a_shortfall_is_counted_and_said() {
    let service = Service::start(|_| {
        thread::sleep(Duration::from_millis(20));
        response(&[], b"ok")
    });
    let url = format!("http://{}", service.address);
    let flags =
        ["--rate", "1000", "--duration", "1s", "--warm-up", "0s", "--connections", "2", "--timeout", "300ms"];
    let (result, code) = load(&[&[url.as_str()], &flags[..], &["--expect", "dropped<=0"]].concat());
    assert_accounted(&result);
    let total = &result["total"];
    assert!(count(&total["failed"]["dropped"]) > 500, "two connections carry a hundred a second: {total}");
    assert!(total["answered_per_s"].as_f64().unwrap() < total["planned_per_s"].as_f64().unwrap() / 2.0);
    assert!(has_note(&result, "planned rate was not reached") && has_note(&result, "never sent"), "{result}");
    // Those who were given up count with the time for which they waited.
    assert!(total["from_planned"]["p90_us"].as_f64().unwrap() >= 300_000.0);
    assert_eq!(code, Some(3));
}

#[test]
fn a_silent_target_times_out_and_its_connections_are_replaced() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let flags = ["--users", "3", "--duration", "500ms", "--warm-up", "0s", "--timeout", "100ms"];
    let (result, code) = load(&[&[url.as_str()], &flags[..], &["--expect", "errors<1%"]].concat());
    assert_accounted(&result);
    assert!(count(&result["total"]["failed"]["timeout"]) >= 3, "{result}");
    assert!(count(&result["generator"]["reconnects"]) >= 3 && code == Some(3), "{result}");
}

#[test]
fn answers_that_break_off_or_make_no_sense_are_told_apart() {
    for (answer, reason) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort"[..], "closed"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "malformed"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = thread::spawn(move || {
            use std::io::Write;
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = [0; 1_024];
                // The first connection only looks whether there is anybody, the last ends the test.
                match stream.read(&mut head) {
                    Ok(4) => return,
                    Ok(0) | Err(_) => {}
                    Ok(_) => drop(stream.write_all(answer)),
                }
            }
        });
        let (result, _) = load(&[&url, "--users", "1", "--duration", "300ms", "--warm-up", "0s"]);
        std::io::Write::write_all(&mut std::net::TcpStream::connect(&url[7..]).unwrap(), b"stop").unwrap();
        serving.join().unwrap();
        assert_accounted(&result);
        let failed = result["total"]["failed"].as_object().unwrap();
        assert!(count(&failed[reason]) > 0 && count(&result["total"]["answered"]) == 0, "{reason}: {result}");
        assert_eq!(result["total"]["error_share"], 1.0);
    }
}

#[test]
fn statuses_and_closing_connections_are_counted() {
    let service = Service::start(|request| match request.head.has("connection") {
        true => b"HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec(),
        false => response(&[], b"kept"),
    });
    let url = format!("http://{}", service.address);
    let (result, _) = load(&[&url, "--users", "2", "--duration", "300ms", "--warm-up", "0s", "--close"]);
    assert_accounted(&result);
    let answered = count(&result["total"]["answered"]);
    assert_eq!(count(&result["total"]["statuses"]["503"]), answered);
    assert_eq!(result["total"]["error_share"], 1.0);
    assert!(service.connections() as u64 > answered && has_note(&result, "were closed during the run"));
}

#[test]
fn http2_and_tls_reach_the_gateway() {
    let (authority, service) = (Authority::new(), Service::start(|request| response(&[], &request.body)));
    let tls = format!(
        "tls = {{ certificates = [{}] }}",
        authority.certificate("web", &["localhost", "127.0.0.1"]).entry()
    );
    let endpoint = service.address;
    let config = format!(
        "workers = 1\n[listen.plain]\nbind = \"{LISTEN}\"\nhttp2 = true\n[listen.web]\nbind = \"{LISTEN}\"\n{tls}\n\
         [service.app]\nendpoints = [\"{endpoint}\"]\n[[route]]\nmatch = \"/*\"\nservice = \"app\"\n"
    );
    let gateway = Headgate::start(&config);
    let ca = authority.file();
    let ca = ca.to_str().unwrap();
    let (plain, secure) = (gateway.listener("plain"), gateway.listener("web"));
    for (url, flags, protocol) in [
        (format!("http://{plain}"), &["--http2", "--users", "20", "--streams", "10"][..], "HTTP/2"),
        (format!("https://{secure}"), &["--http2", "--users", "20", "--ca", ca], "HTTP/2"),
        (
            format!("https://{secure}"),
            &["--http2", "--rate", "200", "--insecure", "--body-size", "100KiB"],
            "HTTP/2",
        ),
        (format!("https://{secure}"), &["--users", "5", "--ca", ca], "HTTP/1.1"),
        (format!("https://{secure}"), &["--rate", "200", "--insecure", "--body-size", "100KiB"], "HTTP/1.1"),
    ] {
        let (result, code) =
            load(&[&[url.as_str(), "--duration", "300ms", "--warm-up", "0s"], flags].concat());
        assert_eq!(code, Some(0), "{flags:?}");
        assert_accounted(&result);
        assert_eq!(result["run"]["protocol"], protocol);
        let total = &result["total"];
        assert!(count(&total["answered"]) > 10, "{flags:?}: {result}");
        assert_eq!(
            (&total["planned"], &total["answered"]),
            (&total["answered"], &total["statuses"]["200"]),
            "{flags:?}"
        );
    }
}

#[test]
fn what_cannot_begin_says_why_and_what_to_do() {
    let unused = Port::reserve();
    let nobody = format!("http://{}", unused.address);
    let service = Service::named("app");
    let plain = format!("https://{}", service.address);
    let http2 = format!("http://{}", service.address);
    for (flags, code, texts) in [
        (&[nobody.as_str(), "--users", "1"][..], 1, ["nothing can be reached", "is the target running"]),
        (&["ftp://x", "--users", "1"], 1, ["ftp", "http://127.0.0.1:3000/path"]),
        (&["http://no-such-host.invalid", "--users", "1"], 1, ["no-such-host.invalid", "spelling"]),
        (&[":1"], 2, ["--rate", "--users"]),
        (&[":1", "--users", "1", "--rate", "1"], 2, ["cannot be used with", "--rate"]),
        (&[":1", "--rate", "fast"], 2, ["fast", "100-500:1m"]),
        (&[":1", "--users", "1", "--expect", "p99"], 1, ["`p99` is no expectation", "p99<50ms"]),
        (&[":1", "--users", "1", "-H", "content-length: 5"], 1, ["content-length", "--body"]),
        (&[":1", "--users", "2000000"], 1, ["closed.phases", "write less"]),
        (&[":1", "--users", "1", "--workload", "/no/such.toml"], 2, ["--workload", "--users"]),
        (&[":1", "--workload", "/no/such.toml"], 1, ["cannot read", "/no/such.toml"]),
        (&[&plain, "--users", "1", "--timeout", "500ms"], 1, ["none of 1 connections", "127.0.0.1"]),
        (&[&http2, "--users", "1", "--http2", "--timeout", "500ms"], 1, ["none of 1 connections", "HTTP/2"]),
    ] {
        let ended = output(&[&["load"], flags].concat());
        let text = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(code), "{flags:?}: {text}");
        assert!(texts.iter().all(|part| text.contains(part)), "{flags:?}: {text}");
    }
}

#[test]
fn a_workload_file_is_followed() {
    let paths = Arc::new(Mutex::new(BTreeSet::new()));
    let seeing = paths.clone();
    let service = Service::start(move |request| {
        seeing.lock().unwrap().insert(request.head.first_line().to_owned());
        response(&[], b"ok")
    });
    let scratch = scratch();
    let file = scratch.file("shop.toml");
    fs::write(scratch.file("rates.txt"), "200\n400\n").unwrap();
    let text = "[open]\ntrace = { file = \"rates.txt\" }\n[steps.home]\npath = \"/\"\n[steps.cart]\npath = \"/cart\"\nwrites = 1.0\n";
    fs::write(&file, text).unwrap();
    let url = format!("http://{}/shop", service.address);
    let (result, code) = load(&[&url, "--workload", file.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    assert_accounted(&result);
    assert!((450..750).contains(&count(&result["total"]["planned"])), "{result}");
    let expected = ["GET /shop/ HTTP/1.1", "POST /shop/cart HTTP/1.1"].map(str::to_owned);
    assert_eq!(*paths.lock().unwrap(), BTreeSet::from(expected));
}

#[test]
fn an_interrupted_run_still_says_what_it_saw() {
    let service = Service::named("app");
    let url = format!("http://{}", service.address);
    let mut child = headgate()
        .args(["load", &url, "--rate", "200", "--duration", "1h", "--warm-up", "0s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut progress = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = progress.next().unwrap().unwrap();
    assert!(line.contains("1/3600 s  steady"), "{line}");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(text.contains("The run was interrupted after") && text.contains("from planned"), "{text}");
}

#[test]
fn the_report_is_one_file_and_the_schema_is_the_published_one() {
    let service = Service::named("app");
    let scratch = scratch();
    let (html, json) = (scratch.file("load.html"), scratch.file("load.json"));
    let url = format!("http://{}", service.address);
    let flags = ["--users", "100:300ms,2:300ms", "--quiet", "--expect", "p50<1h"];
    let files = ["--html", html.to_str().unwrap(), "--json", json.to_str().unwrap()];
    let ended = output(&[&["load", &url], &flags[..], &files[..]].concat());
    let text = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success() && text.contains("expected p50<1h met"), "{text}");
    let page = fs::read_to_string(html).unwrap();
    assert!(page.contains("Requests per second") && page.contains("Latency by percentile"));
    let result: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(result["phases"].as_array().unwrap().len(), 2);

    let schema: Value = serde_json::from_slice(&output(&["load", "--schema"]).stdout).unwrap();
    let published = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/load.schema.json");
    let published: Value = serde_json::from_str(&fs::read_to_string(published).unwrap()).unwrap();
    assert!(schema == published, "write it anew: headgate load --schema > docs/load.schema.json");
    let required: BTreeSet<&str> =
        schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(required, result.as_object().unwrap().keys().map(String::as_str).collect());
}
