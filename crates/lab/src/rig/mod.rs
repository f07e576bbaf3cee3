//! The rig: the real gateway and real `headgate service` processes on loopback, as many as a system's
//! description says. It starts and watches them, does harm to them, and stops them; what is measured with that,
//! and what it means, is up to whoever uses it.
//!
//! [`Layout::of`] turns the simulator's description into a gateway's configuration and replicas, or says what
//! cannot be shown on processes. [`System::start`] starts them. A [`ProcessFault`] strikes one process, by name. A
//! [`Trial`] is all of that under a workload: one run of a study.

mod admin;
mod error;
mod false_clock;
mod keeper;
mod layout;
mod process;
mod replica;
mod sample;
mod schedule;
mod strike;
mod system;
mod traffic;
mod trial;
mod watch;

pub use error::RigError;
pub use false_clock::{ClockError, FalseClock};
pub use layout::{Layout, Seat};
pub use process::ProcessFault;
pub use replica::{Command, ReplicaSpec, Usage};
pub use sample::{Sample, Samples};
pub use system::{GATEWAY, System};
pub use trial::{Outcome, ProcessUse, Trial};
