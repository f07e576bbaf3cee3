//! Quantities as people write them: `"250ms"`, `"30s"`, `"16KiB"`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// A duration written with its unit (`"250ms"`, `"30s"`, `"5m"`, `"1h"`), whose default is
/// `DEFAULT_MS` milliseconds. The default is part of the type, so it stands beside the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span<const DEFAULT_MS: u64>(pub Duration);

impl<const DEFAULT_MS: u64> Default for Span<DEFAULT_MS> {
    fn default() -> Self {
        Self(Duration::from_millis(DEFAULT_MS))
    }
}

/// A number of bytes written with its unit (`"512B"`, `"16KiB"`, `"10MiB"`) or bare, whose default is `DEFAULT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes<const DEFAULT: u64>(pub u64);

impl<const DEFAULT: u64> Default for Bytes<DEFAULT> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

/// Why a text is not a quantity. The text itself is not repeated: it may hold a secret that stood in a
/// wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    #[error("not a duration; write a number and a unit, like \"250ms\", \"30s\", \"5m\" or \"1h\"")]
    Duration,
    #[error("longer than a year; write at most \"8760h\"")]
    TooLong,
    #[error("not a size; write a number and a unit, like \"512B\", \"16KiB\" or \"10MiB\"")]
    Size,
}

/// Reads `"1h"`, `"5m"`, `"30s"`, `"250ms"`, `"10us"`: exactly one number and one unit, to whole
/// microseconds, a year at most (so that adding one to a point in time cannot overflow).
pub fn parse_duration(text: &str) -> Result<Duration, ValueError> {
    let (number, unit) = split_unit(text);
    let number: f64 = number.parse().map_err(|_| ValueError::Duration)?;
    let unit_us = match unit {
        "h" => 3.6e9,
        "m" => 6e7,
        "s" => 1e6,
        "ms" => 1e3,
        "us" => 1.0,
        _ => return Err(ValueError::Duration),
    };
    let micros = (number * unit_us).round();
    if micros > YEAR_US { Err(ValueError::TooLong) } else { Ok(Duration::from_micros(micros as u64)) }
}

const YEAR_US: f64 = 8_760.0 * 3.6e9;

/// Reads `"512"`, `"512B"`, `"16KiB"`, `"10MiB"`, `"1GiB"` and the decimal `"10kB"`, `"10MB"`, `"1GB"`.
pub fn parse_bytes(text: &str) -> Result<u64, ValueError> {
    let (number, unit) = split_unit(text);
    let number: u64 = number.parse().map_err(|_| ValueError::Size)?;
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(ValueError::Size),
    };
    // TOML integers end at 2^63 - 1, and a size must be writable again.
    number.checked_mul(factor).filter(|&bytes| i64::try_from(bytes).is_ok()).ok_or(ValueError::Size)
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

impl<const D: u64> Serialize for Span<D> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let micros = self.0.as_micros();
        let text = match micros {
            m if m % 3_600_000_000 == 0 && m > 0 => format!("{}h", m / 3_600_000_000),
            m if m % 60_000_000 == 0 && m > 0 => format!("{}m", m / 60_000_000),
            m if m % 1_000_000 == 0 => format!("{}s", m / 1_000_000),
            m if m % 1_000 == 0 => format!("{}ms", m / 1_000),
            m => format!("{m}us"),
        };
        serializer.serialize_str(&text)
    }
}

impl<'de, const D: u64> Deserialize<'de> for Span<D> {
    fn deserialize<De: Deserializer<'de>>(deserializer: De) -> Result<Self, De::Error> {
        struct Visitor<const D: u64>;

        impl<const D: u64> de::Visitor<'_> for Visitor<D> {
            type Value = Span<D>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration in quotes, like \"250ms\" or \"30s\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span<D>, E> {
                parse_duration(text).map(Span).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Visitor::<D>)
    }
}

impl<const D: u64> JsonSchema for Span<D> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Duration{D}ms").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A number and a unit: us, ms, s, m or h.",
            "pattern": "^[0-9]+(\\.[0-9]+)? ?(us|ms|s|m|h)$",
        })
    }
}

