//! Bodies in motion: what a sink sends a source receives, whole, in any pieces; what is cut is never taken for
//! whole; and a limit is never passed.

use crate::wire::{Pieces, Wire, run};
use headgate_model::dice::Dice;
use headgate_model::fault::{Fault, FaultKind};
use headgate_net::body::{H1Sink, H1Source, Piece, Rest, Side, Sink, Source, Trailers, relay};
use headgate_net::deadline::DueAt;
use headgate_net::h1::parse::{self, Progress};
use headgate_net::head::{Body, RequestHead};
use headgate_net::stream::Stream;
use std::time::Duration;

/// Reads `source` to its end; gives the content and the trailer lines.
async fn receive(source: &mut Source<'_>, wire: &Wire) -> Result<(Vec<u8>, Vec<u8>), Fault> {
    let (mut content, mut lines) = (Vec::new(), Vec::new());
    loop {
        match source.next_piece()? {
            Piece::Data(piece) => content.extend_from_slice(piece),
            Piece::NeedMore => source.fill(&wire.deadline).await?,
            Piece::End => break,
        }
    }
    if let Some(trailers) = source.take_trailers() {
        trailers.write_lines(&mut lines);
    }
    Ok((content, lines))
}

fn random_bytes(dice: &mut Dice, length: u64) -> Vec<u8> {
    (0..length).map(|_| dice.bits() as u8).collect()
}

/// The trailer section `x: N` for each of `count`.
fn trailers(count: u64) -> (Vec<u8>, Option<Trailers>) {
    let mut lines: Vec<u8> = Vec::new();
    for number in 0..count {
        lines.extend_from_slice(format!("x: {number}\r\n").as_bytes());
    }
    if count == 0 {
        return (lines, None);
    }
    // Trailers come from a parsed message, so one is parsed.
    let bytes = [b"GET / HTTP/1.0\r\n", &lines[..], b"\r\n"].concat();
    let mut head = RequestHead::new(bytes.len(), 64);
    head.bytes[..bytes.len()].copy_from_slice(&bytes);
    head.filled = bytes.len();
    let limits = parse::HeadLimits { head_bytes: usize::MAX, fields: 64, target_bytes: 10 };
    assert_eq!(parse::request(&mut head, &limits), Ok(Progress::Complete));
    (lines, Some(Trailers::from_fields(&head.bytes, &head.fields)))
}

#[test]
fn what_a_sink_sends_a_source_receives() {
    for seed in 0..400 {
        let dice = &mut Dice::new(seed);
        let length = [0, 1, 100, 3_000, 60_000][dice.below(5) as usize];
        let content = random_bytes(dice, length);
        let body = [Body::Length(length), Body::Chunked, Body::UntilClose][dice.below(3) as usize];
        let most_at_once = [1, 7, 1_000, 100_000][dice.below(4) as usize];
        let pipe = [1, 64, 8 * 1024, 1 << 20][dice.below(4) as usize];
        let count = dice.below(4);
        let (lines, sent_trailers) = trailers(count);
        let (near, far) = tokio::io::duplex(pipe);
        let sender = Wire::over(Stream::over(Box::new(near)));
        let receiver = Wire::over(Stream::over(Box::new(far)));
        let sending = async {
            let mut sink = Sink::H1(H1Sink::new(&sender.stream, Side::Client, sender.buffers.out(), body));
            let mut rest = &content[..];
            while !rest.is_empty() {
                let (piece, later) = rest.split_at((1 + dice.below(most_at_once) as usize).min(rest.len()));
                sink.push(piece, &sender.deadline).await.unwrap();
                // An empty chunk would be the last one.
                sink.push(b"", &sender.deadline).await.unwrap();
                if dice.below(9) == 0 {
                    sink.flush(&sender.deadline).await.unwrap();
                }
                rest = later;
            }
            assert_eq!(sink.sent(), length);
            sink.finish(sent_trailers, &sender.deadline).await.unwrap();
            sender.stream.shutdown(&sender.deadline).await;
        };
        let receiving = async {
            let mut source =
                Source::H1(H1Source::new(&receiver.stream, &receiver.buffers, Side::Upstream, body, b"", 0));
            receive(&mut source, &receiver).await.unwrap()
        };
        let ((), (got, got_lines)) = run(async { tokio::join!(sending, receiving) });
        assert!(got == content, "seed {seed}: {} bytes of {length}", got.len());
        assert_eq!(got_lines, if body == Body::Chunked { lines } else { Vec::new() }, "seed {seed}");
    }
}

