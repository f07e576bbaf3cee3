//! The cache phase: answers a request from what is stored, or has it fetched once for all who wait. What may be
//! stored and used is decided by `headgate_cache::rules`; this folder joins those rules to requests.

mod ahead;
mod answer;
mod deliver;
mod extent;
mod fetch;
mod intake;

pub(crate) use ahead::{Candidacy, candidacy, fetch_ahead, stored};
pub(crate) use answer::answer;