impl<const D: u64> Serialize for Bytes<D> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de, const D: u64> Deserialize<'de> for Bytes<D> {
    fn deserialize<De: Deserializer<'de>>(deserializer: De) -> Result<Self, De::Error> {
        struct Visitor<const D: u64>;

        impl<const D: u64> de::Visitor<'_> for Visitor<D> {
            type Value = Bytes<D>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size like \"16KiB\", or a number of bytes")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Bytes<D>, E> {
                i64::try_from(bytes).map_err(|_| E::custom(ValueError::Size))?;
                Ok(Bytes(bytes))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Bytes<D>, E> {
                u64::try_from(bytes).map(Bytes).map_err(|_| E::custom(ValueError::Size))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes<D>, E> {
                parse_bytes(text).map(Bytes).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor::<D>)
    }
}

impl<const D: u64> JsonSchema for Bytes<D> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Bytes{D}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes, or a number and a unit: B, KiB, MiB, GiB, kB, MB or GB.",
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB|kB|MB|GB)?$" },
            ],
        })
    }
}

/// Reads what can be written as a string or as a table. Unlike an untagged enum it keeps the position of
/// an error inside the table, and refuses unknown keys there.
pub(super) fn string_or_table<'de, D, Table, T>(
    deserializer: D,
    expecting: &'static str,
    from_string: impl FnOnce(&str) -> Result<T, de::value::Error>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    Table: Deserialize<'de> + Into<T>,
{
    struct Visitor<F, Table> {
        expecting: &'static str,
        from_string: F,
        table: PhantomData<Table>,
    }

    impl<'de, F, Table, T> de::Visitor<'de> for Visitor<F, Table>
    where
        F: FnOnce(&str) -> Result<T, de::value::Error>,
        Table: Deserialize<'de> + Into<T>,
    {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.expecting)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            (self.from_string)(text).map_err(E::custom)
        }

        fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            Table::deserialize(de::value::MapAccessDeserializer::new(map)).map(Into::into)
        }
    }

    deserializer.deserialize_any(Visitor { expecting, from_string, table: PhantomData::<Table> })
}

/// Reads what can be written as a switch or as a table, with positions of errors as [`string_or_table`].
pub(super) fn bool_or_table<'de, D, Table, T>(
    deserializer: D,
    expecting: &'static str,
    from_bool: impl FnOnce(bool) -> T,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    Table: Deserialize<'de> + Into<T>,
{
    struct Visitor<F, Table> {
        expecting: &'static str,
        from_bool: F,
        table: PhantomData<Table>,
    }

    impl<'de, F, Table, T> de::Visitor<'de> for Visitor<F, Table>
    where
        F: FnOnce(bool) -> T,
        Table: Deserialize<'de> + Into<T>,
    {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.expecting)
        }

        fn visit_bool<E: de::Error>(self, on: bool) -> Result<T, E> {
            Ok((self.from_bool)(on))
        }

        fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            Table::deserialize(de::value::MapAccessDeserializer::new(map)).map(Into::into)
        }
    }

    deserializer.deserialize_any(Visitor { expecting, from_bool, table: PhantomData::<Table> })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, micros) in
            [("0s", 0), ("250ms", 250_000), ("1.5s", 1_500_000), ("5 m", 300_000_000), ("10us", 10)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in ["", "5", "s", "-1s", "1.2.3s", "1d", "1s1ms", "\u{663}s"] {
            assert_eq!(parse_duration(text), Err(ValueError::Duration), "{text}");
        }
        assert_eq!(parse_duration(&format!("{}s", "9".repeat(400))), Err(ValueError::TooLong));
        assert_eq!(parse_duration("8761h"), Err(ValueError::TooLong));
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("0", 0), ("512B", 512), ("16KiB", 16_384), ("10 MB", 10_000_000)] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "1.5KiB", "-1", "1kb", "9999999999GiB", "18446744073709551615"] {
            assert_eq!(parse_bytes(text), Err(ValueError::Size), "{text}");
        }
    }
}
