//! A table for a terminal: columns as wide as their widest cell, numbers to the right.

use super::Table;
use std::fmt::{self, Display};

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = || std::iter::once(&self.head).filter(|head| !head.is_empty()).chain(&self.rows);
        let columns = lines().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            lines().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        writeln!(f, "{}", self.caption)?;
        for line in lines() {
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                match column {
                    0 => write!(f, "  {cell:width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
            writeln!(f)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))
    }
}

#[cfg(test)]
mod tests {
    use crate::report::Table;

    #[test]
    fn columns_line_up() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let table = Table {
            caption: "Times".to_owned(),
            head: row(["name", "ms"]),
            rows: vec![row(["a", "1.5"]), row(["longer", "10 ± 2"])],
            notes: vec!["so far".to_owned()],
        };
        assert_eq!(
            table.to_string(),
            "Times\n  name        ms\n  a          1.5\n  longer  10 ± 2\n  so far\n"
        );
    }
}
