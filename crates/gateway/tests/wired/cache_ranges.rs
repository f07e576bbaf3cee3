//! Ranges at the cache: from stored wholes and stored parts, with every condition that may stand beside them.

use crate::gateway::Gateway;
use crate::peers::{Response, Upstream, send};
use headgate_gateway::purge::Purge;
use headgate_gateway::worker::Outlets;
use headgate_model::dice::Dice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const WHOLE: &str = "0123456789";

/// Answers ranges of one content, `fields` go with each answer.
fn upstream(fields: &'static str) -> Upstream {
    Upstream::start(move |head| {
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let fields = format!("connection: close\r\n{fields}");
        if let Some(range) = field("range: bytes=") {
            let (first, last) = range.split_once('-').unwrap();
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap_or(9));
            let part = &WHOLE[first..=last];
            let content = format!("content-range: bytes {first}-{last}/10\r\ncontent-length: {}", part.len());
            return format!("HTTP/1.1 206 X\r\n{fields}{content}\r\n\r\n{part}");
        }
        if field("if-none-match: ").is_some() {
            return format!("HTTP/1.1 304 X\r\n{fields}\r\n");
        }
        format!("HTTP/1.1 200 X\r\n{fields}content-length: 10\r\n\r\n{WHOLE}")
    })
}

fn gateway(upstream: &Upstream) -> Gateway {
    let config = format!(
        "[[route]]\nmatch = \"/*\"\nservice = \"shop\"\ncache = true\n\
         [service.shop]\nendpoints = [\"{}\"]\n",
        upstream.address
    );
    Gateway::start_with("", &config, vec![Outlets::default(), Outlets::default()])
}

fn ask(gateway: &Gateway, fields: &str) -> Response {
    send(gateway.address, "GET", "/a", fields)
}

/// Status, content and `Content-Range`.
fn told(response: &Response) -> (u16, &str, String) {
    (response.status, &response.body, response.values("content-range").join(", "))
}

const TAGGED: &str = "cache-control: max-age=600\r\netag: \"v1\"\r\n";

#[test]
fn a_part_answers_what_lies_in_it_and_never_as_the_whole() {
    let upstream = upstream(TAGGED);
    let gateway = gateway(&upstream);
    for _ in 0..2 {
        let part = ask(&gateway, "range: bytes=2-6\r\n");
        assert_eq!(told(&part), (206, "23456", "bytes 2-6/10".to_owned()));
    }
    assert_eq!(told(&ask(&gateway, "range: bytes=3-4\r\n")).1, "34");
    assert_eq!(upstream.seen(), 1);
    let head = send(gateway.address, "HEAD", "/a", "range: bytes=3-4\r\n");
    assert_eq!((head.status, head.values("content-length"), upstream.seen()), (206, vec!["2"], 2));
    for (beyond, answer) in [("bytes=2-7", "234567"), ("bytes=6-", "6789"), ("bytes=0-2", "012")] {
        assert_eq!(ask(&gateway, &format!("range: {beyond}\r\n")).body, answer);
    }
    assert_eq!(upstream.seen(), 5);
    assert_eq!(told(&ask(&gateway, "")), (200, WHOLE, String::new()));
    assert_eq!(upstream.seen(), 6);
    assert_eq!(gateway.stored().1, 1, "with the whole, its parts have gone");
    assert_eq!(told(&ask(&gateway, "range: bytes=2-6\r\n")), (206, "23456", "bytes 2-6/10".to_owned()));
    assert_eq!(upstream.seen(), 6);
}

#[test]
fn conditions_count_for_a_part_as_for_the_whole() {
    let upstream = upstream(TAGGED);
    let gateway = gateway(&upstream);
    let part = "range: bytes=2-6\r\n";
    ask(&gateway, part);
    assert_eq!(ask(&gateway, &format!("{part}if-range: \"v1\"\r\n")).body, "23456");
    let same = ask(&gateway, &format!("{part}if-none-match: \"v1\"\r\n"));
    assert_eq!((same.status, &*same.body, upstream.seen()), (304, "", 1));
    // Somebody who has another version would join bytes of two.
    for tag in ["\"v0\"", "W/\"v1\"", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        let seen = upstream.seen();
        ask(&gateway, &format!("{part}if-range: {tag}\r\n"));
        assert_eq!(upstream.seen(), seen + 1, "{tag}");
    }
}

