//! TLS in both directions on rustls and aws-lc-rs: configurations for listeners and for upstreams, and
//! certificates that can be replaced while they are served. Handshakes and records are rustls' own matter.

mod certificates;
pub mod client;
mod client_cert;
mod error;
mod reload;
pub mod server;
mod stamps;
#[cfg(test)]
mod tests;

pub use certificates::{CertificateSet, CertificateWarning};
pub use client_cert::{ClientCert, TooLong};
pub use error::TlsError;
pub use reload::CertificateStore;
pub use stamps::Stamps;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::sync::Arc;

/// The cryptography both directions use: rustls' own choice of suites, and key exchange led by the hybrid
/// X25519MLKEM768, so that recorded traffic stays closed to a later quantum computer. A listener follows its
/// client's order; towards an upstream the order decides which key share is sent first.
fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    Arc::new(CryptoProvider {
        kx_groups: vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1],
        ..aws_lc_rs::default_provider()
    })
}

/// ALPN protocol identifiers (RFC 7301), best first.
fn alpn(http2: bool, http1: bool) -> Vec<Vec<u8>> {
    let offered = [(http2, &b"h2"[..]), (http1, b"http/1.1")];
    offered.iter().filter(|(on, _)| *on).map(|(_, id)| id.to_vec()).collect()
}
