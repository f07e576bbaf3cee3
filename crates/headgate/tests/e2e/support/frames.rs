//! A side of HTTP/2 made of raw frames (RFC 9113 section 4): it can say what no library would. It encodes header
//! fields as plain literals and reads of an answer only its status.

use super::{Headgate, Origin, Wire};

pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const PRIORITY: u8 = 0x2;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
pub(crate) const PUSH_PROMISE: u8 = 0x5;
pub(crate) const PING: u8 = 0x6;
pub(crate) const GOAWAY: u8 = 0x7;
pub(crate) const WINDOW_UPDATE: u8 = 0x8;
pub(crate) const CONTINUATION: u8 = 0x9;

pub(crate) const ACK: u8 = 0x1;
pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
pub(crate) const PADDED: u8 = 0x8;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame as its bytes. The length field says what `payload` measures.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A field block of literals without indexing and without Huffman coding (RFC 7541 section 6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            // Lengths are integers with a prefix of seven bits (RFC 7541 section 5.1).
            let mut rest = text.len();
            if rest < 127 {
                block.push(rest as u8);
            } else {
                block.push(127);
                rest -= 127;
                while rest >= 128 {
                    block.push((rest % 128) as u8 | 128);
                    rest /= 128;
                }
                block.push(rest as u8);
            }
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// The pseudo-header fields of an ordinary GET, and further fields.
pub(crate) fn get(further: &[(&str, &str)]) -> Vec<u8> {
    let plain = [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/")];
    block(&[&plain, further].concat())
}

/// The same of a POST.
pub(crate) fn post(further: &[(&str, &str)]) -> Vec<u8> {
    let plain = [(":method", "POST"), (":scheme", "http"), (":authority", "a.test"), (":path", "/")];
    block(&[&plain, further].concat())
}

#[derive(Debug)]
pub(crate) struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    /// The error code of a RST_STREAM or GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        self.number(if self.kind == GOAWAY { 4 } else { 0 })
    }
}

/// One connection.
pub(crate) struct Frames {
    pub wire: Wire,
}

impl Frames {
    /// Connects and says nothing.
    pub(crate) fn silent(gateway: &Headgate) -> Self {
        Self { wire: gateway.connect() }
    }

    /// Connects and opens with the preface, settings and the acknowledgement of the other's.
    pub(crate) fn open(gateway: &Headgate) -> Self {
        let mut this = Self::silent(gateway);
        this.send([PREFACE, &frame(SETTINGS, 0, 0, []), &frame(SETTINGS, ACK, 0, [])].concat());
        this
    }

    /// The other side of a connection, up to its first request; gives that request's stream.
    #[track_caller]
    pub(crate) fn accept(origin: &Origin) -> (Self, u32) {
        let mut this = Self { wire: origin.accept() };
        this.wire.expect(PREFACE);
        this.send([frame(SETTINGS, 0, 0, []), frame(SETTINGS, ACK, 0, [])].concat());
        let stream = this.until(|frame| (frame.kind == HEADERS).then_some(frame.stream));
        (this, stream)
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The gateway may have given up on the connection already; what it said is read in any case.
        let _ = self.wire.try_send(bytes);
    }

    /// The next frame; `None` when the connection ends.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Frame> {
        if !self.wire.has_more() {
            self.wire.assert_ended();
            return None;
        }
        let header = self.wire.take(9);
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let stream = u32::from_be_bytes(header[5..9].try_into().unwrap());
        Some(Frame { kind: header[3], flags: header[4], stream, payload: self.wire.take(length) })
    }

    /// Reads on until `wanted` gives something.
    #[track_caller]
    pub(crate) fn until<T>(&mut self, mut wanted: impl FnMut(&Frame) -> Option<T>) -> T {
        let mut seen = Vec::new();
        while let Some(frame) = self.next() {
            if let Some(found) = wanted(&frame) {
                return found;
            }
            seen.push(format!("{frame:?}"));
        }
        panic!("the connection ended; before: {seen:?}");
    }

    /// The connection still answers.
    #[track_caller]
    pub(crate) fn assert_alive(&mut self) {
        self.send(frame(PING, 0, 0, b"still on"));
        self.until(|frame| {
            assert_ne!(frame.kind, GOAWAY, "{frame:?}");
            (frame.kind == PING && frame.payload == b"still on").then(|| assert_eq!(frame.flags, ACK))
        });
    }

    /// Reads to the end of the connection.
    #[track_caller]
    pub(crate) fn assert_ends(&mut self) {
        while self.next().is_some() {}
    }
}

/// The status in a response's field block, where that is the block's first field, as it is in all of ours.
pub(crate) fn status(block: &[u8]) -> u16 {
    match *block {
        // A size update of the dynamic table may come first.
        [byte, ref rest @ ..] if byte & 0xe0 == 0x20 => status(rest),
        // RFC 7541 appendix A.
        [0x88, ..] => 200,
        [0x89, ..] => 204,
        [0x8a, ..] => 206,
        [0x8b, ..] => 304,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        // A literal with the name of index 8: three digits, as they are or in Huffman coding (appendix B).
        [0x48 | 0x08 | 0x18, 3, a, b, c, ..] => {
            [a, b, c].iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'))
        }
        [0x48 | 0x08 | 0x18, length, ref rest @ ..] if length & 0x80 != 0 => {
            let mut bits = rest[..usize::from(length & 0x7f)]
                .iter()
                .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            bits <<= 64 - 8 * u32::from(length & 0x7f);
            (0..3).fold(0, |status, _| {
                // 0 to 2 have five bits, beginning with zeros; 3 to 9 have six, beginning with 0b011001.
                let short = bits >> 59;
                let (digit, width) = if short < 3 { (short, 5) } else { ((bits >> 58) - 0x19 + 3, 6) };
                bits <<= width;
                status * 10 + digit as u16
            })
        }
        _ => panic!("no status at the start of {block:?}"),
    }
}
