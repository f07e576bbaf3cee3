//! What a route does with a request: the answer, or the request that its service sees and the policies that
//! hold on the way.

use super::question::Question;
use super::{as_written, size};
use crate::say::Failure;
use headgate_gateway::path::has_dot_segment;
use headgate_gateway::route::{Ask, Match};
use headgate_gateway::snapshot::{Action, Route, Service, Snapshot};
use headgate_model::pattern::start_len;
use headgate_model::spec::{
    BalancePolicy, CacheChoice, ClientCertFields, Config, Fallback, ForwardedFields, HeaderEdits, Health,
    ListenSpec, Protocol, RouteSpec, ServiceSpec, Span,
};
use headgate_net::head::Method;
use std::fmt::Write;

pub(super) fn explain(
    config: &Config,
    snapshot: &Snapshot,
    index: usize,
    question: &Question<'_>,
    ask: &Ask<'_>,
    listener: Option<&ListenSpec>,
    out: &mut String,
) -> Result<(), Failure> {
    let (route, spec) = (&snapshot.routes[index], &config.routes[index]);
    let Some(matched) = snapshot.table.find(ask) else { return Ok(()) };
    match &route.action {
        Action::Respond { status, body, .. } => {
            writeln!(out, "answer     {status}, {} bytes, from the configuration", body.len())?;
        }
        Action::Redirect { to, status, .. } => {
            let mut target = Vec::new();
            to.expand(ask, &matched.captures, &mut target);
            writeln!(out, "answer     {status}, to {}", String::from_utf8_lossy(&target))?;
        }
        Action::Service(service) => {
            let service = &snapshot.services[*service];
            explain_request(config, route, spec, question, ask, &matched, listener, out)?;
            let original = config.services.get(&*service.state.name);
            explain_service(snapshot, service, original.unwrap_or(&service.state.spec), spec, question, out)?;
        }
    }
    if spec.response_headers != HeaderEdits::default() {
        writeln!(out, "response")?;
    }
    edits(&spec.response_headers, out)
}

/// The request as the service sees it.
#[expect(clippy::too_many_arguments, reason = "each is one part of what decides it")]
fn explain_request(
    config: &Config,
    route: &Route,
    spec: &RouteSpec,
    question: &Question<'_>,
    ask: &Ask<'_>,
    matched: &Match,
    listener: Option<&ListenSpec>,
    out: &mut String,
) -> Result<(), Failure> {
    let mut path = Vec::new();
    let stripped = route.strip.as_ref().and_then(|strip| start_len(ask.path, strip));
    let how = match (&route.rewrite, stripped) {
        (Some(rewrite), _) => {
            rewrite.expand(ask, &matched.captures, &mut path);
            "rewritten"
        }
        (None, Some(len)) => {
            let left = &ask.path[len..];
            if !left.starts_with(b"/") {
                path.push(b'/');
            }
            path.extend_from_slice(left);
            "stripped"
        }
        _ => {
            path.extend_from_slice(ask.path);
            "as sent"
        }
    };
    if !path.starts_with(b"/") || has_dot_segment(&path) {
        writeln!(out, "refused    400: this path would become another one at the endpoint")?;
    }
    let query = question.query.map(|query| format!("?{query}")).unwrap_or_default();
    writeln!(out, "request    {} {}{query} ({how})", question.method, String::from_utf8_lossy(&path))?;
    let host = spec.host.as_deref().unwrap_or(question.host);
    writeln!(out, "  host     {host}{}", if spec.host.is_some() { " (the route's)" } else { "" })?;
    let written = match listener.map(|listener| listener.forwarded).unwrap_or_default() {
        ForwardedFields::XForwarded => "x-forwarded-for, x-forwarded-proto, x-forwarded-host",
        ForwardedFields::Forwarded => "forwarded",
        ForwardedFields::Both => "x-forwarded-for, x-forwarded-proto, x-forwarded-host, forwarded",
    };
    let certificate = match listener.map(|listener| listener.client_cert).unwrap_or_default() {
        ClientCertFields::Drop => "",
        ClientCertFields::Leaf => "; its certificate by client-cert",
        ClientCertFields::Chain => "; its certificates by client-cert, client-cert-chain",
        ClientCertFields::Pass => "; client-cert, client-cert-chain as a trusted proxy sent them",
    };
    writeln!(out, "  client   told by {written}{certificate}")?;
    if config.trace.create {
        writeln!(out, "  trace    traceparent")?;
    }
    if let Some(id) = &config.trace.request_id {
        writeln!(out, "  id       {id}")?;
    }
    edits(&spec.request_headers, out)
}

