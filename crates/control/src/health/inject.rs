//! Lets chaos rules have their way with a probe: what the endpoint would be seen to do if the fault were real.

use super::plan::Plan;
use super::probe::{ProbeError, probe as ask};
use headgate_model::spec::HealthKind;
use headgate_model::state::EndpointState;
use headgate_policy::chaos::{Instead, Verdict};
use std::future::pending;
use std::io;
use tokio::time::sleep;

/// Probes `endpoint`, or what a rule has put in its place. Like the probe itself it knows no time limit.
///
/// # Errors
/// Why the endpoint is not healthy.
pub(super) async fn probe(
    plan: &Plan,
    endpoint: &EndpointState,
    verdict: Option<Verdict>,
) -> Result<(), ProbeError> {
    let Some(verdict) = verdict else { return ask(plan, endpoint).await };
    // A delay is before the first byte of an answer; a connection opens all the same.
    let asks = plan.rule.kind != HealthKind::Tcp;
    if asks {
        sleep(verdict.delay).await;
    }
    match verdict.instead {
        Some(Instead::Refuse) => Err(ProbeError::Connect(io::ErrorKind::ConnectionRefused.into())),
        Some(Instead::ConnectTimeout) => pending().await,
        Some(Instead::Stall) if asks => pending().await,
        Some(Instead::Abort { status, .. }) if asks && !(200..400).contains(&status) => {
            Err(ProbeError::Status(status))
        }
        Some(Instead::Abort { .. }) if asks => Ok(()),
        // A reset is about the client, and no probe has one.
        _ => ask(plan, endpoint).await,
    }
}
