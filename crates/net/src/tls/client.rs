//! TLS towards upstreams: one `rustls::ClientConfig` per service, shared by all workers, so that they also
//! share sessions to resume.

use super::certificates::load_pair;
use super::server::authorities;
use super::{TlsError, alpn, provider};
use headgate_model::spec::{Certificate, Protocol, UpstreamTls};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, IpAddr, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::Arc;

/// Server names whose sessions are remembered.
const STORED_SESSIONS: usize = 1_024;

/// Builds a service's TLS. By ALPN exactly the service's protocol is offered: the gateway has already
/// decided what it will speak.
///
/// # Errors
/// [`TlsError`] for a file or setting that cannot be used.
pub fn client(spec: &UpstreamTls, protocol: Protocol) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let verifier = verifier(spec, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match (&spec.cert, &spec.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => {
            let pair = load_pair(&Certificate { cert: cert.clone(), key: key.clone() })?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
        }
        _ => return Err(TlsError::HalfClientCertificate),
    };
    let http2 = protocol == Protocol::Http2;
    config.alpn_protocols = alpn(http2, !http2);
    config.resumption = Resumption::in_memory_sessions(STORED_SESSIONS);
    Ok(Arc::new(config))
}

/// The name to send and to verify by: the spec's `sni`, else the host of the endpoint's address (an IPv6
/// address may stand in brackets). An IP address is verified but not sent (RFC 6066 section 3).
///
/// # Errors
/// [`TlsError::BadServerName`] when it is neither a DNS name nor an IP address, as for a Unix socket.
pub fn server_name(spec: &UpstreamTls, host: &str) -> Result<ServerName<'static>, TlsError> {
    let name = spec.sni.as_deref().unwrap_or(host);
    let bare = name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let parsed = match bare {
        Some(address) => IpAddr::try_from(address).ok().map(ServerName::from),
        None => ServerName::try_from(name).ok().map(|name| name.to_owned()),
    };
    parsed.ok_or_else(|| TlsError::BadServerName(name.to_owned()))
}

fn verifier(
    spec: &UpstreamTls,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    if !spec.verify {
        let schemes = provider.signature_verification_algorithms.supported_schemes();
        return Ok(Arc::new(AcceptsAnyCertificate { schemes }));
    }
    let roots = match &spec.ca {
        Some(file) => authorities(file)?,
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
    };
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    Ok(built.map_err(|error| rustls::Error::General(error.to_string()))?)
}

/// `verify = false`: believes every certificate, so the connection is private only from those who merely
/// listen. Not even the handshake's signature is checked: it would prove nothing, and could only fail for
/// the odd certificates that tests use.
#[derive(Debug)]
struct AcceptsAnyCertificate {
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for AcceptsAnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