/// One line for each edit, in the order in which they are applied.
fn edits(edits: &HeaderEdits, out: &mut String) -> Result<(), Failure> {
    for name in &edits.remove {
        writeln!(out, "  remove   {name}")?;
    }
    for (what, fields) in [("set", &edits.set), ("add", &edits.add)] {
        for (name, value) in fields {
            let lower = name.to_ascii_lowercase();
            let secret = ["authorization", "token", "api-key", "secret", "password", "cookie"];
            let value = if secret.iter().any(|word| lower.contains(word)) { "***" } else { value };
            writeln!(out, "  {what:<8} {name}: {value}")?;
        }
    }
    Ok(())
}

fn explain_service(
    snapshot: &Snapshot,
    service: &Service,
    original: &ServiceSpec,
    route: &RouteSpec,
    question: &Question<'_>,
    out: &mut String,
) -> Result<(), Failure> {
    let state = &service.state;
    // With what the profile adds.
    let spec = &state.spec;
    writeln!(out, "service    {}", state.name)?;
    for endpoint in &state.endpoints {
        writeln!(out, "  endpoint {} weight {}", endpoint.name, endpoint.weight())?;
    }
    if let Some(source) = &spec.discover {
        writeln!(out, "  endpoint as {source} says, found while running")?;
    }
    let why = if spec.balance.is_some() { "named by the service" } else { "the profile's" };
    let policy = service.balance.policy;
    let key = if matches!(policy, BalancePolicy::RingHash | BalancePolicy::Maglev | BalancePolicy::Rendezvous)
    {
        format!(" by {}", as_written(&service.hash_key)?)
    } else {
        String::new()
    };
    writeln!(
        out,
        "balance    {}{key} ({why}; profile {})",
        as_written(&policy)?,
        as_written(&snapshot.config.profile)?
    )?;
    let protocol = match (original.protocol, &original.tls) {
        (Protocol::Http1, None) => "HTTP/1.1",
        (Protocol::Http1, Some(_)) => "HTTP/1.1 over TLS",
        (Protocol::Http2, None) => "HTTP/2 with prior knowledge",
        (Protocol::Http2, Some(_)) => "HTTP/2 over TLS",
    };
    let proxy = match original.proxy_protocol {
        None => String::new(),
        Some(version) => format!(", behind a PROXY header {}", as_written(&version)?),
    };
    writeln!(out, "protocol   {protocol}{proxy}")?;
    writeln!(out, "cache      {}", cache(snapshot, route, question)?)?;
    explain_time(spec, route, out)?;
    explain_retry(spec, question, out)?;
    explain_protection(spec, out)?;
    writeln!(out, "fallback   {}", fallback(original.fallback.as_ref()))?;
    explain_chaos(snapshot, service, route, out)
}

/// What the cache does for a request of this method.
fn cache(snapshot: &Snapshot, route: &RouteSpec, question: &Question<'_>) -> Result<String, Failure> {
    let Some(settings) = route.cache.as_ref().and_then(CacheChoice::settings) else {
        return Ok("off".to_owned());
    };
    if !matches!(question.method, "GET" | "HEAD") {
        return Ok(format!("not for {}; a change that succeeds takes away what is stored", question.method));
    }
    let fresh = match settings.ttl {
        Some(ttl) => format!("{} where the response says nothing", as_written(&ttl)?),
        None => "as the response says, or a tenth of the time since Last-Modified".to_owned(),
    };
    let whose = settings.identity.map_or(String::new(), |identity| format!(", apart by {identity}"));
    let eviction = as_written(&snapshot.config.cache.eviction)?;
    Ok(format!("fresh {fresh}{whose}; eviction {eviction}"))
}

fn explain_time(spec: &ServiceSpec, route: &RouteSpec, out: &mut String) -> Result<(), Failure> {
    let or_none = |span: Span<0>| if span.0.is_zero() { Ok("none".to_owned()) } else { as_written(&span) };
    let (total, whose) =
        if route.timeout.0.is_zero() { (spec.timeouts.total, "") } else { (route.timeout, " (the route's)") };
    writeln!(
        out,
        "timeouts   connect {}, first byte {}, each try {}, total {}{whose}",
        as_written(&spec.timeouts.connect)?,
        as_written(&spec.timeouts.first_byte)?,
        or_none(spec.timeouts.per_try)?,
        or_none(total)?
    )?;
    Ok(())
}

