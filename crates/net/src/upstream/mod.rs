//! The endpoint's side of an exchange: how a request is begun and its response awaited, whatever the
//! endpoint speaks.

mod h1;

pub use h1::{H1Request, read_response};

use crate::stream::IoFault;
use headgate_model::fault::{Fault, FaultKind};

/// The fault for a response that did not begin.
#[must_use]
pub fn no_response(fault: &IoFault, reused: bool) -> Fault {
    match fault {
        IoFault::TimedOut => {
            Fault::new(FaultKind::FirstByteTimeout, "the upstream sent nothing within its first-byte timeout")
        }
        _ if reused => Fault::new(
            FaultKind::StaleConnection,
            "the upstream closed a kept-alive connection just as it was used",
        ),
        _ => Fault::new(FaultKind::UpstreamReset, "the upstream closed the connection without a response"),
    }
}
