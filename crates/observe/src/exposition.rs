//! The Prometheus text exposition format, version 0.0.4. It writes; it does not gather and does not serve.

use std::fmt::{self, Write};

use crate::histogram::{BOUNDS, Snapshot};
use crate::registry::{FamilySnapshot, Kind, Labels, Value};

/// The value of `Content-Type` that goes with the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Appends all families to `out`. A histogram of microseconds is exposed in seconds.
pub fn write(families: &[FamilySnapshot], out: &mut String) {
    for family in families {
        // Writing into a String cannot fail.
        let _ = write_family(family, out);
    }
}

fn write_family(family: &FamilySnapshot, out: &mut String) -> fmt::Result {
    let name = family.name;
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    writeln!(out, "# HELP {name} {}", Escaped { text: family.help, quote: false })?;
    writeln!(out, "# TYPE {name} {kind}")?;
    for (labels, value) in &family.series {
        match value {
            Value::Counter(count) => writeln!(out, "{name}{} {count}", Braced { labels, le: None })?,
            Value::Gauge(level) => writeln!(out, "{name}{} {level}", Braced { labels, le: None })?,
            Value::Histogram(snapshot) => write_histogram(name, labels, snapshot, out)?,
        }
    }
    Ok(())
}

fn write_histogram(name: &str, labels: &Labels, snapshot: &Snapshot, out: &mut String) -> fmt::Result {
    let count = snapshot.count();
    let bounds = BOUNDS.iter().map(|(_, seconds)| *seconds).chain(["+Inf"]);
    for (le, at_most) in bounds.zip(snapshot.cumulative().into_iter().chain([count])) {
        writeln!(out, "{name}_bucket{} {at_most}", Braced { labels, le: Some(le) })?;
    }
    let (seconds, us) = (snapshot.sum() / 1_000_000, snapshot.sum() % 1_000_000);
    writeln!(out, "{name}_sum{} {seconds}.{us:06}", Braced { labels, le: None })?;
    writeln!(out, "{name}_count{} {count}", Braced { labels, le: None })
}

/// `{name="value",...}`, or nothing when there is no label.
struct Braced<'a> {
    labels: &'a Labels,
    le: Option<&'a str>,
}

impl fmt::Display for Braced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = '{';
        for (name, value) in self.labels.iter().chain(self.le.map(|le| ("le", le))) {
            write!(f, "{before}{name}=\"{}\"", Escaped { text: value, quote: true })?;
            before = ',';
        }
        if before == ',' { f.write_char('}') } else { Ok(()) }
    }
}

/// Backslash and line feed are escaped everywhere, the double quote in label values alone.
struct Escaped<'a> {
    text: &'a str,
    quote: bool,
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.text.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if self.quote => f.write_str("\\\"")?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
