//! What Headgate writes: every message that it took and passes on is read back, by itself and by another
//! parser, with the same fields minus the dropped ones, the same content, and framing that is said once.

use crate::generate;
use crate::transcript;
use crate::wire::{LIMITS, Pieces, Wire, run};
use headgate_model::dice::Dice;
use headgate_net::body::Sink;
use headgate_net::downstream::{Downstream, H1Responder, Promise};
use headgate_net::fields::{Drops, FieldWriter, HeadOut, KnownSet, copy_kept};
use headgate_net::h1::parse::{self, Progress};
use headgate_net::head::{Body, Flat, Known, RequestHead, ResponseHead, Version};
use headgate_net::upstream::H1Request;

const ROUNDS: u64 = 30_000;
const FRAMING: [Known; 2] = [Known::ContentLength, Known::TransferEncoding];

type Lines = Vec<(Vec<u8>, Vec<u8>)>;

fn filled<Line: Default>(bytes: &[u8]) -> Flat<Line> {
    let mut head = Flat::new(bytes.len(), 64);
    head.bytes[..bytes.len()].copy_from_slice(bytes);
    head.filled = bytes.len();
    head
}

/// Fields that belong to the message, not to one hop.
fn end_to_end<Line: Default>(head: &Flat<Line>) -> Lines {
    let kept = head
        .fields
        .iter()
        .filter(|field| !field.known.is_hop_by_hop() && !head.connection_names(head.part(field.name)));
    kept.map(|field| (head.part(field.name).to_vec(), head.part(field.value).to_vec())).collect()
}

fn framing_fields<Line: Default>(head: &Flat<Line>) -> usize {
    FRAMING.iter().map(|known| head.values(*known).count()).sum()
}

fn copy<Line: Default>(head: &Flat<Line>, named_by_connection: bool, out: &mut HeadOut) {
    let drops = Drops { known: KnownSet::HOP_BY_HOP, names: &[], named_by_connection };
    copy_kept(head, &drops, out);
}

/// Sends `content` in pieces of any size.
async fn send(mut sink: Sink<'_>, content: &[u8], wire: &Wire, dice: &mut Dice) {
    let mut rest = content;
    while !rest.is_empty() {
        let (piece, later) = rest.split_at((1 + dice.below(5000) as usize).min(rest.len()));
        sink.push(piece, &wire.deadline).await.unwrap();
        rest = later;
    }
    sink.finish(None, &wire.deadline).await.unwrap();
}

fn content_for(body: Body, dice: &mut Dice) -> Vec<u8> {
    let length = match body {
        Body::None => 0,
        Body::Length(length) => length,
        Body::Chunked | Body::UntilClose => dice.below(15_000),
    };
    (0..length).map(|_| dice.bits() as u8).collect()
}

fn with_content(mut line: Vec<u8>, content: &[u8]) -> Vec<u8> {
    if !content.is_empty() {
        line.extend_from_slice(b" content=");
        line.extend_from_slice(content);
    }
    line
}

#[test]
fn a_request_that_is_passed_on_means_the_same() {
    let mut checked = 0;
    for seed in 0..ROUNDS {
        let dice = &mut Dice::new(seed);
        let bytes = generate::request(dice);
        let mut head: RequestHead = filled(&bytes);
        if parse::request(&mut head, &LIMITS) != Ok(Progress::Complete) {
            continue;
        }
        let body = head.line.body;
        if matches!(body, Body::Length(length) if length > 10_000) {
            continue;
        }
        checked += 1;
        let content = content_for(body, dice);
        let wire = Wire::receiving(b"", Pieces::Whole);
        let mut want = end_to_end(&head);
        run(async {
            let request = H1Request { stream: &wire.stream, buffers: &wire.buffers };
            let mut out = request.start(head.method(), &[head.target()]);
            copy(&head, head.line.connection_names_fields, &mut out);
            if head.value(Known::Host).is_none() {
                out.field(b"host", b"endpoint");
                want.push((b"host".to_vec(), b"endpoint".to_vec()));
            }
            let HeadOut::H1(out) = out else { unreachable!("an HTTP/1 request") };
            let upgrade = if head.line.upgrade { head.value(Known::Upgrade) } else { None };
            send(request.begin(out, body, upgrade), &content, &wire, dice).await;
        });
        let written = wire.written();
        let text = format!("seed {seed}: {}", written[..written.len().min(600)].escape_ascii());
        let mut again: RequestHead = filled(&written);
        assert_eq!(parse::request(&mut again, &LIMITS), Ok(Progress::Complete), "{text}");
        assert_eq!((again.method(), again.target()), (head.method(), head.target()), "{text}");
        assert_eq!(end_to_end(&again), want, "{text}");
        assert_eq!((again.line.body, again.line.upgrade), (body, head.line.upgrade), "{text}");
        assert_eq!(framing_fields(&again), usize::from(body != Body::None), "{text}");
        let mut other = [httparse::EMPTY_HEADER; 64];
        let len = httparse::Request::new(&mut other).parse(&written);
        assert_eq!(len, Ok(httparse::Status::Complete(again.head_len)), "{text}");
        assert_content(&written[again.head_len..], body, &content, &text);
    }
    assert!(checked > 3_000, "only {checked} were passed on");
}

