//! Clients that break the rules, or keep them in order to do harm. Written frame by frame: a proper HTTP/2
//! library would not send any of this.

use crate::support::{Gateway, Settings, gateway, h1_echo, raw_origin, run};
use std::cell::Cell;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const PRIORITY: u8 = 0x2;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const ENHANCE_YOUR_CALM: u32 = 0xb;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A header block of literals (RFC 7541 section 6.2.2), which no table remembers.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

const GET: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];

/// What came back on one stream, or for the connection.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Status(u16),
    Reset(u32),
    GoAway(u32),
    Closed,
}

struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn connect(gateway: &Gateway) -> Self {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// Sends until all is sent or the other side no longer takes it, reading beside.
    async fn send(&mut self, bytes: &[u8]) {
        let (mut read, mut write) = self.stream.split();
        let mut sending = std::pin::pin!(write.write_all(bytes));
        loop {
            tokio::select! {
                _ = &mut sending => return,
                count = read.read_buf(&mut self.buffer) => if count.unwrap_or(0) == 0 { return },
            }
        }
    }

    /// The first frame that decides about `stream` or the whole connection.
    async fn outcome(&mut self, stream: u32) -> Outcome {
        loop {
            while let [high, middle, low, kind, _, rest @ ..] = &self.buffer[..] {
                let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
                if rest.len() < 4 + length {
                    break;
                }
                let (kind, on) = (*kind, u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]));
                let payload = rest[4..4 + length].to_vec();
                self.buffer.drain(..9 + length);
                let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
                match kind {
                    GOAWAY => return Outcome::GoAway(number(4)),
                    RST_STREAM if on == stream => return Outcome::Reset(number(0)),
                    HEADERS if on == stream => return Outcome::Status(status(&payload)),
                    _ => {}
                }
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return Outcome::Closed;
            }
        }
    }
}

/// The status at the start of a header block: indexed, or a literal with the name's index (RFC 7541).
fn status(block: &[u8]) -> u16 {
    // A dynamic table size update may come first.
    let block = if block[0] & 0xe0 == 0x20 { &block[1..] } else { block };
    match block[0] {
        0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(block[0] - 0x88)],
        _ => {
            let huffman = block[1] & 0x80 != 0;
            let text = &block[2..2 + usize::from(block[1] & 0x7f)];
            if huffman { digits(text) } else { std::str::from_utf8(text).unwrap().parse().unwrap() }
        }
    }
}

/// Huffman-coded digits (RFC 7541 appendix B): 0 to 2 have five bits, 3 to 9 have six.
fn digits(text: &[u8]) -> u16 {
    let bits: Vec<u8> = text.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let code =
            |len: usize| bits[at..at + len].iter().fold(0_u16, |code, bit| code << 1 | u16::from(*bit));
        let (digit, len) = if code(5) <= 2 { (code(5), 5) } else { (code(6) - 0x19 + 3, 6) };
        number = number * 10 + digit;
        at += len;
    }
    number
}

async fn counting_origin() -> (std::net::SocketAddr, Rc<Cell<u32>>) {
    let connections = Rc::new(Cell::new(0));
    let counted = Rc::clone(&connections);
    let origin = raw_origin(move |stream| {
        counted.set(counted.get() + 1);
        h1_echo(stream)
    });
    (origin.await, connections)
}

