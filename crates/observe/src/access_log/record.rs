//! One request as the access log knows it, and its form in a ring. Nothing is made into text here.

use std::net::{IpAddr, SocketAddr};

use crate::cache_metrics::CacheResult;
use headgate_model::fault::FaultKind;

/// Bytes that are kept of each text of a record; the rest is cut, and the field is marked.
pub const SLICE_MAX: usize = 2_048;

const SLICES: usize = 10;
/// Five numbers of eight bytes, three of two, four of one, an address and a trace id.
const FIXED_LEN: usize = 5 * 8 + 3 * 2 + 4 + 16 + 16;
/// The most that one record takes: each text with the two bytes of its length.
pub(super) const ENCODED_MAX: usize = FIXED_LEN + SLICES * (2 + SLICE_MAX);
/// Set in the length of a text that was cut.
const CUT: u16 = 1 << 15;

/// One finished request. Texts are bytes as the peers sent them, empty where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessRecord<'a> {
    /// When the request began, in microseconds since 1970.
    pub start_unix_us: u64,
    /// From the request's first byte to the response's last.
    pub duration_us: u64,
    /// Spent in upstream attempts.
    pub upstream_us: u64,
    /// As the client got it; zero when it got none.
    pub status: u16,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Attempts after the first.
    pub retries: u8,
    /// `None` for a peer on a Unix socket.
    pub client: Option<SocketAddr>,
    /// The port that the client connected to; zero on a Unix socket.
    pub local_port: u16,
    pub fault: Option<FaultKind>,
    pub trace_id: Option<[u8; 16]>,
    /// The client's connection is encrypted.
    pub tls: bool,
    /// The upstream connection had carried a request before.
    pub upstream_reused: bool,
    /// The connection became a tunnel, for example a WebSocket.
    pub upgraded: bool,
    /// A chaos rule acted on an attempt.
    pub injected: bool,
    /// How the cache answered; none where the route has no cache.
    pub cache: Option<CacheResult>,
    pub method: &'a [u8],
    pub host: &'a [u8],
    /// With the query.
    pub path: &'a [u8],
    pub protocol: &'a [u8],
    pub user_agent: &'a [u8],
    pub referer: &'a [u8],
    pub route: &'a [u8],
    pub service: &'a [u8],
    pub endpoint: &'a [u8],
    pub request_id: &'a [u8],
}

impl<'a> AccessRecord<'a> {
    /// Replaces the content of `out`, which then holds at most [`ENCODED_MAX`] bytes.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let (family, address, port) = match self.client {
            None => (0, [0; 16], 0),
            Some(SocketAddr::V4(v4)) => (4, v4.ip().to_ipv6_mapped().octets(), v4.port()),
            Some(SocketAddr::V6(v6)) => (6, v6.ip().octets(), v6.port()),
        };
        let bits = u8::from(self.tls)
            | u8::from(self.upstream_reused) << 1
            | u8::from(self.upgraded) << 2
            | u8::from(self.trace_id.is_some()) << 3
            | u8::from(self.injected) << 4
            // Three bits; zero stands for no cache.
            | self.cache.map_or(0, |result| result as u8 + 1) << 5;
        // Zero stands for no fault.
        let fault = self.fault.map_or(0, |kind| kind as u8 + 1);

        out.clear();
        for number in [self.start_unix_us, self.duration_us, self.upstream_us, self.bytes_in, self.bytes_out]
        {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.status, port, self.local_port] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&[family, bits, fault, self.retries]);
        out.extend_from_slice(&address);
        out.extend_from_slice(&self.trace_id.unwrap_or_default());
        for text in self.slices() {
            let kept = &text[..text.len().min(SLICE_MAX)];
            let mark = if kept.len() < text.len() { CUT } else { 0 };
            out.extend_from_slice(&(kept.len() as u16 | mark).to_le_bytes());
            out.extend_from_slice(kept);
        }
    }

    /// The record and which of its texts were cut, in the order of [`Self::slices`].
    /// `None` when `bytes` are not what [`Self::encode`] wrote.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<(Self, Cut)> {
        let mut reader = Reader(bytes);
        let [start_unix_us, duration_us, upstream_us, bytes_in, bytes_out] = reader.numbers()?;
        let [status, port, local_port] = reader.shorts()?;
        let [family, bits, fault, retries] = reader.array()?;
        let address = reader.array::<16>()?;
        let trace_id = reader.array()?;
        let mut cut = Cut(0);
        let mut slices = [&bytes[..0]; SLICES];
        for (i, slice) in slices.iter_mut().enumerate() {
            let [len] = reader.shorts()?;
            *slice = reader.take(usize::from(len & !CUT))?;
            cut.0 |= u16::from(len & CUT != 0) << i;
        }
        let [method, host, path, protocol, user_agent, referer, route, service, endpoint, request_id] =
            slices;
        let record = Self {
            start_unix_us,
            duration_us,
            upstream_us,
            status,
            bytes_in,
            bytes_out,
            retries,
            client: client(family, address, port),
            local_port,
            fault: fault.checked_sub(1).and_then(|i| FaultKind::ALL.get(usize::from(i))).copied(),
            trace_id: (bits & 8 != 0).then_some(trace_id),
            tls: bits & 1 != 0,
            upstream_reused: bits & 2 != 0,
            upgraded: bits & 4 != 0,
            injected: bits & 16 != 0,
            cache: (bits >> 5).checked_sub(1).and_then(|i| CacheResult::ALL.get(usize::from(i))).copied(),
            method,
            host,
            path,
            protocol,
            user_agent,
            referer,
            route,
            service,
            endpoint,
            request_id,
        };
        reader.0.is_empty().then_some((record, cut))
    }

    fn slices(&self) -> [&'a [u8]; SLICES] {
        [
            self.method,
            self.host,
            self.path,
            self.protocol,
            self.user_agent,
            self.referer,
            self.route,
            self.service,
            self.endpoint,
            self.request_id,
        ]
    }
}

