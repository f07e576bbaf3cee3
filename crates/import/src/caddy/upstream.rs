//! `reverse_proxy`: the service it makes, and the headers it changes.

use super::parse::Directive;
use crate::draft::{Draft, is_forwarding, of_certificates};
use crate::quantity::duration;
use headgate_model::spec::{
    Balance, BalancePolicy, HashKey, HeaderEdits, Health, HealthKind, Outlier, Protocol, RouteSpec,
    ServiceSpec, Span, Sticky, UpstreamTls,
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Fills a route with the service, or notes why there is none.
pub(super) fn reverse_proxy(
    directive: &Directive,
    upstreams: &[String],
    route: &mut RouteSpec,
    draft: &mut Draft,
) -> bool {
    let mut spec = ServiceSpec::default();
    let mut addresses: Vec<String> = upstreams.to_vec();
    let mut probe: Option<(String, Duration, Duration)> = None;
    for line in &directive.block {
        option(line, &mut spec, &mut addresses, &mut probe, route, draft);
    }
    if let Some((path, interval, timeout)) = probe {
        spec.health = Some(if (interval, timeout) == DEFAULT_PROBE {
            Health::Path(path)
        } else {
            let (kind, host) = (HealthKind::Http, None);
            let (interval, timeout) = (Span(interval), Span(timeout));
            Health::Full {
                kind,
                path: Some(path),
                host,
                interval,
                timeout,
                healthy_after: 2,
                unhealthy_after: 3,
            }
        });
    }
    let mut base = String::new();
    for address in &addresses {
        let Some(address) = dial(directive.line, address, &mut spec, draft) else { continue };
        if let Some(endpoint) = draft.endpoint(directive.line, &address, None) {
            if base.is_empty() {
                base = address.trim_start_matches("https://").trim_start_matches("unix:").to_owned();
            }
            draft.push_endpoint(directive.line, &mut spec, endpoint);
        }
    }
    if spec.discover.is_some() {
        spec.endpoints.clear();
    }
    let base = if base.is_empty() { "service".to_owned() } else { base };
    let base = base.strip_prefix(':').map_or(base.clone(), |port| format!("local-{port}"));
    route.service = draft.service(directive.line, &base, spec);
    route.service.is_some()
}

/// What stands for "the defaults of Headgate": two seconds and one.
const DEFAULT_PROBE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(1));

/// Caddy's address forms in Headgate's.
fn dial(line: usize, address: &str, spec: &mut ServiceSpec, draft: &mut Draft) -> Option<String> {
    if let Some(path) = address.strip_prefix("unix/").or(address.strip_prefix("unix//").map(|_| address)) {
        return Some(format!("unix:/{}", path.trim_start_matches('/')));
    }
    if address.contains(['{', '}']) {
        draft.untranslated(line, format!("{address}: an address with placeholders"));
        return None;
    }
    if let Some(rest) = address.strip_prefix("h2c://") {
        spec.protocol = Protocol::Http2;
        return Some(rest.to_owned());
    }
    let scheme = address.contains("://");
    Some(if scheme || address.contains(':') { address.to_owned() } else { format!("{address}:80") })
}

