//! Which policy runs a shard, and for how many bytes.

use headgate_policy::evict::adaptive::Setting;
use headgate_policy::evict::{Evict, Kind};
use std::fmt;

/// A policy that may run a shard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Policy {
    Plain(Kind),
    /// What adaptive eviction chose.
    Setting(Setting),
}

impl fmt::Display for Policy {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(kind) => to.write_str(kind.name()),
            Self::Setting(setting) => setting.fmt(to),
        }
    }
}

/// A policy for so many bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rule {
    pub policy: Policy,
    pub capacity: u64,
}

impl Rule {
    pub(crate) fn build(self) -> Box<dyn Evict + Send> {
        match self.policy {
            Policy::Plain(kind) => kind.build(self.capacity),
            Policy::Setting(setting) => setting.build(self.capacity),
        }
    }
}
