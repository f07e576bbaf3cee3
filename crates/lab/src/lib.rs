//! Headgate's lab: where a claim is measured before it is believed. Nothing of the product depends on it but
//! the command line.
//!
//! - [`workload`]: who asks for what and when; one generator for the simulator, the load tool and replay. Pure.
//! - [`load`]: a load generator for real targets, with sockets of its own.
//! - [`dns`]: a DNS server whose answers can be made wrong.
//! - [`fit`]: services for the simulator, drawn from spans of real requests. Pure.
//! - [`gameday`]: a running system broken on purpose, with a hypothesis, a cap and a score.
//! - [`guard_trial`]: the guard of learned policies on trial: false alarms and time to catch. Pure.
//! - [`study`]: factorial designs with repeats and seeds, whose finished runs survive an interruption.
//! - [`rig`]: the real gateway and real services as processes on loopback.
//! - [`replay`]: what a cache would have saved, from logs and traces of the past. Pure.
//! - [`predict`]: how well the next request is predicted, on public data. Pure.
//! - [`report`]: results for people, as one HTML file.
//! - [`sim`]: services, nodes and gateways in virtual time, under the gateway's own policies. Pure.

mod admin;
pub mod dns;
pub mod fit;
pub mod gameday;
pub mod guard_trial;
pub mod load;
pub mod predict;
pub mod replay;
pub mod report;
pub mod rig;
pub mod sim;
pub mod study;
pub mod workload;
