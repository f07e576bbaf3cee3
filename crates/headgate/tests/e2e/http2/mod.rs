//! HTTP/2 frame by frame, section by section of RFC 9113: what a client may not say is an error of the right
//! kind, nothing of it reaches the origin, and what it may say is served.

mod connection;
mod endpoints;
mod messages;
mod streams;

use crate::support::frames::*;
use crate::support::{Headgate, Service, one_service, response};

/// What is to come of a case. Which error code an error has is left open: the codes are there for people who
/// debug, and libraries differ in them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Want {
    /// The connection ends with an error.
    Connection,
    /// A stream is reset; the connection stays.
    Stream,
    /// One or the other: a stream's error may be taken for one of the connection (section 5.4.1).
    Either,
    /// An answer of this status on stream 1; the connection stays.
    Status(u16),
    /// No answer; the connection stays.
    Nothing,
}
use Want::{Connection, Either, Nothing, Status, Stream};

// RFC 9113 section 7.
const NO_ERROR: u32 = 0x0;
const PROTOCOL_ERROR: u32 = 0x1;
const FLOW_CONTROL_ERROR: u32 = 0x3;
const REFUSED_STREAM: u32 = 0x7;
const COMPRESSION_ERROR: u32 = 0x9;
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// The end of a request's head that is all of it.
const WHOLE: u8 = END_HEADERS | END_STREAM;

fn headers(flags: u8, stream: u32, block: impl AsRef<[u8]>) -> Vec<u8> {
    frame(HEADERS, flags, stream, block)
}

/// A setting (RFC 9113 section 6.5.1).
fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// Echoes the request's body.
fn start(listen: &str) -> (Headgate, Service) {
    let service = Service::start(|request| response(&[], &request.body));
    let gateway = Headgate::start(&one_service(&format!("http2 = true\n{listen}"), "", &[service.address]));
    (gateway, service)
}

/// What came of the bytes that were sent: the first thing that decides it.
fn outcome(client: &mut Frames, want: Want) -> Want {
    client.send(frame(PING, 0, 0, b"the last"));
    loop {
        // Without a word, as after bytes that are no frames, is an end too.
        let Some(frame) = client.next() else { return Connection };
        match frame.kind {
            GOAWAY if frame.code() != NO_ERROR => return Connection,
            RST_STREAM if frame.code() != NO_ERROR => return Stream,
            HEADERS => return Status(status(&frame.payload)),
            PING if want == Nothing => return Nothing,
            _ => {}
        }
    }
}

/// Plays each case on a connection of its own that was opened in order, and looks at what comes of it. None
/// but an answered request may reach the origin.
#[track_caller]
fn play(cases: &[(&str, Want, Vec<u8>)]) {
    let (gateway, service) = start("");
    let mut wrong = Vec::new();
    let mut served = 0;
    for (what, want, bytes) in cases {
        let mut client = Frames::open(&gateway);
        client.send(bytes);
        let got = outcome(&mut client, *want);
        let fits = got == *want || *want == Either && matches!(got, Stream | Connection);
        if !fits {
            wrong.push(format!("{what}: {got:?}, not {want:?}"));
        }
        match got {
            Connection => client.assert_ends(),
            _ => client.assert_alive(),
        }
        served += usize::from(*want == Status(200));
        if service.requests() != served {
            wrong.push(format!("{what}: {} requests at the origin, not {served}", service.requests()));
            served = service.requests();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
