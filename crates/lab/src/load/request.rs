//! What is sent: the workload's steps as request heads with their placeholders filled in, and the bodies. It
//! writes nothing to a socket.

use super::error::LoadError;
use super::target::Target;
use crate::workload::{Journey, Request};
use std::io::Write as _;
use std::sync::Arc;

/// What bodies are made of when only their size is given.
static FILLER: [u8; 64 * 1024] = [b'.'; 64 * 1024];

/// How requests look, beside what the workload says.
#[derive(Clone, Debug, Default)]
pub struct RequestSpec {
    /// For what reads. Default: GET.
    pub method: Option<String>,
    /// For what writes. Default: POST.
    pub write_method: Option<String>,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Sent by whatever writes, in place of a filler of the drawn size.
    pub body: Option<Vec<u8>>,
    /// Ask the server to close after each answer.
    pub close: bool,
}

/// The checked form of [`RequestSpec`].
#[derive(Clone, Debug)]
pub(super) struct Requests {
    steps: Vec<Vec<Piece>>,
    tenants: Vec<String>,
    methods: [String; 2],
    scheme: &'static str,
    authority: String,
    headers: Vec<(String, String)>,
    /// Everything after the request line but the length and the empty line.
    fields: Vec<u8>,
    body: Option<Arc<[u8]>>,
}

/// A part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Key,
    Tenant,
    Session,
    /// The size of the body that is asked for.
    Bytes,
}

