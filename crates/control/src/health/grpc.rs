//! The gRPC check: `grpc.health.v1.Health/Check` has to answer SERVING. Source: the gRPC health checking
//! protocol and "gRPC over HTTP/2". The two messages are small enough to be written and read by hand.

use super::plan::{Plan, authority};
use super::probe::ProbeError;
use super::{h2_client, tcp};
use bytes::{BufMut, Bytes, BytesMut};
use h2::RecvStream;
use headgate_model::state::EndpointState;
use http::{HeaderMap, Request, Response};

/// Bytes that the answer may have. A `HealthCheckResponse` has two, and what newer versions may add.
const ANSWER_BYTES: usize = 1_024;
/// Flag and length before each message.
const PREFIX_BYTES: usize = 5;

pub(super) async fn probe(plan: &Plan, endpoint: &EndpointState) -> Result<(), ProbeError> {
    let scheme = if plan.tls(&endpoint.address)?.is_some() { "https" } else { "http" };
    let request =
        Request::post(format!("{scheme}://{}/grpc.health.v1.Health/Check", authority(&endpoint.address)))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
    let message = framed(&check_request(plan.rule.host.as_deref().unwrap_or_default()));
    let stream = tcp::open(plan, endpoint).await?;
    let answer = h2_client::exchange(stream, request, message, read).await?;
    match serving_status(&answer).ok_or(ProbeError::MalformedGrpc)? {
        1 => Ok(()),
        2 => Err(ProbeError::NotServing("NOT_SERVING")),
        3 => Err(ProbeError::NotServing("SERVICE_UNKNOWN")),
        _ => Err(ProbeError::NotServing("UNKNOWN")),
    }
}

/// The message of the answer, once the answer has ended well.
async fn read(response: Response<RecvStream>) -> Result<Bytes, ProbeError> {
    let (head, mut body) = response.into_parts();
    if head.status != 200 {
        return Err(ProbeError::Status(head.status.as_u16()));
    }
    let mut bytes = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data?;
        if bytes.len() + data.len() > ANSWER_BYTES {
            return Err(ProbeError::MalformedGrpc);
        }
        body.flow_control().release_capacity(data.len())?;
        bytes.extend_from_slice(&data);
    }
    // An answer without a message says its status in the head ("Trailers-Only").
    let trailers = body.trailers().await?;
    grpc_status(trailers.as_ref().unwrap_or(&head.headers))?;
    match bytes.first_chunk::<PREFIX_BYTES>() {
        Some(&[0, a, b, c, d]) if u32::from_be_bytes([a, b, c, d]) as usize == bytes.len() - PREFIX_BYTES => {
            Ok(bytes.split_off(PREFIX_BYTES).freeze())
        }
        _ => Err(ProbeError::MalformedGrpc),
    }
}

fn grpc_status(fields: &HeaderMap) -> Result<(), ProbeError> {
    match fields.get("grpc-status").map(|value| value.as_bytes()) {
        Some(b"0") => Ok(()),
        Some(other) => Err(ProbeError::GrpcStatus(String::from_utf8_lossy(other).into_owned())),
        None => Err(ProbeError::MalformedGrpc),
    }
}

/// A message, uncompressed, behind its flag and length.
fn framed(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    bytes.put_u8(0);
    bytes.put_u32(message.len() as u32);
    bytes.extend_from_slice(message);
    bytes.freeze()
}

/// `HealthCheckRequest { string service = 1; }`; an empty string is left out, as proto3 has it.
fn check_request(service: &str) -> Vec<u8> {
    if service.is_empty() {
        return Vec::new();
    }
    let mut message = vec![1 << 3 | LENGTH_DELIMITED as u8];
    let mut len = service.len();
    while len >= 0x80 {
        message.push(len as u8 | 0x80);
        len >>= 7;
    }
    message.push(len as u8);
    message.extend_from_slice(service.as_bytes());
    message
}

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FIXED32: u64 = 5;

/// The value of `HealthCheckResponse { ServingStatus status = 1; }`. Unknown fields are skipped, the last of
/// several values counts, a missing one is zero, as proto3 has it. `None` for what is no message.
fn serving_status(mut message: &[u8]) -> Option<u64> {
    let mut status = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let skip = match tag & 7 {
            VARINT => {
                let value = varint(&mut message)?;
                if tag >> 3 == 1 {
                    status = value;
                }
                0
            }
            FIXED64 => 8,
            LENGTH_DELIMITED => usize::try_from(varint(&mut message)?).ok()?,
            FIXED32 => 4,
            _ => return None,
        };
        message = message.get(skip..)?;
    }
    Some(status)
}

/// Takes a base 128 number of at most ten bytes off the front.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        // Bits beyond the 64th are cut off, as by other readers.
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{check_request, framed, serving_status};
    use headgate_model::dice::Dice;

    /// Bytes as the Protocol Buffers encoding guide gives them for a string in field 1 and an enum in field 1.
    #[test]
    fn the_messages_are_those_of_the_encoding_guide() {
        assert_eq!(check_request("testing"), [0x0a, 7, b't', b'e', b's', b't', b'i', b'n', b'g']);
        assert!(check_request("").is_empty());
        assert_eq!(check_request(&"x".repeat(300))[..3], [0x0a, 0b1010_1100, 0b0000_0010]);
        assert_eq!(framed(&check_request("a"))[..], [0, 0, 0, 0, 3, 0x0a, 1, b'a']);
        assert_eq!(serving_status(&[0x08, 1]), Some(1));
        assert_eq!(serving_status(&[]), Some(0), "the default value is not sent");
        assert_eq!(serving_status(&[0x08, 0b1001_0110, 0b0000_0001]), Some(150));
    }

    #[test]
    fn fields_of_later_versions_are_skipped() {
        let unknown: [&[u8]; 4] =
            [&[0x10, 5], &[0x1a, 3, 1, 2, 3], &[0x25, 0, 0, 0, 0], &[0x29, 1, 2, 3, 4, 5, 6, 7, 8]];
        for other in unknown {
            assert_eq!(serving_status(&[other, &[0x08, 1], other].concat()), Some(1), "{other:?}");
        }
        assert_eq!(serving_status(&[0x08, 2, 0x08, 1]), Some(1), "the last value counts");
    }

    #[test]
    fn what_is_no_message_is_none() {
        for bad in [&[0x08][..], &[0x08, 0x80], &[0x12, 5, 1], &[0x0b], &[0x25, 0, 0], &[0x80; 11]] {
            assert_eq!(serving_status(bad), None, "{bad:?}");
        }
        let huge = [&[0x12][..], &[0xff; 9], &[1]].concat();
        assert_eq!(serving_status(&huge), None, "a length beyond all memory");
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut dice = Dice::new(4);
        let (mut read, mut refused) = (0, 0);
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..dice.below(12)).map(|_| dice.bits() as u8).collect();
            *(if serving_status(&bytes).is_some() { &mut read } else { &mut refused }) += 1;
        }
        assert!(read > 1_000 && refused > 1_000, "{read} {refused}: both ways were taken");
    }
}
