//! Where every metric's cells live: one cell per worker, metric and label set. Its lock is taken to
//! create a cell and to gather; never while a worker counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::counter::{Counter, Gauge};
use crate::histogram::{Histogram, Snapshot};

/// Label sets that one family keeps apart, by default.
pub const LABEL_SETS_MAX: usize = 1_000;

const LABELS_DROPPED: &str = "headgate_labels_dropped_total";

/// All metrics of the process. Clones share them.
#[derive(Clone, Debug)]
pub struct Registry {
    families: Arc<Mutex<BTreeMap<&'static str, Family>>>,
    label_sets_max: usize,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new(LABEL_SETS_MAX)
    }
}

impl Registry {
    /// A registry whose families keep at most `label_sets_max` label sets apart; what comes later is
    /// counted together under labels of value `other`. When a family is full, label sets that no worker
    /// holds any more make room first.
    #[must_use]
    pub fn new(label_sets_max: usize) -> Self {
        Self { families: Arc::default(), label_sets_max }
    }

    /// The cells that one thread writes. `id` names that thread: two threads must not share an id.
    /// A worker should ask for its cells itself, so that they come from its own allocator arena and do not
    /// share cache lines with another worker's.
    #[must_use]
    pub fn worker(&self, id: usize) -> WorkerMetrics {
        WorkerMetrics { registry: self.clone(), id }
    }

    /// Every family with its values summed over workers, in order of name and labels.
    #[must_use]
    pub fn gather(&self) -> Vec<FamilySnapshot> {
        let families = self.lock();
        let dropped = FamilySnapshot {
            name: LABELS_DROPPED,
            help: "Times a new label set was counted under other because its family was full.",
            kind: Kind::Counter,
            series: (families.iter())
                .map(|(name, family)| (Labels::new(&[("family", name)]), Value::Counter(family.refused())))
                .collect(),
        };
        let mut gathered: Vec<_> = families.iter().map(|(name, family)| family.snapshot(name)).collect();
        gathered.push(dropped);
        gathered.sort_by_key(|family| family.name);
        gathered
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Family>> {
        // A panic cannot leave the map half changed: each change is one insertion.
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the cells of one worker. The same key gives the same cell again, so that counts survive a
/// configuration reload.
///
/// A name belongs to one kind and one set of label names for good. Asking for it as another kind is a
/// mistake in the program: it panics in debug builds and gives a cell that is never exposed in release.
#[derive(Clone, Debug)]
pub struct WorkerMetrics {
    registry: Registry,
    id: usize,
}

/// Label names with their values.
pub type LabelPairs<'a> = &'a [(&'static str, &'a str)];

impl WorkerMetrics {
    #[must_use]
    pub fn counter(&self, name: &'static str, help: &'static str, labels: LabelPairs<'_>) -> Arc<Counter> {
        self.cell(
            name,
            help,
            labels,
            || Cells::Counter(Series::default()),
            |cells| match cells {
                Cells::Counter(series) => Some(series),
                _ => None,
            },
        )
    }

    /// One counter per value of a label whose values are known beforehand, such as a status class. Only
    /// `labels` count against the limit: a full family keeps its status classes.
    #[must_use]
    pub fn counters<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: LabelPairs<'_>,
        (split_by, values): (&'static str, &'static [&'static str; N]),
    ) -> Arc<[Counter]> {
        let cells = || Cells::Counters { split_by, values, series: Series::default() };
        let make = || -> Arc<[Counter]> { Arc::new([const { Counter::new() }; N]) };
        self.cell_with(name, help, labels, cells, make, |cells| match cells {
            Cells::Counters { values: known, series, .. } if known.len() == N => Some(series),
            _ => None,
        })
    }

    #[must_use]
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: LabelPairs<'_>) -> Arc<Gauge> {
        self.cell(
            name,
            help,
            labels,
            || Cells::Gauge(Series::default()),
            |cells| match cells {
                Cells::Gauge(series) => Some(series),
                _ => None,
            },
        )
    }

    #[must_use]
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        labels: LabelPairs<'_>,
    ) -> Arc<Histogram> {
        self.cell(
            name,
            help,
            labels,
            || Cells::Histogram(Series::default()),
            |cells| match cells {
                Cells::Histogram(series) => Some(series),
                _ => None,
            },
        )
    }

    fn cell<T: Default>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: LabelPairs<'_>,
        empty: impl FnOnce() -> Cells,
        select: impl FnOnce(&mut Cells) -> Option<&mut Series<T>>,
    ) -> Arc<T> {
        self.cell_with(name, help, labels, empty, Arc::default, select)
    }

    fn cell_with<T: ?Sized>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: LabelPairs<'_>,
        empty: impl FnOnce() -> Cells,
        make: impl FnOnce() -> Arc<T>,
        select: impl FnOnce(&mut Cells) -> Option<&mut Series<T>>,
    ) -> Arc<T> {
        let mut families = self.registry.lock();
        let family = families.entry(name).or_insert_with(|| Family { help, cells: empty() });
        let Some(series) = select(&mut family.cells) else {
            debug_assert!(false, "metric {name} is asked for as two kinds");
            return make();
        };
        series.cell(Labels::new(labels), self.id, self.registry.label_sets_max, make)
    }
}

