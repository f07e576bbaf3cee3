//! Tests that may be looked at after every value and stopped at any time, at the promised rate of false alarms.
//! For guards and canaries; for a study of planned size the tests elsewhere in this crate find more.

mod best_run;
mod blocks;
mod bounded;
mod mean;
mod sign_flip;

pub use blocks::{Blocks, Released};
pub use bounded::BoundedTest;
pub use mean::MeanSequence;
pub use sign_flip::SignFlipTest;
