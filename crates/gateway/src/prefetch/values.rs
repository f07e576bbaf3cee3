//! What a stored JSON answer shows that a later path may be made of: identifiers, each under the name of its place there
//! (`$.items[0].id`). It takes any bytes for an answer, reads no further than it must, and keeps what came before a
//! mistake. It is no validation.

use flate2::read::GzDecoder;
use headgate_cache::object::Object;
use headgate_cache::rules::{Block, first};
use headgate_policy::balance::hash::hash;
use headgate_policy::prefetch::foresight::{FIELDS_MAX, Field};
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt::{self, Write};
use std::io::Read;

/// Bytes of an answer that are read, before and after decoding.
const READ_MAX: u64 = 64 << 10;
/// Values that are looked at before some are chosen.
const LOOKED_MAX: usize = 512;
/// Elements of one array.
const ELEMENTS_MAX: usize = 20;
/// Of a value, and of the name of a member.
const TEXT_MAX: usize = 64;
/// Ends of the names under which identifiers stand; they are chosen before others.
const LIKELY: [&str; 10] = ["id", "ids", "guid", "slug", "key", "sku", "code", "handle", "name", "number"];
/// Parts of the names under which secrets stand; those are left alone.
const SECRET: [&str; 9] =
    ["token", "secret", "passw", "signature", "session", "credential", "apikey", "accesskey", "privatekey"];

/// The values that a stored response shows, where it is JSON, plain or in gzip.
pub(super) fn shown(object: &Object) -> Vec<Field> {
    let head = Block(&object.head);
    if object.status != 200 || !first(&head, b"content-type").is_some_and(is_json) {
        return Vec::new();
    }
    let sent = object.content.slices(0, object.content.len().min(READ_MAX)).collect::<Vec<_>>().concat();
    match first(&head, b"content-encoding") {
        None => values(&sent),
        Some(coding) if coding.eq_ignore_ascii_case(b"gzip") => values(&unpacked(&sent)),
        Some(_) => Vec::new(),
    }
}

/// The start of what is packed; it may end in the middle, or be nothing of the kind.
fn unpacked(gzip: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    // What came before a mistake counts.
    let _ = GzDecoder::new(gzip).take(READ_MAX).read_to_end(&mut text);
    text
}

/// `application/json` and what is built on it (RFC 6839 section 3.1).
fn is_json(media_type: &[u8]) -> bool {
    let name = media_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let name = name.to_ascii_lowercase();
    name == b"application/json" || name.ends_with(b"+json")
}

/// At most [`FIELDS_MAX`] values of a JSON text, those that are likely identifiers first.
fn values(json: &[u8]) -> Vec<Field> {
    let mut found = Found { place: "$".to_owned(), ..Found::default() };
    let mut reader = serde_json::Deserializer::from_slice(json);
    // An error is the end: a mistake in the text, or enough.
    let _ = Place(&mut found).deserialize(&mut reader);
    found.likely.append(&mut found.others);
    found.likely.truncate(FIELDS_MAX);
    found.likely
}

#[derive(Default)]
struct Found {
    /// Where the reader is.
    place: String,
    is_likely: bool,
    likely: Vec<Field>,
    others: Vec<Field>,
}

impl Found {
    /// Whether there is room for more.
    fn add(&mut self, value: &str) -> bool {
        if is_segment(value) {
            let field = Field { name: hash(self.place.as_bytes()), value: value.to_owned() };
            let among = if self.is_likely { &mut self.likely } else { &mut self.others };
            among.push(field);
        }
        self.likely.len() < FIELDS_MAX && self.likely.len() + self.others.len() < LOOKED_MAX
    }
}

/// It may stand in a path as it is (RFC 3986 section 2.3), and leads nowhere else.
fn is_segment(value: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~.".contains(&byte);
    (1..=TEXT_MAX).contains(&value.len())
        && value.bytes().all(is_unreserved)
        && value.bytes().any(|byte| byte != b'.')
}

/// Reads the value at the reader's place.
struct Place<'f>(&'f mut Found);

