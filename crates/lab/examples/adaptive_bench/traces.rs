//! Drawn traces of kinds that the self-tuning policy was not made for: popularity that stays, drifts or turns, scans, loops,
//! things asked for once, recency of several kinds, sessions.

use headgate_lab::workload::Zipf;
use headgate_model::dice::Dice;
use std::collections::VecDeque;

/// Requests of one trace, at a scale of one.
const REQUESTS: u64 = 200_000;
/// Keys of scans, loops and things asked for once begin here.
const APART: u64 = 1_000_000_000;
/// What recency remembers.
const REMEMBERED_MAX: u64 = 40_000;

/// A kind of traffic.
pub(crate) struct Pattern {
    pub name: &'static str,
    /// Requests and keys grow with the scale.
    pub draw: fn(&mut Dice, u64) -> Vec<u64>,
}

pub(crate) const PATTERNS: [Pattern; 15] = [
    Pattern { name: "Zipf 0.6", draw: |dice, scale| steady(dice, scale, 20_000, 0.6) },
    Pattern { name: "Zipf 0.8", draw: |dice, scale| steady(dice, scale, 20_000, 0.8) },
    Pattern { name: "Zipf 1.0", draw: |dice, scale| steady(dice, scale, 20_000, 1.0) },
    Pattern { name: "Zipf 1.2", draw: |dice, scale| steady(dice, scale, 50_000, 1.2) },
    Pattern { name: "favourites drift", draw: drifting },
    Pattern {
        name: "favourites change every 30,000",
        draw: |dice, scale| changing(dice, scale, 10_000, 30_000),
    },
    Pattern {
        name: "favourites change every 8,000",
        draw: |dice, scale| changing(dice, scale, 5_000, 8_000),
    },
    Pattern { name: "scans of new keys", draw: |dice, scale| scanned(dice, scale, 5_000, None) },
    Pattern { name: "the same scan again", draw: |dice, scale| scanned(dice, scale, 4_000, Some(4_000)) },
    Pattern { name: "half asked for once", draw: once },
    Pattern { name: "recency, long tail", draw: |dice, scale| recent(dice, scale, 0.5, 0.05) },
    Pattern { name: "recency, short tail", draw: |dice, scale| recent(dice, scale, 0.9, 0.1) },
    Pattern { name: "news", draw: news },
    Pattern { name: "Zipf and a loop", draw: looped },
    Pattern { name: "sessions", draw: sessions },
];

fn steady(dice: &mut Dice, scale: u64, keys: u64, exponent: f64) -> Vec<u64> {
    let zipf = Zipf::new(scale * keys, exponent);
    (0..scale * REQUESTS).map(|_| zipf.sample(dice)).collect()
}

/// Every rank moves on by one key in 20 requests.
fn drifting(dice: &mut Dice, scale: u64) -> Vec<u64> {
    let zipf = Zipf::new(scale * 10_000, 0.9);
    (0..scale * REQUESTS).map(|at| zipf.sample(dice) + at / 20).collect()
}

/// Other keys are the favourites from phase to phase.
fn changing(dice: &mut Dice, scale: u64, keys: u64, phase: u64) -> Vec<u64> {
    let zipf = Zipf::new(scale * keys, 0.9);
    (0..scale * REQUESTS)
        .map(|at| (zipf.sample(dice) * 7_919 + at / (scale * phase) * 104_729) % (4 * scale * keys))
        .collect()
}

/// 5,000 requests, then a run over `length` keys: new ones, or over the same `of` again.
fn scanned(dice: &mut Dice, scale: u64, length: u64, of: Option<u64>) -> Vec<u64> {
    let zipf = Zipf::new(scale * 10_000, 0.9);
    let (length, of, pause) = (scale * length, of.map(|of| scale * of), scale * 5_000);
    let mut next = 0;
    let mut trace = Vec::new();
    while (trace.len() as u64) < scale * REQUESTS {
        trace.extend((0..pause).map(|_| zipf.sample(dice)));
        trace.extend((next..next + length).map(|at| APART + of.map_or(at, |of| at % of)));
        next += length;
    }
    trace
}

fn once(dice: &mut Dice, scale: u64) -> Vec<u64> {
    let zipf = Zipf::new(scale * 10_000, 0.9);
    let one = |at| if dice.unit() < 0.5 { APART + at } else { zipf.sample(dice) };
    (0..scale * REQUESTS).map(one).collect()
}

/// What was asked for by a power law of how many others came since; `new` of the requests are for new keys.
fn recent(dice: &mut Dice, scale: u64, shape: f64, new: f64) -> Vec<u64> {
    let (mut stack, mut keys) = (VecDeque::new(), 0);
    let one = |_| {
        let back = ((1.0 - dice.unit()).powf(-1.0 / shape) - 1.0) as usize;
        let key = match stack.len() {
            0 => None,
            held if dice.unit() >= new => stack.remove(held - 1 - back.min(held - 1)),
            _ => None,
        };
        let key = key.unwrap_or_else(|| {
            keys += 1;
            keys
        });
        stack.push_back(key);
        if stack.len() as u64 > scale * REMEMBERED_MAX {
            stack.pop_front();
        }
        key
    };
    (0..scale * REQUESTS).map(one).collect()
}

/// Things appear, and are asked for less the older they are.
fn news(dice: &mut Dice, scale: u64) -> Vec<u64> {
    let mut newest = 0u64;
    let one = |_| {
        newest += u64::from(dice.unit() < 0.05);
        let age = ((1.0 - dice.unit()).powf(-1.0 / 0.7) - 1.0) as u64;
        newest.checked_sub(age).unwrap_or_else(|| dice.below(newest + 1))
    };
    (0..scale * REQUESTS).map(one).collect()
}

fn looped(dice: &mut Dice, scale: u64) -> Vec<u64> {
    let zipf = Zipf::new(scale * 10_000, 0.9);
    let mut at = 0;
    let one = |_| {
        if dice.unit() < 0.5 {
            return zipf.sample(dice);
        }
        at = (at + 1) % (scale * 6_000);
        APART + at
    };
    (0..scale * REQUESTS).map(one).collect()
}

/// Two hundred at a time, each about eight things of its own.
fn sessions(dice: &mut Dice, scale: u64) -> Vec<u64> {
    let zipf = Zipf::new(scale * 20_000, 0.8);
    let mut open = VecDeque::new();
    let one = |_| {
        if (open.len() as u64) < scale * 50 || dice.unit() < 0.03 {
            open.push_back(zipf.sample(dice));
            if open.len() as u64 > scale * 200 {
                open.pop_front();
            }
        }
        let session = open[dice.below(open.len() as u64) as usize];
        session * 8 + dice.below(8)
    };
    (0..scale * REQUESTS).map(one).collect()
}