#[test]
fn purges_and_changes_take_parts_away() {
    let upstream = upstream("cache-control: max-age=600\r\nsurrogate-key: t\r\n");
    let gateway = gateway(&upstream);
    let part = "range: bytes=2-6\r\n";
    for (number, purge) in
        [Purge::Url("shop.test/a".to_owned()), Purge::Tag("t".to_owned()), Purge::Everything]
            .iter()
            .enumerate()
    {
        ask(&gateway, part);
        ask(&gateway, part);
        assert_eq!(upstream.seen(), number + 1);
        gateway.purge(purge, false).unwrap();
    }
    ask(&gateway, part);
    send(gateway.address, "POST", "/a", "content-length: 0\r\n");
    ask(&gateway, part);
    assert_eq!(upstream.seen(), 6);
}

#[test]
fn a_part_without_its_whole_content_digest() {
    let upstream = upstream(
        "cache-control: max-age=600\r\ncontent-digest: sha-256=:YQ==:\r\nrepr-digest: sha-256=:Yg==:\r\n",
    );
    let gateway = gateway(&upstream);
    assert_eq!(ask(&gateway, "").values("content-digest").len(), 1);
    let part = ask(&gateway, "range: bytes=2-6\r\n");
    assert_eq!((part.values("content-digest").len(), part.values("repr-digest").len()), (0, 1));
}

#[test]
fn more_content_than_announced_is_not_stored() {
    let upstream = Upstream::start(|_| {
        let fields = "connection: close\r\ncache-control: max-age=600\r\ncontent-range: bytes 2-3/10\r\n";
        format!("HTTP/1.1 206 X\r\n{fields}content-length: 5\r\n\r\n23456")
    });
    let gateway = gateway(&upstream);
    for asked in 1..3 {
        ask(&gateway, "range: bytes=2-3\r\n");
        assert_eq!(upstream.seen(), asked);
    }
}

#[test]
fn a_stale_part_that_is_confirmed_stays_a_part() {
    let upstream = upstream("cache-control: max-age=0, stale-while-revalidate=600\r\netag: \"v1\"\r\n");
    let gateway = gateway(&upstream);
    let part = "range: bytes=2-6\r\n";
    ask(&gateway, part);
    for _ in 0..4 {
        assert_eq!(told(&ask(&gateway, part)), (206, "23456", "bytes 2-6/10".to_owned()));
    }
    gateway.wait_for_metric("headgate_cache_requests_total", &[("result", "stale")], 4);
    assert_eq!(told(&ask(&gateway, "range: bytes=3-4\r\n")).1, "34");
}

/// A gateway that has stored 1,000 bytes, and those.
fn with_long(fields: &'static str) -> (Gateway, Upstream, String) {
    let whole: String = (0..1_000).map(|at| char::from(b'a' + (at * 7 % 26) as u8)).collect();
    let content = whole.clone();
    let upstream = Upstream::start(move |_| {
        format!("HTTP/1.1 200 X\r\nconnection: close\r\n{fields}content-length: 1000\r\n\r\n{content}")
    });
    let gateway = gateway(&upstream);
    assert_eq!(ask(&gateway, "").body, whole);
    (gateway, upstream, whole)
}

const LONG: &str = "cache-control: max-age=600\r\netag: \"v1\"\r\ncontent-type: text/plain\r\n\
                    content-digest: sha-256=:YQ==:\r\n";

