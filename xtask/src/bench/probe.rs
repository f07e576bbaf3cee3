//! Single requests over plain sockets: to check that a proxy does the compared work, and to hold
//! connections open. Blocking, and for well-behaved answers with Content-Length only.

use crate::Outcome;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Status and body of one GET on a connection of its own.
pub(crate) fn get(address: SocketAddr, host: &str, path: &str) -> Outcome<(u16, String)> {
    let ask = || -> std::io::Result<String> {
        let mut stream = connect(address)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = ask().map_err(|error| format!("GET {path}: {error}"))?;
    let status = answer.get(9..12).and_then(|digits| digits.parse().ok());
    let status = status.ok_or_else(|| format!("GET {path}: no HTTP answer"))?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
}

/// Opens `count` connections, one request each, and keeps them open.
pub(crate) fn hold(address: SocketAddr, count: usize) -> Outcome<Vec<TcpStream>> {
    let open = || -> std::io::Result<TcpStream> {
        let mut stream = connect(address)?;
        write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
        let mut answer = [0; 4096];
        match stream.read(&mut answer)? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(stream),
        }
    };
    (0..count)
        .map(|index| open().map_err(|error| format!("connection {} of {count}: {error}", index + 1)))
        .collect()
}

/// Asks `count` times for `/` on one kept-alive connection; every answer must be a 200 of one size.
pub(crate) fn repeat(address: SocketAddr, count: usize) -> Outcome {
    let ask = || -> std::io::Result<()> {
        let mut stream = connect(address)?;
        let request = b"GET / HTTP/1.1\r\nHost: bench.example\r\n\r\n";
        let mut answer = [0; 4096];
        let mut size = None;
        for _ in 0..count {
            stream.write_all(request)?;
            let mut received = stream.read(&mut answer)?;
            while received > 0 && size.is_some_and(|size| received < size) {
                received += stream.read(&mut answer[received..])?;
            }
            let expected = *size.get_or_insert(received);
            if received != expected || !answer.starts_with(b"HTTP/1.1 200") {
                return Err(std::io::Error::other("an answer other than the first one's"));
            }
        }
        Ok(())
    };
    ask().map_err(|error| format!("{count} requests: {error}"))
}

/// Asks for `paths`, one after the other on one connection; each answer must be a 200 with the content that
/// `expected` gives.
pub(crate) fn fetch(
    address: SocketAddr,
    paths: impl Iterator<Item = String>,
    expected: impl Fn(&str) -> String,
) -> Outcome {
    let io = |path: &str, error: std::io::Error| format!("GET {path}: {error}");
    let mut stream = connect(address).map_err(|error| io("", error))?;
    let mut answer = Vec::new();
    for path in paths {
        let body = expected(&path);
        answer.clear();
        let request = format!("GET {path} HTTP/1.1\r\nHost: bench.example\r\n\r\n");
        stream.write_all(request.as_bytes()).map_err(|error| io(&path, error))?;
        // Head and content came when as much as the content is there behind the empty line.
        while content(&answer).is_none_or(|content| content.len() < body.len()) {
            let mut part = [0; 8192];
            match stream.read(&mut part).map_err(|error| io(&path, error))? {
                0 => return Err(format!("GET {path}: the connection ended within the answer")),
                received => answer.extend_from_slice(&part[..received]),
            }
        }
        if !answer.starts_with(b"HTTP/1.1 200") || content(&answer) != Some(body.as_bytes()) {
            return Err(format!("GET {path}: not the origin's answer"));
        }
    }
    Ok(())
}

/// What is behind the head.
fn content(answer: &[u8]) -> Option<&[u8]> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    answer.get(end + 4..)
}

/// Milliseconds until `path` of `host` is answered with 200.
pub(crate) fn until_answered(address: SocketAddr, host: &str, path: &str) -> Outcome<f64> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        if matches!(get(address, host, path), Ok((200, _))) {
            return Ok(start.elapsed().as_secs_f64() * 1e3);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(format!("{host}{path} is not answered 30 s after the reload"))
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
