//! `backend` sections: the service they make, and what they change in a message.

use super::guard::{GUARDED, is_guard};
use super::header::{forwarded_for, header_edit, remove_too};
use super::parse::Line;
use super::pool::{Check, fill};
use super::server::{Server, idle_tls};
use crate::draft::Draft;
use crate::quantity::duration;
use headgate_model::spec::{
    Balance, BalancePolicy, Bulkhead, Fallback, HashKey, HeaderEdits, RouteSpec, ServiceSpec, Span, Sticky,
};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// A backend as a route uses it.
#[derive(Clone, Default)]
pub(super) struct Backend {
    pub(super) service: Option<String>,
    /// A rule keeps requests away from it that cannot be said, or keeps away all of them.
    pub(super) refused: bool,
    /// `timeout tunnel`: Headgate's is the listener's.
    pub(super) tunnel: Option<Duration>,
    host: Option<String>,
    request_headers: HeaderEdits,
    response_headers: HeaderEdits,
}

impl Backend {
    pub(super) fn apply(&self, route: &mut RouteSpec) {
        route.service.clone_from(&self.service);
        route.host.clone_from(&self.host);
        for (own, theirs) in [
            (&mut route.request_headers, &self.request_headers),
            (&mut route.response_headers, &self.response_headers),
        ] {
            remove_too(own, &theirs.remove);
            own.set.extend(theirs.set.clone());
            own.add.extend(theirs.add.clone());
        }
    }
}

/// What the lines of a backend say before its servers are looked at together.
#[derive(Default)]
struct Plan {
    spec: ServiceSpec,
    servers: Vec<Server>,
    check: Check,
    never_repeats: bool,
}

pub(super) fn backend(name: &str, number: usize, lines: &[Line], draft: &mut Draft) -> Backend {
    let mut plan = Plan::default();
    let mut backend = Backend::default();
    for line in lines {
        match line.word(0) {
            "server" | "server-template" | "default-server" => {}
            _ if is_guard(line) => {
                backend.refused = true;
                if line.split_condition().1.is_empty() && line.word(1) == "deny" {
                    draft.approximated(line.number, format!("{}: answered 403", line.shown()));
                } else {
                    draft.closes(line.number, format!("{}: {GUARDED}", line.shown()));
                }
            }
            "http-request" | "http-response" => edit(line, &mut backend, draft),
            "option" if line.word(1) == "forwardfor" => {
                forwarded_for(line, &mut backend.request_headers, draft);
            }
            "timeout" if line.word(1) == "tunnel" => tunnel(line, number, &mut backend, draft),
            _ => setting(line, &mut plan, draft),
        }
    }
    servers(lines, &mut plan, draft);
    backend.service = service(name, number, plan, draft);
    backend
}

/// `section` is the line that the backend begins with.
fn tunnel(line: &Line, section: usize, backend: &mut Backend, draft: &mut Draft) {
    let shown = line.shown();
    match duration(line.word(2), MS).filter(|time| !time.is_zero()) {
        Some(time) => {
            backend.tunnel = Some(time);
            // That of `defaults` is everybody's.
            if line.number > section {
                let text = format!(
                    "{shown}: of the listeners that lead here; of several backends the longest counts"
                );
                draft.approximated(line.number, text);
            }
        }
        None => draft.untranslated(line.number, format!("{shown}: not a duration")),
    }
}

/// The lines on servers. Where a template looks them up, there are no others: a service has either.
fn servers(lines: &[Line], plan: &mut Plan, draft: &mut Draft) {
    for line in lines.iter().filter(|line| line.word(0) == "server-template") {
        template(line, &mut plan.spec, draft);
    }
    let last = lines.iter().rposition(|line| line.word(0).starts_with("server"));
    let mut default = Server::default();
    for (at, line) in lines.iter().enumerate() {
        match line.word(0) {
            "default-server" if last.is_some_and(|last| at > last) => {
                draft.unneeded(line.number, format!("{}: no server comes after it", line.shown()));
            }
            "default-server" => default.take(line, line.rest(1), plan.spec.sticky.is_some(), draft),
            "server" if plan.spec.discover.is_some() => {
                let text = format!("{}: beside a server-template, whose servers are looked up", line.shown());
                draft.untranslated(line.number, text);
            }
            "server" | "server-template" => {
                let server = default.read(line, plan.spec.sticky.is_some(), draft);
                if server.endpoint.is_some() || line.word(0) == "server-template" {
                    plan.servers.push(server);
                }
            }
            _ => {}
        }
    }
    if plan.servers.iter().all(|server| server.transport().tls.is_none()) {
        lines.iter().filter(|line| line.word(0) == "default-server").for_each(|line| idle_tls(line, draft));
    }
}

