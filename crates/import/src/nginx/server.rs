//! `server` blocks: which listeners they share, which names they answer to, what is the default.

use super::location::{self, Context};
use super::parse::Directive;
use super::settings::Settings;
use super::{Http, idle};
use crate::draft::Draft;
use headgate_model::spec::{Certificate, ClientAuth, ListenSpec};
use std::collections::BTreeSet;

/// One server block, with what decides its listeners read beforehand.
pub(super) struct Server<'t> {
    pub(super) directive: &'t Directive,
    listens: Vec<Listen<'t>>,
    names: Vec<&'t str>,
}

struct Listen<'t> {
    line: usize,
    address: &'t str,
    options: &'t [String],
}

impl Listen<'_> {
    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|other| other == option)
    }

    /// Notes the options without a counterpart.
    fn judge(&self, draft: &mut Draft) {
        let known = ["ssl", "http2", "proxy_protocol", "default_server", "default", "quic"];
        for option in self.options.iter().filter(|option| !known.contains(&option.as_str())) {
            draft.untranslated(self.line, format!("listen ... {option}: Headgate decides this itself"));
        }
        if self.has("quic") {
            draft.untranslated(self.line, "listen ... quic: Headgate does not speak HTTP/3");
        }
    }

    /// The port of `80`, `*:80`, `0.0.0.0:80`; with the second form `[::]:80`.
    fn every_ipv4(&self) -> Option<&str> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match self.address.split_once(':') {
            None if digits(self.address) => Some(self.address),
            Some(("*" | "0.0.0.0", port)) => Some(port),
            _ => None,
        }
    }

    fn every_ipv6(&self) -> Option<&str> {
        self.address.strip_prefix("[::]:")
    }

    /// The address as Headgate writes it. `both` are the ports that IPv4 and IPv6 listen on.
    fn bind(&self, both: &BTreeSet<&str>) -> String {
        let address = self.address;
        match self.every_ipv4().or(self.every_ipv6()) {
            Some(port) if both.contains(port) => format!(":{port}"),
            Some(port) if self.every_ipv6().is_none() => format!("0.0.0.0:{port}"),
            _ if address.starts_with("unix:") => address.to_owned(),
            _ => match address.strip_prefix("localhost") {
                Some("") => "127.0.0.1:80".to_owned(),
                Some(port) => format!("127.0.0.1{port}"),
                None => super::upstream::with_port(address, 80),
            },
        }
    }
}

const DEFAULT_LISTEN: Listen<'static> = Listen { line: 0, address: "80", options: &[] };

impl<'t> Server<'t> {
    pub(super) fn read(directive: &'t Directive) -> Self {
        let children = || directive.block.iter().flatten();
        let listens: Vec<_> = children()
            .filter(|child| child.name == "listen")
            .map(|child| Listen {
                line: child.line,
                address: child.arg(0),
                options: child.args.get(1..).unwrap_or(&[]),
            })
            .collect();
        let listens = if listens.is_empty() { vec![DEFAULT_LISTEN] } else { listens };
        let names = children().filter(|child| child.name == "server_name");
        let names = names
            .flat_map(|child| child.args.iter().map(String::as_str))
            .filter(|name| !matches!(*name, "_" | ""));
        Self { directive, listens, names: names.collect() }
    }

    fn has_wildcard(&self) -> bool {
        self.names.iter().any(|name| name.contains('*') || name.starts_with(['.', '~']))
    }
}

pub(super) fn translate(http: &Http<'_>, settings: &Settings, draft: &mut Draft) {
    let listens = || http.servers.iter().flat_map(|server| &server.listens);
    let ipv4: BTreeSet<&str> = listens().filter_map(Listen::every_ipv4).collect();
    let both: BTreeSet<&str> =
        listens().filter_map(Listen::every_ipv6).filter(|port| ipv4.contains(port)).collect();
    for (index, server) in http.servers.iter().enumerate() {
        draft.begin_server();
        one(index, server, http, settings, &both, draft);
    }
}

/// NGINX speaks HTTP/2 only where it is told to.
fn http2(spec: &mut ListenSpec, listen: &Listen<'_>, directives: &[&Directive]) {
    let is_on = |directive: &&Directive| directive.name == "http2" && directive.arg(0) == "on";
    if listen.has("http2") || directives.iter().any(is_on) {
        spec.http2 = Some(true);
    } else if listen.has("ssl") {
        spec.http2.get_or_insert(false);
    }
}