/// The labels of one series, ordered by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels(Box<[(&'static str, Box<str>)]>);

impl Labels {
    fn new(pairs: LabelPairs<'_>) -> Self {
        let mut labels: Box<[_]> = pairs.iter().map(|&(name, value)| (name, Box::from(value))).collect();
        labels.sort_unstable();
        Self(labels)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, &**value))
    }

    /// The value of the label `name`; empty when there is none, which Prometheus holds to be the same.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// The same labels and one more.
    pub(crate) fn with(&self, name: &'static str, value: &str) -> Self {
        let pairs: Vec<_> = self.iter().chain([(name, value)]).collect();
        Self::new(&pairs)
    }

    fn other(&self) -> Self {
        Self(self.0.iter().map(|(name, _)| (*name, Box::from("other"))).collect())
    }
}

/// One family as it was at one moment.
#[derive(Clone, Debug)]
pub struct FamilySnapshot {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
    pub series: Vec<(Labels, Value)>,
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The value of one series, summed over workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Counter(u64),
    Gauge(i64),
    Histogram(Snapshot),
}

#[derive(Debug)]
struct Family {
    help: &'static str,
    cells: Cells,
}

#[derive(Debug)]
enum Cells {
    Counter(Series<Counter>),
    Counters { split_by: &'static str, values: &'static [&'static str], series: Series<[Counter]> },
    Gauge(Series<Gauge>),
    Histogram(Series<Histogram>),
}

impl Family {
    fn snapshot(&self, name: &'static str) -> FamilySnapshot {
        let (kind, series) = match &self.cells {
            Cells::Counter(series) => {
                (Kind::Counter, series.fold(|cells| Value::Counter(sum(cells.map(Counter::get)))))
            }
            Cells::Counters { split_by, values, series } => {
                let split = series.each().flat_map(|(labels, cells)| {
                    values.iter().enumerate().map(move |(i, value)| {
                        let count = sum(cells.iter().filter_map(|(_, cell)| cell.get(i)).map(Counter::get));
                        (labels.with(split_by, value), Value::Counter(count))
                    })
                });
                (Kind::Counter, split.collect())
            }
            Cells::Gauge(series) => (
                Kind::Gauge,
                series.fold(|cells| Value::Gauge(cells.map(Gauge::get).fold(0, i64::wrapping_add))),
            ),
            Cells::Histogram(series) => (
                Kind::Histogram,
                series.fold(|cells| {
                    let mut total = Snapshot::default();
                    cells.for_each(|cell| cell.add_to(&mut total));
                    Value::Histogram(total)
                }),
            ),
        };
        FamilySnapshot { name, help: self.help, kind, series }
    }

    fn refused(&self) -> u64 {
        match &self.cells {
            Cells::Counter(series) => series.refused,
            Cells::Counters { series, .. } => series.refused,
            Cells::Gauge(series) => series.refused,
            Cells::Histogram(series) => series.refused,
        }
    }
}

fn sum(values: impl Iterator<Item = u64>) -> u64 {
    values.fold(0, u64::wrapping_add)
}

/// Cells by the worker that writes them, in no order. A vector, because there are few workers and many
/// routes.
type ByWorker<T> = Vec<(usize, Arc<T>)>;

/// The cells of one family by label set and worker.
#[derive(Debug)]
struct Series<T: ?Sized> {
    named: BTreeMap<Labels, ByWorker<T>>,
    other: BTreeMap<Labels, ByWorker<T>>,
    refused: u64,
    /// Refusals until the next search for unused label sets, so that a configuration with far too many
    /// routes does not search once per route.
    search_in: usize,
}

impl<T: ?Sized> Default for Series<T> {
    fn default() -> Self {
        Self { named: BTreeMap::new(), other: BTreeMap::new(), refused: 0, search_in: 0 }
    }
}

impl<T: ?Sized> Series<T> {
    fn cell(&mut self, labels: Labels, worker: usize, max: usize, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
        let workers = if self.named.contains_key(&labels) || self.has_room(max) {
            self.named.entry(labels).or_default()
        } else {
            self.refused += 1;
            self.other.entry(labels.other()).or_default()
        };
        if let Some((_, cell)) = workers.iter().find(|(id, _)| *id == worker) {
            return Arc::clone(cell);
        }
        let cell = make();
        workers.reserve_exact(1);
        workers.push((worker, Arc::clone(&cell)));
        cell
    }

    fn has_room(&mut self, max: usize) -> bool {
        if self.named.len() < max {
            return true;
        }
        if self.search_in > 0 {
            self.search_in -= 1;
            return false;
        }
        self.named.retain(|_, workers| workers.iter().any(|(_, cell)| Arc::strong_count(cell) > 1));
        let room = self.named.len() < max;
        if !room {
            self.search_in = max / 8;
        }
        room
    }

    fn each(&self) -> impl Iterator<Item = (&Labels, &ByWorker<T>)> {
        self.named.iter().chain(&self.other)
    }
}

impl<T> Series<T> {
    fn fold(&self, total: impl Fn(&mut dyn Iterator<Item = &T>) -> Value) -> Vec<(Labels, Value)> {
        let total = |cells: &ByWorker<T>| total(&mut cells.iter().map(|(_, cell)| &**cell));
        self.each().map(|(labels, cells)| (labels.clone(), total(cells))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: &[&str; 2] = &["good", "bad"];

    fn counts(registry: &Registry, name: &str) -> Vec<(String, u64)> {
        let gathered = registry.gather();
        let family = gathered.iter().find(|family| family.name == name).unwrap();
        (family.series.iter())
            .map(|(labels, value)| {
                let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
                let Value::Counter(count) = value else { panic!("{value:?}") };
                (labels.join(" "), *count)
            })
            .collect()
    }

    #[test]
    fn workers_are_summed_and_a_key_keeps_its_count() {
        let registry = Registry::default();
        for id in [0, 1, 0] {
            let labels = &[("b", "2"), ("a", "1")];
            registry.worker(id).counter("hits_total", "Hits.", labels).add(5);
        }
        registry.worker(1).counter("hits_total", "Hits.", &[("a", "1"), ("b", "2")]).inc();
        assert_eq!(counts(&registry, "hits_total"), [("a=1 b=2".to_owned(), 16)]);
    }

    #[test]
    fn gauges_and_histograms_are_summed_too() {
        let registry = Registry::default();
        for id in 0..3 {
            registry.worker(id).gauge("open", "Open.", &[]).inc();
            registry.worker(id).histogram("wait_seconds", "Wait.", &[]).record_us(10);
        }
        registry.worker(2).gauge("open", "Open.", &[]).dec();
        let gathered = registry.gather();
        let values: Vec<_> = gathered.iter().map(|family| (family.name, &family.series[0].1)).collect();
        assert_eq!(values[1], ("open", &Value::Gauge(2)));
        let Value::Histogram(waits) = values[2].1 else { panic!("{values:?}") };
        assert_eq!((waits.count(), waits.sum()), (3, 30));
    }

    #[test]
    fn beyond_the_limit_label_sets_share_a_cell_and_keep_their_split() {
        let registry = Registry::new(2);
        let worker = registry.worker(0);
        let split = |route| worker.counters("req_total", "Requests.", &[("route", route)], ("code", CLASSES));
        let held: Vec<_> = ["a", "b", "c", "d"].map(split).into();
        held.iter().for_each(|cells| cells[1].inc());
        let expected = [
            ("code=good route=a", 0),
            ("code=bad route=a", 1),
            ("code=good route=b", 0),
            ("code=bad route=b", 1),
            ("code=good route=other", 0),
            ("code=bad route=other", 2),
        ];
        assert_eq!(
            counts(&registry, "req_total"),
            expected.map(|(labels, count)| (labels.to_owned(), count))
        );
        assert_eq!(counts(&registry, LABELS_DROPPED), [("family=req_total".to_owned(), 2)]);
    }

    #[test]
    fn a_full_family_makes_room_from_label_sets_that_nobody_holds() {
        let registry = Registry::new(2);
        let worker = registry.worker(0);
        let counter = |route| worker.counter("req_total", "Requests.", &[("route", route)]);
        let held = counter("held");
        held.inc();
        drop(counter("gone"));
        counter("new").inc();
        let expected = [("route=held", 1), ("route=new", 1)];
        assert_eq!(
            counts(&registry, "req_total"),
            expected.map(|(labels, count)| (labels.to_owned(), count))
        );
    }

    #[test]
    fn memory_stays_bounded_when_everything_is_held() {
        let registry = Registry::new(10);
        let worker = registry.worker(0);
        let held: Vec<_> =
            (0..1_000).map(|i| worker.counter("req_total", "R.", &[("route", &i.to_string())])).collect();
        held.iter().for_each(|counter| counter.inc());
        let counts = counts(&registry, "req_total");
        assert_eq!(counts.len(), 11);
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 1_000, "nothing is lost");
    }
}
