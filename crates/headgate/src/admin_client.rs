//! A question to a running Headgate's admin listener: one HTTP/1.1 request on a connection of its own. It
//! reads only what that listener writes, and is no general client.

use crate::say::Failure;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Where a running Headgate is looked for.
pub(crate) const ADMIN: &str = "127.0.0.1:9090";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A longer answer is not from an admin listener.
const ANSWER_MAX: usize = 8 << 20;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Without control characters but the line feed: it goes to a terminal.
    pub(crate) body: String,
}

/// Asks for `path` and waits `patience` for the whole answer.
///
/// # Errors
/// When nobody listens at `admin` (`host:port`, or `:port` on this machine), or what answers is not HTTP.
pub(crate) fn ask(admin: &str, method: &str, path: &str, patience: Duration) -> Result<Answer, Failure> {
    ask_with(admin, method, path, "", patience)
}

/// The same, with a body.
///
/// # Errors
/// As [`ask`].
pub(crate) fn ask_with(
    admin: &str,
    method: &str,
    path: &str,
    body: &str,
    patience: Duration,
) -> Result<Answer, Failure> {
    let in_place = |why: &dyn std::fmt::Display| Failure::from(format!("no answer from {admin}: {why}"));
    let mut stream = connect(admin).map_err(|error| {
        in_place(&format!(
            "{error}; is it running, and is its [admin] bind this address? Name another with --admin"
        ))
    })?;
    let answer = exchange(&mut stream, method, path, body, Instant::now() + patience).map_err(|error| {
        let late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        if late { in_place(&format!("nothing within {} s", patience.as_secs())) } else { in_place(&error) }
    })?;
    parse(&answer).ok_or_else(|| in_place(&"it does not speak HTTP as an admin listener does"))
}

fn connect(admin: &str) -> std::io::Result<TcpStream> {
    let here = format!("127.0.0.1{admin}");
    let admin = if admin.starts_with(':') { here.as_str() } else { admin };
    let mut failed = None;
    for address in admin.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| std::io::Error::new(ErrorKind::NotFound, "the name has no address")))
}

fn exchange(
    stream: &mut TcpStream,
    method: &str,
    path: &str,
    body: &str,
    until: Instant,
) -> std::io::Result<Vec<u8>> {
    // The listener answers to its addresses, and to names only when they are configured.
    let host: SocketAddr = stream.peer_addr()?;
    stream.set_write_timeout(Some(CONNECT_TIMEOUT))?;
    let length = if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{length}Connection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = vec![0; 64 * 1_024];
    while answer.len() <= ANSWER_MAX {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece) {
            Ok(0) => return Ok(answer),
            Ok(read) => answer.extend(&piece[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Err(std::io::Error::new(ErrorKind::FileTooLarge, "the answer is too long"))
}

/// Reads status and body of an answer whose length is given: one without was cut, or is somebody else's.
fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = (std::str::from_utf8(&answer[..end]).ok()?, &answer[end + 4..]);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let length: usize = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())?;
    let body = String::from_utf8_lossy(body.get(..length)?);
    let printable = |c: &char| *c == '\n' || !c.is_control();
    Some(Answer { status, body: body.chars().filter(printable).collect() })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    /// Gives `answer` to one client; afterwards tells what it asked.
    pub(crate) fn serve_once(answer: &str) -> (String, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answer = answer.to_owned();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        (address, serving)
    }

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn asks_and_understands() {
        let (address, serving) = serve_once("HTTP/1.1 422 No\r\ncontent-length: 8\r\n\r\na\x1b[2J\nbextra");
        let answer = ask(&address, "POST", "/reload", PATIENCE).unwrap();
        assert_eq!(
            answer,
            Answer { status: 422, body: "a[2J\nbe".to_owned() },
            "nothing to steer a terminal"
        );
        let request = serving.join().unwrap();
        assert!(request.starts_with("POST /reload HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("\r\nHost: {address}\r\n")), "{request}");
        assert!(request.contains("\r\nContent-Length: 0\r\n"), "{request}");
    }

    #[test]
    fn what_is_no_whole_answer_is_an_error() {
        for odd in [
            "",
            "SSH-2.0-x\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\ncut",
            "HTTP/1.1 2\r\ncontent-length: 0\r\n\r\n",
        ] {
            let (address, serving) = serve_once(odd);
            let error = ask(&address, "GET", "/top", PATIENCE).unwrap_err().to_string();
            assert!(error.contains(&address) && error.contains("HTTP"), "{odd:?}: {error}");
            serving.join().unwrap();
        }
    }

    #[test]
    fn who_is_not_there_is_named() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = ask(&format!(":{}", free.port()), "GET", "/top", PATIENCE).unwrap_err().to_string();
        assert!(error.contains("refused") && error.contains("--admin"), "{error}");
    }

    #[test]
    fn patience_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let error = ask(&address, "GET", "/top", Duration::from_millis(1)).unwrap_err().to_string();
        assert!(error.contains("nothing within"), "{error}");
    }
}
