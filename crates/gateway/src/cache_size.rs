//! Sizes the cache's memory within the operator's bounds by its miss-ratio curve: a doubling has to pay. A rule with
//! hysteresis, nothing learned; it moves no byte itself.

use headgate_model::decision::{Decision, Figure, Outcome};
use headgate_model::units::Tick;
use headgate_observe::journal::Journal;
use headgate_policy::evict::adaptive::Curve;
use std::time::Duration;

/// Share of the goal that twice the memory has to save besides; memory that saves less than half of it is given back.
const DOUBLING_PAYS: f64 = 0.01;
/// Windows of the guard, and sampled requests, from one look at the curve to the next.
const WINDOWS: u32 = 64;
const REQUESTS: u64 = 10_000;

/// What the operator allows, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub least: u64,
    pub most: u64,
}

/// The present size and what it rests on.
pub(crate) struct Sizer {
    bounds: Bounds,
    size: u64,
    /// Since the last look.
    began: Option<Tick>,
    requests: u64,
    /// The last change: its number in the journal, when it was, and what it was to save.
    last: Option<(u64, Tick, f64)>,
}

impl Sizer {
    /// Begins with the least.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, size: bounds.least, began: None, requests: 0, last: None }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// After a reload: what lies beyond the bounds changes at once.
    pub(crate) fn bound(&mut self, bounds: Bounds) {
        if self.bounds != bounds {
            let size = self.size.clamp(bounds.least, bounds.most.max(bounds.least));
            *self = Self { bounds, size, began: None, requests: 0, last: None };
        }
    }

    /// Takes in how many sampled requests there were since it was last called. When there were enough, it looks at the
    /// curve, tells the journal what came of the last change, and changes the size or does not.
    pub(crate) fn look(
        &mut self,
        curve: Option<&Curve>,
        requests: u64,
        now: Tick,
        window: Duration,
        journal: &Journal,
    ) {
        if self.bounds.most <= self.bounds.least {
            return;
        }
        self.requests += requests;
        let began = *self.began.get_or_insert(now);
        let Some(curve) = curve else { return };
        if self.requests < REQUESTS || now.since(began) < window.saturating_mul(WINDOWS) {
            return;
        }
        (self.began, self.requests) = (Some(now), 0);
        let saved = curve.at(self.size);
        if let Some((id, at, expected)) = self.last.take() {
            let result =
                if saved >= expected { "as much as expected, or more" } else { "less than expected" };
            let evidence = vec![
                Figure::new("saved", 100.0 * saved, "%"),
                Figure::new("expected", 100.0 * expected, "%"),
            ];
            journal
                .outcome(id, Outcome { after_s: now.since(at).as_secs(), result: result.into(), evidence });
        }
        if let Some(size) = self.better(curve) {
            let expected = curve.at(size);
            let id = journal.record(decision(self.size, size, saved, expected));
            self.size = size;
            self.last = Some((id, now, expected));
        }
    }

    /// A size that is worth a change: twice or half of what it is, within the bounds.
    fn better(&self, curve: &Curve) -> Option<u64> {
        let Bounds { least, most } = self.bounds;
        let (up, down) = (self.size.saturating_mul(2).min(most), (self.size / 2).max(least));
        let saves = |large: u64, small: u64| curve.at(large) - curve.at(small);
        let doublings = |large: u64, small: u64| (large as f64 / small as f64).log2();
        if up > self.size && saves(up, self.size) >= DOUBLING_PAYS * doublings(up, self.size) {
            return Some(up);
        }
        let is_idle =
            down < self.size && saves(self.size, down) < DOUBLING_PAYS / 2.0 * doublings(self.size, down);
        is_idle.then_some(down)
    }
}

