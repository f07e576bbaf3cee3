//! The life of a request, one file per phase:
//!
//! ```text
//! accept -> identify -> admit -> route -> transform -> dispatch -> choose -> dial
//!                                                      retry       balance
//!                                                      fallback    breaker
//! ```
//!
//! and on the way back: transform, record. [`phases`] runs them in order. A worker is one thread
//! with everything it needs; workers share a [`snapshot`], the endpoints' atomics and the queues of full
//! bulkheads, nothing else.

pub mod accept;
mod admitted;
mod cache;
mod cache_key;
pub mod cache_rules;
mod cache_size;
mod cache_tiers;
pub mod chaos;
pub mod compile_error;
mod disk_tier;
pub mod eviction;
pub mod listener;
pub mod path;
pub mod peers;
pub mod prefetch;
mod prefetch_queue;
pub mod purge;
pub mod route;
pub mod snapshot;
pub mod upstream_tls;
pub mod worker;

mod attempt;
mod beside;
mod breakers;
mod bulkhead;
mod choose;
mod client;
mod clock;
mod crew;
mod dial;
mod dispatch;
mod draft;
mod exchange;
mod fallback;
mod greet;
pub mod guard_desk;
mod guard_memory;
pub mod guarded;
mod head_fields;
mod http1;
mod http2;
mod identify;
mod inject;
mod invalidate;
mod kept;
mod load;
mod outcome;
mod phases;
mod presence;
mod record;
mod redis_tier;
mod respond;
mod sticky;
mod target;
mod trace;
mod transform;
mod tunnel;
mod unprocessed;
mod view;
mod websocket;
