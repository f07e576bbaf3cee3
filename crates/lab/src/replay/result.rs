//! Policies and sizes side by side: the figures, and which of them to choose.

use super::play::{Played, Savings};
use super::trace::Trace;
use crate::report::Table;
use headgate_policy::evict::adaptive::Goal;
use serde::Serialize;

/// The name under which the limit stands beside the policies.
pub const BELADY: &str = "belady";
/// The name of the policy that also fetches ahead.
pub const PREFETCH: &str = "s3fifo + prefetch";

/// How large a cache is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Size {
    Bytes(u64),
    /// Of the bytes of all distinct objects, 0 to 1.
    Share(f64),
}

const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

impl Size {
    /// `64MiB`, `1GB`, `4096` or `5%`.
    ///
    /// # Errors
    /// When it is none of these, or beyond what can be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no size: write 64MiB, 1GB, 4096 or 5%");
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| *number > 0.0);
        if let Some(percent) = text.strip_suffix('%') {
            let percent = number(percent).filter(|percent| *percent <= 100.0).ok_or_else(wrong)?;
            return Ok(Self::Share(percent / 100.0));
        }
        let (digits, unit) = UNITS
            .iter()
            .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)))
            .unwrap_or((text, 1));
        let bytes = number(digits).ok_or_else(wrong)? * unit as f64;
        if (1.0..1e18).contains(&bytes) { Ok(Self::Bytes(bytes as u64)) } else { Err(wrong()) }
    }

    /// For objects of `object_bytes` together; one byte at least.
    #[must_use]
    pub fn bytes(self, object_bytes: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            // The sum before rounding: 0.07 * 100 is a little above 7.
            Self::Share(share) => ((object_bytes as f64 * share + 1e-6) as u64).max(1),
        }
    }
}

/// One policy at one size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub policy: String,
    pub capacity_bytes: u64,
    /// Of the bytes of all distinct objects.
    pub capacity_share: f64,
    pub object_hit_ratio: f64,
    pub byte_hit_ratio: f64,
    #[serde(flatten)]
    pub savings: Savings,
    /// Share of the goal that other sizes would save, by the shadows of `adaptive`: bytes and 0 to 1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<(u64, f64)>,
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    pub requests: u64,
    pub objects: u64,
    pub object_bytes: u64,
    pub request_bytes: u64,
    /// Time that all requests took together; none where the log has no durations.
    pub total_us: Option<f64>,
    /// What is to be saved: objects, bytes or cost.
    pub goal: &'static str,
    /// All objects have one size, so Belady's rule is a proven limit.
    pub is_uniform: bool,
    /// By size, and within a size in the order in which they were added.
    pub rows: Vec<Row>,
}

impl Comparison {
    #[must_use]
    pub fn new(trace: &Trace, goal: Goal) -> Self {
        Self {
            goal: goal.name(),
            requests: trace.requests.len() as u64,
            objects: trace.objects.len() as u64,
            object_bytes: trace.object_bytes(),
            request_bytes: trace.request_bytes(),
            total_us: trace.is_timed.then(|| trace.total_us()),
            is_uniform: trace.is_uniform(),
            rows: Vec::new(),
        }
    }

    pub fn add(&mut self, policy: &str, capacity_bytes: u64, played: Played) {
        let Played { savings, curve } = played;
        let curve = curve.map(|curve| curve.0).unwrap_or_default();
        let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        self.rows.push(Row {
            policy: policy.to_owned(),
            capacity_bytes,
            capacity_share: ratio(capacity_bytes, self.object_bytes),
            object_hit_ratio: ratio(savings.hits, self.requests),
            byte_hit_ratio: ratio(savings.hit_bytes, self.request_bytes),
            savings,
            curve: curve.into_iter().map(|point| (point.capacity_bytes, point.saved)).collect(),
        });
    }

