//! Values separated by commas, with the names of the columns in the first line or given. A value may be quoted
//! (RFC 4180), but not hold a line end.

use super::{Line, Request, is_cacheable, key};

/// The columns, once they are known.
#[derive(Clone, Debug, Default)]
pub struct Csv {
    columns: Option<Columns>,
}

#[derive(Clone, Debug)]
struct Columns {
    key: usize,
    bytes: Option<usize>,
    /// With the microseconds in one unit.
    duration: Option<(usize, f64)>,
    method: Option<usize>,
    status: Option<usize>,
}

/// Names that mean the same, the best first.
const KEY: [&str; 9] = ["key", "url", "uri", "path", "object", "obj_id", "id", "lbn", "lba"];
const BYTES: [&str; 5] = ["size", "bytes", "bytes_out", "obj_size", "length"];
const DURATION: [(&str, f64); 5] = [
    ("duration_us", 1.0),
    ("duration_ms", 1e3),
    ("duration_s", 1e6),
    ("duration", 1e6),
    ("request_time", 1e6),
];

impl Csv {
    /// Columns by name, from the left. Unknown names are columns that do not matter.
    ///
    /// # Errors
    /// When none of them names the object.
    pub fn named(names: &[&str]) -> Result<Self, String> {
        match Columns::find(names) {
            Some(columns) => Ok(Self { columns: Some(columns) }),
            None => {
                Err(format!("no column names the object; call one of them `key` (known: {})", KEY.join(", ")))
            }
        }
    }

    pub(super) fn line(&mut self, line: &str) -> Line {
        let values = values(line);
        let values: Vec<&str> = values.iter().map(|value| value.trim()).collect();
        let Some(columns) = &self.columns else {
            self.columns = Columns::find(&values);
            return match self.columns {
                Some(_) => Line::Nothing,
                None => Line::Damaged("no heading with a column `key`, and no --columns"),
            };
        };
        let Some(object) = values.get(columns.key).filter(|value| !value.is_empty()) else {
            return Line::Damaged("too few columns");
        };
        let value = |at: Option<usize>| at.and_then(|at| values.get(at)).copied();
        let number = |at: Option<usize>| {
            value(at)?.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)
        };
        let bytes = number(columns.bytes);
        if columns.bytes.is_some() && bytes.is_none() {
            // Also a heading where the columns were given.
            return Line::Damaged("the size is no number");
        }
        let (duration, unit_us) = columns.duration.map_or((None, 1.0), |(at, unit_us)| (Some(at), unit_us));
        let status = number(columns.status).map(|status| status as u16);
        Line::Request(Request {
            key: key(&[object.as_bytes()]),
            bytes: bytes.map(|bytes| bytes as u64),
            duration_us: number(duration).map(|duration| duration * unit_us),
            is_cacheable: is_cacheable(value(columns.method), status),
        })
    }
}

impl Columns {
    fn find(names: &[&str]) -> Option<Self> {
        let at = |wanted: &str| names.iter().position(|name| name.trim().eq_ignore_ascii_case(wanted));
        Some(Self {
            key: KEY.into_iter().find_map(at)?,
            bytes: BYTES.into_iter().find_map(at),
            duration: DURATION.into_iter().find_map(|(name, unit_us)| Some((at(name)?, unit_us))),
            method: at("method"),
            status: at("status"),
        })
    }
}

fn values(line: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut quoted = false;
    let mut rest = line.chars().peekable();
    while let Some(one) = rest.next() {
        let last = values.len() - 1;
        match one {
            '"' if quoted && rest.peek() == Some(&'"') => values[last].extend(rest.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => values.push(String::new()),
            one => values[last].push(one),
        }
    }
    values
}
