//! What belongs to a stream: its states and its window (RFC 9113 sections 5 and 6.9).

use super::*;

/// Section 5.1 and 5.1.1: a stream is opened once, by an odd number that grows, and then has its states.
#[test]
fn streams_have_their_states() {
    let whole = headers(WHOLE, 1, get(&[]));
    let then = |frame: Vec<u8>| [whole.clone(), frame].concat();
    let on_idle = |kind, payload: &[u8]| frame(kind, 0, 1, payload);
    let half_closed =
        |next: Vec<u8>| [headers(END_HEADERS, 1, post(&[])), frame(DATA, END_STREAM, 1, b"x"), next].concat();
    let reset = |next: Vec<u8>| {
        [headers(END_HEADERS, 1, post(&[])), frame(RST_STREAM, 0, 1, 8_u32.to_be_bytes()), next].concat()
    };
    play(&[
        ("DATA on an idle stream", Connection, on_idle(DATA, b"x")),
        ("RST_STREAM on an idle stream", Connection, on_idle(RST_STREAM, &[0; 4])),
        ("WINDOW_UPDATE on an idle stream", Connection, on_idle(WINDOW_UPDATE, &[0, 0, 0, 1])),
        ("an even stream", Connection, headers(WHOLE, 2, get(&[]))),
        ("HEADERS on stream 0", Connection, headers(WHOLE, 0, get(&[]))),
        ("DATA on stream 0", Connection, frame(DATA, 0, 0, b"x")),
        ("RST_STREAM on stream 0", Connection, frame(RST_STREAM, 0, 0, [0; 4])),
        ("DATA behind our own reset", Either, reset(frame(DATA, END_STREAM, 1, b"y"))),
        ("a request on a stream that was reset", Either, reset(headers(WHOLE, 1, get(&[])))),
        ("PRIORITY on an idle stream", Nothing, on_idle(PRIORITY, &[0, 0, 0, 0, 16])),
        ("PRIORITY behind the end", Status(200), then(frame(PRIORITY, 0, 1, [0, 0, 0, 0, 16]))),
        ("WINDOW_UPDATE behind a reset", Nothing, reset(frame(WINDOW_UPDATE, 0, 1, [0, 0, 0, 1]))),
    ]);
    // Here a whole request came first, which may have been served by then.
    let smaller = [headers(WHOLE, 5, get(&[])), headers(WHOLE, 3, get(&[]))].concat();
    for (what, bytes) in [
        ("a smaller stream", smaller),
        ("DATA behind the request's end", then(frame(DATA, 0, 1, b"x"))),
        ("HEADERS behind the request's end", then(headers(WHOLE, 1, get(&[])))),
        ("DATA behind the last DATA", half_closed(frame(DATA, END_STREAM, 1, b"y"))),
    ] {
        let (gateway, _service) = start("");
        let mut client = Frames::open(&gateway);
        client.send(bytes);
        let code = client.until(|frame| matches!(frame.kind, GOAWAY | RST_STREAM).then(|| frame.code()));
        assert_ne!(code, NO_ERROR, "{what}");
    }
}

/// Section 5.1.2: more streams at once than allowed are refused, and only they.
#[test]
fn streams_beyond_the_limit_are_refused() {
    let origin = crate::support::Origin::start();
    let config = one_service("http2 = true\nlimits.streams = 2", "", &[origin.address]);
    let gateway = Headgate::start(&config);
    let mut client = Frames::open(&gateway);
    // The limit holds from the moment that the client knows it.
    client.assert_alive();
    for stream in [1, 3, 5] {
        client.send(headers(WHOLE, stream, get(&[])));
    }
    let refused = client.until(|frame| (frame.kind == RST_STREAM).then(|| (frame.stream, frame.code())));
    assert_eq!(refused, (5, REFUSED_STREAM));
    for _ in 0..2 {
        let mut upstream = origin.accept();
        upstream.head();
        upstream.send("HTTP/1.1 204 No Content\r\n\r\n");
        client.until(|frame| (frame.kind == HEADERS).then_some(()));
    }
    client.send(headers(WHOLE, 7, get(&[])));
    origin.accept().head();
}

/// Sections 5.2, 6.9 and 6.9.1.
#[test]
fn windows_grow_by_something_and_not_beyond_their_end() {
    let open = headers(END_HEADERS, 1, post(&[]));
    let most = 0x7fff_ffff_u32.to_be_bytes();
    play(&[
        ("nothing, for the connection", Connection, frame(WINDOW_UPDATE, 0, 0, [0; 4])),
        ("nothing, for a stream", Either, [open.clone(), frame(WINDOW_UPDATE, 0, 1, [0; 4])].concat()),
        ("too much, for the connection", Connection, frame(WINDOW_UPDATE, 0, 0, most)),
        ("too much, for a stream", Stream, [open.clone(), frame(WINDOW_UPDATE, 0, 1, most)].concat()),
        (
            "too much by a setting",
            Connection,
            [
                open,
                frame(WINDOW_UPDATE, 0, 1, 0x7fff_0000_u32.to_be_bytes()),
                frame(SETTINGS, 0, 0, setting(4, 0x7fff_ffff)),
            ]
            .concat(),
        ),
    ]);
}

/// Section 6.9.2: a window of nothing, or of less, holds the content back and not the head.
#[test]
fn content_waits_for_the_window() {
    let service = Service::start(|_| response(&[], b"twelve bytes"));
    let gateway = Headgate::start(&one_service("http2 = true", "", &[service.address]));
    let mut client = Frames::silent(&gateway);
    client.send([PREFACE, &frame(SETTINGS, 0, 0, setting(4, 0)), &frame(SETTINGS, ACK, 0, [])].concat());
    client.send(headers(WHOLE, 1, get(&[])));
    client.until(|frame| (frame.kind == HEADERS).then(|| assert_eq!(frame.flags & END_STREAM, 0)));
    client.assert_alive();
    client.send(frame(WINDOW_UPDATE, 0, 1, 5_u32.to_be_bytes()));
    let content = |frame: &Frame| (frame.kind == DATA).then(|| frame.payload.clone());
    assert_eq!(client.until(content), b"twelv");
    client.send(frame(SETTINGS, 0, 0, setting(4, 3)));
    assert_eq!(client.until(content), b"e b");
    // The window is now 3 - 8 - 3 bytes: it has to become more than nothing first.
    client.send(
        [frame(SETTINGS, 0, 0, setting(4, 0)), frame(WINDOW_UPDATE, 0, 1, 4_u32.to_be_bytes())].concat(),
    );
    assert_eq!(client.until(content), b"y");
    client.send(frame(SETTINGS, 0, 0, setting(4, 65_535)));
    let mut rest = Vec::new();
    while rest != b"tes" {
        rest.extend(client.until(content));
    }
}

/// Section 6.9.1: a client that sends more than it may.
#[test]
fn content_beyond_the_window_ends_the_connection_or_the_stream() {
    let origin = crate::support::Origin::start();
    let gateway = Headgate::start(&one_service("http2 = true", "", &[origin.address]));
    let mut client = Frames::open(&gateway);
    client.send(headers(END_HEADERS, 1, post(&[])));
    let _held = origin.accept();
    // Nobody reads at the origin: what its socket takes is bounded, and the client is given no more.
    let piece = frame(DATA, 0, 1, vec![0; 16_384]);
    while client.wire.try_send(&piece).is_ok() {}
    let code = client.until(|frame| matches!(frame.kind, GOAWAY | RST_STREAM).then(|| frame.code()));
    assert_eq!(code, FLOW_CONTROL_ERROR);
}
