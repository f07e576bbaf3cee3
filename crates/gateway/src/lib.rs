//! The life of a request, one file per phase:
//!
//! ```text
//! accept -> identify -> admit -> route -> transform -> dispatch -> choose -> dial
//!                                                      retry       balance
//!                                                      fallback    breaker
//! ```
//!
//! and on the way back: transform, record. [`exchange`] runs the phases in order. A worker is one thread
//! with everything it needs; workers share a [`snapshot`] and the endpoints' atomics, nothing else.

pub mod accept;
pub mod listener;
pub mod route;
pub mod snapshot;
pub mod worker;

mod attempt;
mod beside;
mod choose;
mod dial;
mod dispatch;
mod exchange;
mod greet;
mod http1;
mod identify;
mod record;
mod respond;
mod transform;
mod tunnel;
mod view;
