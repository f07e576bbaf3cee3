//! A report as one HTML file: style, charting library and data within, nothing fetched. All text is escaped;
//! a policy in the file keeps a browser from fetching anything even so.

use super::{Bars, Block, Table};
use std::fmt::{Display, Write};

const STYLE: &str = include_str!("../../assets/report.css");
const CHART_STYLE: &str = include_str!("../../assets/uPlot.min.css");
const CHART_LIBRARY: &str = include_str!("../../assets/uPlot.iife.min.js");
const CHART_GLUE: &str = include_str!("../../assets/charts.js");
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

pub(super) fn page(title: &str, blocks: &[Block]) -> String {
    let mut out = String::new();
    let title = Escaped(title);
    put(
        &mut out,
        format_args!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{CHART_STYLE}\n{STYLE}</style>\n<main>\n<h1>{title}</h1>\n"
        ),
    );
    for block in blocks {
        match block {
            Block::Heading(text) => put(&mut out, format_args!("<h2>{}</h2>\n", Escaped(text))),
            Block::Text(text) => put(&mut out, format_args!("<p>{}</p>\n", Escaped(text))),
            Block::Warning(text) => {
                put(&mut out, format_args!("<p class=\"warning\">{}</p>\n", Escaped(text)))
            }
            Block::Code(lines) => put(&mut out, format_args!("<pre>{}</pre>\n", Escaped(lines))),
            Block::Table(one) => table(&mut out, one),
            Block::Bars(one) => bars(&mut out, one),
            Block::Chart(one) => {
                // It consists of numbers and text; only a map with odd keys could fail.
                let data = serde_json::to_string(one).unwrap_or_default().replace('<', "\\u003c");
                let caption = Escaped(&one.title);
                put(
                    &mut out,
                    format_args!(
                        "<figure class=\"chart\"><figcaption>{caption}</figcaption>\
                         <script type=\"application/json\">{data}</script></figure>\n"
                    ),
                );
            }
        }
    }
    put(
        &mut out,
        format_args!("</main>\n<script>{CHART_LIBRARY}</script>\n<script>\n{CHART_GLUE}</script>\n</html>\n"),
    );
    out
}

fn table(out: &mut String, table: &Table) {
    // Without a head there are facts in words.
    let class = if table.head.is_empty() { " class=\"facts\"" } else { "" };
    put(
        out,
        format_args!("<figure><figcaption>{}</figcaption>\n<table{class}>\n<tr>", Escaped(&table.caption)),
    );
    for cell in &table.head {
        put(out, format_args!("<th>{}</th>", Escaped(cell)));
    }
    for row in &table.rows {
        out.push_str("</tr>\n<tr>");
        for cell in row {
            put(out, format_args!("<td>{}</td>", Escaped(cell)));
        }
    }
    out.push_str("</tr>\n</table>\n");
    for note in &table.notes {
        put(out, format_args!("<p class=\"note\">{}</p>\n", Escaped(note)));
    }
    out.push_str("</figure>\n");
}

fn bars(out: &mut String, bars: &Bars) {
    let length = |parts: &[f64]| parts.iter().sum::<f64>();
    let longest = bars.rows.iter().map(|(_, parts)| length(parts)).fold(0.0, f64::max);
    put(
        out,
        format_args!(
            "<figure class=\"bars\"><figcaption>{}</figcaption>\n<p class=\"legend\">",
            Escaped(&bars.caption)
        ),
    );
    for (index, part) in bars.parts.iter().enumerate() {
        put(out, format_args!("<i class=\"part{index}\"></i>{} ", Escaped(part)));
    }
    out.push_str("</p>\n");
    for (label, parts) in &bars.rows {
        put(out, format_args!("<div><b>{}</b><span>", Escaped(label)));
        for (index, (part, name)) in parts.iter().zip(&bars.parts).enumerate() {
            let share = if longest > 0.0 { part / longest * 100.0 } else { 0.0 };
            let tip = format!("{name}: {part:.2} {}", bars.unit);
            put(
                out,
                format_args!(
                    "<i class=\"part{index}\" style=\"width:{share:.2}%\" title=\"{}\"></i>",
                    Escaped(&tip)
                ),
            );
        }
        put(out, format_args!("</span><em>{:.2} {}</em></div>\n", length(parts), Escaped(bars.unit)));
    }
    out.push_str("</figure>\n");
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = out.write_fmt(text);
}

/// Text that is only text wherever it stands in the file.
struct Escaped<'t>(&'t str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for one in self.0.chars() {
            match one {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                one => f.write_char(one)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::report::{Bars, Chart, Report, Series, Table};

    #[test]
    fn no_text_gets_out_of_its_place_and_nothing_is_fetched() {
        let evil = "</script><script>alert('\"&</script>".to_owned();
        let mut report = Report::new(evil.clone());
        report.heading(evil.clone());
        report.text(evil.clone());
        report.warning(evil.clone());
        let cells = vec![evil.clone()];
        report.table(Table {
            caption: evil.clone(),
            head: cells.clone(),
            rows: vec![cells.clone()],
            notes: cells,
        });
        let series = vec![Series { name: evil.clone(), y: vec![Some(1.0), None], ..Series::default() }];
        report.chart(Chart { title: evil.clone(), x: vec![0.0, 1.0], series, ..Chart::default() });
        report.bars(Bars {
            caption: evil.clone(),
            parts: vec![evil.clone()],
            rows: vec![(evil, vec![1.0])],
            unit: "s",
        });
        let html = report.html();
        assert!(!html.contains("<script>alert"));
        assert_eq!(html.matches("<script").count(), html.matches("</script>").count());
        assert!(!html.contains("src=\"http") && !html.contains("href=\"http"));
        assert!(html.contains("default-src 'none'"));
    }
}
