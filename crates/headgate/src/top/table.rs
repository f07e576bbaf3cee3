//! A table of text that fits a width. The first two columns are names: they are to the left and give way;
//! the others are numbers.

/// No name is cut below this, where there is one that long.
const NAME_MIN: usize = 8;
const NAMES: usize = 2;
const GAP: &str = "  ";

/// A row of `COLUMNS` cells.
pub(super) type Row<const COLUMNS: usize> = [String; COLUMNS];

/// One line for the headings and one per row, each of `width` characters at most.
pub(super) fn table<const COLUMNS: usize>(
    headings: Row<COLUMNS>,
    rows: &[Row<COLUMNS>],
    width: usize,
) -> Vec<String> {
    let all = || std::iter::once(&headings).chain(rows);
    let mut widths: [usize; COLUMNS] =
        std::array::from_fn(|column| all().map(|row| row[column].chars().count()).max().unwrap_or_default());
    let gaps = GAP.len() * COLUMNS.saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > width {
        match widths[..NAMES].iter_mut().max() {
            Some(widest) if *widest > NAME_MIN => *widest -= 1,
            _ => break,
        }
    }
    all().map(|row| cut(&line(row, &widths), width)).collect()
}

fn line<const COLUMNS: usize>(row: &Row<COLUMNS>, widths: &[usize; COLUMNS]) -> String {
    let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, &width))| {
        let cell = cut(cell, width);
        if column < NAMES { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
    });
    cells.collect::<Vec<_>>().join(GAP)
}

/// The first `width` characters, with a sign when some are missing; and none that could steer a terminal.
pub(super) fn cut(text: &str, width: usize) -> String {
    let visible = |c: char| if c.is_control() { '?' } else { c };
    if text.chars().count() <= width {
        return text.chars().map(visible).collect();
    }
    let kept = text.chars().take(width.saturating_sub(1)).map(visible);
    kept.chain((width > 0).then_some('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_name_gives_way_first() {
        let headings = ["ROUTE", "SERVICE", "REQ/S"].map(str::to_owned);
        let rows = [["a-very-long-name-of-a-route", "catalog", "12"], ["b", "about", "3"]]
            .map(|row| row.map(str::to_owned));
        assert_eq!(
            table(headings.clone(), &rows, 30),
            [
                "ROUTE           SERVICE  REQ/S",
                "a-very-long-n…  catalog     12",
                "b               about        3"
            ]
        );
        for width in 0..60 {
            for line in table(headings.clone(), &rows, width) {
                assert!(line.chars().count() <= width, "{width}: {line:?}");
            }
        }
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(cut("a\x1b[2Jb\nc\u{9b}", 20), "a?[2Jb?c?");
        assert_eq!([cut("äöü", 3), cut("äöü", 2), cut("äöü", 0)], ["äöü", "ä…", ""]);
    }
}
