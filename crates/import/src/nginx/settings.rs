//! The directives that hold for `http`, `server` and `location` alike and are inherited inwards.

use super::cache::Cache;
use super::guard::Guards;
use super::parse::Directive;
use super::real_ip::RealIp;
use crate::draft::{Draft, is_forwarding, of_certificates};
use crate::quantity::{duration, size};
use headgate_model::spec::{Bytes, HeaderEdits, ListenSpec, LogFormat, ServiceSpec, Span, UpstreamTls};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Default)]
pub(super) struct Settings {
    /// `proxy_set_header` of the innermost level that has any, with lines.
    request_headers: Vec<(usize, String, String)>,
    /// `add_header` of the innermost level that has any.
    response_headers: Vec<Directive>,
    hidden_headers: Vec<(usize, String)>,
    connect: Option<Duration>,
    read: Option<Duration>,
    attempts: Option<u8>,
    retry_statuses: Vec<u16>,
    no_retry: bool,
    upstream_tls: UpstreamTls,
    upstream_tls_said: bool,
    /// Line and bytes of `client_max_body_size`.
    pub(super) body: Option<(usize, u64)>,
    head_timeout: Option<Duration>,
    body_timeout: Option<Duration>,
    idle: Option<Duration>,
    requests: Option<u32>,
    head_bytes: Option<u64>,
    pub(super) real_ip: RealIp,
    pub(super) cache: Cache,
    /// What restricts access.
    pub(super) guards: Guards,
    /// What `limit_except` or an `if` on the method leaves; empty is all.
    pub(super) methods: Vec<String>,
    /// The level that the lists above belong to; a deeper one replaces them.
    fresh_request_headers: bool,
    fresh_response_headers: bool,
}

impl Settings {
    /// The same, for a block inside: its own header directives will replace these.
    pub(super) fn inner(&self) -> Self {
        Self {
            fresh_request_headers: false,
            fresh_response_headers: false,
            guards: self.guards.inner(),
            real_ip: self.real_ip.inner(),
            cache: self.cache.inner(),
            ..self.clone()
        }
    }

    /// Takes a directive in; false when it is not one of these.
    pub(super) fn take(&mut self, directive: &Directive, draft: &mut Draft) -> bool {
        let (line, first) = (directive.line, directive.arg(0));
        let shown = directive.shown();
        let seconds = || duration(first, SECOND);
        if is_timeout(&directive.name) && seconds().is_none_or(|time| time.is_zero()) {
            draft.untranslated(line, format!("{shown}: not a duration longer than zero"));
            return true;
        }
        match directive.name.as_str() {
            "proxy_set_header" => {
                if !std::mem::replace(&mut self.fresh_request_headers, true) {
                    self.request_headers.clear();
                }
                self.request_headers.push((line, first.to_owned(), directive.arg(1).to_owned()));
            }
            "add_header" => {
                if !std::mem::replace(&mut self.fresh_response_headers, true) {
                    self.response_headers.clear();
                }
                self.response_headers.push(directive.clone());
            }
            "proxy_hide_header" => self.hidden_headers.push((line, first.to_owned())),
            "proxy_connect_timeout" | "grpc_connect_timeout" => self.connect = seconds(),
            "proxy_read_timeout" | "grpc_read_timeout" => {
                self.read = seconds();
                let text = format!(
                    "{shown}: counts to the first byte; afterwards the listener's timeouts.body does"
                );
                draft.approximated(line, text);
            }
            "proxy_send_timeout" | "send_timeout" => {
                draft.untranslated(
                    line,
                    format!("{shown}: the listener's timeouts.body bounds both directions"),
                );
            }
            "proxy_next_upstream" => {
                self.no_retry = directive.args.iter().any(|arg| arg == "off");
                let status =
                    |arg: &String| arg.strip_prefix("http_")?.parse().ok().filter(|s| (400..600).contains(s));
                self.retry_statuses = directive.args.iter().filter_map(status).collect();
                if directive.args.iter().any(|arg| arg == "non_idempotent") {
                    draft.untranslated(line, "non_idempotent: Headgate repeats only what is safe to repeat");
                }
            }
            "proxy_next_upstream_tries" => match first.parse() {
                Ok(tries @ 1..=10) => self.attempts = Some(tries),
                _ => draft.untranslated(line, format!("{shown}: Headgate makes 1 to 10 attempts")),
            },
            "proxy_http_version" if first == "1.1" => {
                draft.unneeded(line, format!("{shown}: Headgate speaks HTTP/1.1 to services by default"));
            }
            "client_max_body_size" => match size(first) {
                Some(bytes) => self.body = Some((line, bytes)),
                None => draft.untranslated(line, format!("{shown}: not a size")),
            },
            "client_header_timeout" => self.head_timeout = seconds(),
            "client_body_timeout" => self.body_timeout = seconds(),
            "keepalive_timeout" => self.idle = seconds(),
            "keepalive_requests" => match first.parse() {
                Ok(requests) => self.requests = Some(requests),
                Err(_) => draft.untranslated(line, format!("{shown}: not a number")),
            },
            "large_client_header_buffers" => {
                let bytes =
                    first.parse::<u64>().ok().zip(size(directive.arg(1))).and_then(|(n, b)| n.checked_mul(b));
                self.head_bytes = bytes.map(|bytes| bytes.clamp(16_384, 1 << 20));
                draft.approximated(line, format!("{shown}: the sum is the limit on the whole head"));
            }
            "access_log" => take_access_log(directive, draft),
            _ => {
                return self.take_upstream_tls(directive, draft)
                    || self.real_ip.take(directive)
                    || self.cache.take(directive, draft)
                    || self.guards.take(directive, draft);
            }
        }
        true
    }

