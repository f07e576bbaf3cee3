//! Headgate's lab: where a claim is measured before it is believed. Nothing of the product depends on it but
//! the command line.
//!
//! - [`workload`]: who asks for what and when; one generator for the simulator, the load tool and replay. Pure.
//! - [`sim`]: services, nodes and gateways in virtual time, under the gateway's own policies. Pure.

pub mod sim;
pub mod workload;
