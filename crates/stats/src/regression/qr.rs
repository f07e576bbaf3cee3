//! Least squares by Householder reflections (Golub and Van Loan, 5.3) in double-double arithmetic. Knows
//! neither what the columns mean nor any statistics.

use crate::dd::Dd;
use crate::error::{Result, StatsError};

/// What is left of a column after those before it are taken out has to be more than this share of what the
/// column was measured as; rounding alone leaves a third of an ulp.
const RANK_TOLERANCE: f64 = 2.0 * f64::EPSILON;

/// A column of the design.
pub(super) struct Column {
    pub(super) values: Vec<Dd>,
    /// Euclidean norm of the column before it was centred: what its rounding errors are relative to.
    pub(super) norm_as_measured: f64,
}

/// The solution of `columns * coefficients = y`.
pub(super) struct Solution {
    pub(super) coefficients: Vec<Dd>,
    /// Inverse of the triangular factor, row by row; its outer square is the covariance over σ².
    pub(super) inverse: Vec<Vec<Dd>>,
    /// Squared length of the part of `y` along each column in turn.
    pub(super) effects: Vec<Dd>,
    pub(super) residual_squares: Dd,
}

/// Solves for more rows than columns.
pub(super) fn least_squares(mut columns: Vec<Column>, mut y: Vec<Dd>) -> Result<Solution> {
    let count = columns.len();
    let mut triangle = vec![vec![Dd::ZERO; count]; count];
    for pivot in 0..count {
        let norm = norm(&columns[pivot].values[pivot..]);
        if norm.value() <= RANK_TOLERANCE * columns[pivot].norm_as_measured {
            return Err(StatsError::RankDeficient { column: pivot });
        }
        // The sign that avoids cancellation.
        let diagonal = if columns[pivot].values[pivot].value() > 0.0 { -norm } else { norm };
        let mut reflector = columns[pivot].values[pivot..].to_vec();
        reflector[0] = reflector[0] - diagonal;
        let length: Dd = reflector.iter().map(|value| value.square()).sum();
        let reflect = |values: &mut [Dd]| {
            let product: Dd = reflector.iter().zip(values.iter()).map(|(a, b)| *a * *b).sum();
            let factor = (product + product) / length;
            for (value, part) in values.iter_mut().zip(&reflector) {
                *value = *value - *part * factor;
            }
        };
        triangle[pivot][pivot] = diagonal;
        for (column, entry) in columns[pivot + 1..].iter_mut().zip(pivot + 1..) {
            reflect(&mut column.values[pivot..]);
            triangle[pivot][entry] = column.values[pivot];
        }
        reflect(&mut y[pivot..]);
    }
    let inverse = invert(&triangle);
    let coefficients = inverse.iter().map(|row| row.iter().zip(&y).map(|(a, b)| *a * *b).sum()).collect();
    Ok(Solution {
        coefficients,
        inverse,
        effects: y[..count].iter().map(|value| value.square()).collect(),
        residual_squares: y[count..].iter().map(|value| value.square()).sum(),
    })
}

/// Euclidean norm.
pub(super) fn norm(values: &[Dd]) -> Dd {
    values.iter().map(|value| value.square()).sum::<Dd>().sqrt()
}

/// Inverse of an upper triangular matrix with nonzero diagonal, column by column.
fn invert(triangle: &[Vec<Dd>]) -> Vec<Vec<Dd>> {
    let count = triangle.len();
    let mut inverse = vec![vec![Dd::ZERO; count]; count];
    for column in 0..count {
        inverse[column][column] = Dd::ONE / triangle[column][column];
        for row in (0..column).rev() {
            let sum: Dd = (row + 1..=column).map(|i| triangle[row][i] * inverse[i][column]).sum();
            inverse[row][column] = -sum / triangle[row][row];
        }
    }
    inverse
}
