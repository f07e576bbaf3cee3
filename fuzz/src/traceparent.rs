//! The W3C `traceparent`. Promises: no panic; what is accepted is written again with the same ids.

use headgate_observe::trace::{TRACEPARENT_LEN, TraceParent, passes_tracestate};

pub const SEEDS: &[&[u8]] = &[
    b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-later",
    b"00-00000000000000000000000000000000-0000000000000000-00",
];

pub fn run(data: &[u8]) {
    let _ = passes_tracestate(data.split(|&byte| byte == b'\n'));
    let Some(parent) = TraceParent::parse(data) else { return };
    assert_ne!(parent.trace_id, [0; 16]);
    let mut written = [0; TRACEPARENT_LEN];
    parent.write(&mut written);
    let again = TraceParent::parse(&written).expect("what was written is read");
    assert_eq!((again.trace_id, again.parent_id), (parent.trace_id, parent.parent_id));
}
