//! The certificates of one listener: read from PEM files, checked, and chosen by server name. It knows
//! neither the network nor when to read again.

use super::TlsError;
use headgate_model::spec::Certificate;
use rustls::SignatureScheme;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::sign::CertifiedKey;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

const SECONDS_PER_DAY: u64 = 86_400;

/// Certificates by the DNS names they are for. Never empty.
#[derive(Debug)]
pub struct CertificateSet {
    exact: HashMap<Box<str>, Candidates>,
    /// `*.example.com` under the key `example.com`.
    wildcard: HashMap<Box<str>, Candidates>,
    all: Candidates,
    warnings: Vec<CertificateWarning>,
}

impl CertificateSet {
    /// Reads and checks all files. The set is returned whole or not at all.
    ///
    /// # Errors
    /// [`TlsError`] for the first file that cannot be read or used, and for a key that belongs to another
    /// certificate. An expired certificate is a warning: an operator who reloads late is still served.
    pub fn load(files: &[Certificate]) -> Result<Self, TlsError> {
        let now = UnixTime::now();
        let (mut exact, mut wildcard) = (HashMap::new(), HashMap::new());
        let (mut all, mut warnings) = (None, Vec::new());
        for pair in files {
            let certified = Arc::new(load_pair(pair)?);
            let (names, warning) = examine(&pair.cert, &certified, now)?;
            warnings.extend(warning);
            if names.is_empty() {
                warnings.push(CertificateWarning::NoNames { file: pair.cert.clone() });
            }
            for name in &names {
                match name.strip_prefix("*.") {
                    Some(parent) => add(&mut wildcard, parent, &certified),
                    None => add(&mut exact, name, &certified),
                }
            }
            Candidates::push(&mut all, &certified);
        }
        let all = all.ok_or(TlsError::NoCertificatesConfigured)?;
        Ok(Self { exact, wildcard, all, warnings })
    }

    /// The certificate for a server name: an exact name before a wildcard (which stands for exactly one
    /// label, RFC 6125 section 6.4.3), and the first configured when neither fits or none was sent. Of
    /// several for one name, the first whose key the client can verify: RSA and ECDSA can stand side by side.
    #[must_use]
    pub fn choose(&self, server_name: Option<&str>, schemes: &[SignatureScheme]) -> &Arc<CertifiedKey> {
        let named = server_name.and_then(|name| {
            let name = normal(name);
            let parent = name.split_once('.').map(|(_, parent)| parent);
            self.exact.get(&*name).or_else(|| self.wildcard.get(parent?))
        });
        named.unwrap_or(&self.all).pick(schemes)
    }

    /// What an operator should be told although the set can be served.
    #[must_use]
    pub fn warnings(&self) -> &[CertificateWarning] {
        &self.warnings
    }
}

/// Something that clients will object to, or a certificate that no name can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateWarning {
    Expired {
        file: String,
        days_ago: u64,
    },
    NotYetValid {
        file: String,
        in_days: u64,
    },
    /// It has an extended key usage that leaves out TLS servers (RFC 5280 section 4.2.1.12).
    NotForServers {
        file: String,
    },
    /// No DNS name in its subjectAltName, so it can only be served as the default.
    NoNames {
        file: String,
    },
}

impl fmt::Display for CertificateWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { file, days_ago } => {
                write!(
                    f,
                    "the certificate in {file} expired {days_ago} days ago; clients will refuse it, renew it"
                )
            }
            Self::NotYetValid { file, in_days } => {
                write!(
                    f,
                    "the certificate in {file} becomes valid in {in_days} days; check this machine's clock"
                )
            }
            Self::NotForServers { file } => {
                write!(f, "the certificate in {file} was not issued for TLS servers; clients will refuse it")
            }
            Self::NoNames { file } => {
                write!(f, "the certificate in {file} has no DNS names; it is served only if it comes first")
            }
        }
    }
}

