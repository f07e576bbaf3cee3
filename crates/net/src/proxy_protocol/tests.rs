//! Headers of both versions: valid ones whole and cut at every byte, invalid ones each with its reason, and
//! arbitrary bytes.

use super::v2::crc32c;
use super::*;
use proptest::prelude::*;
use std::net::IpAddr;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

#[test]
fn version_1_lines() {
    let local = || Box::new(|consumed| Parsed::Local { consumed }) as Box<dyn Fn(usize) -> Parsed>;
    let cases: [(&[u8], _); 7] = [
        (
            b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
            header("192.168.0.1:56324", "192.168.0.11:443"),
        ),
        (
            b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            header("255.255.255.255:65535", "255.255.255.255:65535"),
        ),
        (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", header("0.0.0.0:0", "0.0.0.0:0")),
        (b"PROXY TCP6 2001:DB8::1 ::1 1 2\r\n", header("[2001:db8::1]:1", "[::1]:2")),
        (b"PROXY TCP6 ::ffff:10.0.0.1 ::1 1 2\r\n", header("[::ffff:10.0.0.1]:1", "[::1]:2")),
        (b"PROXY UNKNOWN\r\n", local()),
        (b"PROXY UNKNOWN whatever \x01 stands here\r\n", local()),
    ];
    for (bytes, expected) in cases {
        assert_whole_and_cut(bytes, expected(bytes.len()));
    }
}

#[test]
fn version_1_lines_that_are_refused() {
    let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 92], b"\r\n"].concat();
    assert_eq!(long.len(), 108);
    let cases: [(&[u8], Reject); 20] = [
        (b"GET / HTTP/1.1\r\n", Reject::NotProxy),
        (b"PUT / HTTP/1.1\r\n", Reject::NotProxy),
        (b"PROXYTCP4", Reject::NotProxy),
        (b"proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n", Reject::NotProxy),
        (b"PROXY \r\n", Reject::BadFamily),
        (b"PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n", Reject::BadFamily),
        (b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", Reject::BadFamily),
        (b"PROXY TCP4\r\n", Reject::BadLine),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", Reject::BadLine),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", Reject::BadLine),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", Reject::BadLine),
        (b"PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n", Reject::BadLine),
        (b"PROXY TCP4 ::1 ::2 1 2\r\n", Reject::BadLine),
        (b"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n", Reject::BadLine),
        (b"PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n", Reject::BadLine),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", Reject::BadLine),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n", Reject::BadLine),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n", Reject::BadLine),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", Reject::BadLine),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\r\n", Reject::BadLine),
    ];
    for (bytes, reason) in cases {
        assert_eq!(parse(bytes), Err(reason), "{}", bytes.escape_ascii());
    }
    assert_eq!(parse(&long), Err(Reject::LineTooLong));
    assert_eq!(parse(&long[..107]), Err(Reject::LineTooLong));
    assert_eq!(parse(&long[..106]), Ok(Parsed::Incomplete));
    let longest = [&long[..105], b"\r\n"].concat();
    assert_eq!(parse(&longest), Ok(Parsed::Local { consumed: V1_MAX_BYTES }));
}

#[test]
fn version_2_headers() {
    let v4 = [192, 168, 0, 1, 192, 168, 0, 11, 0xdc, 0x04, 0x01, 0xbb];
    let v4_header = header("192.168.0.1:56324", "192.168.0.11:443");
    let fields = [&v4[..], &[0x04, 0, 2, 9, 9, 0xe0, 0, 0]].concat();
    let mut v6 = [0; 36];
    (v6[15], v6[31], v6[33], v6[35]) = (1, 2, 3, 4);
    let cases = [
        (v2(0x21, 0x11, &v4), &v4_header),
        (v2(0x21, 0x12, &v4), &v4_header),
        (v2(0x21, 0x11, &fields), &v4_header),
        (v2(0x21, 0x21, &v6), &header("[::1]:3", "[::2]:4")),
    ];
    for (bytes, expected) in cases {
        assert_whole_and_cut(&bytes, expected(bytes.len()));
    }
    let without_addresses = [
        v2(0x20, 0x00, &[]),
        v2(0x20, 0xff, b"LOCAL ignores the family and the block"),
        v2(0x21, 0x00, b"so does UNSPEC"),
        v2(0x21, 0x10, &v4),
        v2(0x21, 0x31, &[7; 216]),
        v2(0x21, 0x32, &[&[7; 216][..], &[0x04, 0, 0]].concat()),
    ];
    for bytes in without_addresses {
        assert_whole_and_cut(&bytes, Parsed::Local { consumed: bytes.len() });
    }
}

