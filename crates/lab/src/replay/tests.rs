//! Formats told apart and read, damage survived, and the figures of small traces by hand.

use super::format::{Csv, Format, Json, Line, Parser, key};
use super::result::{BELADY, Comparison, Size};
use super::trace::{Recorder, Trace};
use super::{limit, play, read};
use headgate_model::dice::Dice;
use headgate_policy::evict::Kind;
use headgate_policy::evict::adaptive::Goal;

const COMMON: &str = r#"10.0.0.1 - ann [31/Jan/2026:23:59:59 +0000] "GET /a?x=1 HTTP/1.1" 200 1234"#;
const COMBINED: &str = r#"::1 - - [31/Jan/2026:23:59:59 +0000] "GET /a HTTP/2.0" 200 1234 "-" "a \"b\" [c]""#;
const HAPROXY: &str = r#"Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /a HTTP/1.1""#;
const JSON: &str = r#"{"time":"2026-01-31T23:59:59.000001Z","method":"GET","host":"a.test","path":"/a","status":200,"bytes_out":1234,"duration_us":5100}"#;

fn request(parser: &mut Parser, line: &str) -> super::format::Request {
    match parser.line(line) {
        Line::Request(request) => request,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_formats_are_told_apart_and_read() {
    let csv = "time,op,size,lbn\n1,2a,512,42932745";
    for (text, format) in [
        (COMMON, Format::Access),
        (COMBINED, Format::Access),
        (HAPROXY, Format::Haproxy),
        (JSON, Format::Json),
        (csv, Format::Csv),
        ("*\n12\n13\n", Format::Keys),
        ("1 0 68\n2 1 7454\n", Format::Sized),
        ("1 1 0 0\n2 1 0 0\n", Format::Arc),
    ] {
        assert_eq!(Format::guess(text.as_bytes()), Some(format), "{text}");
    }
    assert_eq!(Format::guess(b"what is this\n"), None);
    let path = key(&[b"/a"]);
    let combined = request(&mut Parser::Access, COMBINED);
    assert_eq!((combined.key, combined.bytes, combined.duration_us), (path, Some(1234), None));
    assert_ne!(request(&mut Parser::Access, COMMON).key, path, "the query belongs to the key");
    let haproxy = request(&mut Parser::Haproxy, HAPROXY);
    assert_eq!((haproxy.key, haproxy.bytes, haproxy.duration_us), (path, Some(2750), Some(109_000.0)));
    let json = request(&mut Parser::Json(Json::default()), JSON);
    assert_eq!(
        (json.key, json.bytes, json.duration_us),
        (key(&[b"a.test", b"/a"]), Some(1234), Some(5_100.0))
    );
    let mut parser = Parser::Csv(Csv::default());
    assert_eq!(parser.line("time,op,size,lbn"), Line::Nothing);
    assert_eq!(request(&mut parser, "1,2a,512,42932745").bytes, Some(512));
    let mut parser = Parser::Csv(Csv::named(&["x", "url", "duration_ms", "status"]).unwrap());
    let quoted = request(&mut parser, "0,\"a,\"\"b\",2.5,200");
    assert_eq!((quoted.key, quoted.duration_us), (key(&[b"a,\"b"]), Some(2_500.0)));
    assert!(Csv::named(&["x", "y"]).is_err());
    assert_ne!(request(&mut Parser::Sized, "1 7 10").key, request(&mut Parser::Sized, "2 7 11").key);
    assert_eq!(Parser::Arc.line("5 3 0 1"), Line::Run { first: 5, count: 3 });
}

#[test]
fn words_of_both_lengths_are_told_apart() {
    let mut dice = Dice::new(1);
    let short: Vec<u8> =
        (0..4_000).flat_map(|_| (0x0800_0000 + dice.below(500) as u32).to_be_bytes()).collect();
    let long: Vec<u8> = (0..2_000).flat_map(|_| dice.below(300).to_be_bytes()).collect();
    let hashes: Vec<u8> = (0..2_000)
        .flat_map(|_| (dice.below(300) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes())
        .collect();
    assert_eq!(Format::guess(&short), Some(Format::U32));
    assert_eq!(Format::guess(&long), Some(Format::I64));
    assert_eq!(Format::guess(&hashes), Some(Format::I64));
}

#[test]
fn only_what_a_cache_stores_counts_unless_all_is_asked_for() {
    let cacheable = |line: &str| request(&mut Parser::Access, line).is_cacheable;
    assert!(cacheable(COMMON));
    assert!(!cacheable(&COMMON.replace("GET", "POST")));
    assert!(!cacheable(&COMMON.replace(" 200 ", " 500 ")));
    assert!(cacheable(&COMMON.replace(" 200 1234", " 304 -")));
    let json = |line: &str| request(&mut Parser::Json(Json::default()), line).is_cacheable;
    assert!(json(JSON) && !json(&JSON.replace("\"status\":200,", "")), "the client got no answer");
}

fn read_lines(parser: Parser, text: &[u8], all: bool) -> (read::Tally, Trace) {
    let (mut recorder, mut parser) = (Recorder::new(false), parser);
    let tally = read::lines(&mut &*text, &mut parser, all, &mut recorder, &mut |_| {});
    (tally, recorder.finish())
}

#[test]
fn damage_is_counted_and_shown_with_its_line() {
    let long = "x".repeat(200_000);
    let text =
        format!("{COMBINED}\nnonsense \u{1b}[2J\n{long}\n\n{COMMON}\n{}\n", COMMON.replace("GET", "PUT"));
    let (tally, trace) = read_lines(Parser::Access, text.as_bytes(), false);
    assert_eq!((tally.requests, tally.damaged, tally.not_cacheable), (2, 2, 1));
    assert_eq!((trace.requests.len(), trace.objects.len()), (2, 2));
    let lines: Vec<u64> = tally.examples.iter().map(|example| example.0).collect();
    assert_eq!(lines, [2, 3]);
    assert!(!tally.examples[0].2.contains('\u{1b}'), "a terminal shall not obey a log");
}

/// Whatever the bytes are, every line is counted once and nothing panics.
#[test]
fn no_input_is_too_odd() {
    let seeds = [COMMON, COMBINED, HAPROXY, JSON, "key,size\na,1", "1 2 3", "1 2 3 4", "*", "1"];
    let parsers = || {
        [Parser::Access, Parser::Haproxy, Parser::Json(Json::default()), Parser::Csv(Csv::default())]
            .into_iter()
            .chain([Parser::Keys, Parser::Sized, Parser::Arc])
    };
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let mut text: Vec<u8> = Vec::new();
        for _ in 0..20 {
            let mut line = seeds[dice.below(seeds.len() as u64) as usize].as_bytes().to_vec();
            for _ in 0..dice.below(4) {
                let at = dice.below(line.len() as u64) as usize;
                match dice.below(3) {
                    0 => line[at] = dice.bits() as u8,
                    1 => line.truncate(at.max(1)),
                    _ => line.insert(at, b"\"\\/,{ -"[dice.below(7) as usize]),
                }
            }
            text.extend(line);
            text.push(b'\n');
        }
        let _ = Format::guess(&text);
        for parser in parsers() {
            let (tally, trace) = read_lines(parser, &text, true);
            assert_eq!(tally.requests, trace.requests.len() as u64, "seed {seed}");
        }
    }
}

#[test]
fn the_last_word_may_be_cut_off() {
    let (mut recorder, bytes) = (Recorder::new(false), [0, 0, 0, 7, 0, 0, 0, 7, 1]);
    let tally = read::words(&mut &bytes[..], Format::U32, &mut recorder, &mut |_| {});
    assert_eq!((tally.requests, tally.damaged), (2, 1));
    assert_eq!(recorder.finish().objects.len(), 1);
}

fn unit(keys: impl IntoIterator<Item = u64>) -> Trace {
    let mut recorder = Recorder::new(true);
    for key in keys {
        recorder.add(&super::format::Request { key, bytes: None, duration_us: None, is_cacheable: true });
    }
    recorder.finish()
}

/// The most hits that any choice of victims gives, where each miss must be admitted: by trying all.
fn best(requests: &[u64], resident: &[u64], places: usize) -> u64 {
    let Some((first, rest)) = requests.split_first() else { return 0 };
    if resident.contains(first) {
        return 1 + best(rest, resident, places);
    }
    let with = |kept: Vec<u64>| best(rest, &[kept, vec![*first]].concat(), places);
    if resident.len() < places {
        return with(resident.to_vec());
    }
    let without = |victim: u64| with(resident.iter().copied().filter(|other| *other != victim).collect());
    resident.iter().map(|victim| without(*victim)).max().unwrap_or(0)
}

#[test]
fn belady_is_the_best_of_all_choices_and_above_every_policy() {
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let keys: Vec<u64> = (0..14).map(|_| dice.below(6)).collect();
        let trace = unit(keys.clone());
        let hits = limit::play(3, &trace, &limit::next_uses(&trace)).hits;
        assert_eq!(hits, best(&keys, &[], 3), "seed {seed}: {keys:?}");
        let long = unit((0..3_000).map(|_| dice.below(dice.clone().below(200) + 1)));
        let limit = limit::play(20, &long, &limit::next_uses(&long)).hits;
        for kind in Kind::ALL {
            assert!(
                play::play(kind, 20, Goal::Objects, &long).savings.hits <= limit,
                "seed {seed}, {}",
                kind.name()
            );
        }
    }
}

#[test]
fn sizes_durations_and_ratios_add_up() {
    let line = |path: &str, bytes: u64, us: u64| {
        JSON.replace("\"/a\"", &format!("\"{path}\""))
            .replace("1234", &bytes.to_string())
            .replace("5100", &us.to_string())
    };
    let text = [line("/a", 100, 1_000), line("/b", 300, 4_000), line("/a", 0, 3_000), line("/a", 100, 2_000)]
        .join("\n");
    let (_, trace) = read_lines(Parser::Json(Json::default()), text.as_bytes(), false);
    assert_eq!((trace.object_bytes(), trace.request_bytes()), (400, 600), "the largest answer is the size");
    let mut comparison = Comparison::new(&trace, Goal::Cost);
    let played = play::play(Kind::Lru, 400, Goal::Cost, &trace);
    let savings = played.savings;
    comparison.add("lru", 400, played);
    let limit = limit::play(400, &trace, &limit::next_uses(&trace));
    comparison.add(BELADY, 400, play::Played { savings: limit, curve: None });
    let row = &comparison.rows[0];
    assert_eq!((row.object_hit_ratio, row.byte_hit_ratio, savings.saved_us), (0.5, 200.0 / 600.0, 4_000.0));
    assert_eq!(comparison.total_us, Some(10_000.0));
    assert_eq!(comparison.advice().unwrap().policy, "lru", "the limit is no policy");
    assert!(comparison.tables()[0].to_string().contains("40.00"), "{}", comparison.tables()[0]);
}

#[test]
fn sizes_are_read_as_people_write_them() {
    for (text, size) in [
        ("64MiB", Size::Bytes(64 << 20)),
        ("1.5GB", Size::Bytes(1_500_000_000)),
        ("4096", Size::Bytes(4_096)),
        ("5%", Size::Share(0.05)),
    ] {
        assert_eq!(Size::parse(text), Ok(size));
    }
    for wrong in ["", "%", "0", "-1", "5 parsecs", "101%", "1e30", "nan"] {
        assert!(Size::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(Size::Share(0.01).bytes(20_484), 204);
}

#[test]
fn adaptive_says_what_twice_the_memory_would_save() {
    let mut dice = Dice::new(8);
    let trace = unit((0..60_000).map(|_| dice.below(dice.clone().below(4_000) + 1)));
    let mut comparison = Comparison::new(&trace, Goal::Objects);
    for capacity in [400, 800] {
        comparison.add("adaptive", capacity, play::play(Kind::Adaptive, capacity, Goal::Objects, &trace));
    }
    let said = &comparison.doublings()[0];
    let number = |text: &str| text.split(' ').next().and_then(|word| word.parse::<f64>().ok()).unwrap();
    let estimate = number(said.split("about ").nth(1).unwrap());
    let truth = 100.0 * comparison.rows[1].object_hit_ratio;
    assert!((estimate - truth).abs() < 2.0, "{said}; it was {truth}");
    assert_eq!(comparison.rows[0].curve.len(), 5);
}
