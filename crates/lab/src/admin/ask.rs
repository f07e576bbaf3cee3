//! One HTTP/1.1 question with its whole answer, on a connection of its own: for probes, and for the gateway's
//! admin listener. No TLS, no redirects; what measures latency is the load generator.

use crate::load::Target;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// A longer answer is cut off with an error.
const ANSWER_MAX: usize = 16 << 20;
const FIELDS_MAX: usize = 128;

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Asks `target` for `path` within `patience`.
///
/// # Errors
/// Why there is no whole answer.
pub(crate) fn ask(
    target: &Target,
    method: &str,
    path: &str,
    body: &str,
    patience: Duration,
) -> io::Result<Reply> {
    let until = Instant::now() + patience;
    let mut stream = connect(target, patience)?;
    let authority = &target.authority;
    let length = if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\n{length}Connection: close\r\n\r\n{body}");
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = vec![0; 64 * 1_024];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => answer.extend(&piece[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        }
        if answer.len() > ANSWER_MAX {
            return Err(io::Error::new(ErrorKind::FileTooLarge, "the answer is longer than 16 MiB"));
        }
    }
    parse(&answer).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "no whole HTTP/1.1 answer"))
}

fn connect(target: &Target, patience: Duration) -> io::Result<TcpStream> {
    let mut failed = None;
    for address in (target.host.as_str(), target.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| io::Error::new(ErrorKind::NotFound, "the name has no address")))
}

/// The last answer in what came, interim ones skipped; `None` when it is cut.
fn parse(mut bytes: &[u8]) -> Option<Reply> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut head = httparse::Response::new(&mut fields);
        let httparse::Status::Complete(end) = head.parse(bytes).ok()? else { return None };
        let status = head.code?;
        bytes = &bytes[end..];
        if (100..200).contains(&status) {
            continue;
        }
        let field = |name: &str| head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        let body = match (field("transfer-encoding"), field("content-length")) {
            (Some(_), _) => unchunked(bytes)?,
            (None, Some(length)) => {
                let length: usize = std::str::from_utf8(length.value).ok()?.trim().parse().ok()?;
                bytes.get(..length)?.to_vec()
            }
            (None, None) => bytes.to_vec(),
        };
        return Some(Reply { status, body });
    }
}

/// RFC 9112, 7.1; trailers are left aside.
fn unchunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let httparse::Status::Complete((start, size)) = httparse::parse_chunk_size(bytes).ok()? else {
            return None;
        };
        let size = usize::try_from(size).ok()?;
        if size == 0 {
            return Some(body);
        }
        let end = start.checked_add(size)?;
        body.extend_from_slice(bytes.get(start..end)?);
        bytes = bytes.get(end..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_in_every_framing_and_cut_ones_are_none() {
        let body = |text: &str| parse(text.as_bytes()).map(|reply| (reply.status, reply.text()));
        assert_eq!(body("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokx"), Some((200, "ok".to_owned())));
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1;a=b\r\n!\r\n0\r\n\r\n";
        assert_eq!(body(chunked), Some((200, "ok!".to_owned())));
        assert_eq!(body("HTTP/1.1 103 E\r\n\r\nHTTP/1.1 503 No\r\n\r\nall"), Some((503, "all".to_owned())));
        for cut in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nok",
        ] {
            assert_eq!(body(cut), None, "{cut:?}");
        }
    }
}
