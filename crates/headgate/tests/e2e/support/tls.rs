//! A certificate authority of the test's own, and TLS clients that trust it.

use super::gateway::Scratch;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    scratch: Scratch,
}

/// A certificate and its key, as files and as a client shows them.
pub(crate) struct Pair {
    pub cert: PathBuf,
    pub key: PathBuf,
    chain: Vec<CertificateDer<'static>>,
    private: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Under the name of its certificates OpenSSL takes them for their own issuers.
        params.distinguished_name.push(DnType::CommonName, "a test's authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer, scratch: super::scratch() }
    }

    /// Its own certificate, as a file.
    pub(crate) fn file(&self) -> PathBuf {
        let file = self.scratch.file("authority.pem");
        fs::write(&file, self.issuer.pem()).unwrap();
        file
    }

    /// A certificate for these names.
    pub(crate) fn certificate(&self, file: &str, names: &[&str]) -> Pair {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let cert = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        let files = [self.scratch.file(&format!("{file}.pem")), self.scratch.file(&format!("{file}.key"))];
        fs::write(&files[0], cert.pem()).unwrap();
        fs::write(&files[1], key.serialize_pem()).unwrap();
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let [cert_file, key_file] = files;
        Pair { cert: cert_file, key: key_file, chain: vec![cert.der().clone()], private }
    }

    /// What a client needs that trusts this authority alone, and shows `pair` if it is asked.
    pub(crate) fn client(&self, pair: Option<&Pair>, protocols: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots);
        let mut config = match pair {
            None => config.with_no_client_auth(),
            Some(pair) => config.with_client_auth_cert(pair.chain.clone(), pair.private.clone_key()).unwrap(),
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

impl Pair {
    /// Shown together with the certificate of its authority.
    pub(crate) fn with_issuer(mut self, authority: &Authority) -> Self {
        authority.file();
        self.chain.push(authority.issuer.der().clone());
        self
    }

    /// Its certificates in Base64, as they are shown.
    pub(crate) fn base64(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.cert).unwrap();
        let mut texts = vec![inside_pem(&text)];
        if self.chain.len() > 1 {
            texts.push(inside_pem(&fs::read_to_string(self.cert.with_file_name("authority.pem")).unwrap()));
        }
        texts
    }

    /// As an entry of `certificates` in the configuration.
    pub(crate) fn entry(&self) -> String {
        format!("{{ cert = \"{}\", key = \"{}\" }}", self.cert.display(), self.key.display())
    }
}

/// What stands between the first and the last line.
fn inside_pem(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("-----")).collect()
}