fn one(
    index: usize,
    server: &Server<'_>,
    http: &Http<'_>,
    outer: &Settings,
    both: &BTreeSet<&str>,
    draft: &mut Draft,
) {
    let mut settings = outer.inner();
    let mut rest = Vec::new();
    for directive in server.directive.block.iter().flatten() {
        if !settings.take(directive, draft) {
            rest.push(directive);
        }
    }
    settings.guards.judge(draft);
    let mut listeners = BTreeSet::new();
    let mut is_default = false;
    let mut shares_with_wildcard = false;
    for listen in &server.listens {
        let bind = listen.bind(both);
        let Some(name) = draft.listener(listen.line.max(server.directive.line), &bind) else { continue };
        listen.judge(draft);
        if let Some(spec) = draft.config.listeners.get_mut(&name) {
            http2(spec, listen, &rest);
            settings.apply_to_listener(spec);
            if listen.has("proxy_protocol") && !spec.proxy_protocol {
                draft.untranslated(
                    listen.line,
                    "proxy_protocol: name in trusted_proxies who sends it, then switch it on",
                );
            }
        }
        settings.real_ip.apply(&name, draft);
        if listen.has("ssl") {
            let directives: Vec<&Directive> = rest.iter().chain(&http.tls).copied().collect();
            tls(&name, &directives, listen.line, draft);
        }
        let (line, bytes) = settings.body.unwrap_or((server.directive.line, 1 << 20));
        draft.body_limit(line, &name, bytes);
        let (default, shares) = role(server, &bind, http, both);
        is_default |= default;
        shares_with_wildcard |= shares;
        listeners.insert(name);
    }
    if listeners.is_empty() {
        draft.untranslated(server.directive.line, format!("server number {}: it has no listener", index + 1));
        return;
    }
    let (mut hosts, scheme) = (hosts(server, draft), scheme(server));
    if server.names.is_empty()
        && let Some(names) = rest.iter().find(|directive| directive.name == "server_name")
    {
        draft.unneeded(names.line, format!("{}: no name that a client could ask for", names.shown()));
    }
    if is_default {
        if !shares_with_wildcard {
            hosts.clear();
        }
        hosts.push(String::new());
        if let Some(name) = server.names.first() {
            let text =
                format!("server_name {name}: the default server of its address, it answers to every host");
            draft.approximated(server.directive.line, text);
        }
    } else if hosts.is_empty() {
        draft.untranslated(
            server.directive.line,
            "a server without a usable name that is not the default: it is never used; the whole block",
        );
        return;
    }
    judge_tls(server, &rest, http, &mut settings, draft);
    let own = |directive: &&&Directive| {
        matches!(directive.name.as_str(), "listen" | "server_name" | "http2") || is_tls(directive)
    };
    let others: Vec<&Directive> = rest.iter().filter(|directive| !own(directive)).copied().collect();
    let names =
        server.names.iter().copied().find(|name| !name.contains('*') && !name.starts_with(['.', '~']));
    let listeners = listeners.into_iter().collect();
    let context = Context {
        http,
        settings,
        hosts,
        listeners,
        scheme,
        name: names,
        answered: false,
        past_expressions: false,
        methods: Vec::new(),
        in_server: true,
    };
    idle::note(server.directive, draft);
    location::server(&others, server.directive.line, context, draft);
}

/// Whether a server is the default one of an address, and whether it shares the address with wildcard names.
fn role(server: &Server<'_>, bind: &str, http: &Http<'_>, both: &BTreeSet<&str>) -> (bool, bool) {
    let here = |listen: &Listen<'_>| listen.bind(both) == bind;
    let marked =
        |listen: &Listen<'_>| here(listen) && (listen.has("default_server") || listen.has("default"));
    let mut sharers = http.servers.iter().filter(|other| other.listens.iter().any(here));
    let first = sharers.clone().find(|other| other.listens.iter().any(marked)).or(sharers.clone().next());
    let shares = sharers.any(|other| other.directive != server.directive && other.has_wildcard());
    (first.is_some_and(|first| first.directive == server.directive), shares)
}

/// Notes TLS directives without effect, and refuses all when clients cannot be verified as they were.
fn judge_tls(
    server: &Server<'_>,
    rest: &[&Directive],
    http: &Http<'_>,
    settings: &mut Settings,
    draft: &mut Draft,
) {
    let secure = server.listens.iter().any(|listen| listen.has("ssl"));
    for directive in rest.iter().chain(&http.tls).filter(|directive| is_tls(directive)) {
        let shown = directive.shown();
        let has_ca = rest
            .iter()
            .chain(&http.tls)
            .any(|other| matches!(other.name.as_str(), "ssl_client_certificate" | "ssl_trusted_certificate"));
        let sayable =
            matches!(directive.arg(0), "off" | "on" | "optional") && (has_ca || directive.arg(0) == "off");
        if !secure {
            if !rest.contains(directive) {
                continue;
            }
            draft.unneeded(directive.line, format!("{shown}: no listener of this server speaks TLS"));
        } else if directive.name == "ssl_protocols" && directive.args == ["TLSv1.2", "TLSv1.3"] {
            draft.unneeded(directive.line, format!("{shown}: Headgate speaks these by default"));
        } else if directive.name == "ssl_verify_client" && !sayable {
            draft.closes(directive.line, format!("{shown}: {}", super::guard::GUARDED));
            settings.guards.add(&directive.name);
        }
    }
}

