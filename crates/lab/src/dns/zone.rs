//! What the server says of which name, as written in a file. Pure: time is an argument.

use headgate_model::spec::Span;
use headgate_model::{ConfigError, StrictFile, grammar};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Records of an answer: more would not fit into a datagram that every client takes.
const RECORDS_MAX: usize = 16;
/// Pending answers must not pile up.
const DELAY_MAX: Duration = Duration::from_secs(60);

/// A file of names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneSpec {
    /// Address of the server, UDP.
    pub listen: SocketAddr,
    /// Names, lower case. Others do not exist.
    #[serde(default, rename = "name")]
    pub names: BTreeMap<String, NameSpec>,
}

/// One name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NameSpec {
    /// A and AAAA records.
    pub addresses: Vec<IpAddr>,
    /// SRV records (RFC 2782).
    pub srv: Vec<SrvSpec>,
    /// Time to live, whole seconds; `"0s"` may not be kept at all.
    pub ttl: Span<1_000>,
    /// Answers take turns instead of `addresses`.
    pub flap: Option<Flap>,
    pub fault: Fault,
    /// Each answer takes this much longer.
    pub delay: Span<0>,
}

/// One SRV record.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SrvSpec {
    pub target: String,
    pub port: u16,
    #[serde(default)]
    pub priority: u16,
    #[serde(default = "one")]
    pub weight: u16,
}

fn one() -> u16 {
    1
}

/// Sets of addresses that take turns.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flap {
    pub every: Span<0>,
    pub addresses: Vec<Vec<IpAddr>>,
}

/// What is wrong with the answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    #[default]
    None,
    /// The name does not exist.
    Nxdomain,
    /// The server cannot say.
    Servfail,
    /// The server does not want to say.
    Refused,
    /// The name exists, without any records.
    Empty,
    /// There is no answer at all.
    Timeout,
}

/// Records of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    Address(IpAddr),
    Srv { priority: u16, weight: u16, port: u16, target: String },
}

/// What is said to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// RFC 1035, 4.1.1; `None` for silence.
    pub(super) code: Option<u8>,
    pub(super) records: Vec<Data>,
    pub(super) ttl_s: u32,
    pub(super) delay: Duration,
}

pub(super) const NOERROR: u8 = 0;
pub(super) const SERVFAIL: u8 = 2;
pub(super) const NXDOMAIN: u8 = 3;
pub(super) const REFUSED: u8 = 5;
pub(super) const A: u16 = 1;
pub(super) const AAAA: u16 = 28;
pub(super) const SRV: u16 = 33;

impl ZoneSpec {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Everything that is wrong, with its place.
    pub fn read(text: &str, name: &str) -> Result<Self, Vec<ConfigError>> {
        let file = StrictFile::new(name, text);
        let zone: Self = file.read(&|variable| std::env::var(variable).ok())?;
        let mut found = Vec::new();
        for (name, spec) in &zone.names {
            let mut wrong = |at: &[&str], message: &str, help: &str| {
                let at: Vec<&str> = ["name", name].into_iter().chain(at.iter().copied()).collect();
                found.push(file.error_at(&at, message, Some(help.to_owned())));
            };
            if !grammar::is_host_name(name) || name.chars().any(|one| one.is_ascii_uppercase()) {
                wrong(&[], "not a name", "write a host name in lower case");
            }
            let sets = spec.flap.iter().flat_map(|flap| &flap.addresses).chain([&spec.addresses]);
            if sets.clone().any(|set| set.len() > RECORDS_MAX) || spec.srv.len() > RECORDS_MAX {
                wrong(&[], "more than 16 records", "leave some out");
            }
            if let Some(flap) = &spec.flap {
                if flap.every.0 < Duration::from_millis(1) {
                    wrong(&["flap", "every"], "too often", "write at least 1ms");
                }
                if flap.addresses.is_empty() {
                    wrong(&["flap", "addresses"], "is empty", "write lists of addresses that take turns");
                }
            }
            if spec.srv.iter().any(|srv| !grammar::is_host_name(&srv.target)) {
                wrong(
                    &["srv"],
                    "a target that is not a name",
                    "write a host name, and give it its addresses",
                );
            }
            if spec.delay.0 > DELAY_MAX {
                wrong(&["delay"], "longer than a minute", "write fault = \"timeout\"");
            }
        }
        if found.is_empty() { Ok(zone) } else { Err(found) }
    }