#[test]
fn version_2_headers_that_are_refused() {
    let v4 = [0; 12];
    let with = |fields: &[u8]| v2(0x21, 0x11, &[&v4, fields].concat());
    let cases = [
        (v2(0x11, 0x11, &v4), Reject::BadCommand),
        (v2(0x31, 0x11, &v4), Reject::BadCommand),
        (v2(0x22, 0x11, &v4), Reject::BadCommand),
        (v2(0x21, 0x13, &v4), Reject::BadFamily),
        (v2(0x21, 0x41, &v4), Reject::BadFamily),
        (v2(0x21, 0x11, &v4[..11]), Reject::ShortAddresses),
        (v2(0x21, 0x21, &v4), Reject::ShortAddresses),
        (v2(0x21, 0x31, &[0; 215]), Reject::ShortAddresses),
        (with(&[0x04]), Reject::BadFields),
        (with(&[0x04, 0, 1]), Reject::BadFields),
        (with(&[0x04, 0xff, 0xff, 0]), Reject::BadFields),
        (with(&[0x03, 0, 3, 0, 0, 0]), Reject::BadFields),
        (with(&[0x03, 0, 4, 1, 2, 3, 4]), Reject::BadChecksum),
        (v2(0x21, 0x11, &[0; V2_MAX_BYTES - 15]), Reject::HeaderTooLong),
    ];
    for (bytes, reason) in cases {
        assert_eq!(parse(&bytes), Err(reason), "{}", bytes.escape_ascii());
    }
    let mut broken = v2(0x21, 0x11, &v4);
    broken[11] = b'\r';
    assert_eq!(parse(&broken), Err(Reject::NotProxy));
    // Refused as soon as the length is known, not after waiting for it.
    assert_eq!(parse(&[SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat()), Err(Reject::HeaderTooLong));
}

#[test]
fn the_checksum_is_checked_over_the_whole_header() {
    assert_eq!(crc32c(b"123456789".iter().copied()), 0xe306_9283);

    let block = [&[10, 0, 0, 1, 10, 0, 0, 2, 0, 1, 0, 2][..], &[0x03, 0, 4, 0, 0, 0, 0], &[0x04, 0, 1, 9]];
    let mut bytes = v2(0x21, 0x11, &block.concat());
    let checksum = crc32c(bytes.iter().copied());
    let at = 16 + 12 + 3;
    bytes[at..at + 4].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(parse(&bytes), Ok(header("10.0.0.1:1", "10.0.0.2:2")(bytes.len())));
    for index in (16..28).chain([bytes.len() - 1]) {
        let mut flipped = bytes.clone();
        flipped[index] ^= 1;
        assert_eq!(parse(&flipped), Err(Reject::BadChecksum), "byte {index}");
    }
    let twice = v2(0x21, 0x11, &[&bytes[16..], &bytes[at - 3..at + 4]].concat());
    assert_eq!(parse(&twice), Err(Reject::BadFields));
}

#[test]
fn what_is_sent_without_addresses() {
    assert_eq!(encode_v1(None, &mut [0; V1_MAX_BYTES]), b"PROXY UNKNOWN\r\n");
    assert_eq!(encode_v2(None, &mut [0; V2_ENCODED_MAX_BYTES]), [SIGNATURE, &[0x20, 0, 0, 0]].concat());
}

#[test]
fn mixed_and_mapped_addresses_are_sent_in_one_family() {
    let line = |source: &str, destination: &str| {
        let endpoints = Some((source.parse().unwrap(), destination.parse().unwrap()));
        String::from_utf8(encode_v1(endpoints, &mut [0; V1_MAX_BYTES]).to_vec()).unwrap()
    };
    assert_eq!(line("[::ffff:10.0.0.1]:1", "10.0.0.2:2"), "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n");
    assert_eq!(line("[2001:db8::1]:1", "10.0.0.2:2"), "PROXY TCP6 2001:db8::1 ::ffff:10.0.0.2 1 2\r\n");
}

proptest! {
    #[test]
    fn what_is_encoded_is_parsed(source: IpAddr, destination: IpAddr, ports: (u16, u16), tail: Vec<u8>) {
        let (source, destination) = (SocketAddr::new(source, ports.0), SocketAddr::new(destination, ports.1));
        let mut line = [0; V1_MAX_BYTES];
        let mut block = [0; V2_ENCODED_MAX_BYTES];
        let endpoints = Some((source, destination));
        for encoded in [encode_v1(endpoints, &mut line), encode_v2(endpoints, &mut block)] {
            let parsed = parse(&[encoded, &tail].concat());
            let Ok(Parsed::Header { source: from, destination: to, consumed }) = parsed else {
                return Err(TestCaseError::fail(format!("{parsed:?}")));
            };
            prop_assert_eq!(consumed, encoded.len());
            prop_assert_eq!((from.port(), to.port()), ports);
            prop_assert_eq!(from.ip().to_canonical(), source.ip().to_canonical());
            prop_assert_eq!(to.ip().to_canonical(), destination.ip().to_canonical());
            for cut in 0..encoded.len() {
                prop_assert_eq!(parse(&encoded[..cut]), Ok(Parsed::Incomplete));
            }
        }
    }

    #[test]
    fn arbitrary_bytes_end_in_a_bounded_verdict(
        kind in 0..4,
        tail in proptest::collection::vec(any::<u8>(), 0..5_000),
    ) {
        let head: &[u8] = match kind {
            0 => b"",
            1 => b"PROXY TCP4 ",
            2 => SIGNATURE,
            _ => b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x20",
        };
        let bytes = [head, &tail].concat();
        match parse(&bytes) {
            Ok(Parsed::Incomplete) => prop_assert!(bytes.len() < V2_MAX_BYTES),
            Ok(Parsed::Header { consumed, .. } | Parsed::Local { consumed }) => {
                prop_assert!(consumed <= bytes.len());
                prop_assert_eq!(parse(&bytes[..consumed]), parse(&bytes));
                prop_assert_eq!(parse(&bytes[..consumed - 1]), Ok(Parsed::Incomplete));
            }
            Err(_) => {
                // More bytes never turn a refusal into a header.
                prop_assert!(parse(&[&bytes[..], b"\r\n"].concat()).is_err());
            }
        }
    }
}

fn header(source: &str, destination: &str) -> Box<dyn Fn(usize) -> Parsed> {
    let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
    Box::new(move |consumed| Parsed::Header { source, destination, consumed })
}

fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, block].concat()
}

/// The header alone, the header before other bytes, and every cut of it.
fn assert_whole_and_cut(bytes: &[u8], expected: Parsed) {
    assert_eq!(parse(bytes), Ok(expected), "{}", bytes.escape_ascii());
    assert_eq!(parse(&[bytes, b"GET / HTTP/1.1\r\n"].concat()), Ok(expected), "{}", bytes.escape_ascii());
    for cut in 0..bytes.len() {
        assert_eq!(parse(&bytes[..cut]), Ok(Parsed::Incomplete), "{} at {cut}", bytes.escape_ascii());
    }
}
