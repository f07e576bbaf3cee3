//! Version 2: a binary header with optional additional fields (TLVs).

use super::{Family, Parsed, Reject, may_begin_with};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header that is accepted. The protocol would allow 65,551 bytes; real ones stay far below,
/// even with the fields about the client's certificate.
pub const V2_MAX_BYTES: usize = 4_096;

/// The longest header that [`encode_v2`] writes.
pub const V2_ENCODED_MAX_BYTES: usize = FIXED_BYTES + V6_BYTES;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const FIXED_BYTES: usize = 16;
const V4_BYTES: usize = 12;
const V6_BYTES: usize = 36;
const UNIX_BYTES: usize = 216;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const TCP_OVER_V4: u8 = 0x11;
const TCP_OVER_V6: u8 = 0x21;

const FIELD_HEAD_BYTES: usize = 3;
const FIELD_CRC32C: u8 = 0x03;

pub(super) fn parse(buf: &[u8]) -> Result<Parsed, Reject> {
    if !may_begin_with(buf, SIGNATURE) {
        return Err(Reject::NotProxy);
    }
    if buf.get(SIGNATURE.len()).is_some_and(|command| !matches!(*command, LOCAL | PROXY)) {
        return Err(Reject::BadCommand);
    }
    let Some(&[command, family, high, low]) = buf.get(SIGNATURE.len()..FIXED_BYTES) else {
        return Ok(Parsed::Incomplete);
    };
    let consumed = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if consumed > V2_MAX_BYTES {
        return Err(Reject::HeaderTooLong);
    }
    let Some(header) = buf.get(..consumed) else {
        return Ok(Parsed::Incomplete);
    };
    if command == LOCAL {
        return Ok(Parsed::Local { consumed });
    }
    let addresses_bytes = match (family >> 4, family & 0x0f) {
        // Unspecified: what the block holds is not known, so it is skipped whole.
        (0, 0..=2) | (0..=3, 0) => return Ok(Parsed::Local { consumed }),
        // Datagrams as well as streams: a proxy may carry the requests of a QUIC client.
        (1, 1 | 2) => V4_BYTES,
        (2, 1 | 2) => V6_BYTES,
        (3, 1 | 2) => UNIX_BYTES,
        _ => return Err(Reject::BadFamily),
    };
    let block = header.get(FIXED_BYTES..FIXED_BYTES + addresses_bytes).ok_or(Reject::ShortAddresses)?;
    check_fields(header, FIXED_BYTES + addresses_bytes)?;
    Ok(match endpoints(block) {
        Some((source, destination)) => Parsed::Header { source, destination, consumed },
        None => Parsed::Local { consumed },
    })
}

/// Writes the header for a forwarded connection, or for `None` (the client came over a Unix socket, or the
/// connection is our own) the LOCAL command. Returns the part of `out` to send.
pub fn encode_v2(endpoints: Option<(SocketAddr, SocketAddr)>, out: &mut [u8; V2_ENCODED_MAX_BYTES]) -> &[u8] {
    let mut bytes = 0;
    let mut put = |part: &[u8]| {
        out[bytes..bytes + part.len()].copy_from_slice(part);
        bytes += part.len();
    };
    put(SIGNATURE);
    match endpoints.map(|(source, destination)| Family::of(source, destination)) {
        None => put(&[LOCAL, 0, 0, 0]),
        Some(Family::V4([from, to])) => {
            put(&[PROXY, TCP_OVER_V4, 0, V4_BYTES as u8]);
            put(&from.ip().octets());
            put(&to.ip().octets());
            put(&from.port().to_be_bytes());
            put(&to.port().to_be_bytes());
        }
        Some(Family::V6([from, to])) => {
            put(&[PROXY, TCP_OVER_V6, 0, V6_BYTES as u8]);
            put(&from.ip().octets());
            put(&to.ip().octets());
            put(&from.port().to_be_bytes());
            put(&to.port().to_be_bytes());
        }
    }
    &out[..bytes]
}

/// Source and destination of an IPv4 or IPv6 address block, told apart by its length.
fn endpoints(block: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let port = |at: usize| Some(u16::from_be_bytes(block.get(at..at + 2)?.try_into().ok()?));
    let v4 = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(block.get(at..at + 4)?).ok()?));
    let v6 = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(block.get(at..at + 16)?).ok()?));
    match block.len() {
        V4_BYTES => Some(((v4(0)?, port(8)?).into(), (v4(4)?, port(10)?).into())),
        V6_BYTES => Some(((v6(0)?, port(32)?).into(), (v6(16)?, port(34)?).into())),
        _ => None,
    }
}

/// The fields from `at` on must fill the header, and its checksum, when there is one, must be right.
fn check_fields(header: &[u8], mut at: usize) -> Result<(), Reject> {
    let mut checksum = None;
    while at < header.len() {
        let Some(&[kind, high, low]) = header.get(at..at + FIELD_HEAD_BYTES) else {
            return Err(Reject::BadFields);
        };
        let value_at = at + FIELD_HEAD_BYTES;
        let end = value_at + usize::from(u16::from_be_bytes([high, low]));
        let value = header.get(value_at..end).ok_or(Reject::BadFields)?;
        if kind == FIELD_CRC32C {
            let sent = u32::from_be_bytes(value.try_into().map_err(|_| Reject::BadFields)?);
            if checksum.replace((value_at, sent)).is_some() {
                return Err(Reject::BadFields);
            }
        }
        at = end;
    }
    let Some((value_at, sent)) = checksum else { return Ok(()) };
    // Computed over the whole header with zeroes in the place of the checksum itself.
    let parts = [&header[..value_at], &[0; 4], &header[value_at + 4..]];
    if crc32c(parts.iter().copied().flatten().copied()) == sent { Ok(()) } else { Err(Reject::BadChecksum) }
}

/// CRC-32C (Castagnoli; RFC 9260 appendix A).
pub(super) fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(!0, |crc, byte| CRC32C_TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}

static CRC32C_TABLE: [u32; 256] = {
    const REFLECTED_POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (REFLECTED_POLYNOMIAL * (crc & 1));
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};