    /// The answer to a question `now` after the server began.
    pub(super) fn say(&self, name: &str, kind: u16, now: Duration) -> Said {
        let said = |code| Said { code, records: Vec::new(), ttl_s: 0, delay: Duration::ZERO };
        let Some(spec) = self.names.get(&name.to_ascii_lowercase()) else { return said(Some(NXDOMAIN)) };
        let code = match spec.fault {
            Fault::None | Fault::Empty => Some(NOERROR),
            Fault::Nxdomain => Some(NXDOMAIN),
            Fault::Servfail => Some(SERVFAIL),
            Fault::Refused => Some(REFUSED),
            Fault::Timeout => None,
        };
        let addresses = match &spec.flap {
            None => &spec.addresses,
            Some(flap) => {
                let turn = now.as_nanos() / flap.every.0.as_nanos().max(1);
                &flap.addresses[(turn % flap.addresses.len().max(1) as u128) as usize]
            }
        };
        let is_asked = |address: &&IpAddr| kind == if address.is_ipv4() { A } else { AAAA };
        let records = match (spec.fault, kind) {
            (Fault::None, SRV) => spec.srv.iter().map(SrvSpec::data).collect(),
            (Fault::None, _) => addresses.iter().filter(is_asked).map(|it| Data::Address(*it)).collect(),
            _ => Vec::new(),
        };
        let ttl_s = u32::try_from(spec.ttl.0.as_secs()).unwrap_or(u32::MAX);
        Said { code, records, ttl_s, delay: spec.delay.0 }
    }
}

impl SrvSpec {
    fn data(&self) -> Data {
        let Self { priority, weight, port, .. } = *self;
        Data::Srv { priority, weight, port, target: self.target.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: &str = "listen = \"127.0.0.1:0\"\n[name.\"a.test\"]\naddresses = [\"10.0.0.1\", \"::1\"]\n\
                        [name.\"flaps.test\"]\nttl = \"0s\"\nflap = { every = \"2s\", addresses = [[\"10.0.0.1\"], [\"10.0.0.2\"]] }\n\
                        [name.\"bad.test\"]\naddresses = [\"10.0.0.1\"]\nfault = \"servfail\"\n";

    #[test]
    fn names_have_their_records_and_their_faults() {
        let zone = ZoneSpec::read(ZONE, "f.toml").unwrap();
        let say = |name: &str, kind, at_s| {
            let said = zone.say(name, kind, Duration::from_secs(at_s));
            (said.code, said.records.len(), said.ttl_s)
        };
        assert_eq!(say("A.test", A, 0), (Some(NOERROR), 1, 1));
        assert_eq!(say("a.test", AAAA, 0), (Some(NOERROR), 1, 1));
        assert_eq!(say("a.test", SRV, 0), (Some(NOERROR), 0, 1));
        assert_eq!(say("b.test", A, 0), (Some(NXDOMAIN), 0, 0));
        assert_eq!(say("bad.test", A, 0), (Some(SERVFAIL), 0, 1));
        let turn = |at_s| zone.say("flaps.test", A, Duration::from_secs(at_s)).records;
        assert_eq!(turn(0), turn(1));
        assert_ne!(turn(1), turn(2));
        assert_eq!(turn(0), turn(4));
    }

    #[test]
    fn mistakes_have_their_place() {
        for (from, to, says) in [
            ("fault = \"servfail\"", "fault = \"servfial\"", "did you mean `servfail`?"),
            ("\"2s\"", "\"0s\"", "too often"),
            ("[[\"10.0.0.1\"], [\"10.0.0.2\"]]", "[]", "is empty"),
            ("\"::1\"", "\"::x\"", "f.toml:3:"),
            ("a.test", "a b", "not a name"),
        ] {
            let errors = ZoneSpec::read(&ZONE.replacen(from, to, 1), "f.toml").unwrap_err();
            assert!(errors.iter().any(|error| error.summary().contains(says)), "{to}: {errors:?}");
        }
    }
}
