//! The routes of an API as traffic shows them, and which request leads to which. Unlike tables of keys it can name a
//! key that nobody has asked for yet, because it knows where its parts come from.
//!
//! - [`template`]: paths folded into templates.
//! - [`graph`]: templates that follow one another, with the bindings between their parameters.

pub mod graph;
pub mod template;
