//! How an access record becomes one line: JSON, Common, Combined or a format string. It is parsed once and
//! writes into a buffer; it opens nothing.

use headgate_model::spec::LogFormat;

use super::field::{Field, Value};
use super::record::{AccessRecord, Cut};
use crate::escape;

const COMMON: &str = "%client - - [%time_common] \"%method %path %protocol\" %status %bytes_out";
const COMBINED: &str =
    "%client - - [%time_common] \"%method %path %protocol\" %status %bytes_out \"%referer\" \"%user_agent\"";
const NAMED: [&str; 3] = ["json", "common", "combined"];

/// A parsed line format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format(Shape);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Json,
    Text(Vec<Piece>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Field(Field),
}

/// Why a format string was refused. Positions count bytes from zero.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("access log format: no field is called `%{name}` (at {position}){}", hint(*nearest, "%"))]
    UnknownField { name: String, position: usize, nearest: Option<&'static str> },
    #[error("access log format: the `%` at {position} names no field; write `%%` for a percent sign")]
    NamelessField { position: usize },
    #[error("access log format: `{text}` has no `%name` in it{}", hint(*nearest, ""))]
    NoField { text: String, nearest: Option<&'static str> },
    #[error("access log format: the line feed at {position} would break a record into two lines; remove it")]
    LineFeed { position: usize },
}

fn hint(nearest: Option<&str>, prefix: &str) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{prefix}{name}`?"))
}

impl Format {
    /// # Errors
    /// When a format string names an unknown field, or none at all.
    pub fn parse(format: &LogFormat) -> Result<Self, FormatError> {
        Ok(Self(match format {
            LogFormat::Json => Shape::Json,
            LogFormat::Common => Shape::Text(pieces(COMMON)?),
            LogFormat::Combined => Shape::Text(pieces(COMBINED)?),
            LogFormat::Custom(text) => Shape::Text(pieces(text)?),
        }))
    }

    /// Appends one line, with its line feed.
    pub(super) fn write(&self, record: &AccessRecord<'_>, cut: Cut, out: &mut Vec<u8>) {
        match &self.0 {
            Shape::Json => write_json(record, cut, out),
            Shape::Text(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Literal(text) => out.extend(text.as_bytes()),
                        Piece::Field(field) => field.value(record, cut).write_text(out),
                    }
                }
            }
        }
        out.push(b'\n');
    }
}

fn write_json(record: &AccessRecord<'_>, cut: Cut, out: &mut Vec<u8>) {
    let mut before = b'{';
    let mut cut_fields = Vec::new();
    for &field in Field::ALL {
        let value = field.value(record, cut);
        if value == Value::Absent || field == Field::TimeCommon {
            continue;
        }
        if matches!(value, Value::Text { cut: true, .. }) {
            cut_fields.push(field);
        }
        out.push(before);
        escape::json_string(field.name().as_bytes(), out);
        out.push(b':');
        value.write_json(out);
        before = b',';
    }
    if !cut_fields.is_empty() {
        out.extend(b",\"cut\":");
        let mut before = b'[';
        for field in cut_fields {
            out.push(before);
            escape::json_string(field.name().as_bytes(), out);
            before = b',';
        }
        out.push(b']');
    }
    out.push(b'}');
}

fn pieces(format: &str) -> Result<Vec<Piece>, FormatError> {
    if let Some(position) = format.find(['\n', '\r']) {
        return Err(FormatError::LineFeed { position });
    }
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        let position = format.len() - after.len() - 1;
        literal.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            literal.push('%');
            rest = after;
            continue;
        }
        let (name, after) = split_name(after).ok_or(FormatError::NamelessField { position })?;
        let field = Field::named(name).ok_or_else(|| FormatError::UnknownField {
            name: name.to_owned(),
            position,
            nearest: nearest(name, Field::ALL.iter().map(|field| field.name())),
        })?;
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Field(field));
        rest = after;
    }
    if pieces.is_empty() {
        return Err(FormatError::NoField { text: format.to_owned(), nearest: nearest(format, NAMED) });
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

/// The name after a percent sign, bare or in braces, and what follows it.
fn split_name(after: &str) -> Option<(&str, &str)> {
    let (name, rest) = match after.strip_prefix('{') {
        Some(braced) => braced.split_once('}')?,
        None => {
            let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            after.split_at(after.find(|c| !in_name(c)).unwrap_or(after.len()))
        }
    };
    (!name.is_empty()).then_some((name, rest))
}

/// The candidate that differs from `name` by the fewest edits, if they are at most a third of it.
fn nearest(name: &str, candidates: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    let most = (name.len() / 3).max(1);
    let by_distance = candidates.into_iter().map(|candidate| (edits(name, candidate), candidate));
    by_distance.min().filter(|(distance, _)| *distance <= most).map(|(_, candidate)| candidate)
}

/// Levenshtein's distance in bytes: one row of the table at a time.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::SLICE_MAX;
    use headgate_model::fault::FaultKind;
    use proptest::prelude::*;

    fn line(format: &str, record: &AccessRecord<'_>) -> String {
        let mut encoded = Vec::new();
        record.encode(&mut encoded);
        let (record, cut) = AccessRecord::decode(&encoded).unwrap();
        let mut out = Vec::new();
        Format::parse(&LogFormat::from(format.to_owned())).unwrap().write(&record, cut, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn sample() -> AccessRecord<'static> {
        AccessRecord {
            start_unix_us: 1_769_903_999_000_001,
            duration_us: 1_500,
            upstream_us: 1_200,
            status: 200,
            bytes_in: 80,
            bytes_out: 2_326,
            client: Some(([192, 0, 2, 7], 50_000).into()),
            local_port: 443,
            trace_id: Some([0xab; 16]),
            tls: true,
            method: b"GET",
            host: b"shop.example",
            path: b"/a?q=1",
            protocol: b"HTTP/1.1",
            user_agent: b"curl/8",
            route: b"shop",
            ..AccessRecord::default()
        }
    }

    #[test]
    fn the_named_formats() {
        let common = "192.0.2.7 - - [31/Jan/2026:23:59:59 +0000] \"GET /a?q=1 HTTP/1.1\" 200 2326";
        assert_eq!(line("common", &sample()), format!("{common}\n"));
        assert_eq!(line("combined", &sample()), format!("{common} \"-\" \"curl/8\"\n"));
        let json = concat!(
            r#"{"time":"2026-01-31T23:59:59.000001Z","client":"192.0.2.7","client_port":50000,"#,
            r#""local_port":443,"method":"GET","host":"shop.example","path":"/a?q=1","protocol":"HTTP/1.1","#,
            r#""status":200,"bytes_in":80,"bytes_out":2326,"duration_us":1500,"upstream_us":1200,"#,
            r#""retries":0,"route":"shop","user_agent":"curl/8","#,
            r#""trace_id":"abababababababababababababababab","tls":true,"upstream_reused":false,"#,
            r#""upgraded":false,"injected":false}"#
        );
        assert_eq!(line("json", &sample()), format!("{json}\n"));
    }

    #[test]
    fn a_format_string() {
        let record = AccessRecord { fault: Some(FaultKind::ConnectFailed), ..sample() };
        assert_eq!(line("100%% %{status}x %fault [%referer]", &record), "100% 200x connect_failed [-]\n");
    }

    #[test]
    fn a_client_on_a_dual_stack_listener_has_its_own_address() {
        for (client, expected) in
            [("[::ffff:192.0.2.7]:9", "192.0.2.7 9\n"), ("[2001:db8::1]:9", "2001:db8::1 9\n")]
        {
            let record = AccessRecord { client: Some(client.parse().unwrap()), ..sample() };
            assert_eq!(line("%client %client_port", &record), expected);
        }
        assert_eq!(line("%client %client_port", &AccessRecord { client: None, ..sample() }), "- -\n");
    }

    #[test]
    fn hostile_text_cannot_leave_its_quotes_or_its_line() {
        let record = AccessRecord { user_agent: b"x\" 500 0\r\n\x1b[2J\\\xff", ..sample() };
        let text = line("combined", &record);
        assert!(text.ends_with("\"x\\x22 500 0\\x0d\\x0a\\x1b[2J\\x5c\\xff\"\n"), "{text}");
    }

    #[test]
    fn a_wrong_format_string_is_refused_with_a_remedy() {
        for (format, expected) in [
            ("%client %stauts", "no field is called `%stauts` (at 8); did you mean `%status`?"),
            ("%nothing_like_it", "no field is called `%nothing_like_it` (at 0)"),
            ("%status 50%", "the `%` at 10 names no field; write `%%` for a percent sign"),
            ("%{status", "the `%` at 0 names no field; write `%%` for a percent sign"),
            ("jsom", "`jsom` has no `%name` in it; did you mean `json`?"),
            ("", "`` has no `%name` in it"),
            ("%status\n", "the line feed at 7 would break a record into two lines; remove it"),
        ] {
            let error = Format::parse(&LogFormat::Custom(format.to_owned())).unwrap_err();
            assert_eq!(error.to_string(), format!("access log format: {expected}"));
        }
    }

    #[test]
    fn exactly_the_cut_texts_are_marked() {
        let long = vec![b'a'; SLICE_MAX + 1];
        let record = AccessRecord { path: &long, request_id: &long, host: &long[..SLICE_MAX], ..sample() };
        let json: serde_json::Value = serde_json::from_str(&line("json", &record)).unwrap();
        assert_eq!(json["cut"], serde_json::json!(["path", "request_id"]));
        assert_eq!(line("%path", &record), format!("{}...\n", "a".repeat(SLICE_MAX)));
        assert_eq!(line("%host", &record), format!("{}\n", "a".repeat(SLICE_MAX)));
    }

    proptest! {
        #[test]
        fn any_record_is_one_line_of_json(
            path: Vec<u8>, user_agent: Vec<u8>, host: String, status: u16, long in 0usize..3_000,
        ) {
            let referer = "\u{9b}".repeat(long).into_bytes();
            let record =
                AccessRecord { path: &path, user_agent: &user_agent, host: host.as_bytes(), referer: &referer, status, ..sample() };
            let text = line("json", &record);
            prop_assert_eq!(text.chars().filter(|c| c.is_control()).count(), 1, "the line feed");
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(json["host"].as_str().unwrap_or(""), &host);
            prop_assert_eq!(json["status"].as_u64().unwrap_or(0), u64::from(status));
            prop_assert_eq!(json["path"].is_null(), path.is_empty());
        }

        #[test]
        fn any_record_is_one_line_of_combined(path: Vec<u8>, user_agent: Vec<u8>, referer: Vec<u8>) {
            let text = line("combined", &AccessRecord { path: &path, user_agent: &user_agent, referer: &referer, ..sample() });
            prop_assert!(text.trim_end_matches('\n').bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert_eq!(text.matches('"').count(), 6);
        }

        #[test]
        fn any_format_string_is_parsed_or_refused(text: String) {
            let _ = Format::parse(&LogFormat::Custom(text));
        }
    }
}
