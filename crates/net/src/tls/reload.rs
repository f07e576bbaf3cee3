//! A listener's certificates that can be replaced while they are served. When to look for changes is the
//! caller's decision; nothing here waits or runs by itself.

use super::{CertificateSet, Stamps, TlsError};
use arc_swap::ArcSwap;
use headgate_model::spec::Certificate;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::{Arc, Mutex, PoisonError};

/// The current certificates of one listener, shared by all workers. Handshakes read it without waiting.
#[derive(Debug)]
pub struct CertificateStore {
    files: Vec<Certificate>,
    current: ArcSwap<CertificateSet>,
    /// How the files looked before they were last read.
    seen: Mutex<Stamps>,
}

impl CertificateStore {
    /// Reads the certificates for the first time.
    ///
    /// # Errors
    /// As [`CertificateSet::load`].
    pub fn open(files: &[Certificate]) -> Result<Self, TlsError> {
        let seen = look(files);
        let current = ArcSwap::from_pointee(CertificateSet::load(files)?);
        Ok(Self { files: files.to_vec(), current, seen: Mutex::new(seen) })
    }

    /// Whether any file looks different from when it was last read: one `stat` per file, no content.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).changed()
    }

    /// Reads all files again and serves the result from the next handshake on. Established connections and
    /// tickets stay valid. Blocks on the disk: not for a worker's thread.
    ///
    /// # Errors
    /// As [`CertificateSet::load`]; then the old set stays in service, and [`Self::changed`] stays false
    /// until a file changes again, so that each bad state is reported once.
    pub fn reload(&self) -> Result<Arc<CertificateSet>, TlsError> {
        // Held throughout, so that of two reloads the later one wins. Stamped before reading: a change in
        // between is found by the next look.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = look(&self.files);
        let fresh = Arc::new(CertificateSet::load(&self.files)?);
        self.current.store(Arc::clone(&fresh));
        Ok(fresh)
    }

    /// The set that is being served.
    #[must_use]
    pub fn current(&self) -> Arc<CertificateSet> {
        self.current.load_full()
    }
}

impl ResolvesServerCert for CertificateStore {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let set = self.current.load();
        Some(Arc::clone(set.choose(hello.server_name(), hello.signature_schemes())))
    }
}

fn look(files: &[Certificate]) -> Stamps {
    Stamps::of(files.iter().flat_map(|pair| [&pair.cert, &pair.key]))
}
