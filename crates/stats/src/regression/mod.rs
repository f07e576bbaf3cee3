//! How one measure follows others: least squares with inference, and the curves built on it.

mod exponential;
mod multiple;
mod polynomial;
mod qr;
mod table;

pub use exponential::{Exponential, exponential};
pub use multiple::multiple;
pub use polynomial::{MOST_DEGREE, Polynomial, linear, polynomial};
pub use table::{Coefficient, Fit};