fn decision(from: u64, to: u64, saved: f64, expected: f64) -> Decision {
    let because = if to > from {
        "a doubling of the memory saves at least a point more"
    } else {
        "half of the memory saves nearly as much"
    };
    Decision {
        policy: "cache.size".into(),
        subject: "cache".into(),
        decided: format!("{} MiB -> {} MiB", from >> 20, to >> 20).into(),
        because: because.into(),
        evidence: vec![
            Figure::new("saved", 100.0 * saved, "%"),
            Figure::new("saved with the new size", 100.0 * expected, "%"),
        ],
        alternative: format!("stay at {} MiB", from >> 20).into(),
        expected_gain: Some(Figure::new("gain", 100.0 * (expected - saved), "points")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_observe::journal::Query;
    use headgate_policy::evict::adaptive::CurvePoint;

    const MIB: u64 = 1 << 20;
    const WINDOW: Duration = Duration::from_secs(10);

    /// What is saved grows with the size until `enough`, ten points for each doubling.
    fn curve(size: u64, enough: u64) -> Curve {
        let saved = |bytes: u64| 0.1 * (bytes.min(enough) as f64 / (8 * MIB) as f64).log2();
        let point = |quarters: u64| CurvePoint {
            capacity_bytes: size * quarters / 4,
            saved: saved(size * quarters / 4),
        };
        Curve([1, 2, 4, 8, 16].map(point).to_vec())
    }

    /// The sizes after each of so many looks that count.
    fn sizes(sizer: &mut Sizer, journal: &Journal, now: &mut Tick, looks: usize, enough: u64) -> Vec<u64> {
        (0..looks)
            .map(|_| {
                *now = *now + WINDOW * WINDOWS;
                let curve = curve(sizer.size(), enough);
                sizer.look(Some(&curve), REQUESTS, *now, WINDOW, journal);
                sizer.size() / MIB
            })
            .collect()
    }

    #[test]
    fn memory_is_taken_while_it_pays_and_given_back_when_it_does_not() {
        let journal = Journal::default();
        let mut now = Tick(1);
        let mut sizer = Sizer::new(Bounds { least: 64 * MIB, most: 768 * MIB });
        sizer.look(Some(&curve(64 * MIB, 256 * MIB)), REQUESTS, now, WINDOW, &journal);
        assert_eq!(sizer.size(), 64 * MIB, "the first look only begins");
        assert_eq!(sizes(&mut sizer, &journal, &mut now, 4, 256 * MIB), [128, 256, 256, 256]);
        assert_eq!(sizes(&mut sizer, &journal, &mut now, 3, 4_096 * MIB), [512, 768, 768], "the bounds hold");
        assert_eq!(sizes(&mut sizer, &journal, &mut now, 4, 100 * MIB), [384, 192, 192, 192]);
        assert_eq!(sizes(&mut sizer, &journal, &mut now, 3, 20 * MIB), [96, 64, 64], "the bounds hold");
        let entries = journal.page(&Query { policy: "cache.size".to_owned(), ..Query::default() }).entries;
        assert_eq!(&*entries[0].decision.decided, "64 MiB -> 128 MiB");
        assert_eq!(&*entries[0].outcome.as_ref().unwrap().result, "as much as expected, or more");
        assert_eq!(entries.len(), 8);
    }

    #[test]
    fn without_requests_or_a_curve_or_room_nothing_changes() {
        let journal = Journal::default();
        let (mut now, steep) = (Tick(1), curve(64 * MIB, 4_096 * MIB));
        let mut sizer = Sizer::new(Bounds { least: 64 * MIB, most: 768 * MIB });
        for (curve, requests) in [(Some(&steep), REQUESTS / 1_000), (None, REQUESTS)] {
            for _ in 0..100 {
                now = now + WINDOW * WINDOWS;
                sizer.look(curve, requests, now, WINDOW, &journal);
            }
        }
        assert_eq!(sizer.size(), 64 * MIB);
        sizer.bound(Bounds { least: 128 * MIB, most: 128 * MIB });
        assert_eq!(sizes(&mut sizer, &journal, &mut now, 3, 4_096 * MIB), [128; 3]);
    }
}
