//! A description of services for the simulator, fitted to spans of real requests: who calls whom, one after the other
//! or at once, and how long each works itself. [`span`] reads spans, [`infer`] draws the conclusions, [`write`] puts
//! them into a study's words. It opens no files.

pub mod infer;
pub mod span;
#[cfg(test)]
mod tests;
pub mod write;
