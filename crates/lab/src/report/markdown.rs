//! A report as Markdown: what it says and its tables, for terminals, reviews and repositories. A chart is
//! named only; the page draws it.

use super::{Block, Report, Table};
use std::fmt::Write;

impl Report {
    /// The whole file.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n", plain(&self.title));
        for block in &self.blocks {
            out.push('\n');
            // Writing to a string cannot fail.
            let _ = match block {
                Block::Heading(text) => writeln!(out, "## {}", plain(text)),
                Block::Text(text) => writeln!(out, "{}", plain(text)),
                Block::Warning(text) => writeln!(out, "> **Note:** {}", plain(text)),
                Block::Code(lines) => lines.lines().try_for_each(|line| writeln!(out, "    {line}")),
                Block::Table(table) => {
                    push(&mut out, table);
                    Ok(())
                }
                Block::Chart(chart) => writeln!(out, "*Chart: {}*", plain(&chart.title)),
                Block::Bars(bars) => {
                    let head = ["".to_owned()].into_iter().chain(bars.parts.clone()).collect();
                    let row = |(label, parts): &(String, Vec<f64>)| {
                        let parts = parts.iter().map(|part| format!("{part:.2} {}", bars.unit));
                        std::iter::once(label.clone()).chain(parts).collect()
                    };
                    let rows = bars.rows.iter().map(row).collect();
                    push(&mut out, &Table { caption: bars.caption.clone(), head, rows, notes: Vec::new() });
                    Ok(())
                }
            };
        }
        out
    }
}

fn push(out: &mut String, table: &Table) {
    if !table.caption.is_empty() {
        out.push_str(&format!("**{}**\n\n", plain(&table.caption)));
    }
    let columns = table.rows.iter().chain([&table.head]).map(Vec::len).max().unwrap_or(0);
    let mut line = |cells: &[String]| {
        out.push('|');
        for column in 0..columns {
            let cell = cells.get(column).map_or("", String::as_str);
            out.push_str(&format!(" {} |", plain(cell).replace('|', "\\|")));
        }
        out.push('\n');
    };
    line(&table.head);
    let rule = |column| if column == 0 { "---" } else { "---:" }.to_owned();
    line(&(0..columns).map(rule).collect::<Vec<_>>());
    table.rows.iter().for_each(|row| line(row));
    for note in &table.notes {
        out.push_str(&format!("\n{}\n", plain(note)));
    }
}

/// On one line, and without what Markdown would take for markup in a name.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => out.push(' '),
            '<' | '*' | '`' | '[' => out.extend(['\\', letter]),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::report::{Bars, Report, Table};

    #[test]
    fn tables_and_texts_are_there() {
        let mut report = Report::new("Study");
        report.heading("Latency");
        report.warning("few runs");
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        report.table(Table {
            caption: "Means".to_owned(),
            head: row(["policy", "ms"]),
            rows: vec![row(["a|<b>", "1.5"]), vec!["short".to_owned()]],
            notes: vec!["5 runs".to_owned()],
        });
        report.bars(Bars {
            caption: "Recovery".to_owned(),
            parts: vec!["detection".to_owned()],
            rows: vec![("p2c".to_owned(), vec![1.25])],
            unit: "s",
        });
        let expected = "# Study\n\n## Latency\n\n> **Note:** few runs\n\n**Means**\n\n| policy | ms |\n| --- | ---: |\n\
                        | a\\|\\<b> | 1.5 |\n| short |  |\n\n5 runs\n\n**Recovery**\n\n|  | detection |\n\
                        | --- | ---: |\n| p2c | 1.25 s |\n";
        assert_eq!(report.markdown(), expected);
    }
}
