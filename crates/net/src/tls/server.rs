//! TLS towards clients: one `rustls::ServerConfig` per listener, built from its spec and shared by all
//! workers, so that they also share tickets and sessions.

use super::certificates::read_chain;
use super::{CertificateStore, Stamps, TlsError, alpn, provider};
use headgate_model::spec::{ClientAuth, ListenTls};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;

/// Sessions kept for TLS 1.2 clients that resume without tickets. Others carry their own session in a ticket.
const STORED_SESSIONS: usize = 4_096;

/// A listener's TLS: the configuration for the acceptors, the store to reload certificates by, and how the
/// file of the clients' authorities looked, which only another call can read again.
#[derive(Clone, Debug)]
pub struct ServerTls {
    pub config: Arc<ServerConfig>,
    pub certificates: Arc<CertificateStore>,
    pub authorities: Arc<Stamps>,
}

impl ServerTls {
    /// The same, with the file of the authorities taken for known as it is now.
    #[must_use]
    pub fn with_authorities_seen(&self, spec: &ListenTls) -> Self {
        Self { authorities: Arc::new(Stamps::of(&spec.client_ca)), ..self.clone() }
    }
}

/// Builds a listener's TLS. `http2` offers `h2` by ALPN before `http/1.1`.
///
/// Early data (0-RTT) is never accepted, since it can be replayed (RFC 8446 section 8). Ticket keys are
/// made anew for each call and rotated by rustls every six hours; keep the result as long as its spec is
/// unchanged, or clients cannot resume. Where certificates are asked for, no session is resumed.
///
/// # Errors
/// [`TlsError`] for a file or setting that cannot be used.
pub fn server(spec: &ListenTls, http2: bool) -> Result<ServerTls, TlsError> {
    let certificates = Arc::new(CertificateStore::open(&spec.certificates)?);
    let authorities = Arc::new(Stamps::of(&spec.client_ca));
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(spec.min_version.as_deref())?)?;
    let builder = match &spec.client_ca {
        Some(file) => builder.with_client_cert_verifier(client_verifier(file, spec.client_auth, provider)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::clone(&certificates) as Arc<_>);
    config.alpn_protocols = alpn(http2, true);
    if spec.client_ca.is_some() {
        // A resumed session brings its certificate along unverified, and a new ticket: it would outlive the
        // certificate's own end.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    } else {
        config.session_storage = ServerSessionMemoryCache::new(STORED_SESSIONS);
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        // One is enough to resume by, each resumed connection brings the next, and each costs every handshake
        // about 250 bytes and an encryption.
        config.send_tls13_tickets = 1;
    }
    Ok(ServerTls { config: Arc::new(config), certificates, authorities })
}

fn versions(minimum: Option<&str>) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    match minimum {
        None | Some("1.2") => Ok(vec![&rustls::version::TLS13, &rustls::version::TLS12]),
        Some("1.3") => Ok(vec![&rustls::version::TLS13]),
        Some(other) => Err(TlsError::UnknownVersion(other.to_owned())),
    }
}

fn client_verifier(
    file: &str,
    auth: ClientAuth,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(file)?), provider);
    let builder = match auth {
        ClientAuth::Required => builder,
        ClientAuth::Optional => builder.allow_unauthenticated(),
    };
    let verifier = builder.build();
    verifier.map_err(|error| TlsError::ClientVerifier { file: file.to_owned(), reason: error.to_string() })
}

/// The authorities of a PEM file. One that cannot be parsed fails the file: leaving it out would refuse
/// peers later for no visible reason.
pub(super) fn authorities(file: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(file)? {
        let added = roots.add(certificate);
        added.map_err(|source| TlsError::BadCertificate { file: file.to_owned(), source })?;
    }
    Ok(roots)
}