/// Which texts of a record were cut: one bit each, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut(u16);

impl Cut {
    pub(super) fn has(self, slice: usize) -> bool {
        self.0 & (1 << slice) != 0
    }
}

fn client(family: u8, address: [u8; 16], port: u16) -> Option<SocketAddr> {
    let ip = match family {
        4 => IpAddr::from([address[12], address[13], address[14], address[15]]),
        6 => IpAddr::from(address),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn numbers<const N: usize>(&mut self) -> Option<[u64; N]> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = u64::from_le_bytes(self.array()?);
        }
        Some(numbers)
    }

    fn shorts<const N: usize>(&mut self) -> Option<[u16; N]> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = u16::from_le_bytes(self.array()?);
        }
        Some(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_record_comes_back_as_it_went(
            numbers: [u64; 5],
            status: u16,
            client: Option<(IpAddr, u16)>,
            fault in proptest::option::of(0..FaultKind::ALL.len()),
            trace_id: Option<[u8; 16]>,
            flags: [bool; 4],
            cache in proptest::option::of(0..CacheResult::ALL.len()),
            texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), SLICES),
        ) {
            let [start_unix_us, duration_us, upstream_us, bytes_in, bytes_out] = numbers;
            let record = AccessRecord {
                start_unix_us, duration_us, upstream_us, bytes_in, bytes_out, status,
                retries: status as u8,
                client: client.map(SocketAddr::from),
                local_port: !status,
                fault: fault.map(|i| FaultKind::ALL[i]),
                trace_id,
                tls: flags[0], upstream_reused: flags[1], upgraded: flags[2], injected: flags[3],
                cache: cache.map(|i| CacheResult::ALL[i]),
                method: &texts[0], host: &texts[1], path: &texts[2], protocol: &texts[3], user_agent: &texts[4],
                referer: &texts[5], route: &texts[6], service: &texts[7], endpoint: &texts[8],
                request_id: &texts[9],
            };
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            prop_assert_eq!(AccessRecord::decode(&bytes), Some((record, Cut(0))));
            prop_assert_eq!(AccessRecord::decode(&bytes[..bytes.len() - 1]), None);
        }

        #[test]
        fn any_bytes_decode_to_something_or_nothing(bytes: Vec<u8>) {
            let _ = AccessRecord::decode(&bytes);
        }
    }

    #[test]
    fn a_long_text_is_cut_and_marked_and_the_buffer_never_grows() {
        let long = [b'x'; SLICE_MAX + 1];
        let texts = &long[..];
        let record = AccessRecord {
            method: &long[..SLICE_MAX],
            host: texts,
            path: texts,
            protocol: texts,
            user_agent: texts,
            referer: texts,
            route: texts,
            service: texts,
            endpoint: texts,
            request_id: texts,
            ..AccessRecord::default()
        };
        let mut bytes = Vec::with_capacity(ENCODED_MAX);
        record.encode(&mut bytes);
        assert!(bytes.len() <= ENCODED_MAX);
        let (back, cut) = AccessRecord::decode(&bytes).unwrap();
        assert_eq!(back.path, &long[..SLICE_MAX]);
        assert!(!cut.has(0), "exactly at the limit");
        assert!((1..SLICES).all(|slice| cut.has(slice)));
    }
}