/// What is tried again, for a request of this method.
fn explain_retry(spec: &ServiceSpec, question: &Question<'_>, out: &mut String) -> Result<(), Failure> {
    let retry = &spec.retry;
    if retry.attempts == 1 {
        writeln!(out, "retry      off")?;
        return Ok(());
    }
    let idempotent = Method::of(question.method.as_bytes()).is_idempotent();
    let statuses: Vec<String> = retry.statuses.iter().map(u16::to_string).collect();
    let when = match (idempotent, statuses.is_empty()) {
        (true, true) => "after a failed or broken connection".to_owned(),
        (true, false) => format!("after a failed or broken connection or {}", statuses.join(", ")),
        (false, _) => format!("only before anything was delivered ({} is not idempotent)", question.method),
    };
    writeln!(
        out,
        "retry      {} attempts in all, {when}; backoff {} to {}, budget {} %",
        retry.attempts,
        as_written(&retry.backoff)?,
        as_written(&retry.backoff_max)?,
        retry.budget_percent
    )?;
    Ok(())
}

fn explain_protection(spec: &ServiceSpec, out: &mut String) -> Result<(), Failure> {
    let off = || "off".to_owned();
    let health = match &spec.health {
        None => off(),
        Some(Health::Path(path)) => format!("GET {path}, every 2s"),
        Some(Health::Full { kind, path, interval, .. }) => {
            format!(
                "{} {}, every {}",
                as_written(kind)?,
                path.as_deref().unwrap_or(""),
                as_written(interval)?
            )
        }
    };
    let outlier = match &spec.outlier {
        None => off(),
        Some(outlier) => format!(
            "out for {} after {} failures in a row, at most {} % of the endpoints",
            as_written(&outlier.ejection)?,
            outlier.consecutive_failures,
            outlier.max_ejected_percent
        ),
    };
    let breaker = match &spec.breaker {
        None => off(),
        Some(breaker) => format!(
            "opens for {} at {} % failures of {} requests or more in {}",
            as_written(&breaker.open)?,
            breaker.failure_percent,
            breaker.minimum_requests,
            as_written(&breaker.window)?
        ),
    };
    let bulkhead = match &spec.bulkhead {
        None => off(),
        Some(bulkhead) => format!(
            "{} in flight, {} may wait for {}",
            bulkhead.in_flight,
            bulkhead.queue,
            as_written(&bulkhead.queue_timeout)?
        ),
    };
    let sticky = spec.sticky.as_ref().map_or_else(off, |sticky| format!("by the cookie {}", sticky.cookie));
    for (name, text) in [
        ("health", health),
        ("outlier", outlier),
        ("breaker", breaker),
        ("bulkhead", bulkhead),
        ("sticky", sticky),
    ] {
        writeln!(out, "{name:<10} {text}")?;
    }
    Ok(())
}

/// The rules of the file that may hit an attempt.
fn explain_chaos(
    snapshot: &Snapshot,
    service: &Service,
    route: &RouteSpec,
    out: &mut String,
) -> Result<(), Failure> {
    let route = route.name.as_ref().unwrap_or(&route.pattern);
    let fits = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
    for rule in &snapshot.config.chaos {
        if !fits(&rule.route, route) || !fits(&rule.service, &service.state.name) {
            continue;
        }
        let endpoint = rule.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
        let fault = serde_json::to_string(&rule.fault)?;
        writeln!(out, "chaos      {}: {fault} for {} % of the attempts{endpoint}", rule.name, rule.percent)?;
    }
    Ok(())
}

fn fallback(fallback: Option<&Fallback>) -> String {
    let Some(fallback) = fallback else { return "off: an error page".to_owned() };
    let status = fallback.status.unwrap_or(503);
    match (&fallback.service, &fallback.body, &fallback.file) {
        (Some(service), ..) => format!("service {service}, for what is safe to repeat"),
        (_, Some(body), _) => format!("{status}, {} from the configuration", size(body.len() as u64)),
        (_, _, Some(file)) => format!("{status}, the file {file}"),
        _ => "off: an error page".to_owned(),
    }
}
