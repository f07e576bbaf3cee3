//! Copies header fields from one message to the next. On the common path (HTTP/1 to HTTP/1, few fields
//! dropped) runs of neighbouring lines move with one copy each.

mod map;

pub use map::FieldMap;

use crate::buffer::Lent;
use crate::head::{Field, Flat, Known, ResponseHead};

/// Where header fields are written: HTTP/1 lines or the fields of an HTTP/2 head.
pub trait FieldWriter {
    /// A run of neighbouring fields, as they lie in `bytes`.
    fn run(&mut self, bytes: &[u8], fields: &[Field]);

    /// One field. `name` is in lower case and, like `value`, already checked.
    fn field(&mut self, name: &[u8], value: &[u8]);
}

impl FieldWriter for Vec<u8> {
    #[inline]
    fn run(&mut self, bytes: &[u8], fields: &[Field]) {
        if let ([first, ..], [.., last]) = (fields, fields) {
            self.extend_from_slice(&bytes[first.name.start as usize..last.line_end as usize]);
        }
    }

    #[inline]
    fn field(&mut self, name: &[u8], value: &[u8]) {
        self.extend_from_slice(name);
        self.extend_from_slice(b": ");
        self.extend_from_slice(value);
        self.extend_from_slice(b"\r\n");
    }
}

/// A set of known names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownSet(u32);

impl KnownSet {
    /// What is never forwarded as it came.
    pub const HOP_BY_HOP: Self = {
        let mut set = Self(0);
        let mut at = 0;
        while at < Known::ALL.len() {
            if Known::ALL[at].is_hop_by_hop() {
                set = set.with(Known::ALL[at]);
            }
            at += 1;
        }
        set
    };

    #[must_use]
    pub const fn with(self, known: Known) -> Self {
        Self(self.0 | 1 << known as u32)
    }

    #[inline]
    #[must_use]
    pub const fn has(self, known: Known) -> bool {
        self.0 >> known as u32 & 1 == 1
    }
}

/// Which fields of a message are left out of the next one.
#[derive(Clone, Copy)]
pub struct Drops<'a> {
    pub known: KnownSet,
    /// Further names, in lower case.
    pub names: &'a [Box<[u8]>],
    /// The message's `Connection` names fields of its own.
    pub named_by_connection: bool,
}

impl<'a> Drops<'a> {
    /// Of a response: what belongs to its hop, and `names`.
    #[inline]
    #[must_use]
    pub fn of_response(head: &ResponseHead, names: &'a [Box<[u8]>]) -> Self {
        Self { known: KnownSet::HOP_BY_HOP, names, named_by_connection: head.line.connection_names_fields }
    }
}

/// Copies every field of `head` that is not dropped.
#[inline]
pub fn copy_kept<L: Default>(head: &Flat<L>, drops: &Drops<'_>, out: &mut impl FieldWriter) {
    let plain = drops.names.is_empty() && !drops.named_by_connection;
    let mut run_start = 0;
    for (at, field) in head.fields.iter().enumerate() {
        if drops.known.has(field.known) || !plain && is_named(head, drops, field) {
            out.run(&head.bytes, &head.fields[run_start..at]);
            run_start = at + 1;
        }
    }
    out.run(&head.bytes, &head.fields[run_start..]);
}

#[cold]
fn is_named<L: Default>(head: &Flat<L>, drops: &Drops<'_>, field: &Field) -> bool {
    let name = head.part(field.name);
    drops.names.iter().any(|drop| is_same_or_twin(name, drop))
        || drops.named_by_connection && head.connection_names(name)
}

/// Whether what turns underscores into hyphens, as CGI does, could take `name` for `other`.
#[must_use]
pub fn is_same_or_twin(name: &[u8], other: &[u8]) -> bool {
    let hyphen = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == other.len() && name.iter().map(hyphen).eq(other.iter().map(hyphen))
}

/// The fields of a head that is being written, in the form its connection needs.
pub enum HeadOut {
    H1(Lent<Vec<u8>>),
    H2(Box<FieldMap>),
}

impl FieldWriter for HeadOut {
    #[inline]
    fn run(&mut self, bytes: &[u8], fields: &[Field]) {
        match self {
            Self::H1(out) => out.run(bytes, fields),
            Self::H2(out) => out.run(bytes, fields),
        }
    }

    #[inline]
    fn field(&mut self, name: &[u8], value: &[u8]) {
        match self {
            Self::H1(out) => out.field(name, value),
            Self::H2(out) => out.field(name, value),
        }
    }
}

/// `number` in decimal, at the end of `digits`.
#[must_use]
pub fn decimal(number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return &digits[at..];
        }
    }
}
