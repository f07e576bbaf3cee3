//! Figures in the Prometheus text format, as far as game days need them: series with their labels and values.

use std::collections::BTreeMap;

/// What a scrape gave.
#[derive(Clone, Debug, Default)]
pub(super) struct Exposition {
    series: Vec<Series>,
}

#[derive(Clone, Debug)]
pub(super) struct Series {
    name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

impl Exposition {
    /// Lines that are no series are left out.
    pub(super) fn parse(text: &str) -> Self {
        Self { series: text.lines().filter_map(Series::parse).collect() }
    }

    /// The series of this name that have at least these labels.
    pub(super) fn of<'a>(
        &'a self,
        name: &'a str,
        labels: &'a BTreeMap<String, String>,
    ) -> impl Iterator<Item = &'a Series> {
        self.series.iter().filter(move |series| {
            series.name == name && labels.iter().all(|(key, value)| series.labels.get(key) == Some(value))
        })
    }

    /// All series of this name.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Series> {
        self.series.iter().filter(move |series| series.name == name)
    }
}

impl Series {
    /// `name{label="value",...} number`.
    fn parse(line: &str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let name = &line[..end];
        if name.is_empty() || name.starts_with('#') {
            return None;
        }
        let mut labels = BTreeMap::new();
        let mut rest = &line[end..];
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner;
            while !rest.starts_with('}') {
                let (key, after) = rest.split_once("=\"")?;
                let (value, after) = quoted(after)?;
                labels.insert(key.trim().to_owned(), value);
                rest = after.strip_prefix(',').unwrap_or(after);
            }
            rest = &rest[1..];
        }
        let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
        Some(Self { name: name.to_owned(), labels, value })
    }

    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// The text up to the closing quote with its escapes resolved, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, one)) = chars.next() {
        match one {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            one => value.push(one),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_their_labels() {
        let scrape = Exposition::parse(
            "# HELP a b\na{x=\"1\",y=\"q\\\"\\\\\\n}\"} 2\na{x=\"2\"} 3.5 1700\nb 4\nodd{x=\"1\n{} 3\n\nc{} NaN",
        );
        let labels = BTreeMap::from([("x".to_owned(), "1".to_owned())]);
        let found: Vec<_> = scrape.of("a", &labels).collect();
        assert_eq!((found.len(), found[0].value, found[0].label("y")), (1, 2.0, "q\"\\\n}"));
        let sum = |name| scrape.named(name).map(|series| series.value).sum::<f64>();
        assert_eq!((sum("a"), sum("b"), sum("odd")), (5.5, 4.0, 0.0));
    }
}