#[test]
fn malformed_requests_are_refused_and_not_forwarded() {
    const PROTOCOL_ERROR: Outcome = Outcome::Reset(1);
    const REFUSED: Outcome = Outcome::Status(400);
    let with = |more: &[(&'static str, &'static str)]| [&GET[..], more].concat();
    let put = |name: &str, value: &'static str| {
        GET.map(|field| if field.0 == name { (field.0, value) } else { field }).to_vec()
    };
    let without = |name: &str| GET.into_iter().filter(|field| field.0 != name).collect::<Vec<_>>();
    let cases = [
        ("a connection field", with(&[("connection", "close")]), PROTOCOL_ERROR),
        ("a transfer coding", with(&[("transfer-encoding", "chunked")]), PROTOCOL_ERROR),
        ("an upgrade", with(&[("upgrade", "websocket")]), PROTOCOL_ERROR),
        ("te beyond trailers", with(&[("te", "gzip")]), PROTOCOL_ERROR),
        ("a late pseudo-header field", [&[("x", "1")], &GET[..]].concat(), PROTOCOL_ERROR),
        ("a repeated pseudo-header field", with(&[(":path", "/b")]), PROTOCOL_ERROR),
        ("an unknown pseudo-header field", with(&[(":protocol", "websocket")]), PROTOCOL_ERROR),
        ("a status", with(&[(":status", "200")]), PROTOCOL_ERROR),
        ("no method", without(":method"), PROTOCOL_ERROR),
        ("no scheme", without(":scheme"), PROTOCOL_ERROR),
        ("no path", without(":path"), PROTOCOL_ERROR),
        ("no authority", without(":authority"), REFUSED),
        ("an empty path", put(":path", ""), PROTOCOL_ERROR),
        ("a relative path", put(":path", "a"), PROTOCOL_ERROR),
        ("an absolute path with its scheme", put(":path", "http://b/"), PROTOCOL_ERROR),
        ("a path with a blank", put(":path", "/a b"), PROTOCOL_ERROR),
        ("user information", put(":authority", "u@a"), REFUSED),
        ("two hosts", with(&[("host", "b")]), REFUSED),
        ("a blank around a value", with(&[("x", " 1")]), REFUSED),
        ("a length that is no number", with(&[("content-length", "+1")]), PROTOCOL_ERROR),
        ("two lengths", with(&[("content-length", "0"), ("content-length", "1")]), PROTOCOL_ERROR),
        ("a length without content", with(&[("content-length", "1")]), PROTOCOL_ERROR),
        ("an asterisk", put(":path", "*"), REFUSED),
        ("CONNECT", vec![(":method", "CONNECT"), (":authority", "a:1")], Outcome::Status(501)),
    ];
    run(async {
        let (origin, connections) = counting_origin().await;
        let gateway = gateway(&[origin], Settings::default());
        for (what, fields, expected) in cases {
            let mut client = Client::connect(&gateway).await;
            client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields))).await;
            assert_eq!(client.outcome(1).await, expected, "{what}");
        }
        // Errors of HPACK's own end the connection: a name in upper case, a control byte in a value.
        for (name, value) in [("X-Upper", "1"), ("x", "a\r\nb: c"), ("x", "a\0")] {
            let mut client = Client::connect(&gateway).await;
            client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&with_one(name, value)))).await;
            assert_eq!(client.outcome(1).await, Outcome::GoAway(1), "{name}: {value:?}");
        }
        assert_eq!(connections.get(), 0);
    });
}

fn with_one<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    GET.into_iter().chain([(name, value)]).collect()
}

#[test]
fn content_has_to_have_the_length_that_was_declared() {
    run(async {
        let (origin, _) = counting_origin().await;
        let gateway = gateway(&[origin], Settings::default());
        for content in ["four", "sixsix"] {
            let mut client = Client::connect(&gateway).await;
            let fields = block(&with_one("content-length", "5"));
            client.send(&frame(HEADERS, END_HEADERS, 1, &fields)).await;
            client.send(&frame(DATA, END_STREAM, 1, content.as_bytes())).await;
            assert_eq!(client.outcome(1).await, Outcome::Reset(1), "{content}");
        }
    });
}

#[test]
fn floods_of_frames_that_carry_nothing_are_cut() {
    let open = frame(HEADERS, END_HEADERS, 1, &block(&[(":method", "POST"), GET[1], GET[2], GET[3]]));
    let floods: [(&str, Vec<u8>, Vec<u8>); 5] = [
        ("PING", Vec::new(), frame(PING, 0, 0, &[0; 8])),
        ("SETTINGS", Vec::new(), frame(SETTINGS, 0, 0, &[])),
        ("PRIORITY", open.clone(), frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 7])),
        ("empty DATA", open.clone(), frame(DATA, 0, 1, &[])),
        ("WINDOW_UPDATE", open, frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])),
    ];
    run(async {
        for (what, before, flood) in floods {
            let (origin, _) = counting_origin().await;
            let gateway = gateway(&[origin], Settings::default());
            let mut client = Client::connect(&gateway).await;
            client.send(&before).await;
            client.send(&flood.repeat(200_000)).await;
            assert_eq!(client.outcome(0).await, Outcome::GoAway(ENHANCE_YOUR_CALM), "{what}");
            assert_eq!(gateway.counted("headgate_faults_total", "\"flood\""), 1, "{what}");
        }
    });
}

