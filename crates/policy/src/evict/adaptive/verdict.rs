//! A change of the setting as the decision journal tells it: from what to what, on what evidence.

use super::setting::Setting;
use std::fmt;

/// Why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// The first requests were for objects of very different sizes.
    SizesDiffer,
    /// The new setting saved more of the same requests.
    Lead {
        /// Of what all these requests were worth, 0 to 1, older ones counted less.
        gain: f64,
        /// Standard error of it.
        error: f64,
        /// The change before is taken back.
        is_undo: bool,
    },
}

/// A change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    pub from: Setting,
    pub to: Setting,
    pub reason: Reason,
    /// Share of the goal that the shadows of both saved lately.
    pub from_saved: f64,
    pub to_saved: f64,
    /// Requests that the cache had seen.
    pub requests: u64,
    /// Share of the ids that the shadows see.
    pub sample: f64,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "after {} requests: {} in place of {}: ", self.requests, self.to, self.from)?;
        match self.reason {
            Reason::SizesDiffer => write!(out, "the sizes of objects differ"),
            Reason::Lead { gain, error, is_undo } => {
                let back = if is_undo { "; this takes the change before back" } else { "" };
                write!(
                    out,
                    "it saved {:.2} % against {:.2} % of the same requests (lead {:.2} +- {:.2}, {:.3} % of the ids){back}",
                    100.0 * self.to_saved,
                    100.0 * self.from_saved,
                    100.0 * gain,
                    100.0 * error,
                    100.0 * self.sample
                )
            }
        }
    }
}