fn option(
    line: &Directive,
    spec: &mut ServiceSpec,
    addresses: &mut Vec<String>,
    probe: &mut Option<(String, Duration, Duration)>,
    route: &mut RouteSpec,
    draft: &mut Draft,
) {
    let number = line.line;
    // No other option is read with what stands in its braces; the last arm notes those that are not read.
    if matches!(line.word(0), "to" | "lb_policy" | "dynamic" | "header_up" | "header_down") {
        for inner in &line.block {
            let whole = if inner.block.is_empty() { "" } else { "the whole block; " };
            draft.untranslated(inner.line, format!("{}: {whole}no counterpart", inner.shown()));
        }
    }
    let time = duration(line.word(1), SECOND).filter(|time| !time.is_zero());
    let fresh = || ("/".to_owned(), Duration::from_secs(30), Duration::from_secs(5));
    match (line.word(0), time) {
        // Read where the listener is known.
        ("trusted_proxies", _) => {}
        ("to", _) => addresses.extend(line.rest(1).iter().cloned()),
        ("lb_policy", _) => lb_policy(line, spec, draft),
        ("lb_retries", _) => match line.word(1).parse::<u8>() {
            Ok(retries @ 0..=9) => spec.retry.attempts = retries + 1,
            _ => draft.untranslated(number, format!("{}: Headgate makes 1 to 10 attempts", line.shown())),
        },
        ("health_uri", _) => {
            let path = line.word(1).split('?').next().unwrap_or_default();
            if path.starts_with('/') && headgate_model::grammar::path_fault(path).is_none() {
                probe.get_or_insert_with(fresh).0 = path.to_owned();
            } else {
                draft.untranslated(number, format!("{}: not a path", line.shown()));
            }
        }
        ("health_interval", Some(time)) => probe.get_or_insert_with(fresh).1 = time,
        ("health_timeout", Some(time)) => probe.get_or_insert_with(fresh).2 = time,
        ("fail_duration", Some(time)) => {
            spec.outlier.get_or_insert_with(Outlier::default).ejection = Span(time);
            draft.approximated(number, format!("{}: for failures in a row (outlier)", line.shown()));
        }
        ("max_fails", _) => match line.word(1).parse() {
            Ok(fails) => spec.outlier.get_or_insert_with(Outlier::default).consecutive_failures = fails,
            Err(_) => draft.untranslated(number, format!("{}: not a number", line.shown())),
        },
        ("header_up", _) => header_up(line, route, draft),
        ("header_down", _) => header(line, line.rest(1), &mut route.response_headers, draft),
        ("flush_interval", _) => {
            draft.unneeded(number, format!("{}: Headgate does not hold pieces back", line.shown()))
        }
        ("transport", _) if line.word(1) == "http" => {
            line.block.iter().for_each(|line| transport(line, spec, draft))
        }
        ("dynamic", _) => {
            let text = match line.rest(1) {
                [kind, name] if kind == "srv" => format!("srv:{name}"),
                [kind, name, port] if kind == "a" => format!("dns:{name}:{port}"),
                _ => String::new(),
            };
            match text.parse::<headgate_model::discover::Discover>() {
                Ok(_) => spec.discover = Some(text),
                Err(_) => draft.untranslated(number, format!("{}: no such source", line.shown())),
            }
        }
        _ => {
            let whole = if line.block.is_empty() { "" } else { "the whole block; " };
            draft.untranslated(number, format!("{}: {whole}no counterpart", line.shown()));
        }
    }
}

fn lb_policy(line: &Directive, spec: &mut ServiceSpec, draft: &mut Draft) {
    let hashed = |key| Balance::Full { policy: BalancePolicy::Rendezvous, key: Some(key), bounded_load: 0.0 };
    let argument = line.word(2);
    let token = headgate_model::grammar::is_token(argument);
    spec.balance = Some(match line.word(1) {
        "random" => Balance::Name(BalancePolicy::Random),
        "random_choose" => Balance::Name(BalancePolicy::P2c),
        "round_robin" | "weighted_round_robin" => Balance::Name(BalancePolicy::RoundRobin),
        "least_conn" => Balance::Name(BalancePolicy::LeastRequests),
        "ip_hash" | "client_ip_hash" => hashed(HashKey::ClientAddress),
        "uri_hash" => hashed(HashKey::Path),
        "header" if token => hashed(HashKey::Header(argument.to_ascii_lowercase())),
        "cookie" => {
            let cookie = if token { argument.to_owned() } else { "lb".to_owned() };
            spec.sticky =
                Some(Sticky { cookie, secret: "${STICKY_SECRET}".to_owned(), ttl: Span::default() });
            draft.approximated(
                line.line,
                format!("{}: a signed cookie; set STICKY_SECRET to at least 16 bytes", line.shown()),
            );
            return;
        }
        _ => {
            draft.untranslated(line.line, format!("{}: no such policy", line.shown()));
            return;
        }
    });
    if line.word(1) == "weighted_round_robin" {
        draft.untranslated(line.line, "the weights: write them at the endpoints");
    }
}

