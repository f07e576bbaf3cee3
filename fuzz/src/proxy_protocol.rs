//! The PROXY protocol header. Promises: no panic; never more bytes wanted than the largest header has; a header
//! is no longer than what was given; addresses survive being written and read again.

use headgate_net::proxy_protocol::{Parsed, V2_ENCODED_MAX_BYTES, V2_MAX_BYTES, encode_v2, parse};

pub const SEEDS: &[&[u8]] = &[
    b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET /",
    b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\xdc\x04\x01\xbb",
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
];

pub fn run(data: &[u8]) {
    match parse(data) {
        Ok(Parsed::Incomplete) => assert!(data.len() < V2_MAX_BYTES),
        Ok(Parsed::Local { consumed }) => assert!(consumed <= data.len()),
        Ok(Parsed::Header { source, destination, consumed }) => {
            assert!(consumed <= data.len());
            let mut room = [0; V2_ENCODED_MAX_BYTES];
            let written = encode_v2(Some((source, destination)), &mut room);
            let Ok(Parsed::Header { source: again, .. }) = parse(written) else {
                panic!("what was written is not read")
            };
            assert_eq!(again.ip().to_canonical(), source.ip().to_canonical());
            assert_eq!(again.port(), source.port());
        }
        Err(reject) => assert!(!reject.to_string().is_empty()),
    }
}