/// A chunked body on the wire, as other programs write it: extensions, leading zeros, capitals, trailers.
fn chunked(dice: &mut Dice, content: &[u8], trailer: &[u8]) -> Vec<u8> {
    let (mut wire, mut rest) = (Vec::new(), content);
    while !rest.is_empty() {
        let (piece, later) = rest.split_at((1 + dice.below(3_000) as usize).min(rest.len()));
        let size = match dice.below(3) {
            0 => format!("{:x}\r\n", piece.len()),
            1 => format!("{:05X}\r\n", piece.len()),
            _ => format!("{:x};name=\"va;lue\"\r\n", piece.len()),
        };
        wire.extend_from_slice(size.as_bytes());
        wire.extend_from_slice(piece);
        wire.extend_from_slice(b"\r\n");
        rest = later;
    }
    for part in [b"0\r\n", trailer, b"\r\n"] {
        wire.extend_from_slice(part);
    }
    wire
}

#[test]
fn a_relay_passes_on_content_trailers_and_nothing_else() {
    for seed in 0..300 {
        let dice = &mut Dice::new(seed);
        let length = dice.below(40_000);
        let content = random_bytes(dice, length);
        let arriving = chunked(dice, &content, b"X: 1\r\nConnection: close\r\n");
        let split = dice.below(arriving.len().min(4_000) as u64) as usize;
        let from = Wire::receiving(&arriving[split..], Pieces::Random(seed));
        let to = Wire::receiving(b"", Pieces::Whole);
        run(async {
            let first = &arriving[..split];
            let source = H1Source::new(&from.stream, &from.buffers, Side::Upstream, Body::Chunked, first, 0);
            let mut source = Source::H1(source);
            let mut sink = Sink::H1(H1Sink::new(&to.stream, Side::Client, to.buffers.out(), Body::Chunked));
            let pause = Duration::from_secs(1);
            relay(&mut source, &mut sink, &to.deadline, pause, DueAt::NEVER, &|_| true, |_| {})
                .await
                .unwrap();
            assert!(source.is_finished());
        });
        let sent = to.written();
        let again = Wire::receiving(&sent, Pieces::Whole);
        let got = run(async {
            let source = H1Source::new(&again.stream, &again.buffers, Side::Client, Body::Chunked, b"", 0);
            receive(&mut Source::H1(source), &again).await.unwrap()
        });
        assert!(got.0 == content && got.1 == b"x: 1\r\n", "seed {seed}");
        assert_eq!((from.buffers.lent(), to.buffers.lent()), (0, 0), "seed {seed}");
    }
}

#[test]
fn a_cut_body_is_never_whole() {
    let dice = &mut Dice::new(5);
    let content = random_bytes(dice, 300);
    let message = chunked(dice, &content, b"X: 1\r\n");
    for (whole, body) in [(&message, Body::Chunked), (&content, Body::Length(300))] {
        for cut in 0..whole.len() {
            for first in [0, cut / 2, cut] {
                let wire = Wire::receiving(&whole[first..cut], Pieces::Random(cut as u64));
                let source =
                    H1Source::new(&wire.stream, &wire.buffers, Side::Upstream, body, &whole[..first], 0);
                let got = run(receive(&mut Source::H1(source), &wire));
                assert_eq!(got.unwrap_err().kind, FaultKind::ResponseCut, "{body:?} cut at {cut}");
            }
        }
    }
}

