//! What precedes the first request on a new connection: the PROXY protocol, TLS, and finding out which
//! HTTP is spoken. Gives up on a client that is not done with it in the listener's head timeout.

use crate::identify::Peer;
use crate::listener::Listener;
use headgate_model::fault::{Fault, FaultKind};
use headgate_model::spec::ClientCertFields;
use headgate_net::deadline::Deadline;
use headgate_net::proxy_protocol::{self, Parsed, V2_MAX_BYTES};
use headgate_net::socket::Plain;
use headgate_net::stream::{IoFault, Stream};
use headgate_net::tls::ClientCert;
use headgate_observe::log::{self, Level, PeerEvent};
use rustls::pki_types::CertificateDer;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use tokio_rustls::{TlsAcceptor, TlsStream};

/// A connection ready for its first request.
pub(crate) struct Greeted {
    pub stream: Stream,
    pub peer: Peer,
    pub protocol: Protocol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// What every HTTP/2 connection begins with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether a new connection on this listener is plain HTTP/1 from its first byte on.
pub(crate) fn needs_none(listener: &Listener) -> bool {
    let spec = &listener.spec;
    !spec.proxy_protocol && !spec.speaks_http2() && spec.tls.is_none()
}

/// Does what the listener asks for.
///
/// # Errors
/// A fault when the client does not do its part; the connection is then closed without an answer.
pub(crate) async fn greet(
    mut stream: Stream,
    mut address: Option<SocketAddr>,
    listener: &Listener,
    deadline: &Deadline,
) -> Result<Greeted, Fault> {
    let spec = &listener.spec;
    deadline.set(spec.timeouts.head.0);
    if spec.proxy_protocol {
        let sender = Peer::new(address, &listener.trusted, false);
        if address.is_some() && !sender.trusted {
            return Err(refused_proxy(
                address,
                "a PROXY protocol listener takes connections from its trusted proxies only",
            ));
        }
        address = proxied_address(&stream, address, deadline).await?.or(address);
    }
    let mut protocol = Protocol::Http1;
    let mut certificate = None;
    if let Some(tls) = &listener.tls {
        refuse_plain_http(&stream, deadline).await?;
        let accepted = accept_tls(stream, &tls.config, deadline).await?;
        let (_, session) = accepted.get_ref();
        if session.alpn_protocol() == Some(b"h2") {
            protocol = Protocol::Http2;
        }
        certificate = told_certificate(session.peer_certificates(), spec.client_cert)?;
        stream = Stream::from(accepted);
    } else if spec.speaks_http2() && begins_with_preface(&stream, deadline).await? {
        protocol = Protocol::Http2;
    }
    let mut peer = Peer::new(address, &listener.trusted, listener.tls.is_some());
    peer.certificate = certificate;
    Ok(Greeted { stream, peer, protocol })
}

/// What services are told of the certificates that were verified in the handshake.
///
/// # Errors
/// When they are too long for a header. A service that is not told of one it relies on would take the client for one
/// without.
fn told_certificate(
    shown: Option<&[CertificateDer<'_>]>,
    fields: ClientCertFields,
) -> Result<Option<Rc<ClientCert>>, Fault> {
    let chain = match fields {
        ClientCertFields::Leaf => false,
        ClientCertFields::Chain => true,
        ClientCertFields::Drop | ClientCertFields::Pass => return Ok(None),
    };
    let told = ClientCert::of(shown.unwrap_or_default(), chain).map_err(|error| {
        static TOO_LONG: PeerEvent = PeerEvent::new("client_cert_too_long");
        let text = "a client's certificates are too long to be told in a header; its connection was closed";
        log::peer_event(&TOO_LONG, Level::Warn, text, &[("error", &error)]);
        Fault::new(FaultKind::BadRequest, "the client's certificates are too long to be told in a header")
    })?;
    Ok(told.map(Rc::new))
}

/// What a client is told that speaks plain HTTP where TLS is spoken.
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Length: 51\r\n\r\n\
    This port speaks TLS: ask it with https://, please\n";

/// Enough for the request that somebody sends who mistook the port.
const REQUEST_BYTES: usize = 16 * 1024;

/// Answers who begins with a letter: a handshake begins with a byte that is none, a request with its method.
async fn refuse_plain_http(stream: &Stream, deadline: &Deadline) -> Result<(), Fault> {
    let mut first = [0];
    peek_beyond(stream, &mut first, 0, deadline).await?;
    if !first[0].is_ascii_alphabetic() {
        return Ok(());
    }
    // What was not read when a connection is closed turns the end into a reset, which can overtake the answer.
    let _ = stream.read(&mut vec![0; REQUEST_BYTES], deadline).await;
    let _ = stream.write(SPEAK_TLS, &[], deadline).await;
    stream.shutdown(deadline).await;
    Err(Fault::new(FaultKind::BadRequest, "plain HTTP on a listener that speaks TLS"))
}

async fn accept_tls(
    stream: Stream,
    config: &Arc<rustls::ServerConfig>,
    deadline: &Deadline,
) -> Result<TlsStream<Plain>, Fault> {
    let Ok(socket) = stream.into_socket() else {
        return Err(Fault::new(FaultKind::ClientClosed, "the connection carries TLS already"));
    };
    let mut accepting = pin!(TlsAcceptor::from(Arc::clone(config)).accept(socket));
    poll_fn(|cx| match accepting.as_mut().poll(cx) {
        Poll::Ready(Ok(accepted)) => Poll::Ready(Ok(TlsStream::Server(accepted))),
        Poll::Ready(Err(error)) => Poll::Ready(Err(failed_handshake(&error))),
        Poll::Pending => deadline
            .poll_due(cx)
            .map(|()| Err(Fault::new(FaultKind::ClientTimeout, "the TLS handshake took too long"))),
    })
    .await
}

/// Who ended a handshake: the client by leaving, or we because of what it sent. Why we did is in the log, for
/// an alert tells the client little.
#[cold]
fn failed_handshake(error: &io::Error) -> Fault {
    static FAILED: PeerEvent = PeerEvent::new("tls_failed");
    if error.kind() != io::ErrorKind::InvalidData {
        return Fault::new(FaultKind::ClientClosed, "the client left during the TLS handshake");
    }
    log::peer_event(
        &FAILED,
        Level::Warn,
        "a TLS handshake with a client failed",
        &[("error", &reason(error))],
    );
    Fault::new(FaultKind::BadRequest, "the TLS handshake failed")
}

/// What TLS says of the certificate, without the names of the types it is wrapped in.
fn reason(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(cause))) => {
            format!("invalid peer certificate: {cause}")
        }
        _ => error.to_string(),
    }
}

