//! Reads the answers of one HTTP/1.1 connection: bytes in, ends of answers out. Bodies are counted and thrown
//! away. On purpose it shares nothing with the gateway's codec, so that neither hides a mistake of the other.

/// The longest head of an answer.
const HEAD_MAX: usize = 64 * 1024;
const FIELDS_MAX: usize = 100;
/// The longest line between chunks, and the most bytes of trailers.
const LINE_MAX: usize = 16 * 1024;

/// Where in an answer the next byte belongs.
#[derive(Debug)]
pub(super) struct Reader {
    state: State,
    /// A head that has come in part.
    head: Vec<u8>,
    status: u16,
    keep_alive: bool,
    is_head: bool,
    received: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Counted { left: u64 },
    UntilClose,
    Chunk(Chunk),
}

/// Where in a chunked body (RFC 9112, 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    /// In the line of a size, after this many of its bytes.
    Size {
        size: u64,
        digits: u8,
        extension: bool,
        line: usize,
    },
    Data {
        left: u64,
    },
    /// After the data, before its line end.
    End,
    /// In a line of the trailers, which is empty so far or not.
    Trailer {
        empty: bool,
        total: usize,
    },
}

/// An answer that has come whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// With head and framing.
    pub(super) bytes: u64,
    /// Whether the connection may carry another request.
    pub(super) keep_alive: bool,
}

/// What was read is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Default for Reader {
    fn default() -> Self {
        Self {
            state: State::Head,
            head: Vec::new(),
            status: 0,
            keep_alive: true,
            is_head: false,
            received: 0,
        }
    }
}

impl Reader {
    /// Before each request. `is_head`: its answer has no body whatever its length says.
    pub(super) fn expect(&mut self, is_head: bool) {
        self.state = State::Head;
        self.head.clear();
        self.is_head = is_head;
        self.received = 0;
    }

    /// Takes what was read; gives the answer when that is its end.
    ///
    /// # Errors
    /// [`Malformed`] when this cannot be the answer to one request.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<Option<Answer>, Malformed> {
        self.received += bytes.len() as u64;
        loop {
            let over = match self.state {
                State::Head => match self.take_head(&mut bytes)? {
                    Some(over) => over,
                    None => return Ok(None),
                },
                State::Counted { left } => {
                    let taken = left.min(bytes.len() as u64);
                    bytes = &bytes[taken as usize..];
                    self.state = State::Counted { left: left - taken };
                    left == taken
                }
                State::UntilClose => return Ok(None),
                State::Chunk(chunk) => match chunk.take(&mut bytes)? {
                    Some(next) => {
                        self.state = State::Chunk(next);
                        false
                    }
                    None => true,
                },
            };
            if over {
                // Nothing was asked for that more bytes could answer.
                return if bytes.is_empty() { Ok(Some(self.answer())) } else { Err(Malformed) };
            }
            if bytes.is_empty() {
                return Ok(None);
            }
        }
    }

    /// The peer has closed: the answer, if that was its end.
    pub(super) fn closed(&mut self) -> Option<Answer> {
        (self.state == State::UntilClose).then(|| Answer { keep_alive: false, ..self.answer() })
    }

    fn answer(&self) -> Answer {
        Answer { status: self.status, bytes: self.received, keep_alive: self.keep_alive }
    }

    /// Takes a head off the front: whether it is the whole answer; `None` when more is needed.
    fn take_head(&mut self, bytes: &mut &[u8]) -> Result<Option<bool>, Malformed> {
        if self.head.is_empty() {
            if let Some((length, over)) = self.parse(bytes)? {
                *bytes = &bytes[length..];
                return Ok(Some(over));
            }
            self.head.extend_from_slice(bytes);
        } else {
            let before = self.head.len();
            let mut head = std::mem::take(&mut self.head);
            head.extend_from_slice(bytes);
            if let Some((length, over)) = self.parse(&head)? {
                // The part from before was not enough.
                *bytes = &bytes[length.saturating_sub(before)..];
                head.clear();
                self.head = head;
                return Ok(Some(over));
            }
            self.head = head;
        }
        if self.head.len() > HEAD_MAX { Err(Malformed) } else { Ok(None) }
    }

    /// Length of the head at the front of `bytes`, and whether it is the whole answer.
    fn parse(&mut self, bytes: &[u8]) -> Result<Option<(usize, bool)>, Malformed> {
        let mut fields = [const { std::mem::MaybeUninit::uninit() }; FIELDS_MAX];
        let mut head = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut head, bytes, &mut fields)
            .map_err(|_| Malformed)?;
        let httparse::Status::Complete(length) = parsed else { return Ok(None) };
        self.status = head.code.unwrap_or_default();
        let mut counted = None;
        let (mut chunked, mut coded) = (false, false);
        // HTTP/1.0 closes unless it says otherwise.
        self.keep_alive = head.version == Some(1);
        for field in head.headers.iter() {
            if field.name.eq_ignore_ascii_case("content-length") {
                let length = number(field.value).ok_or(Malformed)?;
                if counted.is_some_and(|other| other != length) {
                    return Err(Malformed);
                }
                counted = Some(length);
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                coded = true;
                chunked =
                    items(field.value).next_back().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
            } else if field.name.eq_ignore_ascii_case("connection") {
                for item in items(field.value) {
                    if item.eq_ignore_ascii_case(b"close") {
                        self.keep_alive = false;
                    } else if item.eq_ignore_ascii_case(b"keep-alive") && head.version == Some(0) {
                        self.keep_alive = true;
                    }
                }
            }
        }
        match self.status {
            101 => return Err(Malformed),
            // Interim; the answer follows.
            100..=199 => return Ok(Some((length, false))),
            _ => {}
        }
        // RFC 9112, 6.3.
        let empty = self.is_head || self.status == 204 || self.status == 304;
        self.state = match counted {
            _ if empty => State::Counted { left: 0 },
            _ if chunked => State::Chunk(Chunk::start()),
            Some(left) if !coded => State::Counted { left },
            _ => {
                self.keep_alive = false;
                State::UntilClose
            }
        };
        Ok(Some((length, self.state == State::Counted { left: 0 })))
    }
}

