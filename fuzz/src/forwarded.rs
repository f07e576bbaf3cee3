//! `Forwarded` and `X-Forwarded-For`, one field in a line. Promises: no panic; no more hops than bytes; what a
//! client sends cannot hide the hop that a proxy appends.

use headgate_net::forwarded::{forwarded, write_address, x_forwarded_for};
use std::net::{IpAddr, Ipv4Addr};

pub const SEEDS: &[&[u8]] = &[
    b"192.0.2.1, 10.0.0.1:80, [2001:db8::1]:4711",
    b"for=192.0.2.43;proto=http;by=203.0.113.60, for=\"[2001:db8:cafe::17]:4711\"",
    b"for=\"_hidden\", for=unknown;host=\"a\\\"b,c\"\nfor=\"10.0.0.2:_port\"",
];

pub fn run(data: &[u8]) {
    let fields = || data.split(|&byte| byte == b'\n');
    assert!(forwarded(fields()).count() <= data.len() + 1);
    assert!(x_forwarded_for(fields()).count() <= data.len() + 1);

    let nearest = IpAddr::from(Ipv4Addr::new(192, 0, 2, 7));
    let mut list = [data, b", "].concat();
    write_address(&mut list, nearest);
    assert_eq!(x_forwarded_for([&list[..]].into_iter()).next(), Some(Some(nearest)));
    let list = [data, b", for=192.0.2.7"].concat();
    assert_eq!(forwarded([&list[..]].into_iter()).next(), Some(Some(nearest)));
}
