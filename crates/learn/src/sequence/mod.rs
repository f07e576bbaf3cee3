//! What comes next in a sequence of keys, session by session: tables, and the mixture that weighs them. Keys are
//! 64-bit numbers without meaning.

mod popularity;
pub mod predictor;
pub mod slate;
pub mod successors;
mod tables;
pub mod trail;
