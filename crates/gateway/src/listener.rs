//! A listener compiled for the hot path: its settings, whom it trusts, its TLS, how many it holds.

use crate::compile_error::CompileError;
use headgate_model::address::Network;
use headgate_model::spec::ListenSpec;
use headgate_net::tls::server::{ServerTls, server};
use headgate_observe::log::{self, Level};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

pub struct Listener {
    pub name: Box<str>,
    pub spec: ListenSpec,
    pub trusted: Vec<Network>,
    pub tls: Option<ServerTls>,
    /// Connections that are open, over all workers and across reloads.
    open: Arc<AtomicU32>,
}

impl Listener {
    /// Compiles a listener. What `before`, the one of the same name, had under equal TLS settings and files is
    /// kept, so that clients can go on resuming their sessions; also when the files have changed to something
    /// that cannot be used.
    ///
    /// # Errors
    /// Names the setting or file that cannot be used.
    pub(crate) fn compile(
        name: &str,
        spec: &ListenSpec,
        before: Option<&Self>,
    ) -> Result<Self, CompileError> {
        let error =
            |key: &str, message: String| CompileError { place: format!("listen.{name}.{key}"), message };
        let trusted =
            spec.trusted_proxies.iter().map(|text| text.parse::<Network>()).collect::<Result<_, _>>();
        let trusted = trusted.map_err(|bad| error("trusted_proxies", bad.to_string()))?;
        let known = before
            .filter(|known| known.spec.tls == spec.tls && known.spec.speaks_http2() == spec.speaks_http2());
        let tls = match (&spec.tls, known) {
            (None, _) => None,
            (Some(_), Some(known)) if !known.is_outdated() => known.tls.clone(),
            (Some(tls), known) => {
                match (server(tls, spec.speaks_http2()), known.and_then(|known| known.tls.as_ref())) {
                    (Ok(fresh), _) => Some(fresh),
                    (Err(bad), None) => return Err(error("tls", bad.to_string())),
                    (Err(bad), Some(known)) => {
                        let fields: log::Fields<'_> = &[("listener", &name), ("error", &bad)];
                        log::event(
                            Level::Error,
                            "clients' authorities not read again; the old ones stay",
                            fields,
                        );
                        Some(known.with_authorities_seen(tls))
                    }
                }
            }
        };
        let open = before.map_or_else(Arc::default, |known| Arc::clone(&known.open));
        Ok(Self { name: name.into(), spec: spec.clone(), trusted, tls, open })
    }

    /// Whether a file has changed that is read only when the listener is compiled.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.authorities.changed())
    }

    /// Takes a place for one connection; `None` when the limit is reached.
    pub(crate) fn enter(&self) -> Option<Place> {
        Place::take(&self.open, self.spec.limits.connections)
    }
}

/// One connection's place among those that may be open; free again when dropped.
pub(crate) struct Place(Arc<AtomicU32>);

impl Place {
    /// `None` when `most` are taken.
    pub(crate) fn take(taken: &Arc<AtomicU32>, most: u32) -> Option<Self> {
        let place = Self(Arc::clone(taken));
        (taken.fetch_add(1, Relaxed) < most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
