//! The chunked transfer coding (RFC 9112 section 7.1): a decoder over byte slices and the size line's
//! encoder. Chunk extensions are read over and never passed on.

use headgate_model::fault::{Fault, FaultKind};

/// Extensions of one chunk longer than this are an attack, not a protocol (compare CVE-2023-39326).
const LONGEST_SIZE_LINE: u32 = 256;
/// Sixteen hex digits would overflow nothing, but no chunk is that large.
const MOST_SIZE_DIGITS: u32 = 15;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Reading the size's digits.
    Size {
        size: u64,
        digits: u32,
    },
    /// Reading an extension up to its CR.
    Extension {
        size: u64,
        length: u32,
    },
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// The last chunk was read; trailer lines and the final empty line follow.
    Trailers,
}

/// A chunked body's decoder. Feed it what arrived; it says how much it took and what it was.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    state: State,
}

/// What stands at the start of the bytes given to [`Decoder::step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `skip` bytes of framing, then `data` bytes of body.
    Data { skip: usize, data: usize },
    /// All bytes were framing; more are needed.
    NeedMore { skip: usize },
    /// `skip` bytes of framing; then the trailer section begins (lines up to an empty line).
    Trailers { skip: usize },
}

impl Default for Decoder {
    fn default() -> Self {
        Self { state: State::Size { size: 0, digits: 0 } }
    }
}

impl Decoder {
    /// Reads `bytes`, which continue where the last step's `skip + data` ended.
    ///
    /// # Errors
    /// `kind` when the framing breaks the grammar; the connection must not be used any further.
    pub fn step(&mut self, bytes: &[u8], kind: FaultKind) -> Result<Step, Fault> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            self.state = match self.state {
                State::Size { size, digits } => match (hex(byte), byte) {
                    (Some(value), _) if digits < MOST_SIZE_DIGITS => {
                        State::Size { size: size << 4 | value, digits: digits + 1 }
                    }
                    (None, b'\r') if digits > 0 => State::SizeLf { size },
                    (None, b';') if digits > 0 => State::Extension { size, length: 0 },
                    _ => return Err(Fault::new(kind, "a malformed chunk size (RFC 9112 section 7.1)")),
                },
                State::Extension { size, length } => match byte {
                    b'\r' => State::SizeLf { size },
                    _ if length < LONGEST_SIZE_LINE && super::bytes::is_value(byte) => {
                        State::Extension { size, length: length + 1 }
                    }
                    _ => {
                        return Err(Fault::new(
                            kind,
                            "a bad or too long chunk extension (RFC 9112 section 7.1.1)",
                        ));
                    }
                },
                State::SizeLf { size } => match (byte, size) {
                    (b'\n', 0) => {
                        self.state = State::Trailers;
                        return Ok(Step::Trailers { skip: at + 1 });
                    }
                    (b'\n', _) => State::Data { left: size },
                    _ => {
                        return Err(Fault::new(
                            kind,
                            "a chunk size line without CRLF (RFC 9112 section 7.1)",
                        ));
                    }
                },
                State::Data { left } => {
                    let data = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    self.state = match left - data as u64 {
                        0 => State::DataCr,
                        left => State::Data { left },
                    };
                    return Ok(Step::Data { skip: at, data });
                }
                State::DataCr if byte == b'\r' => State::DataLf,
                State::DataLf if byte == b'\n' => State::Size { size: 0, digits: 0 },
                State::DataCr | State::DataLf => {
                    return Err(Fault::new(kind, "chunk data without its CRLF (RFC 9112 section 7.1)"));
                }
                State::Trailers => return Ok(Step::Trailers { skip: at }),
            };
            at += 1;
        }
        Ok(Step::NeedMore { skip: at })
    }
}

fn hex(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

/// Longest size line that [`size_line`] writes: sixteen digits and CRLF.
pub const SIZE_LINE: usize = 18;

/// Writes `size` in hex with CRLF into the end of `line` and gives that part of it.
#[must_use]
pub fn size_line(size: u64, line: &mut [u8; SIZE_LINE]) -> &[u8] {
    line[SIZE_LINE - 2..].copy_from_slice(b"\r\n");
    let mut at = SIZE_LINE - 2;
    let mut rest = size;
    loop {
        at -= 1;
        line[at] = b"0123456789abcdef"[(rest & 15) as usize];
        rest >>= 4;
        if rest == 0 {
            return &line[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    const KIND: FaultKind = FaultKind::BadRequest;

    /// Decodes `wire` in pieces of the given sizes; gives the body and what follows the last chunk.
    fn decode(wire: &[u8], mut piece: impl FnMut() -> usize) -> Result<Option<(Vec<u8>, usize)>, Fault> {
        let (mut decoder, mut body, mut at) = (Decoder::default(), Vec::new(), 0);
        let mut have = 0;
        loop {
            match decoder.step(&wire[at..have], KIND)? {
                Step::Data { skip, data } => {
                    body.extend_from_slice(&wire[at + skip..at + skip + data]);
                    at += skip + data;
                }
                Step::Trailers { skip } => return Ok(Some((body, at + skip))),
                Step::NeedMore { skip } => {
                    at += skip;
                    if have == wire.len() {
                        return Ok(None);
                    }
                    have = (have + piece()).min(wire.len());
                }
            }
        }
    }

    #[test]
    fn any_split_gives_the_same_body() {
        for seed in 0..300 {
            let mut dice = Dice::new(seed);
            let (mut wire, mut body) = (Vec::new(), Vec::new());
            for _ in 0..dice.below(6) {
                let data: Vec<u8> = (0..1 + dice.below(300)).map(|_| dice.bits() as u8).collect();
                wire.extend_from_slice(size_line(data.len() as u64, &mut [0; SIZE_LINE]));
                if dice.below(3) == 0 {
                    wire.truncate(wire.len() - 2);
                    wire.extend_from_slice(b";name=\"value\"\r\n");
                }
                wire.extend_from_slice(&data);
                wire.extend_from_slice(b"\r\n");
                body.extend_from_slice(&data);
            }
            wire.extend_from_slice(b"0\r\n");
            let end = wire.len();
            wire.extend_from_slice(b"\r\nGET");
            let got = decode(&wire, || 1 + dice.below(40) as usize);
            assert_eq!(got, Ok(Some((body, end))), "seed {seed}");
        }
    }

    #[test]
    fn broken_framing_is_refused() {
        for wire in [
            &b"\r\n"[..],
            b"g\r\n",
            b"-1\r\n",
            b"+1\r\n",
            b" 1\r\n",
            b"1 \r\n",
            b"0x1\r\n",
            b"1\n",
            b"1\rx",
            b"1\r\nab\r\n",
            b"1\r\na\n",
            b"1;\n\r\n",
            b"1;\x00\r\n",
            b"1111111111111111\r\n",
            b"ffffffffffffffff0\r\n",
        ] {
            assert!(decode(wire, || 3).is_err(), "{:?} was taken", String::from_utf8_lossy(wire));
        }
        let long = [b"1;".as_slice(), &[b'x'; 300], b"\r\na\r\n"].concat();
        assert!(decode(&long, || 3).is_err());
    }

    #[test]
    fn size_line_is_hex() {
        for (size, want) in
            [(0, &b"0\r\n"[..]), (10, b"a\r\n"), (0x1234, b"1234\r\n"), (u64::MAX, b"ffffffffffffffff\r\n")]
        {
            assert_eq!(size_line(size, &mut [0; SIZE_LINE]), want);
        }
    }
}