    fn take_upstream_tls(&mut self, directive: &Directive, draft: &mut Draft) -> bool {
        let (line, first) = (directive.line, directive.arg(0));
        match directive.name.as_str() {
            "proxy_ssl_verify" => self.verify(first == "on"),
            "proxy_ssl_server_name" => {
                let text = format!("{}: Headgate always sends SNI", directive.shown());
                if first == "on" { draft.unneeded(line, text) } else { draft.untranslated(line, text) }
            }
            "proxy_ssl_name" if !first.contains('$') => self.upstream_tls.sni = Some(first.to_owned()),
            "proxy_ssl_trusted_certificate" => self.upstream_tls.ca = Some(first.to_owned()),
            "proxy_ssl_certificate" => self.upstream_tls.cert = Some(first.to_owned()),
            "proxy_ssl_certificate_key" => self.upstream_tls.key = Some(first.to_owned()),
            _ => return false,
        }
        true
    }

    fn verify(&mut self, verify: bool) {
        self.upstream_tls.verify = verify;
        self.upstream_tls_said = true;
    }

    /// What the settings say about a listener.
    pub(super) fn apply_to_listener(&self, spec: &mut ListenSpec) {
        set(&mut spec.timeouts.head, self.head_timeout);
        set(&mut spec.timeouts.body, self.body_timeout);
        set(&mut spec.timeouts.idle, self.idle);
        spec.limits.requests = self.requests.unwrap_or(spec.limits.requests);
        spec.limits.head = self.head_bytes.map_or(spec.limits.head, Bytes);
    }