impl Chunk {
    fn start() -> Self {
        Self::Size { size: 0, digits: 0, extension: false, line: 0 }
    }

    /// Goes on by at least one byte of `bytes`, which has some; `None` at the end of the body.
    fn take(self, bytes: &mut &[u8]) -> Result<Option<Self>, Malformed> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(Some(self)) };
        if let Self::Data { left } = self {
            let taken = left.min(bytes.len() as u64);
            *bytes = &bytes[taken as usize..];
            return Ok(Some(if left == taken { Self::End } else { Self::Data { left: left - taken } }));
        }
        *bytes = rest;
        Ok(Some(match (self, first) {
            (Self::Size { digits: 0, .. }, b'\n') => return Err(Malformed),
            (Self::Size { size: 0, .. }, b'\n') => Self::Trailer { empty: true, total: 0 },
            (Self::Size { size, .. }, b'\n') => Self::Data { left: size },
            (Self::Size { line, .. }, _) if line >= LINE_MAX => return Err(Malformed),
            (Self::Size { size, digits, extension: false, line }, _) if first.is_ascii_hexdigit() => {
                let digit = char::from(first).to_digit(16).map_or(0, u64::from);
                if digits == 15 {
                    return Err(Malformed);
                }
                Self::Size { size: size * 16 + digit, digits: digits + 1, extension: false, line: line + 1 }
            }
            (Self::Size { digits: 0, .. }, _) => return Err(Malformed),
            (Self::Size { size, digits, extension, line }, _) => {
                if !extension && !matches!(first, b';' | b'\r' | b' ' | b'\t') {
                    return Err(Malformed);
                }
                Self::Size { size, digits, extension: true, line: line + 1 }
            }
            (Self::End, b'\r') => Self::End,
            (Self::End, b'\n') => Self::start(),
            (Self::End, _) => return Err(Malformed),
            (Self::Trailer { empty: true, .. }, b'\n') => return Ok(None),
            (Self::Trailer { total, .. }, _) if total >= LINE_MAX => return Err(Malformed),
            (Self::Trailer { total, .. }, b'\n') => Self::Trailer { empty: true, total: total + 1 },
            (Self::Trailer { empty, total }, b'\r') => Self::Trailer { empty, total: total + 1 },
            (Self::Trailer { total, .. }, _) => Self::Trailer { empty: false, total: total + 1 },
            (Self::Data { left }, _) => Self::Data { left },
        }))
    }
}

