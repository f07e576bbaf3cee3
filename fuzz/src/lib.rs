//! Every parser that reads what others wrote, as a function of bytes that panics when a promise is broken. A
//! fuzzing engine drives them, or `cargo test` with the seeds and random changes of them.

pub mod cache_fields;
pub mod chunked;
pub mod config;
pub mod forwarded;
pub mod imports;
pub mod log_format;
pub mod proxy_protocol;
pub mod replay_log;
pub mod request_head;
pub mod response_head;
pub mod traceparent;

use headgate_net::h1::parse::HeadLimits;
use headgate_net::head::Flat;

/// One parser under test.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// Inputs to start from.
    pub seeds: &'static [&'static [u8]],
}

macro_rules! targets {
    ($($name:ident,)*) => {
        /// All of them.
        pub const TARGETS: &[Target] =
            &[$(Target { name: stringify!($name), run: $name::run, seeds: $name::SEEDS },)*];
    };
}

targets! {
    request_head,
    response_head,
    chunked,
    proxy_protocol,
    forwarded,
    traceparent,
    config,
    imports,
    log_format,
    cache_fields,
    replay_log,
}

const LIMITS: HeadLimits = HeadLimits { head_bytes: usize::MAX, fields: 20, target_bytes: 512 };

/// A head whose buffer is filled with `bytes`.
fn filled<Line: Default>(bytes: &[u8]) -> Flat<Line> {
    let mut head = Flat::new(bytes.len(), LIMITS.fields);
    head.bytes[..bytes.len()].copy_from_slice(bytes);
    head.filled = bytes.len();
    head
}

/// Fields lie one behind the other, inside the head, and hold only what a field may hold.
fn check_fields<Line: Default>(head: &Flat<Line>) {
    assert!(head.head_len <= head.filled && head.fields.len() <= LIMITS.fields);
    let mut end = 0;
    for field in &head.fields {
        let (name, value) = (head.part(field.name), head.part(field.value));
        assert!(field.name.start as usize >= end && field.line_end as usize <= head.head_len);
        end = field.line_end as usize;
        assert!(head.bytes[..end].ends_with(b"\r\n"));
        assert!(headgate_net::h1::bytes::is_token_str(name));
        assert!(value.iter().all(|&byte| headgate_net::h1::bytes::is_value(byte)));
        assert!(value.trim_ascii().len() == value.len());
    }
}

/// What is refused stays refused when more arrives, and what is whole does not change by what follows.
fn check_prefixes<V: PartialEq + std::fmt::Debug>(bytes: &[u8], verdict: impl Fn(&[u8]) -> Option<V>) {
    let whole = verdict(bytes);
    for cut in [1, bytes.len() / 3, bytes.len() / 2, bytes.len().saturating_sub(1)] {
        if let Some(early) = bytes.get(..cut).and_then(&verdict) {
            assert_eq!(Some(early), whole, "after {cut} bytes");
        }
    }
}
