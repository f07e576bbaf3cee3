//! How much of a service is taken, as far as limits and verdicts tell. How fast it answers is judged elsewhere.

use crate::choose::is_well;
use crate::view::ServiceView;
use headgate_model::units::Tick;
use headgate_policy::prefetch::worth::FULL;

/// 0 to 1.
pub(crate) fn load(service: &ServiceView, now: Tick) -> f64 {
    if service.breakers.as_ref().is_some_and(|breakers| !breakers.service.is_closed()) {
        return 1.0;
    }
    let taken = service.bulkhead.as_ref().map_or(0.0, |bulkhead| bulkhead.load());
    let well = service.links.iter().filter(|link| is_well(link, now)).count();
    // What the others do not carry falls on these.
    let missing = 1.0 - well as f64 / service.links.len().max(1) as f64;
    taken.max(missing)
}

/// Whether the service has places to spare for what nobody has asked for.
pub(crate) fn has_room(service: &ServiceView, now: Tick) -> bool {
    load(service, now) < FULL
}
