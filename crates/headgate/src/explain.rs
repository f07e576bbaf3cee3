//! `headgate explain FILE 'GET https://host/path'`: what would become of a request, and why. It reads the
//! configuration as the gateway does and asks the same route table; it sends nothing, and needs no
//! certificates.

mod outcome;
mod question;

use crate::exit::Exit;
use crate::file::load;
use crate::say::{Failure, say};
use headgate_gateway::path::has_dot_segment;
use headgate_gateway::route::Verdict;
use headgate_gateway::snapshot::{Discovered, Snapshot};
use headgate_model::pattern::{Pattern, Precedence};
use headgate_model::spec::{Config, ListenSpec, RouteSpec};
use question::Question;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

/// Prints the explanation. `headers` are `name: value`.
///
/// # Errors
/// When the file or the request cannot be read.
pub(crate) fn explain(file: &Path, request: &str, headers: &[String]) -> Result<Exit, Failure> {
    let question = Question::parse(request, headers)?;
    let config = load(file)?;
    let snapshot = Snapshot::compile(Arc::new(without_files(&config)), &Discovered::new(), None)?;
    let mut out = String::new();
    writeln!(out, "{request}")?;
    let routed = answer(&config, &snapshot, &question, &mut out)?;
    missing_files(&config, &mut out)?;
    say(out.trim_end())?;
    Ok(if routed { Exit::Done } else { Exit::Incomplete })
}

/// What the gateway does with the request; whether a route takes it.
fn answer(
    config: &Config,
    snapshot: &Snapshot,
    question: &Question<'_>,
    out: &mut String,
) -> Result<bool, Failure> {
    if question.method == "CONNECT" {
        writeln!(out, "refused    501: Headgate is no forward proxy")?;
        return Ok(false);
    }
    if has_dot_segment(question.path.as_bytes()) {
        writeln!(out, "refused    400: a dot segment in the path")?;
        return Ok(false);
    }
    // Behind a mapping of ports nobody listens on the one that clients name.
    let is_bound = config.listeners.values().any(|spec| binds(spec, question));
    let (mut listened, mut routed) = (false, false);
    for (index, (name, spec)) in config.listeners.iter().enumerate() {
        if spec.tls.is_some() != question.tls || is_bound && !binds(spec, question) {
            continue;
        }
        listened = true;
        writeln!(out)?;
        explain_listener(name, spec, out)?;
        routed |= explain_routes(config, snapshot, index as u32, question, out)?;
    }
    if !listened {
        let (wanted, other) = if question.tls { ("with TLS", "http") } else { ("without TLS", "https") };
        writeln!(out, "listener   none {wanted}; ask with {other}://")?;
    }
    Ok(routed)
}

/// Whether the listener is at the port that the URL names.
fn binds(spec: &ListenSpec, question: &Question<'_>) -> bool {
    let port = spec.bind.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    port.is_some() && port == question.port && spec.tls.is_some() == question.tls
}

fn explain_listener(name: &str, spec: &ListenSpec, out: &mut String) -> Result<(), Failure> {
    let tls = if spec.tls.is_some() { ", TLS" } else { "" };
    let http2 = if spec.speaks_http2() { ", HTTP/2" } else { "" };
    writeln!(out, "listener   {name} on {}{tls}{http2}", spec.bind)?;
    let limits = &spec.limits;
    writeln!(
        out,
        "  limits   head {}, {} fields, target {}, body {}",
        size(limits.head.0),
        limits.headers,
        size(limits.uri.0),
        if limits.body.0 == 0 { "unlimited".to_owned() } else { size(limits.body.0) }
    )?;
    let timeouts = &spec.timeouts;
    writeln!(
        out,
        "  timeouts head {}, between requests {}, within a body {}, tunnel {}",
        as_written(&timeouts.head)?,
        as_written(&timeouts.idle)?,
        as_written(&timeouts.body)?,
        as_written(&timeouts.tunnel)?
    )?;
    if !spec.trusted_proxies.is_empty() {
        writeln!(out, "  trusts   {}", spec.trusted_proxies.join(", "))?;
    }
    Ok(())
}

