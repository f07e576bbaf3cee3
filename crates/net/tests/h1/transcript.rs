//! What Headgate understood of a connection, as one line of text: message after message, then the fault.

use crate::wire::{LIMITS, Wire};
use headgate_model::fault::Fault;
use headgate_net::body::{H1Source, Piece, Rest, Side, Source};
use headgate_net::downstream::{ReadRequest, read_request, retain_rest};
use headgate_net::head::{Body, Flat, Known, RequestHead, ResponseHead, Version};
use headgate_net::upstream::read_response;
use std::time::Duration;

/// Most bytes of content of a request.
pub(crate) const BODY_LIMIT: u64 = 20_000;

/// Reads requests as one connection does, until it has to be closed.
pub(crate) async fn requests(wire: &Wire) -> Vec<u8> {
    let Wire { stream, buffers, deadline, .. } = wire;
    let time = Duration::from_secs(1);
    let mut out = Vec::new();
    let mut head = buffers.request();
    loop {
        let separator: &[u8] = if out.is_empty() { b"" } else { b"; " };
        match read_request(stream, &mut head, &LIMITS, deadline, time, time).await {
            Ok(ReadRequest::Request) => out.extend_from_slice(separator),
            Ok(ReadRequest::Closed | ReadRequest::Idle) => return out,
            Err(fault) => {
                out.extend_from_slice(separator);
                write_fault(&mut out, &fault);
                return out;
            }
        }
        request_line(&mut out, &head);
        let mut rest = Rest::BehindHead(0);
        if head.line.body != Body::None {
            let first = head.after_head();
            let source = H1Source::new(stream, buffers, Side::Client, head.line.body, first, BODY_LIMIT);
            match body(&mut out, source, wire).await {
                Ok((source, trailers)) => {
                    fields(&mut out, &head);
                    out.extend_from_slice(&trailers);
                    rest = source.into_rest();
                }
                Err(fault) => {
                    out.push(b' ');
                    write_fault(&mut out, &fault);
                    return out;
                }
            }
        } else {
            fields(&mut out, &head);
        }
        if !head.line.keep_alive || head.line.upgrade {
            return out;
        }
        retain_rest(&mut head, &rest).unwrap();
    }
}

/// Reads the response to one request, interim ones included, and says whether the connection could be used
/// again.
pub(crate) async fn response(wire: &Wire, to_head: bool) -> Vec<u8> {
    let Wire { stream, buffers, deadline, .. } = wire;
    let mut out = Vec::new();
    let mut last = None;
    let head = loop {
        let head = match read_response(stream, buffers, last.take(), &LIMITS, to_head, false, deadline).await
        {
            Ok(head) => head,
            Err(fault) => {
                write_fault(&mut out, &fault);
                return out;
            }
        };
        status_line(&mut out, &head);
        match head.line.status {
            101 => return out,
            100..=199 => {
                fields(&mut out, &head);
                out.extend_from_slice(b"; ");
                last = Some(head);
            }
            _ => break head,
        }
    };
    let mut junk = !head.after_head().is_empty();
    if head.line.body == Body::None {
        fields(&mut out, &head);
    } else {
        let source = H1Source::new(stream, buffers, Side::Upstream, head.line.body, head.after_head(), 0);
        match body(&mut out, source, wire).await {
            Ok((source, trailers)) => {
                assert!(source.is_finished(), "the end was given");
                junk = source.has_rest();
                fields(&mut out, &head);
                out.extend_from_slice(&trailers);
            }
            Err(fault) => {
                out.push(b' ');
                write_fault(&mut out, &fault);
                return out;
            }
        }
    }
    // What a pool does before it lends the connection again.
    if junk || stream.read(&mut [0], deadline).await.is_ok() {
        out.extend_from_slice(b" +junk");
    }
    out
}

/// Reads a body to its end; gives the source back, and the trailers as text.
pub(crate) async fn body<'c>(
    out: &mut Vec<u8>,
    source: H1Source<'c>,
    wire: &Wire,
) -> Result<(H1Source<'c>, Vec<u8>), Fault> {
    let mut content = Vec::new();
    let mut source = Source::H1(source);
    loop {
        match source.next_piece()? {
            Piece::Data(piece) => content.extend_from_slice(piece),
            Piece::NeedMore => source.fill(&wire.deadline).await?,
            Piece::End => break,
        }
    }
    assert_eq!(source.received(), content.len() as u64);
    if !content.is_empty() {
        out.extend_from_slice(b" content=");
        out.extend_from_slice(&content);
    }
    let mut trailers = Vec::new();
    if let Some(taken) = source.take_trailers().filter(|trailers| !trailers.is_empty()) {
        let mut lines = Vec::new();
        taken.write_lines(&mut lines);
        let text = String::from_utf8_lossy(&lines).trim_end().replace(": ", ":").replace("\r\n", ",");
        trailers = format!(" trailers={text}").into_bytes();
    }
    let Source::H1(source) = source else { unreachable!("it was one above") };
    Ok((source, trailers))
}

fn request_line(out: &mut Vec<u8>, head: &RequestHead) {
    let line = &head.line;
    for part in [head.method(), b" ", head.target(), b" @", head.host()] {
        out.extend_from_slice(part);
    }
    assert!(head.target().starts_with(head.path()));
    let words = [
        (line.version == Version::Http10, " 1.0"),
        (!line.keep_alive, " close"),
        (line.upgrade, " upgrade"),
        (line.expects_continue, " continue"),
        (line.te_trailers, " te"),
    ];
    words.iter().filter(|(said, _)| *said).for_each(|(_, word)| out.extend_from_slice(word.as_bytes()));
    framing(out, line.body);
}

fn status_line(out: &mut Vec<u8>, head: &ResponseHead) {
    let line = &head.line;
    out.extend_from_slice(line.status.to_string().as_bytes());
    if line.version == Version::Http10 {
        out.extend_from_slice(b" 1.0");
    }
    if !line.keep_alive {
        out.extend_from_slice(b" close");
    }
    match line.declared_length {
        Some(length) if line.body == Body::None && length > 0 => {
            out.extend_from_slice(format!(" declared={length}").as_bytes());
        }
        _ => {}
    }
    framing(out, line.body);
}

fn framing(out: &mut Vec<u8>, body: Body) {
    match body {
        Body::None => {}
        Body::Length(length) => out.extend_from_slice(format!(" length={length}").as_bytes()),
        Body::Chunked => out.extend_from_slice(b" chunked"),
        Body::UntilClose => out.extend_from_slice(b" until-close"),
    }
}

fn fields<Line: Default>(out: &mut Vec<u8>, head: &Flat<Line>) {
    for field in head.fields.iter().filter(|field| field.known == Known::Other) {
        let name = head.part(field.name).to_ascii_lowercase();
        for part in [b" ", &name[..], b"=[", head.part(field.value), b"]"] {
            out.extend_from_slice(part);
        }
    }
}

fn write_fault(out: &mut Vec<u8>, fault: &Fault) {
    out.push(b'!');
    out.extend_from_slice(fault.kind.label().as_bytes());
}
