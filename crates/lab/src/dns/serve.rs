//! The server: one socket, one thread, the file looked at with each question.

use super::message::{answer, parse};
use super::zone::ZoneSpec;
use headgate_model::ConfigError;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Instant, SystemTime};
use tokio::net::UdpSocket;

/// Answers that may wait for their delay; further questions are not answered.
const WAITING_MAX: usize = 1_000;
/// A longer question is none.
const QUERY_MAX: usize = 1_500;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    #[error("cannot read {path}: {error}")]
    Read { path: String, error: io::Error },
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Faulty(Vec<ConfigError>),
    #[error("cannot listen at {address}: {error}")]
    Listen { address: SocketAddr, error: io::Error },
}

/// When a file was modified, its length and its inode.
type Stamp = (SystemTime, u64, u64);

/// A server that is bound.
#[derive(Debug)]
pub struct Server {
    socket: Arc<UdpSocket>,
    path: PathBuf,
    zone: ZoneSpec,
    stamp: Option<Stamp>,
    began: Instant,
    waiting: Arc<AtomicUsize>,
}

impl Server {
    /// Reads the file and binds its address.
    ///
    /// # Errors
    /// [`DnsError`].
    pub async fn bind(path: &Path) -> Result<Self, DnsError> {
        // Looked at first: a change in between is then seen later.
        let stamp = stamp(path);
        let zone = read(path)?;
        let address = zone.listen;
        let socket = UdpSocket::bind(address).await;
        let socket = Arc::new(socket.map_err(|error| DnsError::Listen { address, error })?);
        let waiting = Arc::default();
        Ok(Self { socket, path: path.to_owned(), zone, stamp, began: Instant::now(), waiting })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Answers for ever. `tell` is told each time that the file was read again, and what is wrong with it; a
    /// faulty one changes nothing.
    pub async fn run(mut self, tell: &mut (dyn FnMut(Result<(), DnsError>) + Send)) {
        let mut query = [0; QUERY_MAX];
        loop {
            // An error is about an answer before that did not arrive.
            let Ok((length, from)) = self.socket.recv_from(&mut query).await else { continue };
            let now = stamp(&self.path);
            if now != self.stamp {
                self.stamp = now;
                tell(read(&self.path).map(|zone| self.zone = zone));
            }
            let Some(question) = parse(&query[..length]) else { continue };
            let said = self.zone.say(&question.name, question.kind, self.began.elapsed());
            let Some(bytes) = answer(&question, &said) else { continue };
            if said.delay.is_zero() {
                // Whoever is gone gets no answer.
                let _ = self.socket.send_to(&bytes, from).await;
            } else if self.waiting.fetch_add(1, Relaxed) < WAITING_MAX {
                let (socket, waiting) = (Arc::clone(&self.socket), Arc::clone(&self.waiting));
                tokio::spawn(async move {
                    tokio::time::sleep(said.delay).await;
                    let _ = socket.send_to(&bytes, from).await;
                    waiting.fetch_sub(1, Relaxed);
                });
            } else {
                self.waiting.fetch_sub(1, Relaxed);
            }
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len(), meta.ino()))
}

fn read(path: &Path) -> Result<ZoneSpec, DnsError> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| DnsError::Read { path: name.clone(), error })?;
    ZoneSpec::read(&text, &name).map_err(DnsError::Faulty)
}
