//! `upstream` blocks: endpoints, and how one is chosen.

use super::parse::Directive;
use super::{Upstream, variables};
use crate::draft::Draft;
use crate::quantity::duration;
use headgate_model::spec::{Balance, BalancePolicy, HashKey, Outlier, ServiceSpec, Span};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn upstream(block: &Directive, draft: &mut Draft) -> Upstream {
    let mut spec = ServiceSpec::default();
    let mut backup = ServiceSpec::default();
    let mut outlier = None;
    for directive in block.block.iter().flatten() {
        let (line, first) = (directive.line, directive.arg(0));
        match directive.name.as_str() {
            "server" => server(directive, &mut spec, &mut backup, &mut outlier, draft),
            "least_conn" => spec.balance = Some(Balance::Name(BalancePolicy::LeastRequests)),
            "ip_hash" => {
                spec.balance = Some(hashed(HashKey::ClientAddress));
                draft.approximated(
                    line,
                    "ip_hash: hashes the whole client address, not its first three bytes",
                );
            }
            "hash" => match variables::hash_key(first) {
                Some(key) => {
                    spec.balance = Some(hashed(key));
                    if directive.arg(1) != "consistent" {
                        draft.approximated(line, format!("{}: by a consistent hash", directive.shown()));
                    }
                }
                None if first == "$request_uri" => {
                    spec.balance = Some(hashed(HashKey::Path));
                    draft.approximated(
                        line,
                        format!("{}: hashes the path without the query", directive.shown()),
                    );
                }
                None => draft.untranslated(line, format!("{}: no such hash key", directive.shown())),
            },
            "random" => {
                let policy = if first == "two" { BalancePolicy::P2c } else { BalancePolicy::Random };
                spec.balance = Some(Balance::Name(policy));
            }
            "keepalive" => match first.parse() {
                Ok(idle) => spec.pool.idle = idle,
                Err(_) => draft.untranslated(line, format!("{}: not a number", directive.shown())),
            },
            "keepalive_timeout" => match duration(first, SECOND).filter(|timeout| !timeout.is_zero()) {
                Some(timeout) => spec.pool.idle_timeout = Span(timeout),
                None => draft.untranslated(line, format!("{}: not a duration", directive.shown())),
            },
            "keepalive_requests" => match first.parse() {
                Ok(requests) => spec.pool.requests = requests,
                Err(_) => draft.untranslated(line, format!("{}: not a number", directive.shown())),
            },
            "zone" => draft.unneeded(line, format!("{}: workers share what they know", directive.shown())),
            _ => draft.untranslated(line, format!("{}: no counterpart", directive.shown())),
        }
    }
    spec.outlier = outlier;
    let backup = (!backup.endpoints.is_empty()).then_some(backup);
    if backup.is_some() {
        let text = "backup servers: a service of their own, which answers when the others cannot";
        draft.approximated(block.line, text);
    }
    Upstream { spec, backup }
}

fn hashed(key: HashKey) -> Balance {
    Balance::Full { policy: BalancePolicy::RingHash, key: Some(key), bounded_load: 0.0 }
}

fn server(
    directive: &Directive,
    spec: &mut ServiceSpec,
    backup: &mut ServiceSpec,
    outlier: &mut Option<Outlier>,
    draft: &mut Draft,
) {
    let line = directive.line;
    let (mut weight, mut is_backup) = (None, false);
    for option in directive.args.iter().skip(1) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "weight" => match value.parse::<u32>() {
                Ok(value) => weight = Some(value),
                Err(_) => draft.untranslated(line, format!("{option}: not a weight")),
            },
            "backup" => is_backup = true,
            "down" => weight = Some(0),
            "max_fails" => match value.parse() {
                Ok(fails) => outlier.get_or_insert_with(Outlier::default).consecutive_failures = fails,
                Err(_) => draft.untranslated(line, format!("{option}: not a number")),
            },
            "fail_timeout" => match duration(value, SECOND).filter(|timeout| !timeout.is_zero()) {
                Some(timeout) => outlier.get_or_insert_with(Outlier::default).ejection = Span(timeout),
                None => draft.untranslated(line, format!("{option}: not a duration")),
            },
            "slow_start" => match duration(value, SECOND) {
                Some(time) => spec.slow_start = Span(time),
                None => draft.untranslated(line, format!("{option}: not a duration")),
            },
            "max_conns" => {
                draft.untranslated(
                    line,
                    format!("{option}: the service's bulkhead.in_flight limits all endpoints together"),
                );
            }
            _ => draft.untranslated(line, format!("{option}: no counterpart")),
        }
        if matches!(name, "max_fails" | "fail_timeout") {
            draft.approximated(
                line,
                format!("{option}: failures in a row of any endpoint of the service (outlier)"),
            );
        }
    }
    let address = with_port(directive.arg(0), 80);
    if let Some(endpoint) = draft.endpoint(line, &address, weight) {
        draft.push_endpoint(line, if is_backup { backup } else { spec }, endpoint);
    }
}

/// NGINX addresses may lack a port.
pub(super) fn with_port(address: &str, port: u16) -> String {
    let host_only = if address.starts_with('[') { address.ends_with(']') } else { !address.contains(':') };
    if host_only { format!("{address}:{port}") } else { address.to_owned() }
}
