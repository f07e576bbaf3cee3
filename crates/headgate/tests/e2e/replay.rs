//! `headgate replay`: small logs of every format, plain and compressed, through the real program.

use crate::support::{Service, one_service, output, scratch};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::process::Output;

/// Keys of a small trace: three that return, and many that do not.
fn keys() -> impl Iterator<Item = u32> {
    (0..600u32).map(|step| if step % 2 == 0 { step / 2 % 3 + 1 } else { 1_000 + step })
}

const REQUESTS: u64 = 600;
const OBJECTS: u64 = 303;

fn lines(line: impl Fn(u32) -> String) -> Vec<u8> {
    keys().map(|key| line(key) + "\n").collect::<String>().into_bytes()
}

fn replay(content: &[u8], more: &[&str]) -> (Output, Option<Value>) {
    let scratch = scratch();
    let (log, json) = (scratch.file("log"), scratch.file("out.json"));
    fs::write(&log, content).unwrap();
    let arguments = [&["replay", log.to_str().unwrap(), "--json", json.to_str().unwrap()], more].concat();
    let output = output(&arguments);
    let figures = fs::read_to_string(json).ok().map(|text| serde_json::from_str(&text).unwrap());
    (output, figures)
}

fn figures(name: &str, content: &[u8], more: &[&str]) -> Value {
    let (output, figures) = replay(content, more);
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    figures.unwrap()
}

fn access(key: u32) -> String {
    format!("10.0.0.1 - - [31/Jan/2026:23:59:59 +0000] \"GET /{key} HTTP/1.1\" 200 100")
}

#[test]
fn every_format_gives_the_same_requests() {
    let combined = |key: u32| access(key) + " \"-\" \"curl/8\"";
    let haproxy = |key: u32| {
        format!(
            "Feb  6 12:14:14 a haproxy[1]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] in b/s 0/0/1/4/5 200 100 - - \
             ---- 1/1/1/1/0 0/0 \"GET /{key} HTTP/1.1\""
        )
    };
    let json = |key: u32| {
        format!(
            "{{\"method\":\"GET\",\"host\":\"a\",\"path\":\"/{key}\",\"status\":200,\"bytes_out\":100,\
             \"duration_us\":5000}}"
        )
    };
    let csv = [b"time,url,size\n".to_vec(), lines(|key| format!("1,/{key},100"))].concat();
    let short: Vec<u8> = keys().flat_map(u32::to_be_bytes).collect();
    let long: Vec<u8> = keys().flat_map(|key| u64::from(key).to_be_bytes()).collect();
    let cases: [(&str, Vec<u8>, &[&str]); 11] = [
        ("common", lines(access), &[]),
        ("combined", lines(combined), &[]),
        ("haproxy", lines(haproxy), &[]),
        ("json", lines(json), &[]),
        ("other json", lines(|key| format!("{{\"u\":{key},\"n\":100}}")), &["--columns", "key=u,size=n"]),
        ("csv", csv, &[]),
        ("named csv", lines(|key| format!("1,{key},100")), &["--columns", "time,key,size"]),
        ("keys", lines(|key| key.to_string()), &[]),
        ("arc", lines(|key| format!("{key} 1 0 0")), &[]),
        ("u32", short, &["--format", "u32"]),
        ("i64", long, &["--format", "i64"]),
    ];
    for (name, content, more) in cases {
        let figures = figures(name, &content, more);
        assert_eq!(figures["requests"], REQUESTS, "{name}");
        assert_eq!(figures["objects"], OBJECTS, "{name}");
        let rows = figures["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 4 * 10, "{name}: nine policies and the limit at four sizes");
        // 5 % are 15 objects: enough for the three that return.
        let hits = |policy: &str| {
            let row = |row: &&Value| row["policy"] == policy && row["capacity_share"].as_f64().unwrap() > 0.2;
            rows.iter().find(row).unwrap()["hits"].clone()
        };
        assert_eq!((hits("lru"), hits("belady")), (297.into(), 297.into()), "{name}");
        let is_timed = matches!(name, "haproxy" | "json");
        assert_eq!(figures["total_us"].is_number(), is_timed, "{name}");
    }
}

#[test]
fn compressed_files_are_read_through() {
    let plain = lines(access);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = ruzstd::encoding::compress_to_vec(&plain[..], ruzstd::encoding::CompressionLevel::Fastest);
    let two = [&zstd[..], &zstd[..]].concat();
    assert_eq!(figures("gzip", &gzip, &[])["requests"], REQUESTS);
    assert_eq!(figures("zstd", &zstd, &[])["requests"], REQUESTS);
    assert_eq!(figures("two frames", &two, &[])["requests"], 2 * REQUESTS);
    // `printf '1\n2\n1\n' | xz`
    assert_eq!(figures("xz", &XZ, &[])["requests"], 3);
    let (output, figures) = replay(&gzip[..gzip.len() / 2], &[]);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && complaint.contains("what follows could not be read"), "{complaint}");
    assert!(figures.unwrap()["requests"].as_u64().unwrap() > 0, "what precedes the damage counts");
}

