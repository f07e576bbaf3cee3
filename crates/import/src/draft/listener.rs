//! Listeners of a draft, and the access log: what Headgate has once where others have it for each server.

use super::{Draft, unique};
use headgate_model::address::{BindAddress, Network};
use headgate_model::spec::{AccessLog, Bytes, Certificate, ListenSpec, ListenTls, LogFormat};

impl Draft {
    /// The name of the listener at this address; a new one when there is none yet.
    pub(crate) fn listener(&mut self, line: usize, bind: &str) -> Option<String> {
        let address = match bind.parse::<BindAddress>() {
            Ok(address) => address,
            Err(error) => {
                self.untranslated(line, format!("cannot bind {bind}: {error}"));
                return None;
            }
        };
        let taken =
            |spec: &ListenSpec| spec.bind.parse::<BindAddress>().is_ok_and(|other| other.clashes(&address));
        if let Some((name, _)) = self.config.listeners.iter().find(|(_, spec)| taken(spec)) {
            return Some(name.clone());
        }
        let base = match &address {
            BindAddress::Every { port } => port_name(*port),
            BindAddress::Ip(ip) => port_name(ip.port()),
            BindAddress::Unix(_) => "unix".to_owned(),
        };
        let name = unique(&base, |name| self.config.listeners.contains_key(name));
        let spec = ListenSpec { bind: address.to_string(), ..ListenSpec::default() };
        self.config.listeners.insert(name.clone(), spec);
        Some(name)
    }

    /// Adds a certificate to a listener, and TLS where it had none.
    pub(crate) fn certificate(&mut self, line: usize, listener: &str, certificate: Certificate) {
        if [&certificate.cert, &certificate.key].iter().any(|path| path.is_empty() || path.contains('\0')) {
            self.untranslated(line, "a certificate without a path: the listener stays without it");
            return;
        }
        if let Some(spec) = self.config.listeners.get_mut(listener) {
            let tls = spec.tls.get_or_insert_with(ListenTls::default);
            if !tls.certificates.contains(&certificate) {
                tls.certificates.push(certificate);
            }
        }
    }

    /// Adds a network to those whose word on the client a listener believes, or notes why not.
    pub(crate) fn trust(&mut self, line: usize, listener: &str, network: &str) {
        if let Err(error) = network.parse::<Network>() {
            self.untranslated(line, format!("the trusted proxy {network}: {error}"));
        } else if let Some(spec) = self.config.listeners.get_mut(listener)
            && !spec.trusted_proxies.iter().any(|other| other == network)
        {
            spec.trusted_proxies.push(network.to_owned());
        }
    }

    /// One access log for everything, on standard output: the old gateway's file is its own, may not be
    /// writable, and is one of several.
    pub(crate) fn log(&mut self, line: usize, format: LogFormat, path: Option<&str>) {
        if let Some(path) = path {
            let text = format!(
                "the access log {path}: requests of all listeners and routes go to standard output; for a file set \
                 `path` in [log], where Headgate may write"
            );
            self.approximated(line, text);
        }
        let log = AccessLog { format, path: None };
        match &self.config.log {
            Some(other) if *other == log && path.is_some() => {}
            Some(other) if *other == log => {
                self.unneeded(line, "an access log: one is written for all listeners and routes");
            }
            Some(_) => {
                self.untranslated(
                    line,
                    "a second access log: Headgate writes one for all listeners and routes",
                );
            }
            None => self.config.log = Some(log),
        }
    }

    /// The limit on request bodies of a listener: the largest that was asked for; zero is no limit.
    pub(crate) fn body_limit(&mut self, line: usize, listener: &str, bytes: u64) {
        let Some(spec) = self.config.listeners.get_mut(listener) else { return };
        let (old, fresh) = (spec.limits.body.0, spec.limits == Default::default());
        let larger = if bytes == 0 || (old == 0 && !fresh) { 0 } else { old.max(bytes) };
        spec.limits.body = Bytes(larger);
        if old != bytes && old != 0 {
            self.approximated(
                line,
                "the limit on request bodies is the listener's: the largest of several is used",
            );
        }
    }
}

fn port_name(port: u16) -> String {
    match port {
        80 => "http".to_owned(),
        443 => "https".to_owned(),
        port => format!("port-{port}"),
    }
}
