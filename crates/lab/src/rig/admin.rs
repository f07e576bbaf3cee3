//! What the gateway says of itself at its admin listener, as far as the rig needs it: its metrics, and which
//! endpoints it would not send a request to.

use super::error::RigError;
use crate::admin::ask::ask;
use crate::load::Target;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// How long the metrics may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Gauges that are above zero for an endpoint that gets nothing.
const OUT: [&str; 4] = [
    "headgate_endpoint_aside{",
    "headgate_endpoint_unhealthy{",
    "headgate_endpoint_ejected{",
    "headgate_breaker_open{",
];

/// The page `/metrics`.
pub(super) fn metrics(admin: SocketAddr) -> Result<String, RigError> {
    let failed = |why: String| RigError::Admin { address: admin.to_string(), why };
    let reply =
        ask(&target(admin)?, "GET", "/metrics", "", PATIENCE).map_err(|error| failed(error.to_string()))?;
    match reply.status {
        200 => Ok(reply.text()),
        status => Err(failed(format!("the answer was {status}"))),
    }
}

/// The admin listener as somebody to ask.
pub(super) fn target(admin: SocketAddr) -> Result<Target, RigError> {
    Ok(Target::parse(&format!("http://{admin}/"))?)
}

/// Addresses of the endpoints that are out of use by the metrics: unhealthy, ejected, put aside, or behind a breaker
/// that is not closed.
pub(super) fn out_of_use(metrics: &str) -> BTreeSet<SocketAddr> {
    let out = |line: &str| {
        let labels = OUT.iter().find_map(|name| line.strip_prefix(name))?;
        let (labels, value) = labels.rsplit_once("} ")?;
        if value.trim().parse::<f64>().ok()? <= 0.0 {
            return None;
        }
        let (_, rest) = labels.split_once("endpoint=\"")?;
        rest.split_once('"')?.0.parse().ok()
    };
    metrics.lines().filter_map(out).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_out_is_named_whatever_for() {
        let text = "# HELP headgate_endpoint_unhealthy x\n\
            headgate_endpoint_unhealthy{service=\"a\",endpoint=\"127.0.0.1:1\"} 1\n\
            headgate_endpoint_unhealthy{service=\"a\",endpoint=\"127.0.0.1:2\"} 0\n\
            headgate_endpoint_ejected{service=\"a\",endpoint=\"127.0.0.1:3\"} 1\n\
            headgate_breaker_open{service=\"a\",endpoint=\"\"} 1\n\
            headgate_breaker_open{service=\"a\",endpoint=\"127.0.0.1:4\"} 1\n";
        let ports: Vec<u16> = out_of_use(text).iter().map(SocketAddr::port).collect();
        assert_eq!(ports, [1, 3, 4]);
    }
}