/// The bytes behind a head are the body, the whole body and nothing else.
fn assert_content(behind: &[u8], body: Body, content: &[u8], text: &str) {
    match body {
        Body::Chunked => {
            let message =
                [b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", behind].concat();
            let read = run(transcript::requests(&Wire::receiving(&message, Pieces::Random(1))));
            assert!(read == with_content(b"POST / @a chunked".to_vec(), content), "{text}");
        }
        _ => assert!(behind == content, "{text}"),
    }
}

#[test]
fn a_response_that_is_passed_on_means_the_same() {
    let mut checked = 0;
    for seed in 0..ROUNDS {
        let dice = &mut Dice::new(seed);
        let bytes = generate::response(dice);
        let to_head = dice.below(5) == 0;
        let mut head: ResponseHead = filled(&bytes);
        if parse::response(&mut head, to_head, &LIMITS) != Ok(Progress::Complete) || head.line.status < 200 {
            continue;
        }
        if matches!(head.line.body, Body::Length(length) if length > 10_000) {
            continue;
        }
        checked += 1;
        let version = if dice.below(4) == 0 { Version::Http10 } else { Version::Http11 };
        let content = content_for(head.line.body, dice);
        let wire = Wire::receiving(b"", Pieces::Whole);
        let mut client = Downstream::H1(H1Responder {
            stream: &wire.stream,
            buffers: &wire.buffers,
            version,
            to_head,
            keep_alive: dice.below(3) > 0,
        });
        let promise = Promise {
            status: head.line.status,
            body: head.line.body,
            declared_length: head.line.declared_length,
        };
        run(async {
            let mut out = client.start(head.line.status, head.part(head.line.reason));
            copy(&head, head.line.connection_names_fields, &mut out);
            let sink = client.begin(out, &promise).unwrap();
            send(sink, &content, &wire, dice).await;
        });
        let written = wire.written();
        let text = format!("seed {seed}, {version:?}: {}", written[..written.len().min(600)].escape_ascii());
        let mut again: ResponseHead = filled(&written);
        assert_eq!(parse::response(&mut again, to_head, &LIMITS), Ok(Progress::Complete), "{text}");
        assert_eq!(again.line.status, head.line.status, "{text}");
        assert_eq!(end_to_end(&again), end_to_end(&head), "{text}");
        let chunked = matches!(head.line.body, Body::Chunked | Body::UntilClose);
        let body = match version {
            Version::Http10 if chunked => Body::UntilClose,
            _ if chunked => Body::Chunked,
            _ => head.line.body,
        };
        assert_eq!(again.line.body, body, "{text}");
        assert_content(&written[again.head_len..], body, &content, &text);
        assert_framing(&again, to_head, head.line.declared_length, &text);
        if version == Version::Http11 {
            assert_eq!(again.line.keep_alive, client.keeps_alive(), "{text}");
        }
    }
    assert!(checked > 3_000, "only {checked} were passed on");
}

/// Never two framing fields; one wherever there is content that does not end with the connection.
fn assert_framing(written: &ResponseHead, to_head: bool, declared: Option<u64>, text: &str) {
    let want = match (written.line.status, written.line.body) {
        (204, _) | (_, Body::UntilClose) => 0,
        (304, _) => usize::from(declared.is_some()),
        _ if to_head => usize::from(declared.is_some()),
        _ => 1,
    };
    assert_eq!(framing_fields(written), want, "{text}");
    if written.line.body == Body::UntilClose {
        assert!(!written.line.keep_alive, "{text}");
    }
}

#[test]
fn interim_responses_and_switches_carry_no_framing() {
    let mut checked = 0;
    for seed in 0..ROUNDS {
        let bytes = generate::response(&mut Dice::new(seed));
        let mut head: ResponseHead = filled(&bytes);
        if parse::response(&mut head, false, &LIMITS) != Ok(Progress::Complete) || head.line.status >= 200 {
            continue;
        }
        checked += 1;
        let wire = Wire::receiving(b"", Pieces::Whole);
        let mut client = Downstream::H1(H1Responder {
            stream: &wire.stream,
            buffers: &wire.buffers,
            version: Version::Http11,
            to_head: false,
            keep_alive: true,
        });
        let switches = head.line.status == 101;
        run(async {
            if switches {
                client.switch(&head, &wire.deadline).await.unwrap();
            } else {
                let mut out = client.start(head.line.status, head.part(head.line.reason));
                let drops = Drops {
                    known: KnownSet::HOP_BY_HOP,
                    names: &[],
                    named_by_connection: head.line.connection_names_fields,
                };
                copy_kept(&head, &drops, &mut out);
                client.interim(head.line.status, out, &wire.deadline).await.unwrap();
            }
        });
        let written = wire.written();
        let text = format!("seed {seed}: {}", written.escape_ascii());
        let mut again: ResponseHead = filled(&written);
        assert_eq!(parse::response(&mut again, false, &LIMITS), Ok(Progress::Complete), "{text}");
        assert_eq!(again.head_len, written.len(), "{text}");
        assert_eq!(framing_fields(&again), 0, "{text}");
        assert_eq!(again.value(Known::Upgrade).is_some(), switches, "{text}");
        assert_eq!(again.connection_names(b"upgrade"), switches, "{text}");
    }
    assert!(checked > 200, "only {checked} were passed on");
}

#[test]
fn an_http_1_0_client_gets_no_interim_response() {
    let wire = Wire::receiving(b"", Pieces::Whole);
    let mut client = Downstream::H1(H1Responder {
        stream: &wire.stream,
        buffers: &wire.buffers,
        version: Version::Http10,
        to_head: false,
        keep_alive: true,
    });
    let out = client.start(100, b"Continue");
    run(async { client.interim(100, out, &wire.deadline).await.unwrap() });
    assert!(wire.written().is_empty());
}
