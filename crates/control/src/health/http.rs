//! The HTTP check: a GET that has to be answered with 200 to 399. Only the head of the answer is read.

use super::plan::{Plan, authority};
use super::probe::ProbeError;
use super::{h2_client, tcp};
use bytes::Bytes;
use headgate_model::fault::{Fault, FaultKind};
use headgate_model::state::EndpointState;
use headgate_net::h1::parse::{HeadLimits, Progress, response};
use headgate_net::head::ResponseHead;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How probes name themselves in an endpoint's log.
const USER_AGENT: &str = concat!("headgate-health/", env!("CARGO_PKG_VERSION"));
/// Bytes and fields that the head of an answer may have.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_LIMITS: HeadLimits = HeadLimits { head_bytes: usize::MAX, fields: 128, target_bytes: 0 };
/// Interim answers before the real one; more is an endless stream of them.
const INTERIM_MAX: usize = 8;

pub(super) async fn probe_http1(plan: &Plan, endpoint: &EndpointState) -> Result<(), ProbeError> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        plan.rule.path,
        host(plan, endpoint),
    );
    let mut stream = tcp::open(plan, endpoint).await?;
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut head = ResponseHead::new(HEAD_BYTES, HEAD_LIMITS.fields);
    for _ in 0..=INTERIM_MAX {
        while head.filled == 0
            || response(&mut head, false, &HEAD_LIMITS).map_err(ProbeError::Malformed)? == Progress::Partial
        {
            let filled = head.filled;
            let read = match &mut head.bytes[filled..] {
                [] => return Err(ProbeError::Malformed(TOO_LARGE)),
                room => stream.read(room).await?,
            };
            if read == 0 {
                return Err(ProbeError::Closed);
            }
            head.filled += read;
        }
        if head.line.status >= 200 {
            return judge(head.line.status);
        }
        let rest = head.head_len..head.filled;
        head.bytes.copy_within(rest.clone(), 0);
        head.clear();
        head.filled = rest.len();
    }
    Err(ProbeError::Malformed(TOO_MANY_INTERIM))
}

pub(super) async fn probe_http2(plan: &Plan, endpoint: &EndpointState) -> Result<(), ProbeError> {
    let scheme = if plan.tls(&endpoint.address)?.is_some() { "https" } else { "http" };
    let request = Request::get(format!("{scheme}://{}{}", host(plan, endpoint), plan.rule.path))
        .header("user-agent", USER_AGENT)
        .header("accept", "*/*")
        .body(())?;
    let stream = tcp::open(plan, endpoint).await?;
    let answer =
        h2_client::exchange(stream, request, Bytes::new(), async |response| Ok(response.status().as_u16()));
    judge(answer.await?)
}

fn host(plan: &Plan, endpoint: &EndpointState) -> String {
    plan.rule.host.clone().unwrap_or_else(|| authority(&endpoint.address))
}

fn judge(status: u16) -> Result<(), ProbeError> {
    if (200..400).contains(&status) { Ok(()) } else { Err(ProbeError::Status(status)) }
}

const TOO_LARGE: Fault = Fault::new(FaultKind::BadResponse, "the head is larger than 16 KiB");
const TOO_MANY_INTERIM: Fault = Fault::new(FaultKind::BadResponse, "more than 8 interim answers");
