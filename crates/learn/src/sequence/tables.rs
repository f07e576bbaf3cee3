//! The tables behind a prediction: successors of the last one, two and three keys (prediction by partial matching,
//! Cleary and Witten, IEEE Trans. Comm. 32, 1984), what comes soon after a key, and what is asked for at all.

use super::popularity::Popularity;
use super::slate::{Expert, Slate};
use super::successors::{Row, Shape, Successors};
use super::trail::Trail;

const ORDERS: usize = 3;
/// How far apart two keys of a session may be and still belong together.
const REACH: usize = 8;
/// What each further step weighs.
const FADE: f32 = 0.7;
/// Sizes of the tables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TableShapes {
    pub orders: [Shape; ORDERS],
    pub association: Shape,
}

impl Default for TableShapes {
    /// About 20 MiB.
    fn default() -> Self {
        let order = |contexts, width| Shape { contexts, width, keep: 0.995 };
        Self {
            orders: [order(1 << 13, 48), order(1 << 16, 8), order(1 << 16, 4)],
            association: Shape { contexts: 1 << 13, width: 48, keep: 0.998 },
        }
    }
}

/// The tables.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    orders: [Successors; ORDERS],
    association: Successors,
    popularity: Popularity,
}

impl Tables {
    pub(super) fn new(shapes: &TableShapes) -> Self {
        Self {
            orders: shapes.orders.map(Successors::new),
            association: Successors::new(shapes.association),
            popularity: Popularity::new(shapes.association.contexts),
        }
    }

    /// Notes that `key` follows `trail`.
    pub(super) fn learn(&mut self, trail: &Trail, key: u64) {
        for (order, table) in (1..).zip(&mut self.orders) {
            if let Some(context) = trail.context(order) {
                table.learn(context, key, 1.0);
            }
        }
        let mut weight = 1.0;
        for earlier in trail.recent().take(REACH) {
            self.association.learn(earlier, key, weight);
            weight *= FADE;
        }
        self.popularity.learn(key);
    }

    /// Writes the opinions; longer contexts first, as places are limited. Gives the evidence of each order.
    pub(super) fn fill(&self, trail: &Trail, slate: &mut Slate) -> [f32; ORDERS] {
        const EXPERT: [Expert; ORDERS] = [Expert::Order1, Expert::Order2, Expert::Order3];
        let mut evidence = [0.0; ORDERS];
        for at in (0..ORDERS).rev() {
            let row = trail.context(at + 1).and_then(|context| self.orders[at].row(context));
            let Some(row) = row else { continue };
            evidence[at] = row.total;
            each(row, 1.0, |key, probability| slate.add(EXPERT[at], key, probability));
        }
        let total: f32 = (0..trail.len().min(REACH)).fold((0.0, 1.0), |(sum, w), _| (sum + w, w * FADE)).0;
        let mut weight = 1.0 / total.max(1.0);
        for earlier in trail.recent().take(REACH) {
            if let Some(row) = self.association.row(earlier) {
                each(row, weight, |key, probability| slate.add(Expert::Association, key, probability));
            }
            weight *= FADE;
        }
        for (key, opinions) in slate.keys.iter().zip(&mut slate.opinions) {
            opinions[Expert::Popularity as usize] = self.popularity.share(*key);
        }
        evidence
    }
}

fn each(row: Row<'_>, weight: f32, mut tell: impl FnMut(u64, f32)) {
    if row.total > 0.0 {
        row.iter().for_each(|(key, count)| tell(key, weight * count / row.total));
    }
}
