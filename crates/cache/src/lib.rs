//! The response cache: what may be stored and used again ([`rules`]), where it lies ([`store`], below it [`disk`]) and
//! how it gets there while others already read it ([`fill`]). It opens no sockets and knows no routes.

pub mod ahead;
pub mod disk;
pub mod fill;
pub mod fills;
pub mod hits;
pub mod key;
mod ledger;
pub mod lower;
pub mod object;
mod purge;
pub mod redis;
pub mod rule;
pub mod rules;
pub mod steady;
pub mod store;
pub mod tags;
pub mod tend;
pub mod tier;
mod wire;