/// Nothing is answered, so that the log is the only place that tells why nothing is served.
#[cold]
fn refused_proxy(sender: Option<SocketAddr>, why: &'static str) -> Fault {
    static REFUSED: PeerEvent = PeerEvent::new("proxy_protocol_refused");
    let sender = sender.map_or_else(|| "unix".to_owned(), |sender| sender.ip().to_canonical().to_string());
    let fields: log::Fields<'_> = &[("from", &sender), ("error", &why)];
    log::peer_event(
        &REFUSED,
        Level::Warn,
        "a connection without a PROXY header to rely on was closed",
        fields,
    );
    Fault::new(FaultKind::BadRequest, why)
}

/// Reads a PROXY protocol header, and not a byte more. `None` means that the proxy speaks for itself.
async fn proxied_address(
    stream: &Stream,
    sender: Option<SocketAddr>,
    deadline: &Deadline,
) -> Result<Option<SocketAddr>, Fault> {
    let mut seen = [0; V2_MAX_BYTES];
    let mut before = 0;
    loop {
        let count = peek_beyond(stream, &mut seen, before, deadline).await?;
        let (address, consumed) = match proxy_protocol::parse(&seen[..count]) {
            Ok(Parsed::Incomplete) => {
                before = count;
                continue;
            }
            Ok(Parsed::Header { source, consumed, .. }) => (Some(source), consumed),
            Ok(Parsed::Local { consumed }) => (None, consumed),
            Err(_) => return Err(refused_proxy(sender, "the PROXY protocol header is missing or malformed")),
        };
        let mut left = consumed;
        while left > 0 {
            left -= stream.read(&mut seen[..left], deadline).await.map_err(|fault| gone(&fault))?;
        }
        return Ok(address);
    }
}

/// Whether the client opens with the HTTP/2 preface; decided at the first byte that differs.
async fn begins_with_preface(stream: &Stream, deadline: &Deadline) -> Result<bool, Fault> {
    let mut seen = [0; PREFACE.len()];
    let mut count = 0;
    loop {
        count = peek_beyond(stream, &mut seen, count, deadline).await?;
        if seen[..count] != PREFACE[..count] {
            return Ok(false);
        }
        if count == PREFACE.len() {
            return Ok(true);
        }
    }
}

