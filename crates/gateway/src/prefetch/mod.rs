//! Fetching ahead in live traffic: workers tell what they served, a thread of its own learns and orders, workers
//! fetch. What is worth fetching is decided by `headgate_policy::prefetch`; how it gets into the cache is
//! [`crate::cache`]'s matter, what both sides exchange [`crate::prefetch_queue`]'s.

mod errand;
mod follow;
mod learner;
mod shown;
mod values;

pub use errand::carry_out;
pub use follow::follow;