#[test]
fn rapid_resets_are_cut_before_the_origin_has_much_of_them() {
    run(async {
        for at_once in [1, 50] {
            let (origin, connections) = counting_origin().await;
            let gateway =
                gateway(&[origin], Settings { listen: "limits = { streams = 10 }", ..Settings::default() });
            let mut client = Client::connect(&gateway).await;
            let mut sent = 0;
            let outcome = loop {
                let mut batch = Vec::new();
                for _ in 0..at_once {
                    sent += 1;
                    let stream = sent * 2 - 1;
                    batch.extend(frame(HEADERS, END_HEADERS, stream, &block(&GET)));
                    batch.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
                }
                batch.extend(frame(PING, 0, 0, &[9; 8]));
                client.send(&batch).await;
                // The answer to the PING says that the batch was seen.
                let before = client.buffer.len();
                if client.stream.read_buf(&mut client.buffer).await.unwrap_or(0) == 0 || sent > 2_000 {
                    break client.outcome(0).await;
                }
                assert!(client.buffer.len() > before);
            };
            assert_eq!(outcome, Outcome::GoAway(ENHANCE_YOUR_CALM), "{at_once} at once");
            assert!(sent < 500, "{sent} streams were opened");
            assert!(connections.get() <= 25, "{} connections to the origin", connections.get());
            assert_eq!(gateway.counted("headgate_faults_total", "\"flood\""), 1);
        }
    });
}

#[test]
fn heads_that_never_end_are_cut() {
    run(async {
        let (origin, _) = counting_origin().await;
        let gateway = gateway(
            &[origin],
            Settings { listen: "limits = { head = \"4KiB\", uri = \"2KiB\" }", ..Settings::default() },
        );
        let mut client = Client::connect(&gateway).await;
        client.send(&frame(HEADERS, 0, 1, &block(&GET))).await;
        client.send(&frame(CONTINUATION, 0, 1, &[]).repeat(100_000)).await;
        assert_eq!(client.outcome(1).await, Outcome::GoAway(ENHANCE_YOUR_CALM));
        // One entry of the table, named again and again, is much after it is unpacked.
        let mut client = Client::connect(&gateway).await;
        let mut bomb = block(&GET);
        bomb.extend([0x40, 1, b'x', 100]);
        bomb.extend([b'y'; 100]);
        bomb.extend([0xbe; 8_000]);
        client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb)).await;
        assert_eq!(client.outcome(1).await, Outcome::GoAway(ENHANCE_YOUR_CALM));
        // A little too large is answered.
        let mut client = Client::connect(&gateway).await;
        let mut large = block(&GET);
        large.extend((0..80).flat_map(|_| block(&[("x-padding", &"y".repeat(100)[..])])));
        client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &large)).await;
        assert_eq!(client.outcome(1).await, Outcome::Status(431));
    });
}

#[test]
fn a_client_that_does_not_begin_is_let_go() {
    run(async {
        let (origin, _) = counting_origin().await;
        let listen = "timeouts = { head = \"50ms\", idle = \"50ms\" }";
        let gateway = gateway(&[origin], Settings { listen, ..Settings::default() });
        let mut silent = TcpStream::connect(gateway.address).await.unwrap();
        silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM").await.unwrap();
        let mut idle = Client::connect(&gateway).await;
        assert_eq!(idle.outcome(0).await, Outcome::GoAway(0));
        let mut rest = Vec::new();
        // Closed or reset: it ends.
        let _ = silent.read_to_end(&mut rest).await;
    });
}
