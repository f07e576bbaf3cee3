//! What to configure, by a comparison: the policy, the size, and whether to fetch ahead, as a piece of `headgate.toml`.

use super::result::{BELADY, Comparison, PREFETCH, bytes};
use headgate_policy::evict::Kind;
use std::fmt::Write;

/// The smallest cache is enough that has this share of what the largest saves.
const ENOUGH: f64 = 0.9;
/// Bytes that an object takes in the gateway beside its content: key, head, bookkeeping (742 measured).
const BESIDE_CONTENT: u64 = 768;
/// What memory is recommended in; the gateway takes no less than one.
const MIB: u64 = 1 << 20;
/// Of all requests, what fetching ahead must gain to be worth its learning.
const GAIN_WORTHWHILE: f64 = 0.005;

/// A policy and a size, with the reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    pub policy: String,
    /// Of content alone.
    pub capacity_bytes: u64,
    pub why: String,
    /// Whether that was played and gained something.
    pub fetches_ahead: bool,
}

impl Comparison {
    /// The policy that saves most over all sizes, and the smallest size that is enough.
    #[must_use]
    pub fn advice(&self) -> Option<Advice> {
        let sizes = self.sizes();
        let total = |policy: &str| -> f64 {
            sizes.iter().filter_map(|size| self.row(policy, *size)).map(|row| self.worth(row)).sum()
        };
        let candidates = self.policies().into_iter().filter(|policy| ![BELADY, PREFETCH].contains(policy));
        // The first of equals.
        let policy = candidates.rev().max_by(|one, other| total(one).total_cmp(&total(other)))?;
        let worth = |size: &u64| self.row(policy, *size).map_or(0.0, |row| self.worth(row));
        let most = worth(sizes.last()?);
        let capacity_bytes = *sizes.iter().find(|size| worth(size) >= ENOUGH * most)?;
        let goal = self.unit();
        let why = format!(
            "{policy} saves the most {goal} over these sizes; {} is the smallest of them with 90 % of what the \
             largest saves",
            bytes(capacity_bytes)
        );
        Some(Advice {
            policy: policy.to_owned(),
            capacity_bytes,
            why,
            fetches_ahead: self.gains_by_fetching(capacity_bytes),
        })
    }

    fn gains_by_fetching(&self, capacity_bytes: u64) -> bool {
        let hits = |policy: &str| self.row(policy, capacity_bytes).map(|row| row.object_hit_ratio);
        match (hits(PREFETCH), hits(Kind::S3Fifo.name())) {
            (Some(with), Some(without)) => with - without >= GAIN_WORTHWHILE,
            _ => false,
        }
    }

    /// The advice as a piece of `headgate.toml` that can be used as it is, with the reasons as comments.
    #[must_use]
    pub fn configuration(&self) -> Option<String> {
        let advice = self.advice()?;
        let mut toml = format!("# {}.\n[cache]\n", advice.why);
        let objects = self.objects_in(advice.capacity_bytes);
        // Sizes were not in the log.
        if self.object_bytes == self.objects {
            let _ = writeln!(
                toml,
                "# memory: room for {objects} objects, each with its content and about {BESIDE_CONTENT} bytes"
            );
        } else {
            let memory = advice.capacity_bytes + objects * BESIDE_CONTENT;
            let _ = writeln!(
                toml,
                "memory = \"{}MiB\"    # {} of content, and about {BESIDE_CONTENT} bytes beside each of {objects} objects",
                memory.div_ceil(MIB),
                bytes(advice.capacity_bytes)
            );
        }
        let _ = writeln!(toml, "eviction = \"{}\"", advice.policy);
        if advice.policy == Kind::Adaptive.name() {
            let _ = writeln!(toml, "goal = \"{}\"", self.goal);
        }
        if advice.fetches_ahead {
            toml.push_str("\n[cache.prefetch]\nmode = \"on\"    # fetches once it has proven itself\n");
        }
        toml.push_str("\n# and `cache = true` in each [[route]] whose responses may be kept\n");
        Some(toml)
    }

    /// Of the mean size.
    fn objects_in(&self, capacity_bytes: u64) -> u64 {
        let share = capacity_bytes as f64 / self.object_bytes.max(1) as f64;
        (self.objects as f64 * share.min(1.0)) as u64
    }
}