/// The route, and what came of the others whose host and path match.
fn explain_routes(
    config: &Config,
    snapshot: &Snapshot,
    listener: u32,
    question: &Question<'_>,
    out: &mut String,
) -> Result<bool, Failure> {
    let ask = question.ask(listener);
    let tried = snapshot.table.explain(&ask);
    let chosen = tried.iter().find(|tried| tried.verdict == Verdict::Chosen).map(|tried| tried.route);
    let shown = |index: usize| format!("{} (number {} in the file)", snapshot.routes[index].name, index + 1);
    match chosen {
        Some(index) => writeln!(out, "route      {}", shown(index))?,
        None => match snapshot.table.allowed(&ask).as_slice() {
            [] if tried.is_empty() => {
                writeln!(out, "route      none: no pattern matches this host and path; answered 404")?;
            }
            [] => writeln!(out, "route      none: answered 404")?,
            methods => {
                let methods = String::from_utf8_lossy(&methods.join(&b", "[..])).into_owned();
                writeln!(out, "route      none takes {}: answered 405, allow: {methods}", question.method)?;
            }
        },
    }
    for other in tried.iter().filter(|tried| tried.verdict != Verdict::Chosen) {
        let why = match (other.verdict, chosen) {
            (Verdict::Later, Some(chosen)) => rank(config, chosen)
                .zip(rank(config, other.route))
                .map_or("", |(a, b)| a.why_before(&b))
                .to_owned(),
            (verdict, _) => verdict.to_string(),
        };
        writeln!(out, "  not      {}: {why}", shown(other.route))?;
    }
    if let Some(index) = chosen {
        let listen = config.listeners.values().nth(listener as usize);
        outcome::explain(config, snapshot, index, question, &ask, listen, out)?;
    }
    Ok(chosen.is_some())
}

/// A route's place in the order of trial.
fn rank(config: &Config, index: usize) -> Option<Precedence> {
    let route: &RouteSpec = config.routes.get(index)?;
    let conditions = usize::from(!route.methods.is_empty()) + route.headers.len() + route.query.len();
    Some(route.pattern.parse::<Pattern>().ok()?.precedence(conditions, index))
}

/// The configuration without what is read from files, so that it compiles where they are absent.
fn without_files(config: &Config) -> Config {
    let mut config = config.clone();
    for listener in config.listeners.values_mut() {
        listener.tls = None;
    }
    for service in config.services.values_mut() {
        if let Some(tls) = &mut service.tls {
            (tls.ca, tls.cert, tls.key) = (None, None, None);
        }
        if let Some(fallback) = &mut service.fallback
            && fallback.file.take().is_some()
        {
            fallback.body = Some(String::new());
        }
    }
    config
}

/// Says which files cannot be read; nothing above depends on them.
fn missing_files(config: &Config, out: &mut String) -> Result<(), Failure> {
    let tls = config.listeners.values().filter_map(|listener| listener.tls.as_ref());
    let pairs = tls.clone().flat_map(|tls| &tls.certificates).flat_map(|pair| [&pair.cert, &pair.key]);
    let services = || config.services.values();
    let upstream = services().filter_map(|service| service.tls.as_ref());
    let files = pairs
        .chain(tls.filter_map(|tls| tls.client_ca.as_ref()))
        .chain(upstream.flat_map(|tls| [&tls.ca, &tls.cert, &tls.key]).flatten())
        .chain(services().filter_map(|service| service.fallback.as_ref()?.file.as_ref()));
    let mut absent: Vec<String> =
        files.filter_map(|file| Some(format!("{file}: {}", std::fs::File::open(file).err()?))).collect();
    absent.sort();
    absent.dedup();
    if !absent.is_empty() {
        writeln!(out, "\nneeded by `headgate run`, but not readable:")?;
    }
    for line in absent.iter() {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

/// A value as it stands in a configuration file.
fn as_written(value: &impl serde::Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_value(value)?.as_str().unwrap_or_default().to_owned())
}

fn size(bytes: u64) -> String {
    match bytes {
        b if b > 0 && b % (1 << 20) == 0 => format!("{}MiB", b >> 20),
        b if b > 0 && b % (1 << 10) == 0 => format!("{}KiB", b >> 10),
        b => format!("{b}B"),
    }
}
