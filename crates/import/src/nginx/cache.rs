//! `proxy_cache` and what belongs to it, as the `cache` of routes. Where a response is kept apart or kept out by
//! something that Headgate does not look at, nothing is cached.

use super::parse::Directive;
use crate::draft::Draft;
use crate::quantity::duration;
use headgate_model::spec::{CacheChoice, RouteCache, Span};
use std::time::Duration;

/// What holds in a block.
#[derive(Clone, Default)]
pub(super) struct Cache {
    on: bool,
    /// Of `proxy_cache_valid` for 200, at the innermost level that has any.
    ttl: Option<Duration>,
    fresh: bool,
    /// Whether the key tells requests apart by more than method, host, path and query.
    other_key: bool,
    /// Whether a condition keeps requests from the cache.
    conditional: bool,
}

impl Cache {
    /// The same, for a block inside.
    pub(super) fn inner(&self) -> Self {
        Self { fresh: false, ..self.clone() }
    }

    /// Takes a directive in; false when it is none of these.
    pub(super) fn take(&mut self, directive: &Directive, draft: &mut Draft) -> bool {
        let (line, first, shown) = (directive.line, directive.arg(0), directive.shown());
        match directive.name.as_str() {
            "proxy_cache" if first == "off" => {
                self.on = false;
                draft.unneeded(line, format!("{shown}: no route caches unless it says so"));
            }
            "proxy_cache" if first.contains('$') => {
                draft.untranslated(line, format!("{shown}: a cache with variables; nothing is cached"));
            }
            "proxy_cache" => {
                self.on = true;
                draft.approximated(
                    line,
                    format!("{shown}: `cache` of its routes, by RFC 9111; in one cache for all"),
                );
            }
            "proxy_cache_valid" => self.valid(directive, draft),
            "proxy_cache_key" => {
                self.other_key = !is_plain_key(&directive.args.concat());
                if self.other_key {
                    draft.untranslated(line, format!("{shown}: no such key; nothing is cached"));
                } else {
                    draft.approximated(line, format!("{shown}: the key is host, path and query"));
                }
            }
            "proxy_cache_bypass" | "proxy_no_cache" if directive.args == ["$http_upgrade"] => {
                draft.unneeded(line, format!("{shown}: an upgrade is never cached"));
            }
            "proxy_cache_bypass" | "proxy_no_cache" => {
                self.conditional = true;
                draft.untranslated(line, format!("{shown}: no conditions; nothing is cached here"));
            }
            "proxy_cache_lock"
            | "proxy_cache_lock_timeout"
            | "proxy_cache_lock_age"
            | "proxy_cache_revalidate" => {
                draft.unneeded(
                    line,
                    format!("{shown}: one fetch serves all who wait, and stale responses are asked about"),
                );
            }
            "proxy_cache_use_stale" | "proxy_cache_background_update" => {
                draft.approximated(
                    line,
                    format!("{shown}: as responses allow, and stale_if_unreachable of a route's cache"),
                );
            }
            "proxy_cache_path" => {
                draft.untranslated(
                    line,
                    format!("{shown}: [cache] says how much is kept, [cache.disk] where"),
                );
            }
            name if name.starts_with("proxy_cache") => {
                draft.untranslated(line, format!("{shown}: the cache has no such setting"));
            }
            _ => return false,
        }
        true
    }

    /// `proxy_cache_valid [STATUS ...] TIME`; without a status it is for 200, 301 and 302.
    fn valid(&mut self, directive: &Directive, draft: &mut Draft) {
        let (line, shown) = (directive.line, directive.shown());
        if !std::mem::replace(&mut self.fresh, true) {
            self.ttl = None;
        }
        let Some((time, statuses)) = directive.args.split_last() else {
            draft.untranslated(line, format!("{shown}: no time"));
            return;
        };
        let concerns_ok =
            statuses.is_empty() || statuses.iter().any(|status| status == "200" || status == "any");
        match duration(time, Duration::from_secs(1)) {
            Some(time) if concerns_ok => {
                self.ttl = Some(time);
                draft.approximated(
                    line,
                    format!("{shown}: ttl, for whatever response says nothing of its own"),
                );
            }
            Some(_) => {
                draft.untranslated(line, format!("{shown}: ttl is for all statuses, that of 200 is used"))
            }
            None => draft.untranslated(line, format!("{shown}: not a duration")),
        }
    }

    /// What a route says; none where nothing is cached. Like NGINX it looks at responses only, keeps none that
    /// sets a cookie, and guesses no lifetime.
    pub(super) fn choice(&self) -> Option<CacheChoice> {
        (self.on && !self.other_key && !self.conditional).then(|| {
            let cache = RouteCache {
                ttl: Some(Span(self.ttl.unwrap_or_default())),
                obey_requests: false,
                store_cookies: false,
                ..RouteCache::default()
            };
            cache.into()
        })
    }
}

/// Whether a key consists of what Headgate's has as well.
fn is_plain_key(key: &str) -> bool {
    const KNOWN: [&str; 12] = [
        "scheme",
        "host",
        "http_host",
        "proxy_host",
        "server_name",
        "request_uri",
        "uri",
        "document_uri",
        "is_args",
        "args",
        "query_string",
        "request_method",
    ];
    key.split('$').skip(1).all(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        KNOWN.contains(&&rest[..end])
    })
}
