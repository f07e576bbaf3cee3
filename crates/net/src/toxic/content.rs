//! Finds the content among the bytes of one direction of a connection that carries one exchange, in whatever
//! pieces they come. It reads no more of HTTP than that takes; where it is in doubt, nothing is content.

use super::Carries;
use crate::frames::DATA;
use crate::h1::chunked::{Decoder, Step};
use headgate_model::fault::FaultKind;
use headgate_model::spec::Direction;

/// A longer head is somebody else's matter.
const HEAD_MAX: usize = 64 * 1024;
/// RFC 9113 section 3.4.
const PREFACE: u64 = 24;
const FRAME_HEADER: usize = 9;
/// RFC 9113 section 6.1.
const PADDED: u8 = 0x8;

/// Where one direction stands.
pub(super) enum Content {
    Http1 { stream: Direction, state: Http1 },
    Http2(Http2),
}

impl Content {
    pub(super) fn new(carries: Carries, stream: Direction) -> Self {
        match carries {
            Carries::Http1 => Self::Http1 { stream, state: Http1::Head(Vec::new()) },
            Carries::Http2 => {
                let skip = if stream == Direction::Upstream { PREFACE } else { 0 };
                Self::Http2(Http2 { skip, ..Http2::default() })
            }
        }
    }

    /// Takes the next bytes; shows those that are content.
    pub(super) fn find(&mut self, bytes: &mut [u8], mut found: impl FnMut(&mut [u8])) {
        match self {
            Self::Http1 { stream, state } => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    let taken = state.take(rest, *stream, &mut found);
                    rest = &mut rest[taken..];
                }
            }
            Self::Http2(frames) => frames.find(bytes, found),
        }
    }
}

pub(super) enum Http1 {
    /// What of the head has come.
    Head(Vec<u8>),
    Length(u64),
    Chunked(Decoder),
    UntilClose,
    /// Nothing more is content.
    Over,
}

impl Http1 {
    /// Takes some bytes, at least one; how many.
    fn take(&mut self, bytes: &mut [u8], stream: Direction, found: &mut impl FnMut(&mut [u8])) -> usize {
        let all = bytes.len();
        match self {
            Self::Head(head) => {
                head.push(bytes[0]);
                if head.ends_with(b"\r\n\r\n") || head.ends_with(b"\n\n") {
                    *self = body(head, stream);
                } else if head.len() > HEAD_MAX {
                    *self = Self::Over;
                }
                1
            }
            Self::Length(0) => {
                *self = Self::Over;
                all
            }
            Self::Length(left) => {
                let content = all.min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= content as u64;
                found(&mut bytes[..content]);
                content
            }
            Self::Chunked(decoder) => match decoder.step(bytes, FaultKind::BadResponse) {
                Ok(Step::Data { skip, data }) => {
                    found(&mut bytes[skip..skip + data]);
                    skip + data
                }
                Ok(Step::NeedMore { .. }) => all,
                Ok(Step::Trailers { .. }) | Err(_) => {
                    *self = Self::Over;
                    all
                }
            },
            Self::UntilClose => {
                found(bytes);
                all
            }
            Self::Over => all,
        }
    }
}

/// What follows a head.
fn body(head: &[u8], stream: Direction) -> Http1 {
    let is_response = stream == Direction::Downstream;
    let status = || head.get(9..12).unwrap_or_default();
    match is_response.then(status) {
        // The connection speaks another protocol now.
        Some(b"101") => return Http1::Over,
        Some([b'1', ..]) => return Http1::Head(Vec::new()),
        _ => {}
    }
    let value = |name: &[u8]| {
        head.split(|&byte| byte == b'\n').find_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            line[..colon].eq_ignore_ascii_case(name).then(|| line[colon + 1..].trim_ascii())
        })
    };
    if value(b"transfer-encoding").is_some() {
        return Http1::Chunked(Decoder::default());
    }
    match value(b"content-length").map(|value| std::str::from_utf8(value).ok()?.parse().ok()) {
        Some(Some(length)) => Http1::Length(length),
        None if is_response => Http1::UntilClose,
        _ => Http1::Over,
    }
}

#[derive(Default)]
pub(super) struct Http2 {
    header: [u8; FRAME_HEADER],
    header_len: usize,
    /// The next byte is the length of the frame's padding.
    pad_length_next: bool,
    /// Bytes of content that are still to come in the frame.
    content: u64,
    /// Bytes after those that are none.
    skip: u64,
}

