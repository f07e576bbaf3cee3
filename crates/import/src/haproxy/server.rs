//! `server`, `server-template` and `default-server`: one server with its options. What several of them come to
//! is not known here.

use super::parse::Line;
use crate::draft::Draft;
use crate::quantity::duration;
use headgate_model::spec::{EndpointSpec, Protocol, ProxyProtocol, UpstreamTls};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// How a server is spoken to: what all endpoints of a service have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Transport {
    pub(super) tls: Option<UpstreamTls>,
    pub(super) proxy_protocol: Option<ProxyProtocol>,
    pub(super) protocol: Protocol,
}

/// A server, with what `default-server` said before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub(super) line: usize,
    pub(super) name: String,
    /// None for a template, and for an address that cannot be dialled.
    pub(super) endpoint: Option<EndpointSpec>,
    pub(super) backup: bool,
    pub(super) checked: bool,
    pub(super) interval: Option<Duration>,
    pub(super) rise: Option<u16>,
    pub(super) fall: Option<u16>,
    pub(super) slow_start: Option<Duration>,
    pub(super) idle_connections: Option<u32>,
    weight: Option<u32>,
    transport: Transport,
    /// What the options of TLS say; it counts with `ssl` only.
    tls: UpstreamTls,
    uses_tls: bool,
}

impl Server {
    /// The server of a line, on top of what `default-server` says. `sticky` says whether the backend has a
    /// cookie.
    pub(super) fn read(&self, line: &Line, sticky: bool, draft: &mut Draft) -> Self {
        let mut server = Self { line: line.number, name: line.word(1).to_owned(), ..self.clone() };
        let template = line.word(0) == "server-template";
        server.take(line, line.rest(if template { 4 } else { 3 }), sticky, draft);
        if !server.uses_tls {
            idle_tls(line, draft);
        }
        if !server.tls.verify && server.tls.ca.take().is_some() {
            draft.unneeded(line.number, "ca-file: with `verify none` nothing is verified");
        }
        if template {
            if server.backup || server.weight.is_some() {
                draft.untranslated(line.number, "backup, weight: not for servers that are looked up");
            }
        } else {
            server.endpoint = draft.endpoint(line.number, &address(line.word(2)), server.weight);
        }
        server
    }

    /// Whether it takes new requests.
    pub(super) fn is_enabled(&self) -> bool {
        self.weight != Some(0)
    }

    /// How it is spoken to.
    pub(super) fn transport(&self) -> Transport {
        Transport { tls: self.uses_tls.then(|| self.tls.clone()), ..self.transport.clone() }
    }

    /// Takes the options of a line in.
    pub(super) fn take(&mut self, line: &Line, options: &[String], sticky: bool, draft: &mut Draft) {
        let number = line.number;
        let mut options = options.iter().map(String::as_str);
        while let Some(option) = options.next() {
            let mut value = || options.next().unwrap_or_default();
            match option {
                "check" => self.checked = true,
                "no-check" => self.checked = false,
                "weight" => match value().parse() {
                    Ok(value) => self.weight = Some(value),
                    Err(_) => draft.untranslated(number, "weight: not a number"),
                },
                "backup" => self.backup = true,
                "no-backup" => self.backup = false,
                "disabled" => self.weight = Some(0),
                "inter" => self.interval = time(number, option, value(), draft).or(self.interval),
                "slowstart" => self.slow_start = time(number, option, value(), draft).or(self.slow_start),
                "rise" => self.rise = count(number, option, value(), draft).or(self.rise),
                "fall" => self.fall = count(number, option, value(), draft).or(self.fall),
                "pool-max-conn" => match value().parse() {
                    Ok(idle) => self.idle_connections = Some(idle),
                    Err(_) => draft.untranslated(number, "pool-max-conn: not a number"),
                },
                "ssl" => {
                    let text = "ssl: the certificate is verified unless `verify none` says otherwise";
                    draft.approximated(number, text);
                    self.uses_tls = true;
                }
                "no-ssl" => self.uses_tls = false,
                "verify" => self.tls.verify = value() != "none",
                "ca-file" => {
                    self.tls.ca =
                        Some(value().to_owned()).filter(|file| !file.is_empty() && file != "@system-ca");
                }
                "sni" | "verifyhost" => self.name_for_tls(number, option, value(), draft),
                "send-proxy" => self.transport.proxy_protocol = Some(ProxyProtocol::V1),
                "send-proxy-v2" => self.transport.proxy_protocol = Some(ProxyProtocol::V2),
                "no-send-proxy" | "no-send-proxy-v2" => self.transport.proxy_protocol = None,
                "proto" => match value() {
                    "h2" => self.transport.protocol = Protocol::Http2,
                    other => draft.untranslated(number, format!("proto {other}: no counterpart")),
                },
                "cookie" if sticky => drop(value()),
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
    }

    fn name_for_tls(&mut self, line: usize, option: &str, text: &str, draft: &mut Draft) {
        let name = text.strip_prefix("str(").and_then(|text| text.strip_suffix(')')).unwrap_or(text);
        if headgate_model::grammar::is_host_name(name) {
            self.tls.sni = Some(name.to_owned());
        } else {
            draft.untranslated(line, format!("{option} {text}: SNI is a fixed name"));
        }
    }
}

/// Notes the options of TLS of a line that has no use for them.
pub(super) fn idle_tls(line: &Line, draft: &mut Draft) {
    for option in ["verify", "ca-file", "sni", "verifyhost"] {
        if line.words.iter().any(|word| word == option) {
            draft.unneeded(line.number, format!("{option}: has no effect without `ssl`"));
        }
    }
}

/// An address as Headgate writes it.
fn address(text: &str) -> String {
    let text = text.strip_prefix("ipv4@").or(text.strip_prefix("ipv6@")).unwrap_or(text);
    match (text.strip_prefix("unix@"), text.rsplit_once(':')) {
        (Some(path), _) => format!("unix:{path}"),
        (None, _) if text.starts_with('/') => format!("unix:{text}"),
        (None, Some((ip, port))) if ip.contains(':') && !ip.starts_with('[') => format!("[{ip}]:{port}"),
        _ => text.to_owned(),
    }
}

fn time(line: usize, option: &str, value: &str, draft: &mut Draft) -> Option<Duration> {
    let found = duration(value, MS).filter(|time| !time.is_zero());
    if found.is_none() {
        draft.untranslated(line, format!("{option}: not a duration"));
    }
    found
}

fn count(line: usize, option: &str, value: &str, draft: &mut Draft) -> Option<u16> {
    let found = value.parse().ok().filter(|count| (1..=1_000).contains(count));
    if found.is_none() {
        draft.untranslated(line, format!("{option}: not a count from 1 to 1000"));
    }
    found
}
