//! What a worker is to fetch before anybody asks.

use headgate_cache::ahead::Ahead;
use std::net::IpAddr;
use std::sync::Arc;

/// A response to fetch.
pub(crate) struct Order {
    /// The request's head.
    pub text: Vec<u8>,
    pub is_encrypted: bool,
    /// For whom.
    pub client: IpAddr,
    /// The snapshot that `listener` is of.
    pub generation: u64,
    pub listener: u32,
    /// Told what becomes of it.
    pub ahead: Arc<Ahead>,
}
