//! The identifiers in an answer of the generated API: as a learner is handed them, and as the JSON that a service would send.

use headgate_learn::routes::graph::Field;
use headgate_policy::balance::hash::hash;

/// What an answer shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shows {
    #[default]
    Nothing,
    /// The identifier of a member.
    One(&'static str, u64),
    /// Those of a list's entries.
    List(&'static str, Vec<u64>),
}

impl Shows {
    /// Each under the hash of its place.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        let field =
            |place: String, value: u64| Field { name: hash(place.as_bytes()), value: value.to_string() };
        match self {
            Self::Nothing => Vec::new(),
            Self::One(member, value) => vec![field(format!("$.{member}.id"), *value)],
            Self::List(member, values) => {
                let entry = |(at, value): (usize, &u64)| field(format!("$.{member}[{at}].id"), *value);
                values.iter().enumerate().map(entry).collect()
            }
        }
    }

    /// The same in JSON of about `bytes`, among members that are nothing of the kind.
    #[must_use]
    pub fn json(&self, bytes: u64) -> String {
        let entry = |value: &u64| {
            format!(
                r#"{{"title":"Entry no. {value}","price":{},"inStock":true,"id":{value}}}"#,
                value % 9_000
            )
        };
        let shown = match self {
            Self::Nothing => String::new(),
            Self::One(member, value) => format!(r#""{member}":{},"#, entry(value)),
            Self::List(member, values) => {
                let entries: Vec<String> = values.iter().map(entry).collect();
                format!(r#""{member}":[{}],"#, entries.join(","))
            }
        };
        let start = format!(r#"{{"version":3,"currency":"EUR",{shown}"about":""#);
        let rest = (bytes as usize).saturating_sub(start.len() + 2);
        format!(r#"{start}{}"}}"#, "x".repeat(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_says_what_the_fields_say() {
        let list = Shows::List("items", vec![7, 9_000]);
        let json: serde_json::Value = serde_json::from_str(&list.json(1_000)).unwrap();
        assert_eq!(
            (json["items"][0]["id"].as_u64(), json["items"][1]["id"].as_u64()),
            (Some(7), Some(9_000))
        );
        assert_eq!(list.json(1_000).len(), 1_000);
        let fields = list.fields();
        assert_eq!(fields[1], Field { name: hash(b"$.items[1].id"), value: "9000".to_owned() });
        let one: serde_json::Value = serde_json::from_str(&Shows::One("seller", 3).json(0)).unwrap();
        assert_eq!(one["seller"]["id"].as_u64(), Some(3));
        assert_eq!(Shows::One("seller", 3).fields().len(), 1);
        assert!(serde_json::from_str::<serde_json::Value>(&Shows::Nothing.json(10)).is_ok());
    }
}
