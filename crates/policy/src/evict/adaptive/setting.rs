//! The settings between which the cache moves, and the goals that decide.

use crate::evict::{Evict, Facts, gdsf, lirs, lru, s3fifo, sieve, tinylfu};
use std::fmt;

/// What a hit is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// One each: object hit ratio.
    Objects,
    /// Its bytes: byte hit ratio.
    Bytes,
    /// What fetching it again would have cost: time of the origin.
    Cost,
}

impl Goal {
    pub const ALL: [Self; 3] = [Self::Objects, Self::Bytes, Self::Cost];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Bytes => "bytes",
            Self::Cost => "cost",
        }
    }

    /// Of a hit; not negative.
    pub(in crate::evict) fn worth(self, facts: Facts) -> f64 {
        match self {
            Self::Objects => 1.0,
            Self::Bytes => facts.size as f64,
            Self::Cost if facts.cost.is_finite() => facts.cost.max(0.0),
            Self::Cost => 0.0,
        }
    }
}

/// A policy with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Setting {
    Lru,
    Sieve,
    /// Share of the small queue.
    S3Fifo {
        small_share: f64,
    },
    TinyLfu {
        window_share: f64,
    },
    /// Share of the HIR objects.
    Lirs {
        hir_share: f64,
    },
    Gdsf {
        cost_exponent: f64,
        size_exponent: f64,
    },
}

impl Setting {
    /// An empty policy for `capacity` bytes.
    #[must_use]
    pub fn build(self, capacity: u64) -> Box<dyn Evict + Send> {
        match self {
            Self::Lru => Box::new(lru::Lru::new(capacity)),
            Self::Sieve => Box::new(sieve::Sieve::new(capacity)),
            Self::S3Fifo { small_share } => Box::new(s3fifo::S3Fifo::with_small(capacity, small_share)),
            Self::TinyLfu { window_share } => Box::new(tinylfu::TinyLfu::with_window(capacity, window_share)),
            Self::Lirs { hir_share } => Box::new(lirs::Lirs::with_hir(capacity, hir_share)),
            Self::Gdsf { cost_exponent, size_exponent } => {
                Box::new(gdsf::Gdsf::with_exponents(capacity, cost_exponent, size_exponent))
            }
        }
    }

    /// The settings that are tried for a goal; the first runs until there is evidence, the last where sizes differ.
    pub(super) fn all(goal: Goal) -> Vec<Self> {
        let (cost_exponent, size_exponent) = match goal {
            Goal::Objects => (0.0, 1.0),
            Goal::Bytes => (0.0, 0.0),
            Goal::Cost => (1.0, 1.0),
        };
        vec![
            Self::S3Fifo { small_share: 0.1 },
            Self::Lru,
            Self::Sieve,
            Self::TinyLfu { window_share: 0.01 },
            Self::TinyLfu { window_share: 0.1 },
            Self::Lirs { hir_share: 0.01 },
            Self::Gdsf { cost_exponent, size_exponent },
        ]
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lru => write!(out, "lru"),
            Self::Sieve => write!(out, "sieve"),
            Self::S3Fifo { small_share } => write!(out, "s3fifo (small queue {:.0} %)", 100.0 * small_share),
            Self::TinyLfu { window_share } => write!(out, "tinylfu (window {:.0} %)", 100.0 * window_share),
            Self::Lirs { hir_share } => write!(out, "lirs (HIR {:.0} %)", 100.0 * hir_share),
            Self::Gdsf { cost_exponent, size_exponent } => {
                write!(out, "gdsf (cost^{cost_exponent} / size^{size_exponent})")
            }
        }
    }
}
