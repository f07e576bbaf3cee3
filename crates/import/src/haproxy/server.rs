//! `server` lines and their options.

use super::backend::Plan;
use super::parse::Line;
use crate::draft::Draft;
use crate::quantity::duration;
use headgate_model::spec::{ProxyProtocol, Span, UpstreamTls};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

pub(super) fn server(line: &Line, plan: &mut Plan, draft: &mut Draft) {
    let address = line.word(2);
    let address = address.strip_prefix("ipv4@").or(address.strip_prefix("ipv6@")).unwrap_or(address);
    let address = match (address.strip_prefix("unix@"), address.rsplit_once(':')) {
        (Some(path), _) => format!("unix:{path}"),
        (None, _) if address.starts_with('/') => format!("unix:{address}"),
        (None, Some((ip, port))) if ip.contains(':') && !ip.starts_with('[') => format!("[{ip}]:{port}"),
        _ => address.to_owned(),
    };
    let (weight, backup) = server_options(line, line.rest(3), plan, draft);
    if let Some(endpoint) = draft.endpoint(line.number, &address, weight) {
        let service = if backup { &mut plan.backup } else { &mut plan.spec };
        draft.push_endpoint(line.number, service, endpoint);
    }
}

/// The options of a server; what concerns all of the service goes into the plan.
pub(super) fn server_options(
    line: &Line,
    options: &[String],
    plan: &mut Plan,
    draft: &mut Draft,
) -> (Option<u32>, bool) {
    let (mut weight, mut backup) = (None, false);
    let number = line.number;
    let mut options = options.iter().map(String::as_str);
    while let Some(option) = options.next() {
        let mut value = || options.next().unwrap_or_default();
        match option {
            "check" => plan.checked = true,
            "weight" => match value().parse() {
                Ok(value) => weight = Some(value),
                Err(_) => draft.untranslated(number, "weight: not a number"),
            },
            "backup" => backup = true,
            "disabled" => weight = Some(0),
            "inter" => match duration(value(), MS).filter(|time| !time.is_zero()) {
                Some(time) => {
                    let before = plan.interval.replace(time);
                    for_all(line, option, before.is_some_and(|before| before != time), draft);
                }
                None => draft.untranslated(number, "inter: not a duration"),
            },
            "rise" | "fall" => match value().parse() {
                Ok(count @ 1..=1_000) => {
                    let field = if option == "rise" { &mut plan.rise } else { &mut plan.fall };
                    let before = field.replace(count);
                    for_all(line, option, before.is_some_and(|before| before != count), draft);
                }
                _ => draft.untranslated(number, format!("{option}: not a count from 1 to 1000")),
            },
            "ssl" => {
                if plan.tls.is_none() {
                    let text = "ssl: the certificate is verified unless `verify none` says otherwise";
                    draft.approximated(number, text);
                }
                plan.tls.get_or_insert_with(UpstreamTls::default);
            }
            "verify" => {
                let verify = value() != "none";
                plan.tls.get_or_insert_with(UpstreamTls::default).verify = verify;
            }
            "ca-file" => {
                let file = Some(value().to_owned()).filter(|file| !file.is_empty() && file != "@system-ca");
                plan.tls.get_or_insert_with(UpstreamTls::default).ca = file;
            }
            "sni" | "verifyhost" => {
                let text = value();
                let name = text.strip_prefix("str(").and_then(|text| text.strip_suffix(')')).unwrap_or(text);
                if headgate_model::grammar::is_host_name(name) {
                    plan.tls.get_or_insert_with(UpstreamTls::default).sni = Some(name.to_owned());
                } else {
                    draft.untranslated(number, format!("{option} {text}: SNI is a fixed name"));
                }
            }
            "send-proxy" | "send-proxy-v2" if plan.spec.endpoints.len() + plan.backup.endpoints.len() > 0 => {
                draft.untranslated(
                    number,
                    format!("{option}: it holds for all servers or none; set proxy_protocol by hand"),
                );
            }
            "send-proxy" => plan.spec.proxy_protocol = Some(ProxyProtocol::V1),
            "send-proxy-v2" => plan.spec.proxy_protocol = Some(ProxyProtocol::V2),
            "proto" => match value() {
                "h2" => plan.spec.protocol = headgate_model::spec::Protocol::Http2,
                other => draft.untranslated(number, format!("proto {other}: no counterpart")),
            },
            "slowstart" => plan.spec.slow_start = duration(value(), MS).map_or(Span::default(), Span),
            "pool-max-conn" => match value().parse() {
                Ok(idle) => plan.spec.pool.idle = idle,
                Err(_) => draft.untranslated(number, "pool-max-conn: not a number"),
            },
            "cookie" if plan.spec.sticky.is_some() || plan.cookie => {
                value();
            }
            "maxconn" | "crt" | "alpn" | "observe" | "on-marked-down" | "on-error" | "port" | "addr"
            | "resolvers" | "init-addr" | "resolve-prefer" | "cookie" | "maxqueue" | "fastinter"
            | "downinter" | "id" | "track" | "check-sni" | "error-limit" | "on-marked-up" | "minconn"
            | "pool-purge-delay" => {
                let value = value();
                draft.untranslated(number, format!("{option} {value}: no counterpart for one server"));
            }
            _ => draft.untranslated(number, format!("{option}: no counterpart")),
        }
    }
    if plan.tls.as_ref().is_some_and(|tls| !tls.verify)
        && let Some(tls) = &mut plan.tls
    {
        tls.ca = None;
    }
    (weight, backup)
}

/// Health checks are the service's: notes a server that asks for others than those before it.
fn for_all(line: &Line, option: &str, differs: bool, draft: &mut Draft) {
    if differs && line.word(0) == "server" {
        let text =
            format!("{option}: health checks are alike for all servers; this one's value is used for them");
        draft.approximated(line.number, text);
    }
}
