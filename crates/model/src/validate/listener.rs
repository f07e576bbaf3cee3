//! Checks of listeners: addresses that can be bound together, certificates, whom to trust, limits.

use super::{Report, label};
use crate::address::{BindAddress, Network};
use crate::place::Place;
use crate::spec::{ClientCertFields, Config, Limits, ListenSpec, ListenTls};

const KIB: u64 = 1_024;

pub(super) fn check(config: &Config, root: &Place<'_>, report: &mut Report<'_>) {
    let listeners = root.get("listen");
    if config.listeners.is_empty() {
        report.error_with(
            &listeners,
            "there is no listener",
            "add [listen.web] with bind = \"0.0.0.0:8080\"",
        );
    }
    let mut bound: Vec<(String, BindAddress)> = Vec::new();
    if let Some(Ok(address)) = config.admin.as_ref().map(|admin| admin.bind.parse()) {
        bound.push(("[admin]".to_owned(), address));
    }
    for (name, listener) in &config.listeners {
        let at = listeners.get(name);
        label(name, &listeners.key(name), report);
        let bind = at.get("bind");
        if !bind.exists() {
            report.error_with(
                &at,
                format!("`bind` is missing in [listen.{name}]"),
                "write bind = \"0.0.0.0:8080\"",
            );
        } else {
            match listener.bind.parse::<BindAddress>() {
                Err(error) => report.error(&bind, error.to_string()),
                Ok(address) => {
                    if let Some((other, _)) = bound.iter().find(|(_, taken)| taken.clashes(&address)) {
                        report.error(&bind, format!("{other} binds the same address"));
                    }
                    bound.push((format!("[listen.{name}]"), address));
                }
            }
        }
        trust(listener, &at, report);
        if let Some(spec) = &listener.tls {
            tls(spec, &at.get("tls"), report);
        }
        client_cert(listener, &at.get("client_cert"), report);
        limits(&listener.limits, &at.get("limits"), report);
        let timeouts = at.get("timeouts");
        report.positive(listener.timeouts.head, &timeouts.get("head"));
        report.positive(listener.timeouts.idle, &timeouts.get("idle"));
        report.positive(listener.timeouts.body, &timeouts.get("body"));
        report.positive(listener.timeouts.tunnel, &timeouts.get("tunnel"));
    }
}

fn trust(listener: &ListenSpec, at: &Place<'_>, report: &mut Report<'_>) {
    let networks = at.get("trusted_proxies");
    for (index, text) in listener.trusted_proxies.iter().enumerate() {
        if let Err(error) = text.parse::<Network>() {
            report.error(&networks.at(index), error.to_string());
        }
    }
    let unix = listener.bind.starts_with("unix:");
    if listener.proxy_protocol && listener.trusted_proxies.is_empty() && !unix {
        let help = "list in trusted_proxies who may send the PROXY header, like [\"10.0.0.0/8\"]";
        report.error_with(&at.get("proxy_protocol"), "nobody is trusted to send a PROXY header", help);
    }
}

/// A certificate is only told where one is asked for, or where somebody else is trusted to have done so.
fn client_cert(listener: &ListenSpec, at: &Place<'_>, report: &mut Report<'_>) {
    let asks = listener.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    match listener.client_cert {
        ClientCertFields::Leaf | ClientCertFields::Chain if !asks => {
            let help = "name the authorities' file with tls.client_ca";
            report.error_with(at, "no client is asked for a certificate here", help);
        }
        ClientCertFields::Pass if listener.trusted_proxies.is_empty() => {
            let help = "list the proxies that verify certificates in trusted_proxies";
            report.error_with(at, "nobody is trusted to tell of certificates", help);
        }
        _ => {}
    }
}

fn tls(spec: &ListenTls, at: &Place<'_>, report: &mut Report<'_>) {
    if spec.certificates.is_empty() {
        let help = "write certificates = [{ cert = \"cert.pem\", key = \"key.pem\" }]";
        report.error_with(&at.get("certificates"), "TLS without a certificate", help);
    }
    for (index, certificate) in spec.certificates.iter().enumerate() {
        let at = at.get("certificates").at(index);
        report.file(&certificate.cert, &at.get("cert"));
        report.file(&certificate.key, &at.get("key"));
    }
    match &spec.client_ca {
        Some(path) => report.file(path, &at.get("client_ca")),
        None if at.get("client_auth").exists() => {
            let help = "name the authorities' file with client_ca";
            report.error_with(&at.key("client_auth"), "client_auth has no effect without client_ca", help);
        }
        None => {}
    }
    if let Some(version) = &spec.min_version
        && !matches!(version.as_str(), "1.2" | "1.3")
    {
        report.error_with(&at.get("min_version"), "not a TLS version", "write \"1.2\" or \"1.3\"");
    }
}

fn limits(limits: &Limits, at: &Place<'_>, report: &mut Report<'_>) {
    if !(KIB..=KIB * KIB).contains(&limits.head.0) {
        report.error(&at.get("head"), "out of range: 1KiB to 1MiB");
    } else if !(64..=limits.head.0).contains(&limits.uri.0) {
        let place = if at.get("uri").exists() { at.get("uri") } else { at.get("head") };
        report.error(&place, "out of range: `uri` is at least 64B and at most `head`, which holds it");
    }
    report.range(limits.headers, 1..=10_000, &at.get("headers"));
    report.at_least_one(limits.connections, &at.get("connections"));
    report.at_least_one(limits.streams, &at.get("streams"));
}
