//! One probe of one endpoint: connects as a request would, asks, judges the answer. It knows no time limit;
//! the caller sets one.

use super::plan::Plan;
use super::{grpc, http, tcp};
use headgate_model::fault::Fault;
use headgate_model::spec::HealthKind;
use headgate_model::state::EndpointState;
use headgate_net::tls::TlsError;
use std::io;

/// Why an endpoint did not pass.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("TLS failed: {0}")]
    Handshake(io::Error),
    #[error("{0}")]
    TlsSettings(#[from] TlsError),
    #[error("no answer within the timeout")]
    TimedOut,
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("the connection was closed before an answer")]
    Closed,
    #[error("answered {0}; 200 to 399 would be healthy")]
    Status(u16),
    #[error("not a valid HTTP/1 answer: {0}")]
    Malformed(Fault),
    #[error("HTTP/2 failed: {0}")]
    Http2(#[from] h2::Error),
    #[error("the check's host or path cannot be sent: {0}")]
    Request(#[from] ::http::Error),
    #[error("gRPC status {0} instead of 0 (OK)")]
    GrpcStatus(String),
    #[error("the gRPC service is {0} instead of SERVING")]
    NotServing(&'static str),
    #[error("not a grpc.health.v1.HealthCheckResponse")]
    MalformedGrpc,
}

/// Probes `endpoint` as `plan` says.
///
/// # Errors
/// Why the endpoint is not healthy.
pub(super) async fn probe(plan: &Plan, endpoint: &EndpointState) -> Result<(), ProbeError> {
    match plan.rule.kind {
        HealthKind::Tcp => tcp::probe(endpoint).await,
        HealthKind::Http if plan.http2 => http::probe_http2(plan, endpoint).await,
        HealthKind::Http => http::probe_http1(plan, endpoint).await,
        HealthKind::Grpc => grpc::probe(plan, endpoint).await,
    }
}