#[test]
fn several_ranges_are_answered_in_parts() {
    let (gateway, upstream, whole) = with_long(LONG);
    let answer = ask(&gateway, "range: bytes=-10, 0-9, 300-399\r\nif-range: \"v1\"\r\n");
    let content_type = answer.values("content-type").join(", ");
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let part = |range: &str, content: &str| {
        format!(
            "\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes {range}/1000\r\n\r\n{content}"
        )
    };
    let expected = [
        part("990-999", &whole[990..]),
        part("0-9", &whole[..10]),
        part("300-399", &whole[300..400]),
        format!("\r\n--{boundary}--\r\n"),
    ]
    .concat();
    assert_eq!((answer.status, &*answer.body), (206, &*expected));
    assert_eq!(answer.values("content-length"), [expected.len().to_string()]);
    assert_eq!(answer.values("content-range").len() + answer.values("content-digest").len(), 0);
    assert_eq!((answer.values("etag"), answer.values("age").len()), (vec!["\"v1\""], 1));
    let again = ask(&gateway, "range: bytes=-10, 0-9, 300-399\r\n");
    assert_ne!(again.values("content-type"), [content_type], "nobody can put the boundary into content");
    let near = ask(&gateway, "range: bytes=20-29,0-9\r\n");
    assert_eq!(told(&near), (206, &whole[..30], "bytes 0-29/1000".to_owned()));
    let behind = ask(&gateway, "range: bytes=1000-,2000-\r\n");
    assert_eq!(told(&behind), (416, "", "bytes */1000".to_owned()));
    assert_eq!(upstream.seen(), 1);
}

#[test]
fn what_is_no_use_in_parts_is_answered_whole() {
    let (gateway, upstream, whole) = with_long(LONG);
    let many: Vec<String> = (0..17).map(|at| format!("{}-{}", at * 50, at * 50)).collect();
    let bomb = vec!["0-"; 1_000].join(",");
    let apart = "range: bytes=0-9,500-509\r\n";
    for fields in [
        format!("range: bytes={}\r\n", many.join(",")),
        format!("range: bytes={bomb}\r\n"),
        "range: bytes=0-,-1000\r\n".to_owned(),
        "range: bytes=0-499,500-999\r\n".to_owned(),
        "range: bytes=0-9,900-x\r\n".to_owned(),
        "range: lines=0-9,500-509\r\n".to_owned(),
        format!("{apart}if-range: \"v0\"\r\n"),
        format!("{apart}if-range: W/\"v1\"\r\n"),
    ] {
        let answer = ask(&gateway, &fields);
        assert_eq!((answer.status, &*answer.body), (200, &*whole), "{fields}");
        assert_eq!(
            (answer.values("content-type"), answer.values("content-digest").len()),
            (vec!["text/plain"], 1)
        );
    }
    let same = ask(&gateway, &format!("{apart}if-none-match: \"v1\"\r\n"));
    assert_eq!((same.status, &*same.body), (304, ""));
    let head = send(gateway.address, "HEAD", "/a", apart);
    assert_eq!((head.status, head.values("content-length"), &*head.body), (200, vec!["1000"], ""));
    assert_eq!(upstream.seen(), 1);
}

/// The content of a version: letters, so that it is text at every place.
fn version(number: usize) -> String {
    let dice = &mut Dice::new(number as u64);
    (0..2_000).map(|_| char::from(b'a' + dice.below(26) as u8)).collect()
}

/// Answers with the present version: a part where one range is asked for and `If-Range` allows it.
fn versioned(present: &Arc<AtomicUsize>) -> Upstream {
    let present = Arc::clone(present);
    Upstream::start(move |head| {
        if head.starts_with("POST") {
            present.fetch_add(1, SeqCst);
            return "HTTP/1.1 204 X\r\nconnection: close\r\n\r\n".to_owned();
        }
        let number = present.load(SeqCst);
        let (content, tag) = (version(number), format!("\"{number}\""));
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let fields = format!("connection: close\r\ncache-control: max-age=600\r\netag: {tag}\r\n");
        let whole = || format!("HTTP/1.1 200 X\r\n{fields}content-length: 2000\r\n\r\n{content}");
        let Some(range) =
            field("range: bytes=").filter(|_| field("if-range: ").is_none_or(|known| known == tag))
        else {
            return whole();
        };
        let Some((first, last)) = range.split_once('-').filter(|_| !range.contains(',')) else {
            return whole();
        };
        let (first, last) = match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) if first < 2_000 => (first, last.min(1_999)),
            (Ok(first), Err(_)) if first < 2_000 => (first, 1_999),
            (Err(_), Ok(suffix)) if suffix > 0 => (2_000 - suffix.min(2_000), 1_999),
            _ => return format!("HTTP/1.1 416 X\r\n{fields}content-length: 0\r\n\r\n"),
        };
        let part = &content[first..=last];
        let length = part.len();
        format!(
            "HTTP/1.1 206 X\r\n{fields}content-range: bytes {first}-{last}/2000\r\ncontent-length: {length}\r\n\r\n{part}"
        )
    })
}

