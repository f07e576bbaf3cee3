//! Second attempts: whether ([`decide`]), when ([`backoff`]) and how many in all ([`budget`]). The three
//! are separate because only the first depends on the request.

pub mod backoff;
pub mod budget;
pub mod decide;