const XZ: [u8; 64] = [
    253, 55, 122, 88, 90, 0, 0, 4, 230, 214, 180, 70, 2, 0, 33, 1, 22, 0, 0, 0, 116, 47, 229, 163, 1, 0, 5,
    49, 10, 50, 10, 49, 10, 0, 0, 0, 249, 35, 16, 199, 127, 75, 133, 231, 0, 1, 30, 6, 193, 47, 164, 29, 31,
    182, 243, 125, 1, 0, 0, 0, 0, 4, 89, 90,
];

#[test]
fn damage_is_told_and_only_an_empty_result_fails() {
    let content = [&b"nonsense\n"[..], &lines(access)].concat();
    let (output, figures) = replay(&content, &["--format", "access"]);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && complaint.contains("log:1: no quoted request: nonsense"),
        "{complaint}"
    );
    assert_eq!(figures.unwrap()["requests"], REQUESTS);
    let posts = lines(|key| access(key).replace("GET", "POST"));
    let (output, _) = replay(&posts, &[]);
    assert_eq!(output.status.code(), Some(1), "nothing of it can be cached");
    assert_eq!(self::figures("posts", &posts, &["--all"])["requests"], REQUESTS);
    let (output, _) = replay(b"what is this\n", &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("--format"));
}

#[test]
fn the_result_is_a_table_an_advice_and_a_page() {
    let scratch = scratch();
    let page = scratch.file("page.html");
    let (output, _) = replay(&lines(access), &["--sizes", "1KiB,50%", "--html", page.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("Cache of 1.0 KiB") && text.contains("origin requests saved"), "{text}");
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("Object hits by size of the cache") && page.contains("<pre># "), "{page}");
}

/// Whatever the log says: sizes or none, durations or none, with and without fetching ahead.
#[test]
fn the_advice_is_a_configuration_that_is_accepted() {
    let json = |key: u32| format!("{{\"path\":\"/{key}\",\"bytes_out\":100,\"duration_us\":5100}}");
    let cases: [(Vec<u8>, &[&str], &str); 3] = [
        (lines(access), &[], "memory = \"1MiB\""),
        (lines(|key| key.to_string()), &[], "# memory: room for "),
        (lines(json), &["--prefetch"], "eviction = "),
    ];
    for (content, more, wanted) in cases {
        let (output, _) = replay(&content, more);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let advice = text.split_once("Recommended configuration:\n\n").map(|(_, advice)| advice.to_owned());
        let advice = advice.unwrap_or_else(|| panic!("{text} {}", String::from_utf8_lossy(&output.stderr)));
        assert!(advice.contains(wanted), "{advice}");
        let (scratch, service) = (scratch(), Service::named("app"));
        let config = scratch.file("headgate.toml");
        fs::write(&config, one_service("", "", &[service.address]) + "\n" + &advice).unwrap();
        let checked = self::output(&["check", config.to_str().unwrap()]);
        assert!(checked.status.success(), "{advice}\n{}", String::from_utf8_lossy(&checked.stderr));
    }
}