    /// The sizes in their order.
    #[must_use]
    pub fn sizes(&self) -> Vec<u64> {
        let mut sizes: Vec<u64> = self.rows.iter().map(|row| row.capacity_bytes).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// The names of the policies and the limit, in the order in which they were added.
    #[must_use]
    pub fn policies(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !names.contains(&row.policy.as_str()) {
                names.push(&row.policy);
            }
        }
        names
    }

    pub(super) fn row(&self, policy: &str, capacity_bytes: u64) -> Option<&Row> {
        self.rows.iter().find(|row| row.policy == policy && row.capacity_bytes == capacity_bytes)
    }

    pub(super) fn worth(&self, row: &Row) -> f64 {
        match self.goal {
            "bytes" => row.savings.hit_bytes as f64,
            "cost" if self.total_us.is_some() => row.savings.saved_us,
            _ => row.savings.hits as f64,
        }
    }

    /// The share of the goal that a row saved.
    fn share(&self, row: &Row) -> f64 {
        match (self.goal, self.total_us) {
            ("bytes", _) => row.byte_hit_ratio,
            ("cost", Some(total_us)) if total_us > 0.0 => row.savings.saved_us / total_us,
            _ => row.object_hit_ratio,
        }
    }

    pub(super) fn unit(&self) -> &'static str {
        match self.goal {
            "bytes" => "bytes",
            "cost" if self.total_us.is_some() => "time",
            _ => "requests",
        }
    }

    /// What twice the memory would save at each size, by the shadows of `adaptive`.
    #[must_use]
    pub fn doublings(&self) -> Vec<String> {
        let rows = self.rows.iter().filter_map(|row| {
            let point = |quarters: u64| {
                let wanted = row.capacity_bytes.saturating_mul(quarters) / 4;
                row.curve.iter().find(|(size, _)| *size == wanted).map(|(_, saved)| *saved)
            };
            let (now, twice) = (self.share(row), point(8)? - point(4)?);
            Some(format!(
                "twice the memory of {} would save about {} % of the {} in place of {} %",
                bytes(row.capacity_bytes),
                percent((now + twice).clamp(0.0, 1.0)),
                self.unit(),
                percent(now)
            ))
        });
        rows.collect()
    }

    /// One table for each size.
    #[must_use]
    pub fn tables(&self) -> Vec<Table> {
        self.sizes().into_iter().map(|size| self.table(size)).collect()
    }

    fn table(&self, size: u64) -> Table {
        let rows: Vec<&Row> = self.rows.iter().filter(|row| row.capacity_bytes == size).collect();
        let share = rows.first().map_or(0.0, |row| row.capacity_share);
        let mut head = vec!["policy", "object hits %", "byte hits %", "origin requests saved"];
        if self.total_us.is_some() {
            head.extend(["time saved", "time saved %"]);
        }
        let cells = |row: &&Row| {
            let mut cells = vec![
                row.policy.clone(),
                percent(row.object_hit_ratio),
                percent(row.byte_hit_ratio),
                row.savings.hits.to_string(),
            ];
            if let Some(total_us) = self.total_us {
                cells.push(format!("{:.1} s", row.savings.saved_us / 1e6));
                cells.push(percent(if total_us > 0.0 { row.savings.saved_us / total_us } else { 0.0 }));
            }
            cells
        };
        Table {
            caption: format!("Cache of {} ({} % of the distinct bytes)", bytes(size), percent(share)),
            head: head.into_iter().map(str::to_owned).collect(),
            rows: rows.iter().map(cells).collect(),
            notes: Vec::new(),
        }
    }

    /// What was replayed, in a line.
    #[must_use]
    pub fn headline(&self) -> String {
        format!(
            "{} requests for {} objects; {} of distinct objects, {} of responses",
            self.requests,
            self.objects,
            bytes(self.object_bytes),
            bytes(self.request_bytes)
        )
    }
}

pub(super) fn percent(ratio: f64) -> String {
    format!("{:.2}", 100.0 * ratio)
}

/// Bytes for people.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let unit = UNITS[..4].iter().rev().find(|(_, unit)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(name, unit)| format!("{:.1} {name}", bytes as f64 / *unit as f64),
    )
}
