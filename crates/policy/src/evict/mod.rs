//! Which object leaves a full cache: eviction policies on ids and sizes. They hold no bodies, no keys and no
//! freshness; whoever stores those asks here and obeys.
//!
//! Capacity is in bytes; unit-size objects all have size 1. Entries live in index-linked slabs, so that an
//! operation allocates only when a slab grows. Order never depends on a hash: the same calls give the same
//! evictions on every machine.
//!
//! What a hit changes decides how a policy can be shared between threads:
//!
//! | policy | a hit changes | in a concurrent cache |
//! |---|---|---|
//! | [`fifo`] | nothing | a hit needs no write at all |
//! | [`sieve`] | one bit of the entry | one relaxed store |
//! | [`s3fifo`] | a counter of the entry, up to 3 | one relaxed store, none once it is full |
//! | [`lru`] | the place in a list | needs a lock, or a log that is applied later and may lose hits |
//! | [`tinylfu`] | the place in a list, a sketch | the same |
//! | [`lirs`] | the places in two lists | the same |
//! | [`lfu`], [`gdsf`] | the place in a heap | the same |

pub mod adaptive;
mod chain;
pub mod duel;
pub mod fifo;
pub mod gdsf;
mod ghost;
pub mod handover;
pub mod index;
pub mod lfu;
pub mod lirs;
pub mod lru;
pub mod prefetched;
mod ranking;
pub mod s3fifo;
pub mod sieve;
mod sketch;
mod slab;
#[cfg(test)]
mod tests;
pub mod tinylfu;

/// What is known of an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Facts {
    /// Bytes that it counts, one at least.
    pub size: u64,
    /// What fetching it again takes, to seven digits.
    pub cost: f64,
}

/// A policy with the set of ids that it holds resident.
pub trait Evict {
    /// Notes that a resident object was asked for. False when it is not resident; then nothing changes.
    fn hit(&mut self, id: u64) -> bool;

    /// Makes an object resident after a miss and appends the ids that leave for it to `evicted`. `cost` is what
    /// fetching it again takes, in any unit above zero; only [`gdsf`] looks at it. False when the policy refuses
    /// the object; its own id is then not among the evicted. A resident id is replaced, with its history gone.
    fn admit(&mut self, id: u64, size: u64, cost: f64, evicted: &mut Vec<u64>) -> bool;

    /// [`Self::admit`] of an object that another policy held until now: it has shown its worth. They come in the order in
    /// which they would have left there.
    fn adopt(&mut self, id: u64, facts: Facts, evicted: &mut Vec<u64>) -> bool {
        self.admit(id, facts.size, facts.cost, evicted)
    }

    /// Gives up the object that the policy would let go next, and says what it was. None when there is none.
    fn evict(&mut self) -> Option<(u64, Facts)>;

    /// Forgets a resident object, for a purge. False when it is not resident.
    fn remove(&mut self, id: u64) -> bool;

    /// Whether an object is resident. Changes nothing.
    fn contains(&self, id: u64) -> bool {
        self.facts(id).is_some()
    }

    /// Size and cost of a resident object. Changes nothing.
    fn facts(&self, id: u64) -> Option<Facts>;

    /// Visits the resident ids, roughly in the order in which they would leave.
    fn each(&self, visit: &mut dyn FnMut(u64));

    /// A copy with its whole state.
    fn boxed(&self) -> Box<dyn Evict + Send>;

    /// Bytes that are resident; never above the capacity.
    fn used(&self) -> u64;

    /// Objects that are resident.
    fn count(&self) -> usize;
}

/// The policies by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Fifo,
    Lru,
    Lfu,
    Sieve,
    S3Fifo,
    TinyLfu,
    Gdsf,
    Lirs,
    Adaptive,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Fifo,
        Self::Lru,
        Self::Lfu,
        Self::Sieve,
        Self::S3Fifo,
        Self::TinyLfu,
        Self::Gdsf,
        Self::Lirs,
        Self::Adaptive,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Lru => "lru",
            Self::Lfu => "lfu",
            Self::Sieve => "sieve",
            Self::S3Fifo => "s3fifo",
            Self::TinyLfu => "tinylfu",
            Self::Gdsf => "gdsf",
            Self::Lirs => "lirs",
            Self::Adaptive => "adaptive",
        }
    }

    /// An empty policy for `capacity` bytes.
    #[must_use]
    pub fn build(self, capacity: u64) -> Box<dyn Evict + Send> {
        match self {
            Self::Fifo => Box::new(fifo::Fifo::new(capacity)),
            Self::Lru => Box::new(lru::Lru::new(capacity)),
            Self::Lfu => Box::new(lfu::Lfu::new(capacity)),
            Self::Sieve => Box::new(sieve::Sieve::new(capacity)),
            Self::S3Fifo => Box::new(s3fifo::S3Fifo::new(capacity)),
            Self::TinyLfu => Box::new(tinylfu::TinyLfu::new(capacity)),
            Self::Gdsf => Box::new(gdsf::Gdsf::new(capacity)),
            Self::Lirs => Box::new(lirs::Lirs::new(capacity)),
            Self::Adaptive => Box::new(adaptive::Adaptive::new(capacity, adaptive::Goal::Objects)),
        }
    }
}
