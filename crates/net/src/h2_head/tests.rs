//! Requests and responses against the form that HTTP/1 parsing gives them. No streams: heads only.

use super::*;
use crate::h1::parse;

const LIMITS: HeadLimits = HeadLimits { head_bytes: usize::MAX, fields: 16, target_bytes: 64 };

fn rendered(
    build: impl FnOnce(request::Builder) -> request::Builder,
    ended: bool,
) -> Result<RequestHead, Fault> {
    let (parts, ()) = build(http::Request::builder()).body(()).unwrap().into_parts();
    let mut head = RequestHead::new(512, LIMITS.fields);
    render_request(&parts, ended, &LIMITS, None, &mut head).map(|()| head)
}

fn refusal(build: impl FnOnce(request::Builder) -> request::Builder) -> FaultKind {
    rendered(build, true).err().map(|fault| fault.kind).unwrap()
}

#[test]
fn a_rendered_request_reads_like_the_one_that_http1_would_have_brought() {
    let rendered = rendered(
        |request| {
            request
                .method("POST")
                .uri("https://shop.example:8443/a/b?c=d")
                .header("cookie", "a=1")
                .header("x-one", "1")
                .header("cookie", "b=2")
                .header("content-length", "5")
                .header("host", "SHOP.example:8443")
        },
        false,
    )
    .unwrap();
    let mut parsed = RequestHead::new(512, LIMITS.fields);
    parsed.bytes[..rendered.filled].copy_from_slice(&rendered.bytes[..rendered.filled]);
    parsed.filled = rendered.filled;
    assert_eq!(parse::request(&mut parsed, &LIMITS).unwrap(), parse::Progress::Complete);
    assert_eq!(rendered.head_len, parsed.head_len);
    assert_eq!(rendered.target(), b"/a/b?c=d");
    assert_eq!((rendered.path(), rendered.query()), (parsed.path(), parsed.query()));
    assert_eq!((rendered.host(), rendered.line.body), (parsed.host(), parsed.line.body));
    assert_eq!(rendered.value(Known::Cookie), Some(&b"a=1; b=2"[..]));
    assert_eq!(rendered.line.version, Version::Http2);
    let lines = |head: &RequestHead| -> Vec<_> {
        head.fields.iter().map(|field| (field.name, field.value, field.line_end, field.known)).collect()
    };
    assert_eq!(lines(&rendered), lines(&parsed));
}

#[test]
fn what_two_readers_could_understand_differently_is_refused() {
    type Build = fn(request::Builder) -> request::Builder;
    let malformed: &[(&str, Build)] = &[
        ("two hosts that differ", |r| r.uri("http://a/").header("host", "b")),
        ("two Host fields", |r| r.uri("http://a/").header("host", "a").header("host", "a")),
        ("no host", |r| r.uri("/")),
        ("an empty host", |r| r.uri("/").header("host", "")),
        ("user information", |r| r.uri("http://user@a/")),
        ("a path without slash", |r| r.uri("http://a/").uri("*")),
        ("another scheme", |r| r.uri("ftp://a/")),
        ("a blank before a value", |r| r.uri("http://a/").header("x", " 1")),
        ("a blank behind a value", |r| r.uri("http://a/").header("x", "1\t")),
        ("bytes beyond ASCII in the path", |r| r.uri("http://a/\u{e4}")),
    ];
    for (what, build) in malformed {
        assert_eq!(refusal(build), FaultKind::BadRequest, "{what}");
    }
    assert_eq!(refusal(|r| r.method("CONNECT").uri("a:1")), FaultKind::MethodNotSupported);
    assert_eq!(refusal(|r| r.uri("http://a/").header("expect", "tea")), FaultKind::ExpectationFailed);
}

#[test]
fn no_head_grows_beyond_its_limits() {
    assert_eq!(refusal(|r| r.uri(format!("http://a/{}", "p".repeat(64)))), FaultKind::UriTooLong);
    assert_eq!(refusal(|r| r.uri("http://a/").header("x", "v".repeat(512))), FaultKind::HeadTooLarge);
    let many = |r| (0..17).fold(request::Builder::uri(r, "http://a/"), |r, _| r.header("x", "1"));
    assert_eq!(refusal(many), FaultKind::HeadTooLarge);
    for length in 0..512 {
        // Whatever the length: refused or rendered, never beyond the buffer.
        let _ = rendered(|r| r.uri("http://a/").header("x", "v".repeat(length)), true);
    }
}

#[test]
fn a_rendered_response_has_the_body_that_its_head_announces() {
    let cases = [
        ((200, None, false, false), (Body::Chunked, None)),
        ((200, Some("7"), false, false), (Body::Length(7), Some(7))),
        ((200, Some("7"), true, true), (Body::None, Some(7))),
        ((200, None, true, false), (Body::None, None)),
        ((204, None, false, false), (Body::None, None)),
        ((304, Some("9"), true, false), (Body::None, Some(9))),
    ];
    for ((status, length, ended, to_head), (body, declared)) in cases {
        let mut response = http::Response::builder().status(status).header("x-padded", " v ");
        if let Some(length) = length {
            response = response.header("content-length", length);
        }
        let (parts, ()) = response.body(()).unwrap().into_parts();
        let mut head = ResponseHead::new(256, LIMITS.fields);
        render_response(&parts, ended, to_head, &LIMITS, &mut head).unwrap();
        assert_eq!((head.line.body, head.line.declared_length), (body, declared), "{status} {length:?}");
        assert_eq!(head.value_of(b"x-padded"), Some(&b"v"[..]));
        assert!(head.bytes.starts_with(format!("HTTP/1.1 {status} ").as_bytes()));
    }
}