impl Http2 {
    fn find(&mut self, mut rest: &mut [u8], mut found: impl FnMut(&mut [u8])) {
        while !rest.is_empty() {
            let most = |left: u64| rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let taken = if self.pad_length_next {
                self.pad_length_next = false;
                let padding = u64::from(rest[0]).min(self.content - 1);
                self.content -= 1 + padding;
                self.skip = padding;
                1
            } else if self.content > 0 {
                let content = most(self.content);
                self.content -= content as u64;
                found(&mut rest[..content]);
                content
            } else if self.skip > 0 {
                let skip = most(self.skip);
                self.skip -= skip as u64;
                skip
            } else {
                self.header[self.header_len] = rest[0];
                self.header_len += 1;
                if self.header_len == FRAME_HEADER {
                    self.begin_frame();
                }
                1
            };
            rest = &mut rest[taken..];
        }
    }

    fn begin_frame(&mut self) {
        let [a, b, c, kind, flags, ..] = self.header;
        let length = u64::from(u32::from_be_bytes([0, a, b, c]));
        self.header_len = 0;
        if kind == DATA {
            self.content = length;
            self.pad_length_next = flags & PADDED != 0 && length > 0;
        } else {
            self.skip = length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes with those that are content made into `#`, whatever pieces they come in.
    fn marked(carries: Carries, stream: Direction, wire: &[u8]) -> Vec<u8> {
        let mark = |size: usize| {
            let (mut content, mut wire) = (Content::new(carries, stream), wire.to_vec());
            wire.chunks_mut(size).for_each(|piece| content.find(piece, |bytes| bytes.fill(b'#')));
            wire
        };
        let whole = mark(wire.len());
        for size in 1..wire.len() {
            assert_eq!(mark(size), whole, "in pieces of {size}");
        }
        whole
    }

    fn http1(stream: Direction, wire: &str) -> String {
        String::from_utf8(marked(Carries::Http1, stream, wire.as_bytes())).unwrap()
    }

    #[test]
    fn content_and_nothing_else_is_found_in_http1() {
        use Direction::{Downstream, Upstream};
        for (stream, wire, wanted) in [
            (Upstream, "GET / HTTP/1.1\r\nhost: a\r\n\r\nrest", "GET / HTTP/1.1\r\nhost: a\r\n\r\nrest"),
            (
                Upstream,
                "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET",
                "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n###GET",
            ),
            (
                Downstream,
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n##",
            ),
            (
                Downstream,
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n###\r\n0\r\nx: y\r\n\r\n",
            ),
            (Downstream, "HTTP/1.0 200 OK\r\n\r\nall of it", "HTTP/1.0 200 OK\r\n\r\n#########"),
            (Downstream, "HTTP/1.1 101 X\r\n\r\nframes", "HTTP/1.1 101 X\r\n\r\nframes"),
            (
                Downstream,
                "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nok",
                "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nok",
            ),
        ] {
            assert_eq!(http1(stream, wire), wanted);
        }
    }

    #[test]
    fn a_head_without_end_is_not_kept() {
        let mut content = Content::new(Carries::Http1, Direction::Downstream);
        content.find(&mut vec![b'x'; HEAD_MAX + 2], |_| panic!("no content"));
        assert!(matches!(content, Content::Http1 { state: Http1::Over, .. }));
    }

    #[test]
    fn content_and_nothing_else_is_found_in_http2() {
        let headers = [&[0, 0, 2, 1, 4, 0, 0, 0, 1][..], b"hh"].concat();
        let data = [&[0, 0, 3, 0, 0, 0, 0, 0, 1][..], b"abc"].concat();
        let padded = [&[0, 0, 6, 0, PADDED, 0, 0, 0, 1, 2][..], b"abc\0\0"].concat();
        let all_padding = [0, 0, 1, 0, PADDED, 0, 0, 0, 1, 9];
        let wire = [&headers[..], &data, &padded, &all_padding, &headers].concat();
        let wanted =
            [&headers[..], &data[..9], b"###", &padded[..10], b"###\0\0", &all_padding, &headers].concat();
        assert_eq!(marked(Carries::Http2, Direction::Downstream, &wire), wanted);
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let (wire, wanted) = ([&preface[..], &data].concat(), [&preface[..], &data[..9], b"###"].concat());
        assert_eq!(marked(Carries::Http2, Direction::Upstream, &wire), wanted);
    }
}
