//! What to fetch before it is asked for, and when not to. It fetches nothing, and knows of the cache only what it
//! is told.
//!
//! - [`foresight`]: what a session may ask for next, out of what sessions asked for.
//! - [`eligible`]: what may be fetched ahead at all.
//! - [`worth`]: whether it pays.
//! - [`budget`]: how many requests more the origin is sent for it.
//! - [`pressure`]: how busy a service is.
//! - [`trust`]: off when too little of it is used.
//! - [`account`]: what became of it.
//! - [`desk`]: all of these together, under the guard of learned policies.
//!
//! What was fetched ahead and never used takes only its own small part of the cache: [`crate::evict::prefetched`].

pub mod account;
pub mod budget;
pub mod desk;
pub mod eligible;
pub mod foresight;
mod limits;
pub mod pressure;
pub mod trust;
pub mod worth;