/// The items of a comma-separated list.
fn items(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn number(value: &[u8]) -> Option<u64> {
    let value = value.trim_ascii();
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `text` in pieces of `piece` bytes.
    fn read(text: &str, piece: usize, is_head: bool) -> Result<Option<Answer>, Malformed> {
        let mut reader = Reader::default();
        reader.expect(is_head);
        let mut answer = None;
        for bytes in text.as_bytes().chunks(piece) {
            if answer.is_some() {
                return Err(Malformed);
            }
            answer = reader.feed(bytes)?;
        }
        Ok(answer.or_else(|| reader.closed()))
    }

    const OK: &str = "HTTP/1.1 200 OK\r\n";

    #[test]
    fn answers_end_where_their_framing_says_however_they_are_cut() {
        for (text, is_head, status, keep_alive) in [
            (format!("{OK}Content-Length: 5\r\n\r\nhello"), false, 200, true),
            (format!("{OK}content-length: 5\r\n\r\n"), true, 200, true),
            (format!("{OK}Content-Length: 0\r\nConnection: foo, Close\r\n\r\n"), false, 200, false),
            ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), false, 204, true),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n".to_owned(), false, 304, true),
            (
                format!("HTTP/1.1 103 Early\r\nlink: x\r\n\r\n{OK}Content-Length: 2\r\n\r\nok"),
                false,
                200,
                true,
            ),
            ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx".to_owned(), false, 200, false),
            (
                "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx".to_owned(),
                false,
                200,
                true,
            ),
            (format!("{OK}\r\neverything up to the end"), false, 200, false),
            (format!("{OK}Transfer-Encoding: gzip\r\n\r\nzzz"), false, 200, false),
            (
                format!("{OK}Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
                false,
                200,
                true,
            ),
            (
                format!(
                    "{OK}Transfer-Encoding: chunked\r\n\r\nA;x=\"y\"\r\n0123456789\r\n1 \r\nx\r\n0\r\nt: 1\r\nu: 2\r\n\r\n"
                ),
                false,
                200,
                true,
            ),
        ] {
            for piece in 1..=text.len() {
                let answer = read(&text, piece, is_head).unwrap_or_else(|_| panic!("{text:?} by {piece}"));
                let expected = Answer { status, bytes: text.len() as u64, keep_alive };
                assert_eq!(answer, Some(expected), "{text:?} by {piece}");
            }
        }
    }

    #[test]
    fn an_answer_cut_short_is_none() {
        for text in [
            "HTTP/1.1 200 O".to_owned(),
            format!("{OK}Content-Length: 5\r\n\r\nhell"),
            format!("{OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"),
            "HTTP/1.1 100 Continue\r\n\r\n".to_owned(),
        ] {
            assert_eq!(read(&text, 3, false), Ok(None), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let chunked = format!("{OK}Transfer-Encoding: chunked\r\n\r\n");
        for text in [
            "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(),
            format!("{OK}Content-Length: 5\r\n\r\nhello!"),
            format!("{OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
            format!("{OK}Content-Length: +5\r\n\r\nhello"),
            format!("{OK}Content-Length: 99999999999999999999999\r\n\r\nhello"),
            "HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(),
            format!("{chunked}x\r\n"),
            format!("{chunked}\r\n"),
            format!("{chunked}5\r\nhello!\r\n"),
            format!("{chunked}1234567890abcdef0\r\n"),
            format!("{chunked}0;{}", "x".repeat(2 * LINE_MAX)),
            format!("{chunked}0\r\n{}", "a: b\r\n".repeat(LINE_MAX)),
            format!("{OK}{}", "a: b\r\n".repeat(HEAD_MAX)),
            format!("{OK}a: {}", "b".repeat(2 * HEAD_MAX)),
        ] {
            for piece in [1, 7, 4_096, text.len()] {
                let shown = &text[..text.len().min(80)];
                assert_eq!(read(&text, piece, false), Err(Malformed), "{shown:?} by {piece}");
            }
        }
    }

    #[test]
    fn random_bytes_do_no_harm() {
        let mut dice = headgate_model::dice::Dice::new(5);
        let alphabet = b"HTTP/1.1 200\r\n:;0aFContent-Length: Transfer-Encoding: chunked\r\n\r\n5\r\n";
        for _ in 0..20_000 {
            let mut reader = Reader::default();
            reader.expect(false);
            let mut text = if dice.below(2) == 0 {
                format!("{OK}Transfer-Encoding: chunked\r\n\r\n")
            } else {
                String::new()
            };
            let count = dice.below(60);
            text.extend((0..count).map(|_| char::from(alphabet[dice.below(alphabet.len() as u64) as usize])));
            let _ = reader.feed(text.as_bytes());
        }
    }
}
