//! TLS towards one service's endpoints: compiled with the snapshot, used when a connection is dialled.

use crate::compile_error::CompileError;
use headgate_model::address::{EndpointAddress, Target};
use headgate_model::discover::Discover;
use headgate_model::fault::{Fault, FaultKind};
use headgate_model::spec::{ServiceSpec, UpstreamTls as Spec};
use headgate_model::state::EndpointState;
use headgate_net::deadline::Deadline;
use headgate_net::stream::Stream;
use headgate_net::tls::Stamps;
use headgate_net::tls::client::{client, server_name};
use headgate_observe::log::{self, Level, PeerEvent, peer_event};
use rustls::ClientConfig;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio_rustls::{TlsConnector, TlsStream};

static HANDSHAKE_FAILED: PeerEvent = PeerEvent::new("upstream_tls_failed");

/// How one service's endpoints are spoken to over TLS.
#[derive(Clone)]
pub struct UpstreamTls {
    config: Arc<ClientConfig>,
    spec: Spec,
    files: Arc<Stamps>,
    /// Name that discovered addresses are verified by: what was asked of DNS.
    discovered_host: Option<String>,
}

impl UpstreamTls {
    /// `None` when neither the service nor any endpoint's address asks for TLS. A service that has not
    /// changed, nor its files, keeps what `before` had, and with it the sessions that can be resumed; also
    /// when its files have changed to something that cannot be used.
    ///
    /// # Errors
    /// Names the file or setting that cannot be used.
    pub(crate) fn compile(
        name: &str,
        spec: &ServiceSpec,
        endpoints: &[Arc<EndpointState>],
        before: Option<(&ServiceSpec, Option<&Self>)>,
    ) -> Result<Option<Self>, CompileError> {
        let by_address = endpoints.iter().any(|endpoint| endpoint.address.tls == Some(true));
        if spec.tls.is_none() && !by_address {
            return Ok(None);
        }
        let known = before.and_then(|(known, tls)| {
            let alike =
                known.tls == spec.tls && known.protocol == spec.protocol && known.discover == spec.discover;
            tls.filter(|_| alike)
        });
        if let Some(known) = known.filter(|known| !known.is_outdated()) {
            return Ok(Some(known.clone()));
        }
        let tls = spec.tls.clone().unwrap_or_default();
        let files = Arc::new(Stamps::of([&tls.ca, &tls.cert, &tls.key].into_iter().flatten()));
        let config = match (client(&tls, spec.protocol), known) {
            (Ok(config), _) => config,
            (Err(error), Some(known)) => {
                let fields: log::Fields<'_> = &[("service", &name), ("error", &error)];
                log::event(Level::Error, "TLS files of a service not read again; the old ones stay", fields);
                return Ok(Some(Self { files, ..known.clone() }));
            }
            (Err(error), None) => {
                let place = format!("service.{name}.tls");
                return Err(CompileError { place, message: error.to_string() });
            }
        };
        let discovered_host = match spec.discover.as_ref().and_then(|source| source.parse().ok()) {
            Some(Discover::Dns { host, .. }) => Some(host),
            _ => None,
        };
        Ok(Some(Self { config, spec: tls, files, discovered_host }))
    }

    /// Whether one of its files has changed since it was read.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        self.files.changed()
    }

    /// Whether a connection to `address` is one over TLS: its own word counts before the service's.
    pub(crate) fn applies(address: &EndpointAddress, service: &ServiceSpec) -> bool {
        address.tls.unwrap_or(service.tls.is_some())
    }

    /// Does the handshake on a connected stream.
    ///
    /// # Errors
    /// When it fails, or is not done by `deadline`.
    pub(crate) async fn connect(
        &self,
        stream: Stream,
        address: &EndpointAddress,
        deadline: &Deadline,
    ) -> Result<Stream, Fault> {
        const FAILED: Fault = Fault::new(FaultKind::TlsFailed, "the TLS handshake with the upstream failed");
        let host = match (&self.discovered_host, &address.target) {
            (_, Target::Name { host, .. }) => host.clone(),
            (Some(host), _) => host.clone(),
            (None, Target::Ip(address)) => address.ip().to_string(),
            (None, Target::Unix(_)) => "localhost".to_owned(),
        };
        let name = server_name(&self.spec, &host).map_err(|_| {
            Fault::new(FaultKind::TlsFailed, "the upstream's name cannot be verified; set its `sni`")
        })?;
        let Ok(socket) = stream.into_socket() else { return Err(FAILED) };
        let mut connecting = pin!(TlsConnector::from(Arc::clone(&self.config)).connect(name, socket));
        let connected = poll_fn(|cx| match connecting.as_mut().poll(cx) {
            Poll::Ready(Ok(connected)) => Poll::Ready(Ok(connected)),
            Poll::Ready(Err(error)) => {
                let fields: log::Fields<'_> = &[("endpoint", address), ("error", &error)];
                peer_event(
                    &HANDSHAKE_FAILED,
                    Level::Warn,
                    "the TLS handshake with an upstream failed",
                    fields,
                );
                Poll::Ready(Err(FAILED))
            }
            Poll::Pending => deadline.poll_due(cx).map(|()| {
                Err(Fault::new(
                    FaultKind::ConnectTimeout,
                    "the TLS handshake with the upstream took too long",
                ))
            }),
        });
        Ok(Stream::from(TlsStream::Client(connected.await?)))
    }
}
