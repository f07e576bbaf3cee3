//! The least of RFC 6455 that a tunnel needs to be tested: short unfragmented text frames, an echo server and
//! a client that knows whether its connection is alive. Only the sample key of the RFC's section 1.3 is used,
//! so that no SHA-1 is needed.

use crate::Outcome;
use std::io::{Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const TEXT_FRAME: u8 = 0x81;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// The longest payload whose length fits into one byte.
const LONGEST: usize = 125;

/// Echoes every frame of every connection until the process ends: `cargo xtask echo LISTEN`.
pub(crate) fn echo(listen: &str) -> Outcome {
    let listener = TcpListener::bind(listen).map_err(|error| format!("{listen}: {error}"))?;
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || {
            // A client that leaves ends its thread; there is nobody to tell.
            let _ = echo_connection(stream);
        });
    }
    Ok(())
}

fn echo_connection(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let head = read_head(&mut stream)?;
    if !head.contains(KEY) {
        return stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes())?;
    loop {
        let payload = read_frame(&mut stream)?;
        stream.write_all(&frame(&payload, false))?;
    }
}

/// An open WebSocket.
#[derive(Debug)]
pub(crate) struct WebSocket(TcpStream);

impl WebSocket {
    /// Opens `path` of `address`.
    pub(crate) fn open(address: SocketAddr, path: &str) -> Outcome<Self> {
        let open = || -> std::io::Result<Self> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            write!(
                stream,
                "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )?;
            let head = read_head(&mut stream)?;
            if head.starts_with("HTTP/1.1 101") && head.contains(ACCEPT) {
                return Ok(Self(stream));
            }
            Err(Error::other(head.lines().next().unwrap_or_default()))
        };
        open().map_err(|error| format!("WebSocket {path}: {error}"))
    }

    /// Whether a message comes back.
    pub(crate) fn echoes(&mut self, message: &str) -> bool {
        let sent = self.0.write_all(&frame(message.as_bytes(), true));
        sent.is_ok() && read_frame(&mut self.0).is_ok_and(|payload| payload == message.as_bytes())
    }
}

/// Up to and with the empty line, byte by byte, so that nothing behind it is taken.
fn read_head(stream: &mut impl Read) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
        if head.len() > 16 * 1024 {
            return Err(ErrorKind::InvalidData.into());
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// A text frame; clients mask theirs (section 5.3).
fn frame(payload: &[u8], masked: bool) -> Vec<u8> {
    let length = payload.len().min(LONGEST);
    let mut frame = vec![TEXT_FRAME, length as u8 | if masked { 0x80 } else { 0 }];
    if masked {
        frame.extend(MASK);
        frame.extend(payload[..length].iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    } else {
        frame.extend(&payload[..length]);
    }
    frame
}

fn read_frame(stream: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let length = usize::from(head[1] & 0x7f);
    if head[0] != TEXT_FRAME || length > LONGEST {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut mask = [0; 4];
    if head[1] & 0x80 != 0 {
        stream.read_exact(&mut mask)?;
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload)?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_and_a_dead_connection_is_noticed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let copy = stream.try_clone().unwrap();
            std::thread::spawn(move || echo_connection(stream));
            copy
        });
        let mut socket = WebSocket::open(address, "/ws").unwrap();
        assert!(socket.echoes("one") && socket.echoes(&"x".repeat(LONGEST)));
        server.join().unwrap().shutdown(std::net::Shutdown::Both).unwrap();
        assert!(!socket.echoes("two"));
    }

    #[test]
    fn a_masked_frame_is_the_one_of_the_rfc() {
        // Section 5.7: a single-frame masked text message "Hello".
        assert_eq!(frame(b"Hello", true), [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        assert_eq!(frame(b"Hello", false), [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    }
}