/// The directives that `tls` reads.
pub(super) fn is_tls(directive: &Directive) -> bool {
    matches!(
        directive.name.as_str(),
        "ssl_certificate"
            | "ssl_certificate_key"
            | "ssl_protocols"
            | "ssl_client_certificate"
            | "ssl_trusted_certificate"
            | "ssl_verify_client"
    )
}

/// `https` or `http` when all its listeners agree.
fn scheme(server: &Server<'_>) -> Option<&'static str> {
    let secure = server.listens.iter().filter(|listen| listen.has("ssl")).count();
    match secure {
        0 => Some("http"),
        n if n == server.listens.len() => Some("https"),
        _ => None,
    }
}

/// The host patterns of the server's names.
fn hosts(server: &Server<'_>, draft: &mut Draft) -> Vec<String> {
    let mut hosts = Vec::new();
    for name in &server.names {
        if let Some(bare) = name.strip_prefix('.') {
            hosts.push(bare.to_owned());
            hosts.push(format!("*.{bare}"));
        } else if name.starts_with('~') || name.trim_start_matches("*.").contains('*') || name.contains('$') {
            draft.untranslated(
                server.directive.line,
                format!("server_name {name}: hosts are exact or *.name"),
            );
        } else {
            hosts.push((*name).to_owned());
        }
    }
    hosts
}

fn tls(listener: &str, directives: &[&Directive], line: usize, draft: &mut Draft) {
    let find = |name: &str| directives.iter().find(|directive| directive.name == name);
    let all =
        |name: &str| directives.iter().filter(|d| d.name == name).map(|d| d.arg(0).to_owned()).collect();
    let (certs, keys): (Vec<String>, Vec<String>) = (all("ssl_certificate"), all("ssl_certificate_key"));
    if certs.is_empty() || certs.len() != keys.len() {
        let text = "ssl without as many ssl_certificate as ssl_certificate_key: put the files there";
        draft.approximated(line, text);
        let (cert, key) = ("/etc/headgate/server.pem".to_owned(), "/etc/headgate/server.key".to_owned());
        draft.certificate(line, listener, Certificate { cert, key });
    } else {
        for (cert, key) in certs.into_iter().zip(keys) {
            draft.certificate(line, listener, Certificate { cert, key });
        }
    }
    let asked_already = draft
        .config
        .listeners
        .get(listener)
        .and_then(|spec| spec.tls.as_ref())
        .is_some_and(|tls| tls.client_ca.is_some() && tls.client_auth == ClientAuth::Required);
    let Some(spec) = draft.config.listeners.get_mut(listener) else { return };
    let Some(tls) = &mut spec.tls else { return };
    let mut notes = Vec::new();
    if let Some(protocols) = find("ssl_protocols") {
        let has = |version: &str| protocols.args.iter().any(|arg| arg == version);
        if has("TLSv1.3") && !has("TLSv1.2") {
            tls.min_version = Some("1.3".to_owned());
        }
        if has("TLSv1") || has("TLSv1.1") {
            notes.push((protocols.line, "ssl_protocols: TLS 1.2 is the oldest that Headgate speaks"));
        }
    }
    let ca = find("ssl_client_certificate").or(find("ssl_trusted_certificate"));
    let verify = find("ssl_verify_client");
    match (ca.filter(|ca| !ca.arg(0).is_empty()), verify.map_or("off", |directive| directive.arg(0))) {
        (Some(ca), "on") => {
            tls.client_ca = Some(ca.arg(0).to_owned());
            tls.client_auth = ClientAuth::Required;
        }
        (Some(_), "optional") if asked_already => {
            notes.push((line, "ssl_verify_client: required, as another server of this listener wants it"));
        }
        (Some(ca), "optional") => {
            tls.client_ca = Some(ca.arg(0).to_owned());
            tls.client_auth = ClientAuth::Optional;
        }
        (Some(ca), _) => {
            notes.push((ca.line, "ssl_client_certificate: client certificates are not asked for"))
        }
        (None, _) => {}
    }
    for (line, text) in notes {
        draft.approximated(line, text);
    }
}
