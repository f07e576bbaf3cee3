//! Double-double numbers: an unevaluated sum of two doubles, about 32 decimal digits (Dekker 1971; Joldes,
//! Muller, Popescu 2017). Just the operations that sums of squares and QR need; no wider range than a double.

use std::iter::Sum;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// `hi + lo` with `|lo|` at most half a unit in the last place of `hi`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Dd {
    hi: f64,
    lo: f64,
}

impl Dd {
    pub(crate) const ZERO: Self = Self { hi: 0.0, lo: 0.0 };
    pub(crate) const ONE: Self = Self { hi: 1.0, lo: 0.0 };

    /// The nearest double.
    pub(crate) fn value(self) -> f64 {
        self.hi
    }

    pub(crate) fn square(self) -> Self {
        self * self
    }

    /// Square root of a number that is not negative; one Newton step after the double's.
    pub(crate) fn sqrt(self) -> Self {
        if self.hi <= 0.0 {
            return Self::ZERO;
        }
        let root = self.hi.sqrt();
        let rest = self - Self::product(root, root);
        fast_two_sum(root, rest.hi / (2.0 * root))
    }

    /// The exact product of two doubles.
    pub(crate) fn product(a: f64, b: f64) -> Self {
        let hi = a * b;
        Self { hi, lo: a.mul_add(b, -hi) }
    }

    /// The exact difference of two doubles.
    pub(crate) fn difference(a: f64, b: f64) -> Self {
        two_sum(a, -b)
    }
}

/// The exact sum of two doubles (Knuth).
fn two_sum(a: f64, b: f64) -> Dd {
    let hi = a + b;
    let part = hi - a;
    Dd { hi, lo: (a - (hi - part)) + (b - part) }
}

/// The exact sum where `|a| >= |b|` or `a` is zero (Dekker).
fn fast_two_sum(a: f64, b: f64) -> Dd {
    let hi = a + b;
    Dd { hi, lo: b - (hi - a) }
}

impl From<f64> for Dd {
    fn from(value: f64) -> Self {
        Self { hi: value, lo: 0.0 }
    }
}

impl Neg for Dd {
    type Output = Self;
    fn neg(self) -> Self {
        Self { hi: -self.hi, lo: -self.lo }
    }
}

impl Add for Dd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let high = two_sum(self.hi, other.hi);
        let low = two_sum(self.lo, other.lo);
        let sum = fast_two_sum(high.hi, high.lo + low.hi);
        fast_two_sum(sum.hi, sum.lo + low.lo)
    }
}

impl Sub for Dd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Dd {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let high = Self::product(self.hi, other.hi);
        let cross = self.hi.mul_add(other.lo, self.lo * other.hi);
        fast_two_sum(high.hi, high.lo + cross)
    }
}

impl Div for Dd {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let first = self.hi / other.hi;
        let rest = self - other * Self::from(first);
        let second = rest.hi / other.hi;
        let rest = rest - other * Self::from(second);
        fast_two_sum(first, second) + Self::from(rest.hi / other.hi)
    }
}

impl Sum for Dd {
    fn sum<I: Iterator<Item = Self>>(numbers: I) -> Self {
        numbers.fold(Self::ZERO, |sum, number| sum + number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_double_forgets_is_kept() {
        let sum = Dd::from(1e16) + Dd::from(1.0) + Dd::from(-1e16);
        assert_eq!(sum.value(), 1.0);
        let third = Dd::ONE / Dd::from(3.0);
        let back = third * Dd::from(3.0) - Dd::ONE;
        assert!(back.value().abs() < 1e-31, "{back:?}");
        let root = Dd::from(2.0).sqrt();
        assert!((root.square() - Dd::from(2.0)).value().abs() < 1e-31);
        assert_eq!(Dd::from(0.0).sqrt(), Dd::ZERO);
    }
}
