//! Heads as the cache reads them: fields of a request, an empty line, fields of a response, an empty line, fields of
//! a 304. Promises: no panic; plain prohibitions hold; what is stored is stored once more as it is, answers the
//! request that it was stored for, and has no fields of a connection; ranges lie within the content.

use headgate_cache::rules::{
    Asked, Block, ContentRange, Exchange, Fields, Multipart, MultipartPiece, Ranges, Settings, Target, Vary,
    answers_itself, date, evaluate, first, further_targets, head_effect, if_range_holds, lines, matches,
    may_keep, may_store, ranges, vary, write_field, write_selecting, write_stored, write_updated,
};

pub const SEEDS: &[&[u8]] = &[
    b"Cache-Control: max-age=0, min-fresh=5, max-stale\nPragma: no-cache\n\nCache-Control: max-age=60, private=\"a, b\"\nAge: 0, 1\nA: 1\n",
    b"Accept-Language: en, de;q=0.5\nFoo: 1\nFoo: 2\n\nVary: Accept-Language, foo\nContent-Language: de\nExpires: Sun, 06 Nov 1994 08:49:37 GMT\nConnection: x, age\nX: 1\n\nETag: \"b\"\nX: 2\n",
    b"Range: bytes=0-1, 4-, -2\nIf-Range: \"a\"\nIf-None-Match: W/\"a\", *\n\nETag: \"a\"\nContent-Range: bytes 4-9/10\nLast-Modified: Sunday, 06-Nov-94 08:49:37 GMT\nDate: Sun Nov  6 08:49:37 1994\n",
    b"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\n\nCDN-Cache-Control: max-age=60;x=\"y\\\\\", no-store=?0, z=(1 :YQ==:)\nSurrogate-Control: max-age=5;me\nCache-Control: no-store\n",
    b"\n\nLocation: ../c?x#y\nContent-Location: http://shop.example:80/a/b?q=1\nSet-Cookie: a=b\nCache-Control: s-maxage=\"9\", must-understand",
];

/// Sun, 06 Nov 1994 08:49:37 GMT
const NOW_MS: u64 = 784_111_777_000;
const LENGTH: u64 = 1_000;

pub fn run(data: &[u8]) {
    let (request, rest) = blocks(data);
    let (response, rest) = blocks(rest);
    let (newer, _) = blocks(rest);
    let (request, response, newer) = (Block(&request), Block(&response), Block(&newer));

    let asked = Asked::read(&request, true);
    let settings = Settings::default();
    let exchange = |response| Exchange {
        method: b"GET",
        asked: &asked,
        answers_itself: false,
        status: if asked.range { 206 } else { 200 },
        response,
        requested_unix_ms: NOW_MS,
        received_unix_ms: NOW_MS,
        received_ms: NOW_MS,
    };
    let storing = may_store(&exchange(&response), &settings);
    if says_no_store(&response) || vary(&response) == Vary::Never {
        assert!(storing.is_err());
    }
    if let Ok(storing) = storing {
        let _ = storing.freshness.judge(&asked.directives, NOW_MS + 1_000);
    }
    check_stored(&response, &newer);
    check_selecting(&request, &response);

    let _ = evaluate(&request, &response, 200, NOW_MS);
    let _ = if_range_holds(&request, &response, NOW_MS);
    let _ = head_effect(&response, 200, &newer, 200);
    let _ = may_keep(&exchange(&response), &newer, &settings);
    check_ranges(&request);
    check_part(&request, &response);
    check_dates(&response);
    check_targets(&response);
}

/// One head as a block, and what follows its empty line.
fn blocks(data: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut block = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        if line.is_empty() {
            break;
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        // What the codec lets through.
        let passes = headgate_net::h1::bytes::is_token_str(name)
            && value.iter().all(|&byte| headgate_net::h1::bytes::is_value(byte));
        if passes {
            write_field(&mut block, name, value);
        }
    }
    (block, rest)
}

