//! The chunked decoder. The first byte says in which pieces the rest arrives. Promises: no panic; every step
//! takes no more than there is and moves on; the pieces do not matter.

use headgate_model::fault::FaultKind;
use headgate_net::h1::chunked::{Decoder, Step};

pub const SEEDS: &[&[u8]] = &[
    b"\x015\r\nhello\r\n0\r\n\r\n",
    b"\x03a;name=\"va;lue\"\r\n0123456789\r\n00\r\nX: 1\r\n\r\n",
    b"\x07fffffffffffffff\r\nabc",
    b"\x021\r\na\r\n1\r\nb\r\n0;x\r\n\r\nGET / HTTP/1.1\r\n",
];

/// Content, and where the trailer section begins, `None` when more is needed; or the malformed byte's fault.
type Verdict = Result<(Vec<u8>, Option<usize>), FaultKind>;

pub fn run(data: &[u8]) {
    let Some((first, wire)) = data.split_first() else { return };
    let whole = decode(wire, wire.len());
    let pieces = decode(wire, 1 + usize::from(*first));
    assert_eq!(whole, pieces);
    if let Ok((content, Some(end))) = whole {
        assert!(content.len() <= wire.len() && end <= wire.len());
    }
}

fn decode(wire: &[u8], piece: usize) -> Verdict {
    let mut decoder = Decoder::default();
    let (mut content, mut at, mut have) = (Vec::new(), 0, 0);
    loop {
        match decoder.step(&wire[at..have], FaultKind::BadRequest).map_err(|fault| fault.kind)? {
            Step::Data { skip, data } => {
                assert!(data > 0 && at + skip + data <= have);
                content.extend_from_slice(&wire[at + skip..at + skip + data]);
                at += skip + data;
            }
            Step::Trailers { skip } => return Ok((content, Some(at + skip))),
            Step::NeedMore { skip } => {
                at += skip;
                assert_eq!(at, have, "framing is never left behind");
                if have == wire.len() {
                    return Ok((content, None));
                }
                have = (have + piece).min(wire.len());
            }
        }
    }
}
