//! Special functions below the distributions: incomplete gamma and beta, by power series and continued
//! fractions with saddle-point prefactors. Error function and log gamma come from `libm`.

mod beta;
mod gamma;
mod saddle;

pub(crate) use beta::beta_tails;
pub(crate) use gamma::gamma_tails;
pub(crate) use saddle::stirling_error;

/// Steps after which a series or fraction is given up. They converge in about the square root of the largest
/// parameter, so this is for parameters beyond 10^10.
const STEPS: usize = 300_000;
/// Stands for zero in a denominator of Lentz's method.
const TINY: f64 = 1e-300;

/// Evaluates `b0 + a1/(b1 + a2/(b2 + ...))` by the modified Lentz method (Thompson and Barnett 1986), where
/// `term(i)` gives `(a_i, b_i)` for `i` from 1.
fn fraction(b0: f64, mut term: impl FnMut(f64) -> (f64, f64)) -> f64 {
    let keep = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut result = keep(b0);
    let (mut c, mut d) = (result, 0.0);
    for step in 1..=STEPS {
        let (a, b) = term(step as f64);
        d = 1.0 / keep(b + a * d);
        c = keep(b + a / c);
        let factor = c * d;
        result *= factor;
        if (factor - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    result
}