/// A range as a client may ask for it, of 2,000 bytes.
fn some_range(dice: &mut Dice) -> String {
    let (first, more) = (dice.below(2_100), dice.below(600));
    match dice.below(6) {
        0 => format!("{first}-"),
        1 => format!("-{more}"),
        _ => format!("{first}-{}", first + more),
    }
}

/// Whether the bytes of `content` from a `Content-Range` are these.
fn is_slice(content: &str, range: &str, bytes: &str) -> bool {
    let (first, rest) = range.strip_prefix("bytes ").unwrap().split_once('-').unwrap();
    let (last, complete) = rest.split_once('/').unwrap();
    assert!(complete == "2000" || complete == "*", "{range}");
    content[first.parse().unwrap()..=last.parse::<usize>().unwrap()] == *bytes
}

#[test]
fn no_answer_has_a_byte_of_another_place_or_version_whatever_is_asked() {
    for seed in 0..4 {
        let (dice, present) = (&mut Dice::new(seed), Arc::new(AtomicUsize::new(1)));
        let upstream = versioned(&present);
        let gateway = gateway(&upstream);
        let (mut hits, mut parts) = (0, 0);
        for number in 0..250 {
            if dice.below(20) == 0 {
                ask(&gateway, "");
            }
            if dice.below(15) == 0 {
                send(gateway.address, "POST", "/a", "content-length: 0\r\n");
            }
            let count = if dice.below(3) == 0 { 2 + dice.below(3) } else { 1 };
            let ranges: Vec<String> = (0..count).map(|_| some_range(dice)).collect();
            let mut fields = format!("range: bytes={}\r\n", ranges.join(", "));
            let known = present.load(SeqCst) - dice.below(2) as usize;
            let conditional = dice.below(3);
            match conditional {
                0 => fields += &format!("if-range: \"{known}\"\r\n"),
                1 => fields += &format!("if-none-match: \"{known}\"\r\n"),
                _ => {}
            }
            let answer = ask(&gateway, &fields);
            let context = format!("seed {seed}, request {number}: {fields}{answer:?}");
            // A change took everything away that came before it.
            let tag = format!("\"{}\"", present.load(SeqCst));
            let content = version(present.load(SeqCst));
            if answer.status != 416 {
                assert_eq!(answer.values("etag"), [&*tag], "{context}");
            }
            match answer.status {
                200 => assert!(answer.body == content, "{context}"),
                304 => assert!(conditional == 1 && tag == format!("\"{known}\""), "{context}"),
                206 if answer.values("content-range").is_empty() => {
                    let content_type = answer.values("content-type").join("");
                    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
                    let end = format!("\r\n--{boundary}--\r\n");
                    let body = answer.body.strip_suffix(&end).unwrap_or_else(|| panic!("{context}"));
                    for part in body.split(&format!("\r\n--{boundary}\r\n")).skip(1) {
                        let (head, bytes) = part.split_once("\r\n\r\n").unwrap();
                        assert!(
                            is_slice(&content, head.strip_prefix("Content-Range: ").unwrap(), bytes),
                            "{context}"
                        );
                        parts += 1;
                    }
                }
                206 => {
                    assert!(is_slice(&content, answer.values("content-range")[0], &answer.body), "{context}")
                }
                416 => {
                    assert!(ranges.iter().all(|range| range.starts_with("20") || range == "-0"), "{context}")
                }
                _ => panic!("{context}"),
            }
            assert!(answer.status != 206 || conditional != 0 || tag == format!("\"{known}\""), "{context}");
            hits += usize::from(answer.values("cache-status").join("").contains("; hit"));
        }
        assert!(hits > 50 && parts > 20, "seed {seed}: {hits} hits, {parts} parts");
    }
}