fn transport(line: &Directive, spec: &mut ServiceSpec, draft: &mut Draft) {
    let time = duration(line.word(1), SECOND).filter(|time| !time.is_zero());
    let tls = || UpstreamTls::default();
    match (line.word(0), time) {
        ("tls", _) => {
            spec.tls.get_or_insert_with(tls);
        }
        ("tls_insecure_skip_verify", _) => {
            let tls = spec.tls.get_or_insert_with(tls);
            (tls.verify, tls.ca) = (false, None);
        }
        ("tls_server_name", _) if headgate_model::grammar::is_host_name(line.word(1)) => {
            spec.tls.get_or_insert_with(tls).sni = Some(line.word(1).to_owned());
        }
        ("tls_trusted_ca_certs", _) if !line.word(1).is_empty() => {
            spec.tls.get_or_insert_with(tls).ca = Some(line.word(1).to_owned());
        }
        ("tls_client_auth", _) if line.words.len() == 3 => {
            let tls = spec.tls.get_or_insert_with(tls);
            (tls.cert, tls.key) = (Some(line.word(1).to_owned()), Some(line.word(2).to_owned()));
        }
        ("dial_timeout", Some(time)) => spec.timeouts.connect = Span(time),
        ("response_header_timeout", Some(time)) => spec.timeouts.first_byte = Span(time),
        ("keepalive", Some(time)) => spec.pool.idle_timeout = Span(time),
        ("keepalive_idle_conns_per_host", _) => match line.word(1).parse() {
            Ok(idle) => spec.pool.idle = idle,
            Err(_) => draft.untranslated(line.line, format!("{}: not a number", line.shown())),
        },
        ("versions", _) if line.rest(1).iter().any(|version| version == "h2c" || version == "2") => {
            spec.protocol = Protocol::Http2;
        }
        ("versions", _) => {}
        _ => draft.untranslated(line.line, format!("{}: no counterpart", line.shown())),
    }
}

fn header_up(line: &Directive, route: &mut RouteSpec, draft: &mut Draft) {
    let (name, value) = (line.word(1), line.word(2));
    match (name.to_ascii_lowercase().as_str(), value) {
        ("host", "{host}" | "{http.request.host}") => {}
        ("host", "{upstream_hostport}") => {
            draft.untranslated(line.line, "header_up Host: write host = \"name\" in the route");
        }
        ("host", value) if headgate_model::grammar::is_host_name(value) => {
            route.host = Some(value.to_owned())
        }
        (_, value) if is_forwarding(name) && value.contains('{') => {
            draft.unneeded(line.line, format!("header_up {name}: Headgate sets it by itself"));
        }
        (_, value) if is_same_field(name, value) => {
            draft.unneeded(line.line, format!("header_up {name} {value}: it is passed on anyway"));
        }
        (_, value) if value.contains(['{', '}']) => {
            unsayable_header(line, name, &mut route.request_headers, draft);
        }
        _ => header(line, line.rest(1), &mut route.request_headers, draft),
    }
}

/// Whether a value is the client's own field of this name.
fn is_same_field(name: &str, value: &str) -> bool {
    let inside = value.strip_prefix('{').and_then(|value| value.strip_suffix('}'));
    let field =
        inside.and_then(|value| value.strip_prefix("header.").or(value.strip_prefix("http.request.header.")));
    field.is_some_and(|field| field.eq_ignore_ascii_case(name))
}

/// A request's field with placeholders. A service may trust a field that no client could set so far.
pub(super) fn unsayable_header(line: &Directive, name: &str, edits: &mut HeaderEdits, draft: &mut Draft) {
    let bare = name.trim_start_matches(['+', '?', '>']);
    draft.remove_header(line.line, edits, bare);
    let text = format!(
        "{}: a value with placeholders; what a client sends under this name is removed{}",
        line.shown(),
        of_certificates(&line.shown())
    );
    draft.untranslated(line.line, text);
}

/// `Name value`, `+Name value`, `-Name`, `?Name value`.
pub(super) fn header(line: &Directive, words: &[String], edits: &mut HeaderEdits, draft: &mut Draft) {
    let number = line.line;
    match words {
        [name] if name.starts_with('-') => draft.remove_header(number, edits, &name[1..]),
        [_, value] if value.contains(['{', '}']) => {
            draft.untranslated(number, format!("{}: a value with placeholders", line.shown()));
        }
        [name, value] => {
            let (add, bare) = match (name.strip_prefix('+'), name.strip_prefix(['?', '>'])) {
                (Some(bare), _) => (true, bare),
                (None, Some(bare)) => {
                    draft.approximated(number, format!("{}: set always", line.shown()));
                    (false, bare)
                }
                _ => (false, name.as_str()),
            };
            draft.header(number, edits, add, bare, value);
        }
        _ => draft.untranslated(number, format!("{}: no counterpart", line.shown())),
    }
}