/// `server-template`: where the servers are looked up.
fn template(line: &Line, spec: &mut ServiceSpec, draft: &mut Draft) {
    let source = line.word(3);
    let text = if source.starts_with('_') { format!("srv:{source}") } else { format!("dns:{source}") };
    match text.parse::<headgate_model::discover::Discover>() {
        Ok(_) if spec.discover.as_ref().is_some_and(|other| *other != text) => {
            draft.untranslated(line.number, format!("{}: a service looks up one name", line.shown()));
        }
        Ok(_) => spec.discover = Some(text),
        Err(error) => draft.untranslated(line.number, format!("{}: {error}", line.shown())),
    }
}

/// The service, with its backup servers as one of its own.
fn service(name: &str, number: usize, plan: Plan, draft: &mut Draft) -> Option<String> {
    let mut spec = plan.spec;
    if plan.never_repeats {
        spec.retry.attempts = 1;
    }
    let (backups, servers): (Vec<Server>, Vec<Server>) =
        plan.servers.into_iter().partition(|server| server.backup && server.endpoint.is_some());
    let (first, second) = if servers.is_empty() { (backups, servers) } else { (servers, backups) };
    if !second.is_empty() {
        let mut backup = ServiceSpec { discover: None, ..spec.clone() };
        fill(&mut backup, &second, &plan.check, draft);
        if let Some(service) = draft.service(number, &format!("{name}-backup"), backup) {
            spec.fallback = Some(Fallback { service: Some(service), ..Fallback::default() });
            draft.approximated(
                number,
                format!("backup servers of {name}: a service that answers when the others cannot"),
            );
        }
    }
    fill(&mut spec, &first, &plan.check, draft);
    draft.service(number, name, spec)
}

fn setting(line: &Line, plan: &mut Plan, draft: &mut Draft) {
    let (number, shown) = (line.number, line.shown());
    let spec = &mut plan.spec;
    let time = |at: usize| duration(line.word(at), MS).filter(|time| !time.is_zero());
    if line.word(0) == "timeout" && time(2).is_none() {
        draft.untranslated(number, format!("{shown}: not a duration"));
        return;
    }
    match (line.word(0), line.word(1)) {
        ("balance", policy) => match balance(policy) {
            Some(balance) => {
                spec.balance = Some(balance);
                if policy == "source" || policy == "uri" || policy.starts_with("hdr(") {
                    draft.approximated(number, format!("{shown}: by a consistent hash"));
                }
            }
            None => draft.untranslated(number, format!("{shown}: no such policy")),
        },
        ("hash-type", "consistent") => draft.unneeded(number, format!("{shown}: every hash of Headgate is")),
        ("hash-type", _) => draft.approximated(number, format!("{shown}: a consistent hash")),
        ("timeout", "connect") => spec.timeouts.connect = time(2).map_or(Span::default(), Span),
        ("timeout", "server") => {
            spec.timeouts.first_byte = time(2).map_or(Span::default(), Span);
            let text =
                format!("{shown}: counts to the first byte; afterwards the listener's timeouts.body does");
            draft.approximated(number, text);
        }
        ("timeout", "queue") => {
            let bulkhead = spec.bulkhead.get_or_insert_with(Bulkhead::default);
            bulkhead.queue_timeout = time(2).map_or(Span::default(), Span);
            draft.approximated(
                number,
                format!("{shown}: of the service's bulkhead, which has limits of its own"),
            );
        }
        ("timeout", "check") => plan.check.timeout = time(2),
        ("option", "httpchk") => {
            let path = if line.words.len() > 3 { line.word(3) } else { line.word(2) };
            let path = if path.starts_with('/') { path } else { "/" };
            let host = line
                .words
                .iter()
                .find_map(|word| word.split_once("Host:"))
                .map(|(_, host)| host.trim().to_owned());
            plan.check.http = Some((path.to_owned(), host));
            if matches!(line.word(2), "HEAD" | "OPTIONS" | "POST") || line.words.len() == 2 {
                draft.approximated(number, format!("{shown}: checks are GET requests"));
            }
        }
        ("http-check", "send") => {
            let after = |name: &str| {
                line.words.iter().position(|word| word == name).map(|at| line.word(at + 1).to_owned())
            };
            let host = line.words.iter().position(|word| word.eq_ignore_ascii_case("host"));
            let host = host.map(|at| line.word(at + 1).to_owned());
            let known =
                |word: &String| matches!(word.as_str(), "meth" | "GET" | "uri" | "hdr" | "ver" | "HTTP/1.1");
            if plan.check.http.is_none() || !line.rest(2).iter().step_by(2).all(known) {
                draft.approximated(number, format!("{shown}: the path and the host of it, for GET requests"));
            }
            if let Some((path, old)) = &mut plan.check.http {
                *path = after("uri").filter(|uri| uri.starts_with('/')).unwrap_or_else(|| path.clone());
                *old = host.or_else(|| old.clone());
            }
        }
        ("retries", tries) => match tries.parse::<u8>() {
            Ok(tries @ 0..=9) => spec.retry.attempts = tries + 1,
            _ => draft.untranslated(number, format!("{shown}: Headgate makes 1 to 10 attempts")),
        },
        ("retry-on", _) => retry_on(line, plan, draft),
        ("cookie", name) if headgate_model::grammar::is_token(name) => {
            let secret = "${STICKY_SECRET}".to_owned();
            spec.sticky = Some(Sticky { cookie: name.to_owned(), secret, ttl: Span::default() });
            let text = format!("{shown}: a signed cookie; set STICKY_SECRET to at least 16 bytes");
            draft.approximated(number, text);
        }
        ("fullconn", _) => {
            draft.untranslated(number, format!("{shown}: bulkhead.in_flight limits a service"))
        }
        ("mode", "http")
        | ("option", "redispatch" | "http-server-close" | "http-keep-alive" | "prefer-last-server") => {
            draft.unneeded(number, format!("{shown}: Headgate does so anyway"));
        }
        ("http-reuse", _) => {
            draft.unneeded(number, format!("{shown}: Headgate shares idle connections safely"))
        }
        _ => super::leftover(line, draft),
    }
}

