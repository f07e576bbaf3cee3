//! Tests by ranks: do groups differ, without assuming a distribution.

mod kruskal;
mod mann_whitney;
mod rank;

pub use kruskal::{KruskalWallis, kruskal_wallis};
pub use mann_whitney::{MannWhitney, Method, mann_whitney};