/// The certificate chain of a PEM file, in its order.
pub(super) fn read_chain(file: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file)?).collect();
    let chain = chain.map_err(|source| TlsError::Pem { file: file.to_owned(), source })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { file: file.to_owned() });
    }
    Ok(chain)
}

/// A chain and its key, checked to belong together.
pub(super) fn load_pair(pair: &Certificate) -> Result<CertifiedKey, TlsError> {
    let chain = read_chain(&pair.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&pair.key)?).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { file: pair.key.clone() },
        source => TlsError::Pem { file: pair.key.clone(), source },
    })?;
    let key = super::provider()
        .key_provider
        .load_private_key(key)
        .map_err(|source| TlsError::BadKey { file: pair.key.clone(), source })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(TlsError::KeyMismatch { cert: pair.cert.clone(), key: pair.key.clone() })
        }
        Err(source) => Err(TlsError::BadCertificate { file: pair.cert.clone(), source }),
    }
}

fn read(file: &str) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|source| TlsError::Read { file: file.to_owned(), source })
}

/// The lower-case DNS names of a certificate, and what is wrong with it today.
fn examine(
    file: &str,
    certified: &CertifiedKey,
    now: UnixTime,
) -> Result<(Vec<String>, Option<CertificateWarning>), TlsError> {
    let bad = |source| TlsError::BadCertificate { file: file.to_owned(), source };
    let leaf = certified.end_entity_cert().map_err(bad)?;
    let leaf = webpki::EndEntityCert::try_from(leaf)
        .map_err(|error| bad(rustls::Error::General(format!("it cannot be parsed ({error})"))))?;
    let names = leaf.valid_dns_names().map(str::to_ascii_lowercase).collect();

    // Without authorities every certificate fails, but what does not depend on its issuer is judged first:
    // the dates, then the key usage. Anything else is for clients to judge.
    let server = webpki::KeyUsage::server_auth();
    let verdict = leaf.verify_for_usage(&[], &[], &[], now, server, None, None).err();
    let days = |from: UnixTime, to: UnixTime| to.as_secs().saturating_sub(from.as_secs()) / SECONDS_PER_DAY;
    let file = file.to_owned();
    let warning = match verdict {
        Some(webpki::Error::CertExpired { time, not_after }) => {
            Some(CertificateWarning::Expired { file, days_ago: days(not_after, time) })
        }
        Some(webpki::Error::CertNotValidYet { time, not_before }) => {
            Some(CertificateWarning::NotYetValid { file, in_days: days(time, not_before) })
        }
        Some(webpki::Error::RequiredEkuNotFoundContext(_)) => {
            Some(CertificateWarning::NotForServers { file })
        }
        _ => None,
    };
    Ok((names, warning))
}

/// DNS names compare without case (RFC 4343), and a final dot only marks them as complete.
fn normal(name: &str) -> Cow<'_, str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    }
}

fn add(names: &mut HashMap<Box<str>, Candidates>, name: &str, certified: &Arc<CertifiedKey>) {
    let mut candidates = names.remove(name);
    Candidates::push(&mut candidates, certified);
    names.extend(candidates.map(|candidates| (name.into(), candidates)));
}

/// Certificates for one name in the configured order: at least one.
#[derive(Debug)]
struct Candidates {
    first: Arc<CertifiedKey>,
    others: Vec<Arc<CertifiedKey>>,
}

impl Candidates {
    fn push(candidates: &mut Option<Self>, certified: &Arc<CertifiedKey>) {
        match candidates {
            None => *candidates = Some(Self { first: Arc::clone(certified), others: Vec::new() }),
            Some(some) => some.others.push(Arc::clone(certified)),
        }
    }

    fn pick(&self, schemes: &[SignatureScheme]) -> &Arc<CertifiedKey> {
        if self.others.is_empty() {
            return &self.first;
        }
        let mut candidates = std::iter::once(&self.first).chain(&self.others);
        candidates.find(|certified| certified.key.choose_scheme(schemes).is_some()).unwrap_or(&self.first)
    }
}
