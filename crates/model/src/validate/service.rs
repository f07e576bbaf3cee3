//! Checks of a service: where its endpoints are, and how they are spoken to.

use super::Report;
use crate::address::EndpointAddress;
use crate::discover::Discover;
use crate::grammar::is_host_name;
use crate::place::Place;
use crate::spec::{Protocol, ServiceSpec, UpstreamTls};
use std::collections::BTreeMap;

pub(super) fn check(service: &ServiceSpec, at: &Place<'_>, report: &mut Report<'_>) {
    endpoints(service, at, report);
    if let Some(text) = &service.discover {
        let place = at.get("discover");
        if let Err(error) = text.parse::<Discover>() {
            report.error(&place, error.to_string());
        }
        if at.get("endpoints").exists() {
            report.error(&at.key("discover"), "a service has `endpoints` or `discover`, not both");
        }
    } else if service.endpoints.is_empty() {
        let place = if at.get("endpoints").exists() { at.get("endpoints") } else { at.clone() };
        let help = "write endpoints = [\"10.0.0.1:8080\"] or discover = \"dns:host:8080\"";
        report.error_with(&place, "the service has no endpoints", help);
    }
    if service.proxy_protocol.is_some() && service.protocol == Protocol::Http2 {
        let help = "a PROXY header names one client, and an HTTP/2 connection serves many; use http1";
        report.error_with(&at.get("proxy_protocol"), "`proxy_protocol` in an http2 service", help);
    }
    if let Some(spec) = &service.tls {
        tls(spec, &at.get("tls"), report);
        let discover = service.discover.as_deref().map(str::parse);
        if spec.sni.is_none() && spec.verify && matches!(discover, Some(Ok(Discover::Srv { .. }))) {
            let help = "add `sni` with the name that stands in their certificates";
            report.error_with(
                &at.key("tls"),
                "endpoints found by SRV are addresses, which no certificate names",
                help,
            );
        }
    }
    report.positive(service.pool.idle_timeout, &at.get("pool").get("idle_timeout"));
    let timeouts = at.get("timeouts");
    report.positive(service.timeouts.connect, &timeouts.get("connect"));
    report.positive(service.timeouts.first_byte, &timeouts.get("first_byte"));
}

fn endpoints(service: &ServiceSpec, at: &Place<'_>, report: &mut Report<'_>) {
    let mut seen = BTreeMap::new();
    for (index, endpoint) in service.endpoints.iter().enumerate() {
        let at = at.get("endpoints").at(index);
        let address = at.get("address");
        match endpoint.address().parse::<EndpointAddress>() {
            Err(error) => report.error(&address, error.to_string()),
            Ok(parsed) => {
                if parsed.tls == Some(false) && service.tls.is_some() {
                    report.error(&address, "`http://` in a service that has `tls`");
                }
                if let Some(first) = seen.insert(parsed.target, index) {
                    let help = "to send it more, give it a weight";
                    report.error_with(
                        &address,
                        format!("the same address as endpoint number {}", first + 1),
                        help,
                    );
                }
            }
        }
        report.range(endpoint.weight(), 0..=1_000, &at.get("weight"));
    }
}

/// `ca`, `cert` and `key` of a TLS client, in this order.
pub(super) fn tls_files(files: [&Option<String>; 3], at: &Place<'_>, report: &mut Report<'_>) {
    for (key, path) in ["ca", "cert", "key"].into_iter().zip(files) {
        if let Some(path) = path {
            report.file(path, &at.get(key));
        }
    }
    match files {
        [_, Some(_), None] => report.error(&at.key("cert"), "a client certificate needs its `key`"),
        [_, None, Some(_)] => report.error(&at.key("key"), "a key needs its `cert`"),
        _ => {}
    }
}

fn tls(spec: &UpstreamTls, at: &Place<'_>, report: &mut Report<'_>) {
    if let Some(name) = &spec.sni
        && !is_host_name(name)
    {
        report.error(&at.get("sni"), "not a DNS name");
    }
    tls_files([&spec.ca, &spec.cert, &spec.key], at, report);
    if spec.ca.is_some() && !spec.verify {
        report.error(&at.key("ca"), "`ca` has no effect with verify = false");
    }
}
