//! What the gateway says of itself at its admin listener, as far as the rig needs it: its metrics, and which
//! endpoints it would not send a request to.

use super::error::RigError;
use std::collections::BTreeSet;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take, and how long it may be.
const PATIENCE: Duration = Duration::from_secs(2);
const BYTES_MAX: u64 = 16 << 20;
/// Gauges that are above zero for an endpoint that gets nothing.
const OUT: [&str; 3] =
    ["headgate_endpoint_unhealthy{", "headgate_endpoint_ejected{", "headgate_breaker_open{"];

/// The page `/metrics`.
pub(super) fn metrics(admin: SocketAddr) -> Result<String, RigError> {
    let failed = |why: String| RigError::Admin { address: admin.to_string(), why };
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&admin, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut text = String::new();
        stream.take(BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = ask().map_err(|error| failed(error.to_string()))?;
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        _ => Err(failed(text.lines().next().unwrap_or("nothing").to_owned())),
    }
}

/// Addresses of the endpoints that are out of use by the metrics: unhealthy, ejected, or behind a breaker that
/// is not closed.
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
