//! The addresses of a site: which listener, which host, and the TLS that Caddy would bring along.

use super::parse::Directive;
use crate::draft::Draft;
use headgate_model::spec::{Certificate, Redirect, RouteSpec};

/// One address of a site.
pub(super) struct Address {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
}

pub(super) fn address(word: &str, auto_https: bool) -> Result<Address, String> {
    let (scheme, rest) = match word.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, word),
    };
    if rest.contains(['{', '}', '/']) {
        return Err("an address without placeholders and path is needed".to_owned());
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, Some(port.parse::<u16>().map_err(|_| "not a port".to_owned())?))
        }
        _ => (rest, None),
    };
    let tls = match (scheme, port) {
        (Some("http"), _) | (None, Some(80)) => false,
        (Some("https"), _) | (None, Some(443)) => true,
        (Some(_), _) => return Err("not http or https".to_owned()),
        (None, _) => auto_https && !host.is_empty(),
    };
    let port = port.unwrap_or(if tls { 443 } else { 80 });
    Ok(Address { tls, host: host.to_owned(), port })
}

/// TLS on the listener, and the redirect from plain HTTP that Caddy adds by itself.
pub(super) fn secure(
    address: &Address,
    listener: &str,
    tls: Option<&Directive>,
    auto_https: bool,
    line: usize,
    draft: &mut Draft,
) {
    let certificate = match tls.map(|directive| directive.rest(1)) {
        Some([cert, key]) => Certificate { cert: cert.clone(), key: key.clone() },
        _ => {
            let name = if address.host.is_empty() { "server" } else { address.host.trim_start_matches("*.") };
            let text = format!(
                "{}: Headgate gets no certificates by itself; put one at /etc/headgate/{name}.pem",
                address.host
            );
            draft.approximated(tls.map_or(line, |directive| directive.line), text);
            let path = |end: &str| format!("/etc/headgate/{name}.{end}");
            Certificate { cert: path("pem"), key: path("key") }
        }
    };
    draft.certificate(line, listener, certificate);
    if auto_https
        && address.port == 443
        && !address.host.is_empty()
        && let Some(plain) = draft.listener(line, ":80")
    {
        let redirect = Some(Redirect { to: "https://{host}{path}?{query}".to_owned(), status: 308 });
        let pattern = format!("{}/*", address.host);
        draft.route(line, RouteSpec { pattern, listeners: vec![plain], redirect, ..RouteSpec::default() });
    }
}
