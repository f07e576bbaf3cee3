//! `multipart/byteranges` (RFC 9110 section 14.6): the text around the parts of an answer to several ranges. The bytes
//! between are the stored content's own.

use super::range::{ByteRange, Parts, write_content_range};

/// What separates the parts: 32 hexadecimal digits, from bits that nobody can foretell, so that content cannot hold it
/// but by a chance of 2^-128.
#[derive(Clone, Copy, Debug)]
struct Boundary([u8; 32]);

impl Boundary {
    fn new(bits: u128) -> Self {
        Self(std::array::from_fn(|at| {
            let digit = (bits >> (4 * at) & 15) as u8;
            if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
        }))
    }
}

/// An answer to several ranges, without their bytes.
#[derive(Clone, Debug)]
pub struct Multipart {
    boundary: Boundary,
    parts: Parts,
    /// What stands before each part, and behind the last one.
    texts: Vec<u8>,
    /// Where the text before each part ends.
    ends: Vec<usize>,
}

/// What follows in a multipart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MultipartPiece<'a> {
    Text(&'a [u8]),
    /// These bytes of the stored content.
    Content(ByteRange),
}

impl Multipart {
    /// Of `parts` of content of `complete` bytes; `content_type` is that of the stored response.
    #[must_use]
    pub fn new(parts: Parts, content_type: Option<&[u8]>, complete: u64, bits: u128) -> Self {
        let boundary = Boundary::new(bits);
        let (mut texts, mut ends) = (Vec::new(), Vec::with_capacity(parts.as_slice().len()));
        for range in parts.as_slice() {
            texts.extend_from_slice(b"\r\n--");
            texts.extend_from_slice(&boundary.0);
            if let Some(content_type) = content_type {
                texts.extend_from_slice(b"\r\nContent-Type: ");
                texts.extend_from_slice(content_type);
            }
            texts.extend_from_slice(b"\r\nContent-Range: ");
            write_content_range(&mut texts, *range, Some(complete));
            texts.extend_from_slice(b"\r\n\r\n");
            ends.push(texts.len());
        }
        texts.extend_from_slice(b"\r\n--");
        texts.extend_from_slice(&boundary.0);
        texts.extend_from_slice(b"--\r\n");
        Self { boundary, parts, texts, ends }
    }

    /// Value of the answer's `Content-Type`.
    #[must_use]
    pub fn content_type(&self) -> Vec<u8> {
        [&b"multipart/byteranges; boundary="[..], &self.boundary.0].concat()
    }

    /// Bytes of the answer's content.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "there is always the text at the end")]
    pub fn len(&self) -> u64 {
        self.texts.len() as u64 + self.parts.as_slice().iter().map(ByteRange::len).sum::<u64>()
    }

    /// All of the answer's content, in its order.
    pub fn pieces(&self) -> impl Iterator<Item = MultipartPiece<'_>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let texts = starts.zip(&self.ends).map(|(start, end)| MultipartPiece::Text(&self.texts[start..*end]));
        let contents = self.parts.as_slice().iter().map(|range| MultipartPiece::Content(*range));
        let last = self.ends.last().copied().unwrap_or_default();
        let pairs = texts.zip(contents).flat_map(|(text, content)| [text, content]);
        pairs.chain(std::iter::once(MultipartPiece::Text(&self.texts[last..])))
    }
}

#[cfg(test)]
mod tests {
    use super::super::range::{Ranges, ranges};
    use super::*;
    use headgate_model::dice::Dice;

    fn of(range: &str, content_type: Option<&[u8]>, length: u64, bits: u128) -> Option<Multipart> {
        match ranges(range.as_bytes(), length) {
            Ranges::Parts(parts) => Some(Multipart::new(parts, content_type, length, bits)),
            _ => None,
        }
    }

    fn written(multipart: &Multipart, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in multipart.pieces() {
            out.extend_from_slice(match piece {
                MultipartPiece::Text(text) => text,
                MultipartPiece::Content(range) => &content[range.first as usize..=range.last as usize],
            });
        }
        out
    }

    /// Ranges and bytes of the parts, read as RFC 2046 section 5.1.1 has it.
    fn read(body: &[u8], boundary: &str) -> Vec<(String, Vec<u8>)> {
        let text: String = body.iter().map(|&byte| char::from(byte)).collect();
        let (parts, rest) = text.split_once(&format!("\r\n--{boundary}--")).unwrap();
        assert_eq!(rest, "\r\n");
        let between = format!("\r\n--{boundary}\r\n");
        let parts = parts.split(&between).skip(1);
        let part = |part: &str| {
            let (head, content) = part.split_once("\r\n\r\n").unwrap();
            let range = head.lines().find_map(|line| line.strip_prefix("Content-Range: ")).unwrap();
            (range.to_owned(), content.chars().map(|char| char as u8).collect())
        };
        parts.map(part).collect()
    }

    #[test]
    fn parts_are_separated_and_closed() {
        let multipart = of("bytes=0-1,200-203", Some(b"text/plain"), 300, 0x1f).unwrap();
        let boundary = format!("f1{}", "0".repeat(30));
        let body = String::from_utf8(written(&multipart, &[b'x'; 300])).unwrap().replace(&boundary, "B");
        assert_eq!(
            body,
            "\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/300\r\n\r\nxx\
             \r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 200-203/300\r\n\r\nxxxx\r\n--B--\r\n"
        );
        assert_eq!(multipart.content_type(), format!("multipart/byteranges; boundary={boundary}").as_bytes());
        let bare = of("bytes=0-1,200-203", None, 300, 0).unwrap();
        assert!(!String::from_utf8(written(&bare, &[b'x'; 300])).unwrap().contains("Content-Type"));
    }

    #[test]
    fn parts_are_the_slices_that_their_ranges_say() {
        let mut several = 0;
        for seed in 0..5_000 {
            let dice = &mut Dice::new(seed);
            let content: Vec<u8> = (0..1 + dice.below(5_000)).map(|_| dice.bits() as u8).collect();
            let list: Vec<String> = (0..2 + dice.below(5))
                .map(|_| {
                    let first = dice.below(content.len() as u64);
                    format!("{first}-{}", first + dice.below(300))
                })
                .collect();
            let bits = u128::from(dice.bits()) << 64 | u128::from(dice.bits());
            let Some(multipart) = of(&format!("bytes={}", list.join(",")), None, content.len() as u64, bits)
            else {
                continue;
            };
            let body = written(&multipart, &content);
            assert_eq!(body.len() as u64, multipart.len(), "seed {seed}");
            let content_type = String::from_utf8(multipart.content_type()).unwrap();
            for (range, bytes) in read(&body, content_type.split_once("boundary=").unwrap().1) {
                several += 1;
                let (first, rest) = range.strip_prefix("bytes ").unwrap().split_once('-').unwrap();
                let (last, complete) = rest.split_once('/').unwrap();
                let [first, last, complete] =
                    [first, last, complete].map(|digits| digits.parse::<usize>().unwrap());
                assert_eq!((&content[first..=last], content.len()), (&*bytes, complete), "seed {seed}");
            }
        }
        assert!(several > 5_000, "{several}");
    }
}