    /// What the settings say about a service.
    pub(super) fn apply_to_service(&self, line: usize, spec: &mut ServiceSpec, tls: bool, draft: &mut Draft) {
        set(&mut spec.timeouts.connect, self.connect);
        set(&mut spec.timeouts.first_byte, self.read);
        spec.retry.attempts = if self.no_retry { 1 } else { self.attempts.unwrap_or(spec.retry.attempts) };
        spec.retry.statuses.clone_from(&self.retry_statuses);
        if tls {
            let mut settings = self.upstream_tls.clone();
            if settings.cert.is_some() != settings.key.is_some() {
                draft.untranslated(
                    line,
                    "a client certificate for the upstream needs both certificate and key",
                );
                (settings.cert, settings.key) = (None, None);
            }
            if !settings.verify {
                settings.ca = None;
            }
            if !self.upstream_tls_said {
                let text = "NGINX does not verify the upstream's certificate unless told; Headgate does: to keep \
                            the old behaviour write tls = { verify = false } in the service";
                draft.approximated(line, text);
            }
            spec.tls = Some(settings);
        }
    }

    /// The header edits of a route, and the Host that its service sees: `None` for the client's.
    pub(super) fn headers(&self, proxy_host: &str, draft: &mut Draft) -> (HeaderEdits, Option<String>) {
        let mut edits = HeaderEdits::default();
        let mut host = Some(proxy_host.to_owned());
        for (line, name, value) in &self.request_headers {
            let lower = name.to_ascii_lowercase();
            match (lower.as_str(), value.as_str()) {
                ("host", "$host" | "$http_host") => host = None,
                ("host", "$proxy_host") => {}
                ("host", value) if !value.contains('$') => host = Some(value.to_owned()),
                ("connection" | "upgrade", _) => draft.unneeded(
                    *line,
                    format!(
                        "proxy_set_header {name}: Headgate keeps connections and carries upgrades itself"
                    ),
                ),
                ("x-forwarded-for", "$proxy_add_x_forwarded_for" | "$remote_addr")
                | ("x-forwarded-proto", "$scheme")
                | ("x-forwarded-host", "$host" | "$http_host") => {
                    draft.unneeded(*line, format!("proxy_set_header {name}: Headgate sets it by default"));
                }
                ("host", _) => {
                    draft.untranslated(
                        *line,
                        format!("proxy_set_header {name} {value}: a value with variables"),
                    );
                }
                ("x-real-ip", "$remote_addr") => {
                    draft.remove_header(*line, &mut edits, name);
                    draft.approximated(
                        *line,
                        "proxy_set_header X-Real-IP: the service finds the client in X-Forwarded-For; what a client \
                         sends under this name is removed",
                    );
                }
                _ if is_forwarding(name) || value.is_empty() => draft.remove_header(*line, &mut edits, name),
                (lower, value) if value.strip_prefix("$http_") == Some(&lower.replace('-', "_")) => {
                    draft.unneeded(*line, format!("proxy_set_header {name} {value}: it is passed on anyway"));
                }
                (_, value) if value.contains('$') => {
                    // The service may trust a field that no client could set so far.
                    draft.remove_header(*line, &mut edits, name);
                    let text = format!(
                        "proxy_set_header {name} {value}: a value with variables; what a client sends under this \
                         name is removed{}",
                        of_certificates(value)
                    );
                    draft.untranslated(*line, text);
                }
                (_, value) => draft.header(*line, &mut edits, false, name, value),
            }
        }
        (edits, host)
    }

    pub(super) fn response_edits(&self, draft: &mut Draft) -> HeaderEdits {
        let mut edits = HeaderEdits::default();
        for directive in &self.response_headers {
            let (line, name, value) = (directive.line, directive.arg(0), directive.arg(1));
            if value.contains('$') {
                draft.untranslated(line, format!("{}: a value with variables", directive.shown()));
                continue;
            }
            let text = match directive.arg(2) {
                "always" => "added to every answer but the error pages that Headgate writes itself",
                _ => "added to every answer, those with an error status as well",
            };
            draft.approximated(line, format!("add_header {name}: {text}"));
            draft.header(line, &mut edits, true, name, value);
        }
        for (line, name) in &self.hidden_headers {
            draft.remove_header(*line, &mut edits, name);
        }
        edits
    }
}

