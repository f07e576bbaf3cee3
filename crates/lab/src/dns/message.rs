//! Questions and answers of DNS as bytes (RFC 1035, 4), as much of it as a server of one zone needs.

use super::zone::{A, AAAA, Data, SRV, Said};
use std::net::IpAddr;

const HEAD: usize = 12;
/// RFC 1035, 2.3.4.
const NAME_MAX: usize = 255;
/// A name that stands where the question's does (RFC 1035, 4.1.4).
const POINTER: [u8; 2] = [0xc0, HEAD as u8];
const INTERNET: u16 = 1;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    id: [u8; 2],
    /// Recursion desired; repeated in the answer.
    recursion: u8,
    pub(super) name: String,
    pub(super) kind: u16,
    /// Name, type and class as they came.
    bytes: Vec<u8>,
}

/// Reads a query with one question; `None` for everything else, which is not answered.
pub(super) fn parse(query: &[u8]) -> Option<Question> {
    let head = query.get(..HEAD)?;
    // A response is no question, nor is anything but a standard query with one.
    if head[2] & 0xf8 != 0 || head[4..6] != [0, 1] {
        return None;
    }
    let (mut at, mut name) = (HEAD, String::new());
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        // Longer ones are pointers, and nothing stands before the first name.
        let label = query.get(at..at + length).filter(|_| length < 64)?;
        at += length;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(std::str::from_utf8(label).ok()?);
        if at - HEAD > NAME_MAX {
            return None;
        }
    }
    let rest = query.get(at..at + 4)?;
    let kind = u16::from_be_bytes([rest[0], rest[1]]);
    if u16::from_be_bytes([rest[2], rest[3]]) != INTERNET {
        return None;
    }
    let bytes = query[HEAD..at + 4].to_vec();
    Some(Question { id: [head[0], head[1]], recursion: head[2] & 1, name, kind, bytes })
}

/// The answer as bytes; `None` for silence.
pub(super) fn answer(question: &Question, said: &Said) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(&question.id);
    // A response with authority, and recursion available, since clients insist.
    out.push(0x84 | question.recursion);
    out.push(0x80 | said.code?);
    let count = said.records.len() as u16;
    for number in [1, count, 0, 0] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&question.bytes);
    for record in &said.records {
        let (kind, data) = data(record);
        out.extend_from_slice(&POINTER);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&INTERNET.to_be_bytes());
        out.extend_from_slice(&said.ttl_s.to_be_bytes());
        out.extend_from_slice(&(data.len() as u16).to_be_bytes());
        out.extend_from_slice(&data);
    }
    Some(out)
}

fn data(record: &Data) -> (u16, Vec<u8>) {
    match record {
        Data::Address(IpAddr::V4(address)) => (A, address.octets().to_vec()),
        Data::Address(IpAddr::V6(address)) => (AAAA, address.octets().to_vec()),
        Data::Srv { priority, weight, port, target } => {
            let mut data: Vec<u8> =
                [priority, weight, port].into_iter().flat_map(|number| number.to_be_bytes()).collect();
            for label in target.split('.') {
                data.push(label.len() as u8);
                data.extend_from_slice(label.as_bytes());
            }
            data.push(0);
            (SRV, data)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x01a\x04test\x00\x00\x01\x00\x01";

    #[test]
    fn a_question_is_answered() {
        let question = parse(QUERY).unwrap();
        assert_eq!((question.name.as_str(), question.kind), ("a.test", A));
        let records = vec![Data::Address("10.0.0.1".parse().unwrap())];
        let said = Said { code: Some(0), records, ttl_s: 5, delay: Duration::ZERO };
        let bytes = answer(&question, &said).unwrap();
        let expected = b"\x12\x34\x85\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01\
                         \xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00\x01";
        assert_eq!(bytes, expected);
        assert_eq!(answer(&question, &Said { code: None, ..said }), None);
    }

    #[test]
    fn whatever_is_no_question_is_not_answered() {
        for cut in 0..QUERY.len() {
            assert_eq!(parse(&QUERY[..cut]), None, "{cut}");
        }
        for (at, byte) in [(2, 0x81), (2, 0x29), (5, 2), (12, 0xc0), (12, 63), (23, 3)] {
            let mut odd = QUERY.to_vec();
            odd[at] = byte;
            assert_eq!(parse(&odd), None, "{at}: {byte}");
        }
    }
}
