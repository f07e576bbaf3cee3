//! Starts and ends the learner as the configuration wants it.

use super::learner::Learner;
use crate::prefetch_queue::Hub;
use crate::worker::Shared;
use headgate_model::spec::{Config, PrefetchMode, PrefetchSpec};
use headgate_observe::log::{self, Level};
use std::sync::Arc;

/// Starts, stops or replaces the learner, as `config` wants it; to be called before that is published. `seed` keys what
/// peers could otherwise choose, and the dice.
pub fn follow(shared: &Arc<Shared>, config: &Config, workers: usize, seed: u64) {
    let spec = &config.cache.prefetch;
    let caches = config.routes.iter().filter_map(|route| route.cache.as_ref()?.settings());
    let wanted = spec.mode != PrefetchMode::Off && caches.into_iter().any(|settings| settings.prefetch);
    let before = shared.prefetch.load_full();
    if wanted && before.as_ref().is_some_and(|hub| hub.is_for(spec, workers)) {
        return;
    }
    if let Some(before) = shared.prefetch.swap(None) {
        before.stop();
    }
    if wanted {
        match start(shared, spec, workers, seed) {
            Ok(hub) => shared.prefetch.store(Some(Arc::new(hub))),
            Err(error) => log::event(Level::Error, "nothing is fetched ahead", &[("error", &error)]),
        }
    }
}

fn start(
    shared: &Arc<Shared>,
    spec: &PrefetchSpec,
    workers: usize,
    seed: u64,
) -> Result<Hub, Box<dyn std::error::Error>> {
    let (hub, ends) = Hub::new(spec, workers);
    let learner = Learner::new(Arc::clone(shared), spec, ends, seed)?;
    hub.runs_on(std::thread::Builder::new().name("prefetch".to_owned()).spawn(|| learner.run())?);
    Ok(hub)
}