impl Requests {
    /// `prefix` is the path of the URL; the steps' paths follow it.
    pub(super) fn new(spec: &RequestSpec, target: &Target, journey: &Journey) -> Result<Self, LoadError> {
        let only = journey.steps().len() == 1 && journey.steps()[0].path == "/";
        let steps = journey.steps().iter().map(|step| {
            let prefix = target.path.as_str();
            match step.path.as_str() {
                // The URL alone says what is asked for.
                _ if only => pieces(prefix),
                path => pieces(&format!("{}{path}", prefix.trim_end_matches('/'))),
            }
        });
        let method =
            |given: &Option<String>, default: &str| given.clone().unwrap_or_else(|| default.to_owned());
        let methods = [method(&spec.method, "GET"), method(&spec.write_method, "POST")];
        for method in &methods {
            if method.is_empty() || !method.bytes().all(is_token) {
                return Err(setting("method", format!("`{method}` is none"), "write one like GET"));
            }
        }
        let mut authority = target.authority.clone();
        let mut headers = Vec::with_capacity(spec.headers.len());
        for (name, value) in &spec.headers {
            check_header(name, value)?;
            if name.eq_ignore_ascii_case("host") {
                authority.clone_from(value);
            } else {
                headers.push((name.to_ascii_lowercase(), value.clone()));
            }
        }
        let mut fields = format!(" HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
        for (name, value) in &spec.headers {
            if !name.eq_ignore_ascii_case("host") {
                fields.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            }
        }
        if spec.close {
            fields.extend_from_slice(b"Connection: close\r\n");
        }
        Ok(Self {
            steps: steps.collect(),
            tenants: journey.tenants().to_vec(),
            methods,
            scheme: if target.tls { "https" } else { "http" },
            authority,
            headers,
            fields,
            body: spec.body.as_deref().map(Arc::from),
        })
    }

    /// Appends the head of an HTTP/1.1 request.
    pub(super) fn write_head(&self, request: &Request, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method(request).as_bytes());
        out.push(b' ');
        self.write_path(request, out);
        out.extend_from_slice(&self.fields);
        let length = self.body_len(request);
        if length > 0 || request.write {
            // Writing into a vector does not fail.
            let _ = write!(out, "Content-Length: {length}\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The head of an HTTP/2 request.
    pub(super) fn head(&self, request: &Request) -> Result<http::Request<()>, http::Error> {
        let mut path = Vec::new();
        self.write_path(request, &mut path);
        let uri = http::Uri::builder()
            .scheme(self.scheme)
            .authority(self.authority.as_str())
            .path_and_query(path.as_slice())
            .build()?;
        let mut head =
            http::Request::builder().method(self.method(request)).uri(uri).version(http::Version::HTTP_2);
        for (name, value) in &self.headers {
            head = head.header(name, value);
        }
        let length = self.body_len(request);
        if length > 0 || request.write {
            head = head.header(http::header::CONTENT_LENGTH, length);
        }
        head.body(())
    }

    pub(super) fn body_len(&self, request: &Request) -> u64 {
        match &self.body {
            _ if !request.write => 0,
            Some(body) => body.len() as u64,
            None => request.request_bytes,
        }
    }

    /// A piece of the body from `offset` on; empty at its end.
    pub(super) fn body_at(&self, offset: u64, length: u64) -> &[u8] {
        match &self.body {
            Some(body) => &body[(offset.min(length)) as usize..],
            None => &FILLER[..(length - offset.min(length)).min(FILLER.len() as u64) as usize],
        }
    }

    /// Whether answers to this request have no body.
    pub(super) fn is_head(&self, request: &Request) -> bool {
        self.method(request) == "HEAD"
    }

    fn method(&self, request: &Request) -> &str {
        &self.methods[usize::from(request.write)]
    }

    fn write_path(&self, request: &Request, out: &mut Vec<u8>) {
        for piece in &self.steps[usize::from(request.step)] {
            // Writing into a vector does not fail.
            let _ = match piece {
                Piece::Text(text) => out.write_all(text.as_bytes()),
                Piece::Key => write!(out, "{}", request.key),
                Piece::Session => write!(out, "{}", request.session),
                Piece::Bytes => write!(out, "{}", request.response_bytes),
                Piece::Tenant => out.write_all(self.tenants[usize::from(request.tenant)].as_bytes()),
            };
        }
    }
}

fn pieces(path: &str) -> Vec<Piece> {
    const NAMED: [(&str, Piece); 4] = [
        ("{key}", Piece::Key),
        ("{tenant}", Piece::Tenant),
        ("{session}", Piece::Session),
        ("{bytes}", Piece::Bytes),
    ];
    let (mut pieces, mut rest) = (Vec::new(), path);
    loop {
        let found = NAMED.iter().filter_map(|(name, piece)| Some((rest.find(name)?, *name, piece)));
        let Some((at, name, piece)) = found.min_by_key(|(at, ..)| *at) else { break };
        if at > 0 {
            pieces.push(Piece::Text(rest[..at].to_owned()));
        }
        pieces.push(piece.clone());
        rest = &rest[at + name.len()..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    pieces
}

/// The generator frames its messages itself.
fn check_header(name: &str, value: &str) -> Result<(), LoadError> {
    let setting = |problem, remedy| Err(setting("header", problem, remedy));
    if name.is_empty() || !name.bytes().all(is_token) {
        return setting(format!("`{name}` is no field name"), "write it as \"name: value\"");
    }
    if value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
        return setting(format!("the value of {name} has control characters"), "leave them out");
    }
    if ["content-length", "transfer-encoding", "connection"].iter().any(|own| name.eq_ignore_ascii_case(own))
    {
        return setting(
            format!("{name} is written by the generator"),
            "use --body, --body-size or --close instead",
        );
    }
    Ok(())
}

fn setting(setting: &'static str, problem: String, remedy: &'static str) -> LoadError {
    LoadError::Setting { setting, problem, remedy }
}

/// RFC 9110, 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Workload, WorkloadSpec, no_files};

    fn requests(url: &str, steps: &str, spec: &RequestSpec) -> Result<Requests, LoadError> {
        let text = format!("closed = {{ phases = [{{ lasts = \"1s\", level = 1 }}] }}\n{steps}");
        let spec_of_workload: WorkloadSpec = toml::from_str(&text).unwrap();
        let workload = Workload::new(&spec_of_workload, 1, &mut no_files()).unwrap();
        Requests::new(spec, &Target::parse(url).unwrap(), workload.journey())
    }

    fn request(write: bool) -> Request {
        Request { session: 7, step: 0, tenant: 0, key: 42, write, request_bytes: 3, response_bytes: 512 }
    }

    fn head(requests: &Requests, write: bool) -> String {
        let mut out = Vec::new();
        requests.write_head(&request(write), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn placeholders_are_filled_in() {
        let plain =
            requests("http://a.test/{key}/x?s={session}&b={bytes}&{tenant}{", "", &RequestSpec::default());
        assert_eq!(head(&plain.unwrap(), false), "GET /42/x?s=7&b=512&all{ HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let steps = "[steps.item]\npath = \"/item/{key}\"";
        let stepped = requests("http://a.test/shop/", steps, &RequestSpec::default()).unwrap();
        assert!(head(&stepped, true).starts_with("POST /shop/item/42 HTTP/1.1\r\n"));
        assert_eq!(stepped.head(&request(false)).unwrap().uri(), "http://a.test/shop/item/42");
    }

    #[test]
    fn bodies_have_their_length_and_headers_their_place() {
        let spec = RequestSpec {
            headers: vec![("X-A".to_owned(), "1".to_owned()), ("Host".to_owned(), "b.test".to_owned())],
            close: true,
            ..RequestSpec::default()
        };
        let filled = requests("http://a.test", "", &spec).unwrap();
        let fields = "Host: b.test\r\nX-A: 1\r\nConnection: close\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(head(&filled, true), format!("POST / HTTP/1.1\r\n{fields}"));
        assert_eq!((filled.body_at(0, 3), filled.body_at(3, 3)), (&b"..."[..], &b""[..]));
        let body = Some(b"hello".to_vec());
        let given = requests("http://a.test", "", &RequestSpec { body, ..RequestSpec::default() }).unwrap();
        assert_eq!((given.body_len(&request(true)), given.body_len(&request(false))), (5, 0));
        assert_eq!((given.body_at(2, 5), given.body_at(5, 5)), (&b"llo"[..], &b""[..]));
    }

    #[test]
    fn what_would_break_the_framing_is_refused() {
        for (name, value) in [
            ("content-length", "5"),
            ("Transfer-Encoding", "chunked"),
            ("a b", "1"),
            ("x", "1\r\ny: 2"),
            ("", ""),
        ] {
            let headers = vec![(name.to_owned(), value.to_owned())];
            let error = requests("http://a.test", "", &RequestSpec { headers, ..RequestSpec::default() });
            assert!(error.unwrap_err().to_string().starts_with("header: "), "{name}");
        }
        let method = Some("GE T".to_owned());
        assert!(requests("http://a.test", "", &RequestSpec { method, ..RequestSpec::default() }).is_err());
    }
}