/// A plain `no-store`, and nothing that outweighs it.
fn says_no_store(response: &impl Fields) -> bool {
    let plain = |line: &[u8]| {
        !line.contains(&b'"')
            && line
                .split(|&byte| byte == b',')
                .any(|part| part.trim_ascii().eq_ignore_ascii_case(b"no-store"))
    };
    let outweighed = first(response, b"cdn-cache-control").is_some()
        || first(response, b"surrogate-control").is_some()
        || lines(response, b"cache-control")
            .any(|line| line.to_ascii_lowercase().windows(15).any(|word| word == b"must-understand"));
    !outweighed && lines(response, b"cache-control").any(plain)
}

fn check_stored(response: &impl Fields, newer: &impl Fields) {
    let mut stored = Vec::new();
    write_stored(response, NOW_MS, &mut stored);
    for name in [&b"connection"[..], b"transfer-encoding", b"keep-alive", b"upgrade", b"age"] {
        assert!(first(&Block(&stored), name).is_none());
    }
    let mut again = Vec::new();
    write_stored(&Block(&stored), NOW_MS, &mut again);
    assert_eq!(stored, again);

    let (mut updated, mut twice) = (Vec::new(), Vec::new());
    write_updated(&Block(&stored), newer, NOW_MS, &mut updated);
    write_updated(&Block(&updated), newer, NOW_MS, &mut twice);
    assert_eq!(updated, twice);
    assert_eq!(first(&Block(&updated), b"etag"), first(&Block(&stored), b"etag"));
    assert!(first(&Block(&updated), b"date").is_some());
}

fn check_selecting(request: &impl Fields, response: &impl Fields) {
    let mut selecting = Vec::new();
    if vary(response) != Vary::Never && write_selecting(response, request, &mut selecting) {
        assert!(matches(&selecting, request, None));
        assert!(matches(&selecting, request, first(response, b"content-language")));
    }
}

fn check_ranges(request: &impl Fields) {
    for value in lines(request, b"range") {
        if let Ranges::Parts(parts) = ranges(value, LENGTH) {
            assert!(parts.as_slice().iter().all(|part| part.first <= part.last && part.last < LENGTH));
            assert!(parts.as_slice().iter().map(|part| part.len()).sum::<u64>() <= LENGTH);
            let multipart = Multipart::new(parts, Some(value), LENGTH, 7);
            let len = |piece| match piece {
                MultipartPiece::Text(text) => text.len() as u64,
                MultipartPiece::Content(range) => range.len(),
            };
            assert_eq!(multipart.pieces().map(len).sum::<u64>(), multipart.len());
        }
    }
}

/// What a part answers lies within it, but for the text that it came for.
fn check_part(request: &impl Fields, response: &impl Fields) {
    let Some(part) = ContentRange::of(response) else { return };
    assert!(part.range.first <= part.range.last);
    for value in lines(request, b"range") {
        if let Some(range) = part.answer(b"", value) {
            assert!(part.range.first <= range.first && range.last <= part.range.last);
        }
    }
    for stored_bytes in [0, 1, part.range.len().saturating_sub(1), u64::MAX] {
        if let Some(clipped) = part.clipped(stored_bytes) {
            assert!(clipped.range.len() == stored_bytes && clipped.range.first == part.range.first);
        }
    }
}

fn check_dates(response: &impl Fields) {
    for (_, value) in response.fields() {
        if let Some(second) = date::parse(value, NOW_MS / 1_000) {
            assert_eq!(date::parse(&date::write(second), NOW_MS / 1_000), Some(second));
        }
    }
}

fn check_targets(response: &impl Fields) {
    let target = Target { scheme: b"http", authority: b"shop.example", path: b"/a/b", query: Some(b"q=1") };
    further_targets(&target, response, &mut |path, _| assert!(path.starts_with(b"/")));
    let _ = answers_itself(&target, response);
}