/// `retry-on`: what is worth another attempt, which Headgate makes only where that is safe.
fn retry_on(line: &Line, plan: &mut Plan, draft: &mut Draft) {
    let number = line.number;
    plan.never_repeats = false;
    plan.spec.retry.statuses.clear();
    for event in line.rest(1) {
        match (event.as_str(), event.parse::<u16>()) {
            (_, Ok(status @ 400..600)) => plan.spec.retry.statuses.push(status),
            ("none", _) => plan.never_repeats = true,
            ("conn-failure" | "empty-response" | "response-timeout", _) => {
                draft.unneeded(number, format!("retry-on {event}: repeated anyway, where that is safe"));
            }
            ("all-retryable-errors", _) => {
                plan.spec.retry.statuses.extend([500, 502, 503, 504]);
                let text = "retry-on all-retryable-errors: 500, 502, 503, 504 and failed connections, for requests \
                            that are safe to repeat";
                draft.approximated(number, text);
            }
            _ => draft.untranslated(number, format!("retry-on {event}: no counterpart")),
        }
    }
    plan.spec.retry.statuses.sort_unstable();
    plan.spec.retry.statuses.dedup();
}

fn balance(policy: &str) -> Option<Balance> {
    let hashed = |key| Balance::Full { policy: BalancePolicy::RingHash, key: Some(key), bounded_load: 0.0 };
    Some(match policy {
        "roundrobin" | "static-rr" => Balance::Name(BalancePolicy::RoundRobin),
        "leastconn" => Balance::Name(BalancePolicy::LeastRequests),
        "random" | "random(2)" => Balance::Name(BalancePolicy::P2c),
        "random(1)" => Balance::Name(BalancePolicy::Random),
        "source" => hashed(HashKey::ClientAddress),
        "uri" => hashed(HashKey::Path),
        _ => {
            let name = policy.strip_prefix("hdr(")?.strip_suffix(')')?;
            headgate_model::grammar::is_token(name)
                .then(|| hashed(HashKey::Header(name.to_ascii_lowercase())))?
        }
    })
}

/// `http-request` and `http-response` rules that change a message.
fn edit(line: &Line, backend: &mut Backend, draft: &mut Draft) {
    let (rule, condition) = line.split_condition();
    let word = |at: usize| rule.get(at).map_or("", String::as_str);
    let fixed_host =
        word(1) == "set-header" && word(2).eq_ignore_ascii_case("host") && !word(3).contains('%');
    if word(0) == "http-request" && fixed_host && condition.is_empty() {
        if headgate_model::grammar::is_host_name(word(3)) {
            backend.host = Some(word(3).to_owned());
        } else {
            draft.untranslated(line.number, format!("{}: not a host", line.shown()));
        }
        return;
    }
    let edits =
        if word(0) == "http-request" { &mut backend.request_headers } else { &mut backend.response_headers };
    header_edit(line, edits, draft);
}
