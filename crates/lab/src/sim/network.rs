//! The network between zones: fixed one-way times, and what faults make of them. It has no bandwidth and no
//! queues of its own.

use super::spec::NetworkSpec;
use crate::workload::SpecError;

/// Zones that a description may have.
const ZONES_MAX: usize = 256;

/// One-way times by zone and zone, and pairs that are cut apart.
#[derive(Clone, Debug)]
pub(super) struct Network {
    zones: Vec<String>,
    one_way_ns: Vec<u64>,
    /// Partitions that lie between two zones now.
    cuts: Vec<u32>,
}

impl Network {
    pub(super) fn new(spec: &NetworkSpec) -> Result<Self, SpecError> {
        let count = spec.zones.len();
        if count == 0 || count > ZONES_MAX {
            return Err(SpecError::new("zones", format!("has {count} zones"), "write 1 to 256 zones"));
        }
        if let Some(twice) = (1..count).find(|&index| spec.zones[..index].contains(&spec.zones[index])) {
            return Err(SpecError::new(
                format!("zones[{twice}]"),
                "is there twice",
                "give each zone its own name",
            ));
        }
        let half = |rtt: std::time::Duration| u64::try_from(rtt.as_nanos() / 2).unwrap_or(u64::MAX);
        let mut network = Self {
            zones: spec.zones.clone(),
            one_way_ns: vec![half(spec.rtt_between.0); count * count],
            cuts: vec![0; count * count],
        };
        for zone in 0..count {
            network.one_way_ns[zone * count + zone] = half(spec.rtt_within.0);
        }
        for (index, pair) in spec.rtt.iter().enumerate() {
            let field = format!("rtt[{index}].zones");
            let [one, other] = network.pair(&pair.zones).map_err(|error| error.within(&field))?;
            network.one_way_ns[one * count + other] = half(pair.rtt.0);
            network.one_way_ns[other * count + one] = half(pair.rtt.0);
        }
        Ok(network)
    }

    /// Index of a zone.
    pub(super) fn zone(&self, name: &str) -> Result<usize, SpecError> {
        let found = self.zones.iter().position(|zone| zone == name);
        found
            .ok_or_else(|| SpecError::new("", format!("`{name}` is not a zone"), "name one of network.zones"))
    }

    pub(super) fn pair(&self, names: &[String; 2]) -> Result<[usize; 2], SpecError> {
        Ok([self.zone(&names[0])?, self.zone(&names[1])?])
    }

    pub(super) fn zones(&self) -> usize {
        self.zones.len()
    }

    /// From zone to zone in nanoseconds; `None` when the message is lost.
    #[inline]
    pub(super) fn one_way(&self, from: u16, to: u16) -> Option<u64> {
        let pair = usize::from(from) * self.zones.len() + usize::from(to);
        (self.cuts[pair] == 0).then(|| self.one_way_ns[pair])
    }

    /// Begins (`true`) or ends a partition.
    pub(super) fn cut(&mut self, pair: [usize; 2], begins: bool) {
        for (from, to) in [(pair[0], pair[1]), (pair[1], pair[0])] {
            let cuts = &mut self.cuts[from * self.zones.len() + to];
            *cuts = if begins { *cuts + 1 } else { cuts.saturating_sub(1) };
        }
    }
}
