//! The options at the top of a Caddyfile, and whom its servers and proxies trust.

use super::order::{Order, answers};
use super::parse::Directive;
use crate::draft::Draft;

/// What the options say about the sites.
pub(super) struct Options {
    pub(super) auto_https: bool,
    pub(super) order: Order,
    /// `trusted_proxies` of `servers`, which hold once all listeners are known.
    trusted: Vec<Trusted>,
}

struct Trusted {
    line: usize,
    /// Port of the only listener that it holds for.
    port: Option<String>,
    networks: Vec<String>,
}

/// Reads the options, and notes those without a counterpart.
pub(super) fn options(block: &[Directive], draft: &mut Draft) -> Options {
    let mut options = Options { auto_https: true, order: Order::default(), trusted: Vec::new() };
    for option in block {
        match (option.word(0), option.word(1)) {
            ("auto_https", "off") => options.auto_https = false,
            ("email" | "acme_ca" | "auto_https" | "local_certs", _) => {
                let text = format!("{}: Headgate gets no certificates by itself", option.shown());
                draft.untranslated(option.line, text);
            }
            ("order", _) => order(option, &mut options.order, draft),
            ("servers", address) => servers(option, address, &mut options, draft),
            _ => leftover(option, draft),
        }
    }
    options
}

/// `order`: which of two directives answers first. One that only changes messages does so wherever it stands.
fn order(option: &Directive, order: &mut Order, draft: &mut Draft) {
    let shown = option.shown();
    if !order.change(option.rest(1)) {
        draft.untranslated(option.line, format!("{shown}: no such directive here, or no such place"));
    } else if !answers(option.word(1)) {
        draft.approximated(option.line, format!("{shown}: only those that answer have an order here"));
    }
}

fn servers(option: &Directive, address: &str, options: &mut Options, draft: &mut Draft) {
    let port = address.rsplit_once(':').map(|(_, port)| port.to_owned());
    for child in &option.block {
        match (child.word(0), child.word(1)) {
            ("trusted_proxies", "static") => options.trusted.push(Trusted {
                line: child.line,
                port: port.clone(),
                networks: networks(child.rest(2)),
            }),
            ("trusted_proxies_strict", _) => {
                let text = "trusted_proxies_strict: Headgate counts from the nearest proxy anyway";
                draft.unneeded(child.line, text);
            }
            ("client_ip_headers", name)
                if name.eq_ignore_ascii_case("x-forwarded-for") && child.words.len() == 2 =>
            {
                draft.unneeded(child.line, format!("{}: so it is", child.shown()));
            }
            _ => leftover(child, draft),
        }
    }
}

fn leftover(option: &Directive, draft: &mut Draft) {
    let whole = if option.block.is_empty() { "" } else { "the whole block; " };
    draft.untranslated(option.line, format!("{}: {whole}no counterpart", option.shown()));
}

impl Options {
    /// Tells the listeners whom to trust.
    pub(super) fn apply(&self, draft: &mut Draft) {
        for trusted in &self.trusted {
            let of_port =
                |bind: &str| trusted.port.as_ref().is_none_or(|port| bind.ends_with(&format!(":{port}")));
            let listeners: Vec<String> = draft
                .config
                .listeners
                .iter()
                .filter(|(_, spec)| of_port(&spec.bind))
                .map(|(name, _)| name.clone())
                .collect();
            if listeners.is_empty() {
                draft.unneeded(trusted.line, "trusted_proxies: there is no such server");
            }
            for (listener, network) in
                listeners.iter().flat_map(|name| trusted.networks.iter().map(move |network| (name, network)))
            {
                draft.trust(trusted.line, listener, network);
            }
        }
    }
}

/// `trusted_proxies` of a `reverse_proxy`: Headgate has them for a listener.
pub(super) fn trusted_by_proxy(proxy: &Directive, listeners: &[String], draft: &mut Draft) {
    for line in proxy.block.iter().filter(|line| line.word(0) == "trusted_proxies") {
        draft.approximated(line.line, format!("{}: the listener's, for all of its routes", line.shown()));
        for (listener, network) in listeners
            .iter()
            .flat_map(|name| networks(line.rest(1)).into_iter().map(move |network| (name, network)))
        {
            draft.trust(line.line, listener, &network);
        }
    }
}

/// The networks of a list, with what `private_ranges` stands for.
fn networks(words: &[String]) -> Vec<String> {
    const PRIVATE: [&str; 6] =
        ["192.168.0.0/16", "172.16.0.0/12", "10.0.0.0/8", "127.0.0.0/8", "fd00::/8", "::1"];
    let mut networks = Vec::new();
    for word in words {
        match word.as_str() {
            "private_ranges" => networks.extend(PRIVATE.map(str::to_owned)),
            network => networks.push(network.to_owned()),
        }
    }
    networks
}
