//! The addresses of host names that stand as endpoints, written into every endpoint of such a name. It asks
//! nobody: the tasks that follow the names tell it what they found.

use headgate_model::address::Target;
use headgate_model::state::ServiceState;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Shared by the loop and the tasks that it follows names with.
#[derive(Default)]
pub(super) struct Names {
    known: Mutex<Known>,
    changed: Notify,
}

/// By host.
type Known = BTreeMap<String, Arc<Vec<IpAddr>>>;

impl Names {
    pub(super) fn set(&self, host: &str, addresses: Vec<IpAddr>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(host.to_owned(), Arc::new(addresses));
        self.changed.notify_one();
    }

    /// Waits for the next [`Self::set`], or returns at once when one came since the last wait.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Gives every endpoint that is a name the addresses known of it, and forgets names that are none's.
    /// Endpoints keep what they have while nothing is known.
    pub(super) fn hand_out(&self, services: &[Arc<ServiceState>]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut used = Known::new();
        for endpoint in services.iter().flat_map(|service| &service.endpoints) {
            let Target::Name { host, .. } = &endpoint.address.target else { continue };
            let Some(addresses) = known.get(host) else { continue };
            if endpoint.resolved().is_none_or(|present| !Arc::ptr_eq(&present, addresses)) {
                endpoint.set_resolved(Arc::clone(addresses));
            }
            used.insert(host.clone(), Arc::clone(addresses));
        }
        *known = used;
    }
}
