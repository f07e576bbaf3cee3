//! What can be wrong with TLS settings and their files. Each error names the file and the remedy.

use std::io;

/// Why a TLS configuration could not be built or re-read. Nothing here is caused by a peer.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {file}: {source}; check the path and its permissions")]
    Read { file: String, source: io::Error },
    #[error("{file} is not PEM: {source}; expected blocks between -----BEGIN ...----- and -----END ...-----")]
    Pem { file: String, source: rustls::pki_types::pem::Error },
    #[error("no certificate found in {file}; it needs at least one -----BEGIN CERTIFICATE----- block")]
    NoCertificate { file: String },
    #[error(
        "no private key found in {file}; it needs a -----BEGIN PRIVATE KEY----- block (RSA and EC blocks are \
         read too; decrypt an encrypted key first)"
    )]
    NoKey { file: String },
    #[error("the certificate in {file} cannot be used: {source}")]
    BadCertificate { file: String, source: rustls::Error },
    #[error("the private key in {file} cannot be used: {source}; use RSA, ECDSA (P-256, P-384) or Ed25519")]
    BadKey { file: String, source: rustls::Error },
    #[error(
        "the key in {key} does not match the certificate in {cert}; the first certificate of the file must be \
         the server's own, followed by its intermediates"
    )]
    KeyMismatch { cert: String, key: String },
    #[error(
        "the listener's tls table names no certificate; add certificates = [{{ cert = ..., key = ... }}]"
    )]
    NoCertificatesConfigured,
    #[error("min_version `{0}` is not known; write \"1.2\" or \"1.3\"")]
    UnknownVersion(String),
    #[error("a client certificate needs both files; set `cert` and `key`, or neither")]
    HalfClientCertificate,
    #[error("`{0}` is neither a DNS name nor an IP address to verify the endpoint by; set tls.sni")]
    BadServerName(String),
    #[error("the authorities in {file} cannot be used to verify clients: {reason}")]
    ClientVerifier { file: String, reason: String },
    #[error("the TLS library refused the settings: {0}")]
    Library(#[from] rustls::Error),
}
