//! What belongs to the connection: its preface, frames, settings and floods (RFC 9113 sections 3 to 6 and 10.5).

use super::*;

/// Section 3.4.
#[test]
fn the_preface_comes_first() {
    let (gateway, service) = start("");
    for (what, bytes) in [
        ("an acknowledgement as first frame", [PREFACE, &frame(SETTINGS, ACK, 0, [1])].concat()),
        ("HTTP/1 behind the preface", [PREFACE, b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"].concat()),
    ] {
        let mut client = Frames::silent(&gateway);
        client.send(bytes);
        while let Some(frame) = client.next() {
            assert!(matches!(frame.kind, SETTINGS | GOAWAY | WINDOW_UPDATE), "{what}: {frame:?}");
        }
    }
    // What only begins as the preface is HTTP/1, of a version that is not served.
    let mut client = gateway.connect();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\n\r\n\r\n");
    assert_eq!(client.response().status(), 505);
    assert_eq!(service.requests(), 0);
}

/// The first frame from the server is SETTINGS (section 3.4), and each SETTINGS is acknowledged (6.5.3).
#[test]
fn the_gateway_opens_with_settings_and_acknowledges_ours() {
    let (gateway, _service) = start("");
    let mut client = Frames::silent(&gateway);
    client.send([PREFACE, &frame(SETTINGS, 0, 0, [])].concat());
    let first = client.next().unwrap();
    assert_eq!((first.kind, first.flags, first.stream), (SETTINGS, 0, 0));
    // Push is for clients to allow; a server that says so is in error (section 6.5.2).
    let ids: Vec<&[u8]> = first.payload.chunks(6).map(|setting| &setting[..2]).collect();
    assert!(!ids.contains(&&[0, 2][..]) || first.payload.chunks(6).any(|one| one == [0, 2, 0, 0, 0, 0]));
    client.until(|frame| (frame.kind == SETTINGS && frame.flags == ACK).then_some(()));
    client.send([frame(SETTINGS, ACK, 0, []), frame(SETTINGS, 0, 0, setting(3, 1))].concat());
    client.until(|frame| (frame.kind == SETTINGS && frame.flags == ACK).then_some(()));
    client.assert_alive();
}

/// Sections 4.1 and 4.2.
#[test]
fn frames_have_their_sizes() {
    let unknown = [frame(0x16, 0xff, 1, b"whatever"), frame(0xfe, 0, 0, b"whatever")].concat();
    let reserved = [&frame(PING, 0x7e, 0x8000_0000, [0; 8])[..], &headers(WHOLE, 1, get(&[]))].concat();
    let large = [headers(END_HEADERS, 1, post(&[])), frame(DATA, END_STREAM, 1, vec![0; 16_384])].concat();
    let too_large =
        [headers(END_HEADERS, 1, post(&[])), frame(DATA, END_STREAM, 1, vec![0; 16_385])].concat();
    play(&[
        ("unknown frames are ignored", Nothing, unknown),
        ("reserved bits and undefined flags are ignored", Status(200), reserved),
        ("the largest frame", Status(200), large),
        ("DATA beyond the largest", Connection, too_large),
        ("HEADERS beyond the largest", Connection, headers(WHOLE, 1, vec![0; 16_385])),
        ("PING of 6 bytes", Connection, frame(PING, 0, 0, [0; 6])),
        ("PING of 9 bytes", Connection, frame(PING, 0, 0, [0; 9])),
        ("RST_STREAM of 3 bytes", Connection, frame(RST_STREAM, 0, 1, [0; 3])),
        ("WINDOW_UPDATE of 3 bytes", Connection, frame(WINDOW_UPDATE, 0, 0, [0; 3])),
        ("SETTINGS of 5 bytes", Connection, frame(SETTINGS, 0, 0, [0; 5])),
        ("SETTINGS ACK with content", Connection, frame(SETTINGS, ACK, 0, [0; 6])),
        ("GOAWAY of 4 bytes", Connection, frame(GOAWAY, 0, 0, [0; 4])),
    ]);
}

/// Sections 4.3, 6.2 and 6.10: a field block is one whole, and nothing comes between its frames.
#[test]
fn field_blocks_are_whole() {
    let (first, second) = (&get(&[])[..10], &get(&[])[10..]);
    let begun = headers(END_STREAM, 1, first);
    let continued = frame(CONTINUATION, END_HEADERS, 1, second);
    let between = |frame: Vec<u8>| [&begun[..], &frame, &continued].concat();
    let thirds = [
        &begun[..],
        &frame(CONTINUATION, 0, 1, &second[..5]),
        &frame(CONTINUATION, END_HEADERS, 1, &second[5..]),
    ];
    play(&[
        ("a block in two frames", Status(200), between(Vec::new())),
        ("a block in three frames", Status(200), thirds.concat()),
        (
            "an empty first frame",
            Status(200),
            [headers(END_STREAM, 1, []), frame(CONTINUATION, END_HEADERS, 1, get(&[]))].concat(),
        ),
        ("DATA between", Connection, between(frame(DATA, 0, 1, b"x"))),
        ("PING between", Connection, between(frame(PING, 0, 0, [0; 8]))),
        ("SETTINGS between", Connection, between(frame(SETTINGS, 0, 0, []))),
        ("an unknown frame between", Connection, between(frame(0x16, 0, 0, b"x"))),
        ("another stream's HEADERS between", Connection, between(headers(WHOLE, 3, get(&[])))),
        (
            "another stream's CONTINUATION between",
            Connection,
            between(frame(CONTINUATION, END_HEADERS, 3, [])),
        ),
        ("CONTINUATION without HEADERS", Connection, continued.clone()),
        (
            "CONTINUATION behind a whole block",
            Connection,
            [headers(END_HEADERS, 1, post(&[])), continued.clone()].concat(),
        ),
        ("CONTINUATION on stream 0", Connection, frame(CONTINUATION, END_HEADERS, 0, [])),
        ("a block that ends in a field", Connection, headers(WHOLE, 1, first)),
        ("an index beyond the tables", Connection, headers(WHOLE, 1, [0xff, 0x40])),
        ("index zero", Connection, headers(WHOLE, 1, [0x80])),
        ("a table larger than allowed", Connection, headers(WHOLE, 1, [0x3f, 0xff, 0xff, 0x7f])),
        ("a table size behind a field", Connection, headers(WHOLE, 1, [&get(&[])[..], &[0x20]].concat())),
        ("a broken Huffman code", Connection, headers(WHOLE, 1, [0x00, 0x81, 0xff, 0x81, 0xff])),
        (
            "an integer without end",
            Connection,
            headers(WHOLE, 1, [0x7f; 1].into_iter().chain([0xff; 12]).collect::<Vec<u8>>()),
        ),
    ]);
}

/// Sections 6.3, 6.4, 6.7 and 6.8, and 6.6: a client cannot push.
#[test]
fn control_frames_are_where_they_belong() {
    let ping_ack = frame(PING, ACK, 0, *b"nobodys.");
    play(&[
        ("PRIORITY on itself", Either, frame(PRIORITY, 0, 1, [0, 0, 0, 1, 16])),
        ("PRIORITY on stream 0", Connection, frame(PRIORITY, 0, 0, [0, 0, 0, 1, 16])),
        ("PING on a stream", Connection, frame(PING, 0, 1, [0; 8])),
        ("SETTINGS on a stream", Connection, frame(SETTINGS, 0, 1, [])),
        ("GOAWAY on a stream", Connection, frame(GOAWAY, 0, 1, [0; 8])),
        (
            "PUSH_PROMISE from a client",
            Connection,
            [
                headers(END_HEADERS, 1, post(&[])),
                frame(PUSH_PROMISE, END_HEADERS, 1, [&[0, 0, 0, 2][..], &get(&[])].concat()),
            ]
            .concat(),
        ),
        ("an answer to a ping that nobody sent", Nothing, ping_ack),
    ]);
}

/// Section 6.8: what was asked for is answered before the connection ends.
#[test]
fn a_client_that_says_goodbye_gets_its_answers() {
    let (gateway, _service) = start("");
    let mut client = Frames::open(&gateway);
    client.send([headers(WHOLE, 1, get(&[])), frame(GOAWAY, 0, 0, [0; 8])].concat());
    client.until(|frame| (frame.kind == HEADERS).then(|| assert_eq!(status(&frame.payload), 200)));
    client.assert_ends();
}

/// Section 6.5.2.
#[test]
fn settings_have_their_ranges() {
    play(&[
        ("ENABLE_PUSH = 2", Connection, frame(SETTINGS, 0, 0, setting(2, 2))),
        ("INITIAL_WINDOW_SIZE beyond 2^31 - 1", Connection, frame(SETTINGS, 0, 0, setting(4, 1 << 31))),
        ("MAX_FRAME_SIZE below 2^14", Connection, frame(SETTINGS, 0, 0, setting(5, 16_383))),
        ("MAX_FRAME_SIZE beyond 2^24 - 1", Connection, frame(SETTINGS, 0, 0, setting(5, 1 << 24))),
        (
            "an unknown setting",
            Status(200),
            [frame(SETTINGS, 0, 0, setting(0xfe, 1)), headers(WHOLE, 1, get(&[]))].concat(),
        ),
        (
            "the same setting twice",
            Status(200),
            [frame(SETTINGS, 0, 0, [setting(4, 1), setting(4, 100)].concat()), headers(WHOLE, 1, get(&[]))]
                .concat(),
        ),
        (
            "no dynamic table",
            Status(200),
            [frame(SETTINGS, 0, 0, setting(1, 0)), headers(WHOLE, 1, get(&[]))].concat(),
        ),
    ]);
}

/// Section 6.1: padding is counted and not passed on.
#[test]
fn padding_is_taken_off() {
    let (gateway, _service) = start("");
    let mut client = Frames::open(&gateway);
    let padded = [&[4][..], &post(&[]), &[0; 4]].concat();
    client.send(headers(END_HEADERS | PADDED, 1, padded));
    client.send(frame(DATA, END_STREAM | PADDED, 1, [&[3][..], b"content", &[0; 3]].concat()));
    assert_eq!(client.until(|frame| (frame.kind == DATA).then(|| frame.payload.clone())), b"content");
    let open = headers(END_HEADERS, 1, post(&[]));
    play(&[
        ("DATA of padding alone", Connection, [open.clone(), frame(DATA, PADDED, 1, [5, 0, 0])].concat()),
        ("padding as long as the frame", Connection, [open, frame(DATA, PADDED, 1, [3, 0, 0])].concat()),
        ("HEADERS of padding alone", Connection, headers(WHOLE | PADDED, 1, [9, 0, 0])),
    ]);
}

/// Clients that cost more than they ask for (RFC 9113 section 10.5).
#[test]
fn floods_end_the_connection() {
    let (gateway, service) = start("limits.streams = 10");
    let reset = |stream: u32| {
        [headers(END_HEADERS, stream, post(&[])), frame(RST_STREAM, 0, stream, [0, 0, 0, 8])].concat()
    };
    let many = |count, one: &dyn Fn(u32) -> Vec<u8>| {
        (0..count).flat_map(|turn| one(2 * turn + 1)).collect::<Vec<u8>>()
    };
    let on_one = |kind: u8, flags, payload: &[u8]| {
        [headers(END_HEADERS, 1, post(&[])), frame(kind, flags, 1, payload).repeat(20_000)].concat()
    };
    for (what, bytes) in [
        ("PING", frame(PING, 0, 0, [0; 8]).repeat(20_000)),
        ("SETTINGS", frame(SETTINGS, 0, 0, []).repeat(20_000)),
        ("PRIORITY", frame(PRIORITY, 0, 1, [0, 0, 0, 0, 1]).repeat(20_000)),
        ("unknown frames", frame(0x16, 0, 0, []).repeat(20_000)),
        ("empty DATA", on_one(DATA, 0, b"")),
        ("WINDOW_UPDATE of one byte", on_one(WINDOW_UPDATE, 0, &[0, 0, 0, 1])),
        ("rapid resets", many(20_000, &reset)),
        ("malformed requests", many(20_000, &|stream| headers(WHOLE, stream, block(&[("x", "1")])))),
        (
            "resets by their own fault",
            many(20_000, &|stream| {
                [headers(END_HEADERS, stream, post(&[])), frame(WINDOW_UPDATE, 0, stream, [0; 4])].concat()
            }),
        ),
        (
            "an endless field block",
            [headers(END_STREAM, 1, []), frame(CONTINUATION, 0, 1, []).repeat(20_000)].concat(),
        ),
        (
            "an endless field",
            [
                headers(END_STREAM, 1, [0, 1, b'x', 0x7f, 0xff, 0xff, 0xff, 0x7f]),
                frame(CONTINUATION, 0, 1, vec![b'x'; 16_384]).repeat(200),
            ]
            .concat(),
        ),
    ] {
        let mut client = Frames::open(&gateway);
        client.send(bytes);
        let mut code = None;
        while let Some(frame) = client.next() {
            code = if frame.kind == GOAWAY { Some(frame.code()) } else { code };
        }
        // A client that does not read may miss the word, and never the end.
        assert!(
            code.is_none_or(|code| matches!(code, ENHANCE_YOUR_CALM | PROTOCOL_ERROR | COMPRESSION_ERROR)),
            "{what}: {code:?}"
        );
    }
    assert_eq!(service.requests(), 0);
}
