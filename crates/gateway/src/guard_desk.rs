//! The guards of a gateway as an operator meets them: where each stands, and what it is told to do. A guard looks here
//! about once per window; no request does.

use headgate_model::decision::Figure;
use headgate_observe::guard_book::GuardBook;
use headgate_policy::guard::{Mode, Stage};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// How the journal and the metrics call what is guarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The learned policy: `evict.adaptive`.
    pub policy: &'static str,
    /// What it decides about: `cache`.
    pub subject: &'static str,
    /// What decides otherwise: `s3fifo`.
    pub baseline: &'static str,
}

/// All guards that are at work.
#[derive(Debug, Default)]
pub struct GuardDesk {
    /// What they keep over a restart.
    pub book: Arc<GuardBook>,
    /// A guard that has ended has dropped its place.
    places: Mutex<Vec<Weak<Place>>>,
}

/// Where a guard stands.
#[derive(Clone, Debug)]
pub struct Standing {
    pub names: Names,
    pub stage: Stage,
    /// Since the last switch.
    pub evidence: Vec<Figure>,
}

/// What one guard and the desk share.
#[derive(Debug)]
pub(crate) struct Place(Mutex<(Standing, Option<Mode>)>);

impl GuardDesk {
    /// Those at work, in the order in which they came.
    #[must_use]
    pub fn list(&self) -> Vec<Standing> {
        self.places().iter().filter_map(Weak::upgrade).map(|place| place.lock().0.clone()).collect()
    }

    /// Tells a guard to enter `mode`, which it does at its next look. False when no guard at work is called `policy`.
    pub fn order(&self, policy: &str, mode: Mode) -> bool {
        for place in self.places().iter().filter_map(Weak::upgrade) {
            let (standing, order) = &mut *place.lock();
            if standing.names.policy == policy {
                *order = Some(mode);
                return true;
            }
        }
        false
    }

    /// A place for a new guard, for as long as that keeps it.
    pub(crate) fn join(&self, standing: Standing) -> Arc<Place> {
        let place = Arc::new(Place(Mutex::new((standing, None))));
        let mut places = self.places();
        places.retain(|place| place.strong_count() > 0);
        places.push(Arc::downgrade(&place));
        place
    }

    fn places(&self) -> MutexGuard<'_, Vec<Weak<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(crate) fn show(&self, stage: Stage, evidence: Vec<Figure>) {
        let standing = &mut self.lock().0;
        (standing.stage, standing.evidence) = (stage, evidence);
    }

    pub(crate) fn take_order(&self) -> Option<Mode> {
        self.lock().1.take()
    }

    fn lock(&self) -> MutexGuard<'_, (Standing, Option<Mode>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_reach_the_guard_of_that_name_and_guards_that_ended_are_gone() {
        let desk = GuardDesk::default();
        let join = |policy| {
            let names = Names { policy, subject: "cache", baseline: "lru" };
            desk.join(Standing { names, stage: Stage::Shadow, evidence: Vec::new() })
        };
        let (first, second) = (join("evict.adaptive"), join("prefetch"));
        assert!(desk.order("prefetch", Mode::On) && !desk.order("nobody", Mode::On));
        assert_eq!((first.take_order(), second.take_order()), (None, Some(Mode::On)));
        assert_eq!(second.take_order(), None, "once");
        second.show(Stage::On, Vec::new());
        assert_eq!(desk.list()[1].stage, Stage::On);
        drop(second);
        assert!(desk.list().len() == 1 && !desk.order("prefetch", Mode::Off));
    }
}
