//! What followed a context, how often: rows of a fixed width in a table of a fixed size. Counts fade with use, so
//! that the recent counts more; what is rare gives way. It knows no orders and mixes nothing.

use crate::directory::Directory;

/// How large a table is and how fast it forgets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Contexts; rounded up to a power of two.
    pub contexts: usize,
    /// Successors of each.
    pub width: usize,
    /// What is left of a count after one more event in the same context, 0 to 1.
    pub keep: f32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    key: u64,
    count: f32,
}

/// The table. Takes `contexts * (16 * width + 24)` bytes, all of them at the start.
#[derive(Clone, Debug)]
pub struct Successors {
    shape: Shape,
    directory: Directory,
    slots: Vec<Slot>,
    totals: Vec<f32>,
}

/// The successors of one context.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Sum of all counts, those that gave way included.
    pub total: f32,
    slots: &'a [Slot],
}

impl Row<'_> {
    /// Keys with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (u64, f32)> {
        self.slots.iter().map_while(|slot| (slot.count > 0.0).then_some((slot.key, slot.count)))
    }

    /// The count of one key.
    #[must_use]
    pub fn count(&self, key: u64) -> f32 {
        self.iter().find(|(other, _)| *other == key).map_or(0.0, |(_, count)| count)
    }

    /// How many different successors there are.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.iter().count()
    }
}

impl Successors {
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let directory = Directory::new(shape.contexts);
        let rows = directory.rows();
        let shape =
            Shape { contexts: rows, width: shape.width.clamp(1, 1_024), keep: shape.keep.clamp(0.0, 1.0) };
        Self { shape, directory, slots: vec![Slot::default(); rows * shape.width], totals: vec![0.0; rows] }
    }

    /// Notes that `key` followed `context`; `weight` is 1 for one event.
    pub fn learn(&mut self, context: u64, key: u64, weight: f32) {
        let claim = self.directory.claim(context);
        let width = self.shape.width;
        let slots = &mut self.slots[claim.row * width..(claim.row + 1) * width];
        let total = &mut self.totals[claim.row];
        if claim.is_new {
            slots.fill(Slot::default());
            *total = 0.0;
        }
        let keep = self.shape.keep;
        *total = *total * keep + weight;
        let (mut place, mut least) = (None, 0);
        for (at, slot) in slots.iter_mut().enumerate() {
            slot.count *= keep;
            if slot.count > 0.0 && slot.key == key {
                place = Some(at);
            }
            least = at;
            if slot.count <= 0.0 {
                break;
            }
        }
        if place.is_none() && slots[least].count > 0.0 {
            least = (0..width).min_by(|a, b| slots[*a].count.total_cmp(&slots[*b].count)).unwrap_or(0);
        }
        match place {
            Some(at) => slots[at].count += weight,
            None => slots[least] = Slot { key, count: weight },
        }
    }

    /// The successors of `context`, none when it has no row.
    #[must_use]
    pub fn row(&self, context: u64) -> Option<Row<'_>> {
        let row = self.directory.find(context)?;
        let width = self.shape.width;
        Some(Row { total: self.totals[row], slots: &self.slots[row * width..(row + 1) * width] })
    }

    /// Contexts that gave way to others.
    #[must_use]
    pub fn replaced(&self) -> u64 {
        self.directory.replaced()
    }

    /// Contexts with a row.
    #[must_use]
    pub fn count(&self) -> usize {
        self.directory.count()
    }
}
