//! One purge as an entry of the stream, written and read. What comes from the stream is read without trust.

use crate::lower::above;
use crate::tier::{Notice, Purge, TagHash};
use redis::{FromRedisValue, ParsingError, Value};

pub(super) const KEY: &str = "key";
pub(super) const TAG: &str = "tag";
pub(super) const BEGINNING: &str = "beginning";

/// A purge to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) purge: Purge,
    /// Name of the tag, where it is of one.
    pub(super) tag: Box<[u8]>,
    pub(super) soft: bool,
    /// No other entry has it, so that an entry can be known again.
    pub(super) token: String,
}

impl Entry {
    pub(super) fn everything(token: String) -> Self {
        Self { purge: Purge::everything(), tag: Box::default(), soft: false, token }
    }

    /// Bytes that it takes while it waits.
    pub(super) fn size(&self) -> usize {
        let purge = match &self.purge {
            Purge::Key(bytes) | Purge::Beginning { bytes, .. } => bytes.len(),
            Purge::Tag(_) => 8,
        };
        size_of::<Self>() + purge + self.tag.len() + self.token.len()
    }

    /// Kind and data as the scripts take them.
    pub(super) fn fields(&self) -> (&'static str, Vec<u8>) {
        match &self.purge {
            Purge::Key(key) => (KEY, key.to_vec()),
            Purge::Tag(hash) => (TAG, [&hash.0.to_le_bytes()[..], &self.tag].concat()),
            Purge::Beginning { at, bytes } => (BEGINNING, [at.to_string().as_bytes(), b" ", bytes].concat()),
        }
    }
}

/// An entry as it comes from the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// The tick of the clock.
    pub(super) clock: u64,
    pub(super) epoch: String,
    /// The gateway that wrote it.
    pub(super) from: String,
    pub(super) token: String,
    /// None when it makes no sense.
    pub(super) notice: Option<Notice>,
}

impl FromRedisValue for Heard {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        // Names and values in turn, in the order in which the script writes them.
        type Fields = (Value, String, Value, String, Value, String, Value, u8, Value, String, Value, Vec<u8>);
        let (id, fields): (String, Vec<Value>) = redis::from_redis_value(value)?;
        let clock = id.strip_suffix("-0").and_then(|clock| clock.parse().ok());
        let clock = clock.ok_or("the id of an entry is no number")?;
        let fields: Fields = redis::from_redis_value(Value::Array(fields))?;
        let (_, epoch, _, from, _, token, _, soft, _, kind, _, data) = fields;
        let notice = read(&kind, &data).and_then(|(purge, tag)| above(&purge, tag));
        Ok(Self { clock, epoch, from, token, notice: notice.map(|what| Notice { what, soft: soft != 0 }) })
    }
}

/// A purge, and the name of its tag.
fn read<'d>(kind: &str, data: &'d [u8]) -> Option<(Purge, &'d [u8])> {
    Some(match kind {
        KEY => (Purge::Key(data.into()), &[]),
        TAG => {
            let (hash, name) = data.split_first_chunk()?;
            (Purge::Tag(TagHash(u64::from_le_bytes(*hash))), name)
        }
        BEGINNING => {
            let space = data.iter().position(|&byte| byte == b' ')?;
            let at = str::from_utf8(&data[..space]).ok()?.parse().ok()?;
            (Purge::Beginning { at, bytes: data[space + 1..].into() }, &[])
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tier::Noticed;
    use proptest::prelude::*;

    fn text(text: impl AsRef<[u8]>) -> Value {
        Value::BulkString(text.as_ref().to_vec())
    }

    fn heard(id: &str, kind: &str, data: &[u8]) -> Result<Heard, ParsingError> {
        let fields = ["e", "epoch", "f", "a", "t", "token", "s", "1", "k", kind, "d"].map(text).into_iter();
        let fields = fields.chain([text(data)]).collect();
        redis::from_redis_value(Value::Array(vec![text(id), Value::Array(fields)]))
    }

    #[test]
    fn a_purge_is_heard_as_it_was_written() {
        let beginning = Purge::Beginning { at: 9, bytes: (*b"pshop 1\n").into() };
        for (purge, tag, what) in [
            (Purge::Key((*b"kkey").into()), &b""[..], Noticed::Key((*b"key").into())),
            (Purge::Tag(TagHash::of(b"shoes")), b"shoes", Noticed::Tag((*b"shoes").into())),
            (beginning, b"", Noticed::Beginning { at: 8, bytes: (*b"pshop 1\n").into() }),
            (Purge::everything(), b"", Noticed::everything()),
        ] {
            let entry = Entry { purge, tag: tag.into(), soft: true, token: "token".to_owned() };
            let (kind, data) = entry.fields();
            let heard = heard("7-0", kind, &data).unwrap();
            assert_eq!((heard.clock, &*heard.token), (7, "token"));
            assert_eq!(heard.notice, Some(Notice { what, soft: true }));
        }
    }

    proptest! {
        #[test]
        fn any_entry_is_read_without_a_panic(id in "[0-9]{0,25}(-0)?", kind in "key|tag|beginning|", data: Vec<u8>) {
            let _ = heard(&id, &kind, &data);
        }
    }
}