/// Peeks until more than `before` bytes are there. What has arrived stays readable, so that waiting for
/// more cannot rest on readiness alone: it looks again on each turn of the deadline's clock.
async fn peek_beyond(
    stream: &Stream,
    room: &mut [u8],
    before: usize,
    deadline: &Deadline,
) -> Result<usize, Fault> {
    loop {
        let count = poll_fn(|cx| match stream.poll_peek(cx, room) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(gone(&IoFault::Closed))),
            Poll::Ready(Ok(count)) => Poll::Ready(Ok(count)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(gone(&IoFault::Failed(error)))),
            Poll::Pending => deadline.poll_due(cx).map(|()| Err(gone(&IoFault::TimedOut))),
        })
        .await?;
        if count > before {
            return Ok(count);
        }
        if deadline.is_due() {
            return Err(gone(&IoFault::TimedOut));
        }
        tokio::time::sleep(headgate_net::deadline::TICK).await;
    }
}

fn gone(fault: &IoFault) -> Fault {
    match fault {
        IoFault::TimedOut => Fault::new(FaultKind::ClientTimeout, "the client did not begin in time"),
        _ => Fault::new(FaultKind::ClientClosed, "the client went away before its first request"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::spec::ListenSpec;
    use headgate_net::deadline::Deadlines;
    use std::io::Write;

    /// Greets a client that writes `pieces` one by one.
    fn greet_client(
        spec: ListenSpec,
        pieces: &'static [&'static [u8]],
    ) -> Result<(Protocol, String), FaultKind> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = Listener::compile("test", &spec, None).unwrap();
            let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap();
            let client = std::thread::spawn(move || {
                let mut client = std::net::TcpStream::connect(address).unwrap();
                for piece in pieces {
                    client.write_all(piece).unwrap();
                    std::thread::yield_now();
                }
                client
            });
            let (stream, peer) = socket.accept().await.unwrap();
            let deadlines = Deadlines::new();
            let deadline = deadlines.deadline();
            let greeted = tokio::select! {
                greeted = greet(Stream::from(stream), Some(peer), &listener, &deadline) => greeted,
                () = deadlines.sweep() => unreachable!("the sweep never ends"),
            };
            drop(client.join().unwrap());
            greeted
                .map(|greeted| (greeted.protocol, greeted.peer.address.to_string()))
                .map_err(|fault| fault.kind)
        })
    }

    fn proxy_listener(trusted: &str) -> ListenSpec {
        ListenSpec {
            proxy_protocol: true,
            trusted_proxies: vec![trusted.to_owned()],
            ..ListenSpec::default()
        }
    }

    #[test]
    fn a_proxy_header_names_the_client() {
        let pieces: &[&[u8]] = &[b"PROXY TCP4 192.0.2.7 ", b"192.0.2.1 4000 80\r", b"\nGET / HTTP/1.1\r\n"];
        let greeted = greet_client(proxy_listener("127.0.0.0/8"), pieces);
        assert_eq!(greeted, Ok((Protocol::Http1, "192.0.2.7".to_owned())));
    }

    #[test]
    fn a_proxy_header_from_anybody_else_is_refused() {
        let pieces: &[&[u8]] = &[b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 80\r\n"];
        assert_eq!(greet_client(proxy_listener("10.0.0.0/8"), pieces), Err(FaultKind::BadRequest));
        assert_eq!(
            greet_client(proxy_listener("127.0.0.0/8"), &[b"GET / HTTP/1.1\r\n\r\n"]),
            Err(FaultKind::BadRequest)
        );
    }

    #[test]
    fn the_preface_tells_http2_from_http1() {
        let spec = ListenSpec { http2: Some(true), ..ListenSpec::default() };
        let local = "127.0.0.1".to_owned();
        let http2 = greet_client(spec.clone(), &[b"PRI * HT", b"TP/2.0\r\n\r\nSM\r\n\r\n"]);
        assert_eq!(http2, Ok((Protocol::Http2, local.clone())));
        let http1 = greet_client(spec, &[b"PROPFIND / HTTP/1.1\r\n"]);
        assert_eq!(http1, Ok((Protocol::Http1, local)));
    }
}