impl Place<'_> {
    fn found<E: Error>(self, value: &str) -> Result<(), E> {
        if self.0.add(value) { Ok(()) } else { Err(E::custom("enough")) }
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.found(text)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.found(&number.to_string())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let length = self.0.place.len();
        for at in 0..ELEMENTS_MAX {
            // Writing into a String cannot fail.
            let _ = write!(self.0.place, "[{at}]");
            let element = elements.next_element_seed(Place(self.0))?;
            self.0.place.truncate(length);
            if element.is_none() {
                return Ok(());
            }
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let (length, was_likely) = (self.0.place.len(), self.0.is_likely);
        while let Some(name) = members.next_key::<String>()? {
            let plain = name.to_ascii_lowercase();
            if name.len() > TEXT_MAX || SECRET.iter().any(|part| plain.contains(part)) {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            self.0.place.push('.');
            self.0.place.push_str(&name);
            self.0.is_likely = LIKELY.iter().any(|end| plain.ends_with(end));
            members.next_value_seed(Place(self.0))?;
            self.0.place.truncate(length);
        }
        self.0.is_likely = was_likely;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The values alone, with the places that are looked for.
    fn read(json: &str) -> Vec<String> {
        values(json.as_bytes()).into_iter().map(|field| field.value).collect()
    }

    fn at(place: &str, value: &str) -> Field {
        Field { name: hash(place.as_bytes()), value: value.to_owned() }
    }

    #[test]
    fn identifiers_come_under_the_names_of_their_places() {
        let json = r#"{"page": 1, "items": [{"id": 17, "title": "a b"}, {"id": "x-9"}], "ids": [4, 5], "next": null}"#;
        let expected = [
            at("$.items[0].id", "17"),
            at("$.items[1].id", "x-9"),
            at("$.ids[0]", "4"),
            at("$.ids[1]", "5"),
            at("$.page", "1"),
        ];
        assert_eq!(values(json.as_bytes()), expected);
        assert_eq!(values(br#"[{"id":7}]"#), [at("$[0].id", "7")]);
        assert_eq!(values(br#""alone""#), [at("$", "alone")]);
    }

    #[test]
    fn identifiers_are_chosen_before_what_stands_before_them() {
        let noise: Vec<String> = (0..100).map(|at| format!("\"n{at}\": {at}")).collect();
        let items: Vec<String> =
            (0..30).map(|at| format!("{{\"price\": 5, \"itemId\": {}}}", 900 + at)).collect();
        let read = read(&format!("{{{}, \"items\": [{}]}}", noise.join(","), items.join(",")));
        assert_eq!(read.len(), FIELDS_MAX);
        assert!(read.iter().take(ELEMENTS_MAX).map(String::as_str).eq((900..920).map(|at| at.to_string())));
    }

    #[test]
    fn what_leads_elsewhere_or_is_nobodys_business_is_left_out() {
        let json = r#"{"id": "../7", "a_id": "..", "b_id": "a/b", "c_id": "a b", "d_id": "a\r\nb", "e_id": "", "f_id": "%2e",
            "g_id": -4, "h_id": 1.5, "i_id": true, "accessToken": "abc", "password": {"id": 5}, "apiKey": "k1", "sessionId": 77, "k_id": "é", "id2": "fine"}"#;
        assert_eq!(read(json), ["fine"]);
        assert!(read(&format!("{{\"id\": \"{}\"}}", "a".repeat(TEXT_MAX + 1))).is_empty());
    }

    #[test]
    fn what_came_before_a_mistake_counts_and_depth_has_an_end() {
        assert_eq!(read(r#"{"id": 7, "next": "#), ["7"]);
        assert_eq!(read("7 8"), ["7"]);
        assert!(read("<html>").is_empty());
        assert!(read("").is_empty());
        assert!(read(&"[".repeat(100_000)).is_empty());
        assert!(read(&format!("{}7{}", "{\"a\":".repeat(1_000), "}".repeat(1_000))).is_empty());
    }

    #[test]
    fn what_is_packed_is_read_as_far_as_it_goes() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packer, &vec![b'7'; 1 << 20]).unwrap();
        let gzip = packer.finish().unwrap();
        assert!(gzip.len() < 2_000);
        assert_eq!(unpacked(&gzip).len() as u64, READ_MAX);
        assert!(unpacked(&gzip[..500]).starts_with(b"777"));
        assert!(unpacked(b"{}").is_empty());
    }

    #[test]
    fn json_is_what_says_so() {
        let yes: [&[u8]; 4] = [
            b"application/json",
            b"Application/JSON; charset=utf-8",
            b"application/hal+json",
            b"application/json ;a=b",
        ];
        assert!(yes.into_iter().all(is_json));
        let no: [&[u8]; 4] = [b"text/html", b"", b"application/jsonp", b"text/plain; application/json"];
        assert!(!no.into_iter().any(is_json));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_within_bounds(json in proptest::collection::vec(any::<u8>(), 0..400)) {
            let values = values(&json);
            prop_assert!(values.len() <= FIELDS_MAX);
            prop_assert!(values.iter().all(|field| is_segment(&field.value)));
        }

        #[test]
        fn what_looks_like_json_is_too(json in r#"[\[\]{}":,0-9ab. \\u]{0,200}"#) {
            prop_assert!(values(json.as_bytes()).iter().all(|field| is_segment(&field.value)));
        }
    }
}
