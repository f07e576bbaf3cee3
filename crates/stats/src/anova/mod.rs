//! Do groups differ? Analysis of variance, the checks of its assumptions, and the tests that say which groups.

mod games_howell;
mod homogeneity;
mod one_way;
mod pairs;
mod shapiro;
mod tukey;
mod welch;

pub use games_howell::games_howell;
pub use homogeneity::{Centre, Homogeneity, levene};
pub use one_way::{Anova, Source, one_way};
pub use pairs::{Comparison, MOST_GROUPS};
pub use shapiro::{MOST_VALUES, Normality, shapiro_wilk};
pub use tukey::tukey;
pub use welch::{Welch, welch};
