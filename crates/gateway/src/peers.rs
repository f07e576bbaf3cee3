//! Other gateways that share a tier of the cache: what they purge is purged here. How they hear of each other is
//! known to the tier.

use crate::worker::Shared;
use headgate_cache::redis::Gateway;
use headgate_cache::tier::{Notice, Noticed};
use headgate_observe::log::{self, Level};
use std::pin::Pin;
use std::sync::{Arc, Weak};

/// Starts the tier that gateways share, if there is one; without a thread it stays off.
pub fn follow(shared: &Arc<Shared>) {
    let Some(redis) = &shared.cache.redis else { return };
    if let Err(error) = redis.start(Arc::new(ThisGateway(Arc::downgrade(shared)))) {
        log::event(Level::Error, "the cache has no tier in Redis", &[("error", &error)]);
    }
}

/// What other gateways' purges are done to.
struct ThisGateway(Weak<Shared>);

impl Gateway for ThisGateway {
    fn hear(&self, notice: &Notice) {
        if let Some(shared) = self.0.upgrade() {
            shared.cache.hear(notice);
        }
    }

    fn hear_below(&self, what: &Noticed) {
        if let Some(shared) = self.0.upgrade() {
            shared.cache.lower.hear(what);
        }
    }

    fn doubt(&self, below: bool) {
        if let Some(shared) = self.0.upgrade() {
            shared.cache.doubt(below);
        }
    }

    fn release(&self) {
        if let Some(shared) = self.0.upgrade() {
            shared.cache.lower.release();
        }
    }

    fn is_ready(&self) -> bool {
        let ready = |shared: &Shared| shared.cache.disk.as_ref().is_none_or(|disk| disk.figures().ready);
        self.0.upgrade().is_some_and(|shared| ready(&shared))
    }

    fn recall(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send>> {
        let shared = self.0.upgrade();
        Box::pin(async move { shared?.cache.lower.recall().await })
    }

    fn remember(&self, position: &str) -> bool {
        self.0.upgrade().is_some_and(|shared| shared.cache.lower.remember(position))
    }
}
