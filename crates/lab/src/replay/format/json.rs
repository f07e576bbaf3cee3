//! One JSON object a line. Headgate's own access log by default; other names by `--columns`.

use super::{Line, Request, is_cacheable, key};
use serde_json::Value;

/// Names of the fields.
#[derive(Clone, Debug)]
pub struct Json {
    /// The key is made of these; one at least must be there.
    pub key: Vec<String>,
    pub bytes: String,
    pub duration: String,
    /// Microseconds in one unit of the duration.
    pub duration_unit_us: f64,
    pub method: String,
    pub status: String,
}

impl Default for Json {
    fn default() -> Self {
        Self {
            key: vec!["host".to_owned(), "path".to_owned()],
            bytes: "bytes_out".to_owned(),
            duration: "duration_us".to_owned(),
            duration_unit_us: 1.0,
            method: "method".to_owned(),
            status: "status".to_owned(),
        }
    }
}

impl Json {
    pub(super) fn line(&self, line: &str) -> Line {
        let Ok(Value::Object(fields)) = serde_json::from_str(line) else {
            return Line::Damaged("no JSON object");
        };
        let parts: Vec<String> = self.key.iter().filter_map(|name| fields.get(name)).map(text).collect();
        if parts.is_empty() {
            return Line::Damaged("it has none of the fields that name the object");
        }
        let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
        let number = |name: &str| fields.get(name).and_then(number);
        // Headgate leaves the status out when the client got none.
        let status = number(&self.status).map(|status| status as u16);
        let method = fields.get(&self.method).and_then(Value::as_str);
        Line::Request(Request {
            key: key(&parts),
            bytes: number(&self.bytes).map(|bytes| bytes as u64),
            duration_us: number(&self.duration).map(|duration| duration * self.duration_unit_us),
            is_cacheable: is_cacheable(method, status) && (method.is_none() || status.is_some()),
        })
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A number, or a text that is one, as NGINX writes them.
fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    (number.is_finite() && number >= 0.0).then_some(number)
}
