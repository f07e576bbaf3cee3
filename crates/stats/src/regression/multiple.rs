//! Multiple linear regression: `y = b0 + b1 x1 + b2 x2 + ...`.

use super::qr::{Column, norm};
use super::table::{Design, Fit, fit, largest};
use crate::check;
use crate::dd::Dd;
use crate::error::{Result, StatsError};
use crate::moments::{Moments, Scale};

/// Most explaining columns.
const MOST_COLUMNS: usize = 100;

/// Fits `y` to an intercept and the columns; coefficients in that order. Needs at least two more values than
/// columns.
///
/// # Errors
/// No column or more than 100, columns of another length than `y`, too few values, a value that is not finite, `y` without
/// variation, a column that follows from those before it (column 0 is the intercept), results that a double
/// cannot hold.
pub fn multiple<C: AsRef<[f64]>>(columns: &[C], y: &[f64], confidence: f64) -> Result<Fit> {
    if columns.is_empty() || columns.len() > MOST_COLUMNS {
        let (name, value) = ("the number of columns", columns.len() as f64);
        return Err(StatsError::Parameter { name, value, need: "from 1 to 100" });
    }
    let terms = columns.len() + 1;
    let mut back = vec![vec![Dd::ZERO; terms]; terms];
    back[0][0] = Dd::ONE;
    let mut design = Vec::with_capacity(columns.len());
    for (place, column) in columns.iter().enumerate() {
        let x = column.as_ref();
        check::pairs("a column and y", x, y, terms + 1)?;
        let scale = Scale::of(x);
        let centre = Moments::of(x, scale).mean.value();
        let scaled: Vec<f64> = x.iter().map(|value| scale.down(*value)).collect();
        let measured: Vec<Dd> = scaled.iter().map(|value| Dd::from(*value)).collect();
        design.push(Column {
            values: scaled.iter().map(|value| Dd::difference(*value, centre)).collect(),
            norm_as_measured: norm(&measured).value(),
        });
        back[0][place + 1] = Dd::from(-centre);
        back[place + 1][place + 1] = Dd::from(scale.down(1.0));
    }
    let largest = std::iter::once(1.0).chain(columns.iter().map(|column| largest(column.as_ref()))).collect();
    fit(Design { columns: design, back, largest }, y, confidence).map(|solved| solved.fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_is_found_and_a_copied_column_is_named() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0];
        let y: Vec<f64> = a.iter().zip(&b).map(|(a, b)| 7.0 - 2.0 * a + 0.5 * b).collect();
        let plane = multiple(&[a, b], &y, 0.95).unwrap();
        let estimates: Vec<f64> = plane.coefficients.iter().map(|one| one.estimate).collect();
        assert_eq!(estimates, [7.0, -2.0, 0.5]);
        assert_eq!((plane.r_squared, plane.p), (1.0, 0.0));
        let tenth = a.map(|value| value * 0.1);
        assert_eq!(multiple(&[a, b, tenth], &y, 0.95), Err(StatsError::RankDeficient { column: 3 }));
        assert_eq!(multiple(&[[2.0; 6]], &y, 0.95), Err(StatsError::RankDeficient { column: 1 }));
        assert!(multiple(&[&a[..], &b[..5]], &y, 0.95).is_err());
        let none: [&[f64]; 0] = [];
        assert!(multiple(&none, &y, 0.95).is_err());
    }
}
