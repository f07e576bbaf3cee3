//! The fields of an HTTP/2 head while it is written: a header map whose values lie in one buffer of the head, so that
//! a field costs no memory block of its own. What the values say was checked before.

use super::{FieldWriter, decimal};
use crate::head::Field;
use bytes::BytesMut;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Fields there is room for at once; nearly every head has fewer.
const FIELDS: usize = 12;
/// Bytes of values there is room for at once. A peer's HPACK table may keep one value, and with it the buffer, for as
/// long as the connection lasts, so it is small and belongs to one head.
const VALUES_BYTES: usize = 256;

/// Fields of one head, without its pseudo-header fields.
pub struct FieldMap {
    fields: HeaderMap,
    values: BytesMut,
}

impl Default for FieldMap {
    fn default() -> Self {
        Self { fields: HeaderMap::with_capacity(FIELDS), values: BytesMut::with_capacity(VALUES_BYTES) }
    }
}

impl FieldMap {
    /// `value` in memory that it shares with the others; none if it cannot stand in a field.
    fn value(&mut self, value: &[u8]) -> Option<HeaderValue> {
        self.values.extend_from_slice(value);
        HeaderValue::from_maybe_shared(self.values.split().freeze()).ok()
    }

    /// Says how long the content is, instead of what was said before.
    pub(crate) fn set_length(&mut self, bytes: u64) {
        if let Some(value) = self.value(decimal(bytes, &mut [0; 20])) {
            self.fields.insert(CONTENT_LENGTH, value);
        }
    }

    pub(crate) fn remove(&mut self, name: HeaderName) -> Option<HeaderValue> {
        self.fields.remove(name)
    }

    #[must_use]
    pub fn into_map(self) -> HeaderMap {
        self.fields
    }
}

impl FieldWriter for FieldMap {
    fn run(&mut self, bytes: &[u8], fields: &[Field]) {
        for field in fields {
            self.field(field.name.of(bytes), field.value.of(bytes));
        }
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        // Names and values that came through our parsers always convert; anything else is left out.
        if let (Ok(name), Some(value)) = (HeaderName::from_bytes(name), self.value(value)) {
            // A full map (more than 24,576 entries) is out of reach of the field limit.
            let _ = self.fields.try_append(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_and_long_fields_keep_their_values_and_order() {
        let mut fields = FieldMap::default();
        let values: Vec<String> = (0..100).map(|number| "v".repeat(number * 7)).collect();
        for value in &values {
            fields.field(b"set-cookie", value.as_bytes());
        }
        fields.field(b"bad name", b"left out");
        fields.field(b"bad-value", b"left\nout");
        fields.set_length(7);
        fields.set_length(1_234_567);
        let map = fields.into_map();
        let kept: Vec<&[u8]> = map.get_all("set-cookie").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(kept, values.iter().map(String::as_bytes).collect::<Vec<_>>());
        assert_eq!(map.get_all(CONTENT_LENGTH).iter().collect::<Vec<_>>(), ["1234567"]);
        assert_eq!(map.len(), 101);
    }
}
