//! W3C Trace Context (Recommendation, 23 November 2021): `traceparent` parsed strictly, continued and
//! started, and whether a `tracestate` goes on. It allocates nothing and sends no spans anywhere.

use headgate_model::dice::Dice;

use crate::escape::hex_digits;

/// The length of a version 00 `traceparent` in bytes.
pub const TRACEPARENT_LEN: usize = 55;
/// The combined length of `tracestate` that is passed on, the least that section 3.3.1.5 asks for.
pub const TRACESTATE_MAX: usize = 512;

const SAMPLED: u8 = 0x01;
/// Set by level 2 of the specification when the trace id is random; passed on as it came.
const RANDOM: u8 = 0x02;

/// One position in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// Never all zero.
    pub trace_id: [u8; 16],
    /// The span that caused what carries this. Never all zero.
    pub parent_id: [u8; 8],
    flags: u8,
}

impl TraceParent {
    /// Parses the value of a `traceparent` header by section 3.2. `None` means that the trace must be
    /// restarted and that `tracestate` must not be passed on.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (fixed, rest) = value.split_first_chunk::<TRACEPARENT_LEN>()?;
        let version = hex::<1>(&fixed[..2])?[0];
        let dashes = [fixed[2], fixed[35], fixed[52]];
        let ends_well = match version {
            0x00 => rest.is_empty(),
            0xff => false,
            // A later version may add fields after another dash.
            _ => rest.first().is_none_or(|&next| next == b'-'),
        };
        if dashes != *b"---" || !ends_well {
            return None;
        }
        let trace_id = hex(&fixed[3..35]).filter(|id| *id != [0; 16])?;
        let parent_id = hex(&fixed[36..52]).filter(|id| *id != [0; 8])?;
        let [flags] = hex(&fixed[53..])?;
        Some(Self { trace_id, parent_id, flags })
    }

    /// Starts a trace.
    #[must_use]
    pub fn root(sampled: bool, dice: &mut Dice) -> Self {
        Self { trace_id: id(dice), parent_id: id(dice), flags: if sampled { SAMPLED } else { 0 } }
    }

    /// The same trace with a span of our own. Flags that are unknown are cleared (section 3.2.2.5).
    #[must_use]
    pub fn child(&self, dice: &mut Dice) -> Self {
        Self { trace_id: self.trace_id, parent_id: id(dice), flags: self.flags & (SAMPLED | RANDOM) }
    }

    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Writes the header's value as version 00.
    pub fn write(&self, out: &mut [u8; TRACEPARENT_LEN]) {
        out.fill(b'-');
        let fields: [(&[u8], usize); 4] =
            [(&[0x00], 0), (&self.trace_id, 3), (&self.parent_id, 36), (&[self.flags], 53)];
        for (bytes, start) in fields {
            for (pair, byte) in out[start..].chunks_exact_mut(2).zip(bytes) {
                pair.copy_from_slice(&hex_digits(*byte));
            }
        }
    }
}

/// Whether a `tracestate` goes on unchanged beside a valid `traceparent`: not empty, and short enough when
/// all its header lines are joined by commas. Its members belong to other vendors and are not looked at.
#[must_use]
pub fn passes_tracestate<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let joined = lines.into_iter().map(|line| line.len() + 1).sum::<usize>();
    (2..=TRACESTATE_MAX + 1).contains(&joined)
}

/// A fresh request id: 32 lower-case hexadecimal digits.
#[must_use]
pub fn request_id(dice: &mut Dice) -> [u8; 32] {
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(id::<16>(dice)) {
        pair.copy_from_slice(&hex_digits(byte));
    }
    text
}

/// `N` random bytes that are not all zero.
fn id<const N: usize>(dice: &mut Dice) -> [u8; N] {
    let mut id = [0; N];
    while id == [0; N] {
        for chunk in id.chunks_mut(8) {
            chunk.copy_from_slice(&dice.bits().to_be_bytes()[..chunk.len()]);
        }
    }
    id
}

/// Exactly `2 * N` lower-case hexadecimal digits.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn text(parent: &TraceParent) -> String {
        let mut out = [0; TRACEPARENT_LEN];
        parent.write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn a_valid_value_is_read_and_written_back() {
        let parent = TraceParent::parse(SAMPLE.as_bytes()).unwrap();
        assert_eq!(parent.trace_id[..2], [0x4b, 0xf9]);
        assert_eq!(parent.parent_id, [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
        assert!(parent.is_sampled());
        assert_eq!(text(&parent), SAMPLE);
    }

    #[test]
    fn invalid_values_are_refused() {
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 ",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what",
        ] {
            assert_eq!(TraceParent::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn a_later_version_is_continued_as_version_00() {
        for later in [
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-what-the-future-brings",
        ] {
            let child = TraceParent::parse(later.as_bytes()).unwrap().child(&mut Dice::new(1));
            assert!(text(&child).starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
            assert!(text(&child).ends_with("-03"), "unknown flags are cleared");
        }
    }

    #[test]
    fn a_child_stays_in_the_trace_with_a_span_of_its_own() {
        let mut dice = Dice::new(3);
        for sampled in [true, false] {
            let root = TraceParent::root(sampled, &mut dice);
            let child = root.child(&mut dice);
            assert_eq!((child.trace_id, child.is_sampled()), (root.trace_id, sampled));
            assert_ne!(child.parent_id, root.parent_id);
            assert_eq!(TraceParent::parse(text(&child).as_bytes()), Some(child));
        }
    }

    #[test]
    fn tracestate_passes_up_to_its_limit() {
        let line = [b'a'; TRACESTATE_MAX];
        assert!(passes_tracestate([&line[..]]));
        assert!(passes_tracestate([&line[..200], &line[..311]]), "511 and a comma");
        assert!(!passes_tracestate([&line[..201], &line[..311]]));
        assert!(!passes_tracestate([]));
        assert!(!passes_tracestate([&b""[..]]));
    }

    #[test]
    fn request_ids_differ() {
        let mut dice = Dice::new(5);
        let (one, two) = (request_id(&mut dice), request_id(&mut dice));
        assert_ne!(one, two);
        assert!(one.iter().all(u8::is_ascii_hexdigit));
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_what_is_written(at in 0..SAMPLE.len(), byte: u8) {
            let mut changed = SAMPLE.as_bytes().to_vec();
            changed[at] = byte;
            if let Some(parent) = TraceParent::parse(&changed) {
                let written = text(&parent).into_bytes();
                prop_assert_eq!(&written[2..], &changed[2..]);
            }
        }
    }
}
