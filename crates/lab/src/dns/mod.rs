//! A DNS server that lies on demand: names with their addresses from a file, and faults beside them. For what
//! is built around names that vanish, flap or are not answered for; nobody's production server.
//!
//! The file is read again when it changes, so that a game day's `file` action, or an editor, begins a fault and
//! ends it.

mod message;
mod serve;
mod zone;

pub use serve::{DnsError, Server};
pub use zone::{Fault, Flap, NameSpec, SrvSpec, ZoneSpec};
