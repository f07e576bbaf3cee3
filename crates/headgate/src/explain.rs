//! `headgate explain FILE 'GET https://host/path'`: what would become of a request, and why. It reads the
//! configuration as the gateway does and asks the same route table; it sends nothing.

use crate::file::load;
use crate::say::{Failure, say};
use headgate_gateway::path::has_dot_segment;
use headgate_gateway::route::{Ask, Fields, Verdict};
use headgate_gateway::snapshot::{Action, Discovered, Route, Service, Snapshot};
use headgate_model::spec::Protocol;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

/// A request as written on the command line.
struct Question<'a> {
    method: &'a str,
    tls: bool,
    host: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    headers: Vec<(String, String)>,
}

impl Fields for Question<'_> {
    fn value_of(&self, name: &[u8]) -> Option<&[u8]> {
        self.headers.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, value)| value.as_bytes())
    }
}

/// Prints the explanation. `headers` are `name: value`.
pub(crate) fn explain(file: &Path, request: &str, headers: &[String]) -> Result<(), Failure> {
    let question = parse(request, headers)?;
    let snapshot = Snapshot::compile(Arc::new(load(file)?), &Discovered::new(), None)?;
    let mut out = String::new();
    writeln!(out, "{request}")?;
    if question.method == "CONNECT" {
        writeln!(out, "refused    501: Headgate is no forward proxy")?;
        return say(out.trim_end());
    }
    if has_dot_segment(question.path.as_bytes()) {
        writeln!(out, "refused    400: a dot segment in the path")?;
        return say(out.trim_end());
    }
    let mut listened = false;
    for (index, listener) in snapshot.listeners.iter().enumerate() {
        if listener.spec.tls.is_some() != question.tls {
            continue;
        }
        listened = true;
        writeln!(out, "listener   {} on {}", listener.name, listener.spec.bind)?;
        explain_routes(&snapshot, index as u32, &question, &mut out)?;
    }
    if !listened {
        let wanted = if question.tls { "with TLS" } else { "without TLS" };
        writeln!(out, "listener   none: no listener {wanted}")?;
    }
    say(out.trim_end())
}

fn parse<'a>(request: &'a str, headers: &[String]) -> Result<Question<'a>, Failure> {
    let (method, url) = request.split_once(' ').unwrap_or(("GET", request));
    let (tls, rest) = match url.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        _ => {
            return Err(
                format!("`{url}` is not a URL; write one like 'GET https://shop.example/path'").into()
            );
        }
    };
    let path_start = rest.find('/').unwrap_or(rest.len());
    let (host, target) = rest.split_at(path_start);
    let target = if target.is_empty() { "/" } else { target };
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let header = |line: &String| {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("`{line}` is not `name: value`"))?;
        Ok::<_, String>((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers = headers.iter().map(header).collect::<Result<_, _>>()?;
    Ok(Question { method, tls, host, path, query, headers })
}

fn explain_routes(
    snapshot: &Snapshot,
    listener: u32,
    question: &Question<'_>,
    out: &mut String,
) -> Result<(), Failure> {
    let ask = Ask {
        listener,
        host: question.host.as_bytes(),
        path: question.path.as_bytes(),
        query: question.query.map(str::as_bytes),
        method: question.method.as_bytes(),
        fields: question,
    };
    let tried = snapshot.table.explain(&ask);
    let mut chosen = None;
    for tried in &tried {
        let route = &snapshot.routes[tried.route];
        if tried.verdict == Verdict::Chosen {
            chosen = Some(route);
            writeln!(out, "route      {} (number {} in the file)", route.name, tried.route + 1)?;
        } else {
            writeln!(out, "  passed   {} (number {}): {}", route.name, tried.route + 1, tried.verdict)?;
        }
    }
    match chosen {
        None => writeln!(out, "route      none matches: answered 404")?,
        Some(route) => explain_action(snapshot, route, out)?,
    }
    Ok(())
}

fn explain_action(snapshot: &Snapshot, route: &Route, out: &mut String) -> Result<(), Failure> {
    match &route.action {
        Action::Respond { status, body, .. } => {
            writeln!(out, "answer     {status}, {} bytes, from the configuration", body.len())?;
        }
        Action::Redirect { status, .. } => writeln!(out, "answer     {status}, a redirect")?,
        Action::Service(index) => explain_service(snapshot, &snapshot.services[*index], out)?,
    }
    Ok(())
}

fn explain_service(snapshot: &Snapshot, service: &Service, out: &mut String) -> Result<(), Failure> {
    let state = &service.state;
    let spec = &state.spec;
    writeln!(out, "service    {}", state.name)?;
    for endpoint in &state.endpoints {
        writeln!(out, "  candidate {} weight {}", endpoint.name, endpoint.weight())?;
    }
    if let Some(source) = &spec.discover {
        writeln!(out, "  candidates from {source}, found while running")?;
    }
    let why = if spec.balance.is_some() { "named by the service" } else { "the profile's" };
    writeln!(
        out,
        "balance    {} ({why}; profile {})",
        as_written(&service.balance.policy)?,
        as_written(&snapshot.config.profile)?
    )?;
    let protocol = match (spec.protocol, &spec.tls) {
        (Protocol::Http1, None) => "HTTP/1.1",
        (Protocol::Http1, Some(_)) => "HTTP/1.1 over TLS",
        (Protocol::Http2, None) => "HTTP/2 with prior knowledge",
        (Protocol::Http2, Some(_)) => "HTTP/2 over TLS",
    };
    writeln!(out, "protocol   {protocol}")?;
    let timeouts = &spec.timeouts;
    writeln!(out, "timeouts   connect {:?}, first byte {:?}", timeouts.connect.0, timeouts.first_byte.0)?;
    let retry = &spec.retry;
    writeln!(out, "retry      {} attempts, budget {} %", retry.attempts, retry.budget_percent)?;
    for (name, on) in [
        ("health", spec.health.is_some()),
        ("outlier", spec.outlier.is_some()),
        ("breaker", spec.breaker.is_some()),
        ("bulkhead", spec.bulkhead.is_some()),
        ("sticky", spec.sticky.is_some()),
        ("fallback", spec.fallback.is_some()),
    ] {
        writeln!(out, "{name:<10} {}", if on { "on" } else { "off" })?;
    }
    Ok(())
}

/// A name as it stands in a configuration file.
fn as_written(name: &impl serde::Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_value(name)?.as_str().unwrap_or_default().to_owned())
}