#[test]
fn a_limit_is_kept_to_the_byte() {
    for seed in 0..200 {
        let dice = &mut Dice::new(seed);
        let length = 1 + dice.below(5_000);
        let content = random_bytes(dice, length);
        let message = chunked(dice, &content, b"");
        for (arriving, body) in [(&message, Body::Chunked), (&content, Body::Length(length))] {
            for (limit, fits) in [(length, true), (length - 1, length == 1), (length / 2 + 1, length <= 2)] {
                let wire = Wire::receiving(arriving, Pieces::Random(seed));
                let mut source =
                    Source::H1(H1Source::new(&wire.stream, &wire.buffers, Side::Client, body, b"", limit));
                let given = run(async {
                    let mut given = 0;
                    loop {
                        match source.next_piece() {
                            Ok(Piece::Data(piece)) => given += piece.len() as u64,
                            Ok(Piece::NeedMore) => source.fill(&wire.deadline).await.unwrap(),
                            Ok(Piece::End) => return Ok(given),
                            Err(fault) => return Err((given, fault.kind)),
                        }
                    }
                });
                match given {
                    Ok(given) => assert!(fits && given == length, "seed {seed}, {limit} of {length}"),
                    Err((given, kind)) => {
                        assert!(!fits && given <= limit, "seed {seed}, {limit} of {length}: {given}");
                        assert_eq!(kind, FaultKind::BodyTooLarge);
                    }
                }
            }
        }
    }
}

#[test]
fn a_body_that_came_with_its_head_can_be_sent_again() {
    for seed in 0..200 {
        let dice = &mut Dice::new(seed);
        let length = dice.below(6_000);
        let content = random_bytes(dice, length);
        let message = chunked(dice, &content, b"X: 1\r\n");
        let wire = Wire::receiving(b"", Pieces::Whole);
        let mut source = Source::H1(H1Source::new(
            &wire.stream,
            &wire.buffers,
            Side::Client,
            Body::Chunked,
            &message,
            length.max(1),
        ));
        for _ in 0..dice.below(6) {
            source.next_piece().unwrap();
        }
        for _ in 0..2 {
            assert!(source.rewind());
            assert_eq!(source.received(), 0);
            let got = run(receive(&mut source, &wire)).unwrap();
            assert!(got.0 == content && got.1 == b"x: 1\r\n", "seed {seed}");
        }
    }
}

#[test]
fn a_body_that_was_read_from_the_stream_cannot_be_sent_again() {
    let wire = Wire::receiving(b"lo", Pieces::Whole);
    let mut source =
        Source::H1(H1Source::new(&wire.stream, &wire.buffers, Side::Client, Body::Length(5), b"hel", 0));
    assert!(matches!(source.next_piece(), Ok(Piece::Data(b"hel"))));
    assert!(matches!(source.next_piece(), Ok(Piece::NeedMore)));
    assert!(source.rewind(), "nothing is gone yet");
    assert!(matches!(source.next_piece(), Ok(Piece::Data(b"hel"))));
    run(source.fill(&wire.deadline)).unwrap();
    assert!(!source.rewind());
}

#[test]
fn the_next_message_starts_right_behind_the_body() {
    for seed in 0..300 {
        let dice = &mut Dice::new(seed);
        let length = 1 + dice.below(3_000);
        let content = random_bytes(dice, length);
        let next = b"GET /next HTTP/1.1\r\n";
        let chunked = chunked(dice, &content, b"X: 1\r\n");
        for (message, body) in [(chunked, Body::Chunked), (content.clone(), Body::Length(length))] {
            let all = [&message[..], next].concat();
            let split = dice.below(all.len() as u64 + 1) as usize;
            let wire = Wire::receiving(&all[split..], Pieces::Random(seed));
            let first = &all[..split];
            let mut source =
                Source::H1(H1Source::new(&wire.stream, &wire.buffers, Side::Client, body, first, 0));
            let got = run(receive(&mut source, &wire)).unwrap();
            assert!(got.0 == content, "seed {seed}");
            let Source::H1(source) = source else { unreachable!("it was one above") };
            let mut rest = match source.into_rest() {
                Rest::BehindHead(used) => first[used..].to_vec(),
                Rest::Buffered(buffer) => buffer.filled().to_vec(),
            };
            run(async {
                let mut room = [0; 64];
                while let Ok(count) = wire.stream.read(&mut room, &wire.deadline).await {
                    rest.extend_from_slice(&room[..count]);
                }
            });
            assert!(rest == next, "seed {seed}, {body:?}: {}", rest.escape_ascii());
        }
    }
}