fn is_timeout(name: &str) -> bool {
    matches!(
        name,
        "proxy_connect_timeout"
            | "proxy_read_timeout"
            | "grpc_connect_timeout"
            | "grpc_read_timeout"
            | "client_header_timeout"
            | "client_body_timeout"
            | "keepalive_timeout"
    )
}

/// Zero would mean something else in each place; NGINX uses it for "off".
fn set<const D: u64>(field: &mut Span<D>, value: Option<Duration>) {
    if let Some(value) = value.filter(|value| !value.is_zero()) {
        *field = Span(value);
    }
}

/// Notes a directive that nothing took, with the reason where it is a known one.
pub(super) fn leftover(directive: &Directive, draft: &mut Draft) {
    let name = directive.name.as_str();
    let whole = if directive.block.is_some() { "the whole block; " } else { "" };
    if matches!(
        name,
        "sendfile" | "sendfile_max_chunk" | "tcp_nodelay" | "tcp_nopush" | "server_tokens" | "error_log"
    ) {
        draft.unneeded(directive.line, format!("{}: {whole}Headgate decides this itself", directive.shown()));
        return;
    }
    if matches!(name, "types" | "types_hash_max_size" | "types_hash_bucket_size" | "default_type") {
        draft.unneeded(
            directive.line,
            format!("{}: {whole}types of files have no meaning for a proxy", directive.shown()),
        );
        return;
    }
    let reason = match name {
        "root" | "index" | "try_files" | "alias" | "autoindex" | "expires" | "etag" | "open_file_cache"
        | "disable_symlinks" => "Headgate serves no files",
        "fastcgi_pass" | "uwsgi_pass" | "scgi_pass" | "memcached_pass" => {
            "Headgate speaks HTTP to its services only"
        }
        _ if name.starts_with("fastcgi_") || name.starts_with("uwsgi_") || name.starts_with("scgi_") => {
            "Headgate speaks HTTP to its services only"
        }
        _ if name.starts_with("gzip") || name.starts_with("brotli") => {
            "Headgate does not compress: the service can"
        }
        _ if name.starts_with("limit_") => "no limits on rates",
        "ssl_ciphers"
        | "ssl_prefer_server_ciphers"
        | "ssl_dhparam"
        | "ssl_ecdh_curve"
        | "ssl_conf_command" => "Headgate offers safe suites only",
        _ if name.starts_with("ssl_session") => "sessions are resumed by default",
        _ if name.starts_with("ssl_stapling") => "no OCSP stapling",
        "error_page" => "a service's fallback answers when no endpoint can",
        "proxy_redirect" => "Location headers pass unchanged",
        "proxy_buffering"
        | "proxy_request_buffering"
        | "proxy_buffers"
        | "proxy_buffer_size"
        | "proxy_busy_buffers_size"
        | "proxy_max_temp_file_size"
        | "client_body_buffer_size"
        | "client_header_buffer_size" => "Headgate streams and does not buffer whole messages",
        "log_format" => "log.format of Headgate has its own fields",
        "resolver" | "resolver_timeout" => {
            "Headgate uses the resolver of the system; discover = \"dns:...\" follows TTLs"
        }
        "map" | "geo" | "split_clients" | "set" => "no variables",
        "if" => "no conditions; routes match on host, path, methods, headers and query",
        _ => "no counterpart",
    };
    draft.untranslated(directive.line, format!("{}: {whole}{reason}", directive.shown()));
}

/// One access log for all: the first that is named is taken.
fn take_access_log(directive: &Directive, draft: &mut Draft) {
    let (line, path, format) = (directive.line, directive.arg(0), directive.arg(1));
    let shown = directive.shown();
    if path == "off" {
        if draft.config.log.is_some() {
            draft.untranslated(line, format!("{shown}: the access log is of all listeners and routes"));
        }
        return;
    }
    if !matches!(format, "" | "combined") {
        draft.approximated(line, format!("{shown}: written in the combined format"));
    }
    draft.log(line, LogFormat::Combined, Some(path).filter(|path| !path.is_empty()));
}
