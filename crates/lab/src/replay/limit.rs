//! What an eviction that knows the future would save. For objects of one size this is Belady's rule (IBM Systems
//! Journal, 1966), which no eviction can beat. For objects of many sizes the best is NP-hard; then the victim is
//! the one with the most bytes times time to its next use among a sample, which is strong but no proven bound.

use super::play::Savings;
use super::trace::Trace;
use headgate_model::dice::Dice;
use std::collections::BinaryHeap;

/// Objects among which a victim of many sizes is chosen.
const SAMPLE: u64 = 128;
const NEVER: u32 = u32::MAX;

/// For each request, the request that asks for the same object next.
#[must_use]
pub fn next_uses(trace: &Trace) -> Vec<u32> {
    let mut seen = vec![NEVER; trace.objects.len()];
    let mut next = vec![NEVER; trace.requests.len()];
    for (now, at) in trace.requests.iter().enumerate().rev() {
        next[now] = std::mem::replace(&mut seen[*at as usize], now as u32); // below REQUESTS_MAX
    }
    next
}

/// Plays the limit. `next` is of [`next_uses`].
#[must_use]
pub fn play(capacity: u64, trace: &Trace, next: &[u32]) -> Savings {
    if trace.is_uniform() { uniform(capacity, trace, next) } else { sized(capacity, trace, next) }
}

/// The heap keeps entries whose time has come; all others rank above them, so they are never popped while an
/// object is resident, and are swept when they outnumber the residents.
fn uniform(capacity: u64, trace: &Trace, next: &[u32]) -> Savings {
    let bytes = trace.objects.first().map_or(1, |object| object.bytes);
    let places = (capacity / bytes) as usize;
    let mut savings = Savings::default();
    let mut resident = vec![false; trace.objects.len()];
    let mut count = 0;
    let mut heap: BinaryHeap<(u32, u32)> = BinaryHeap::new();
    if places == 0 {
        return savings;
    }
    for ((now, at), next) in (0u32..).zip(&trace.requests).zip(next) {
        if resident[*at as usize] {
            savings.count(trace, *at);
        } else {
            if count == places
                && let Some((_, victim)) = heap.pop()
            {
                resident[victim as usize] = false;
                count -= 1;
            }
            resident[*at as usize] = true;
            count += 1;
        }
        heap.push((*next, *at));
        if heap.len() > 2 * places + 1_024 {
            heap.retain(|(time, _)| *time > now);
        }
    }
    savings
}

fn sized(capacity: u64, trace: &Trace, next: &[u32]) -> Savings {
    const ABSENT: u32 = u32::MAX;
    let mut savings = Savings::default();
    let mut dice = Dice::new(1);
    let mut place = vec![ABSENT; trace.objects.len()];
    // Object and its next use.
    let mut resident: Vec<(u32, u32)> = Vec::new();
    let mut used = 0;
    for ((now, at), next) in (0u32..).zip(&trace.requests).zip(next) {
        let bytes = trace.objects[*at as usize].bytes;
        if place[*at as usize] != ABSENT {
            savings.count(trace, *at);
            resident[place[*at as usize] as usize].1 = *next;
            continue;
        }
        if bytes > capacity {
            continue;
        }
        while used + bytes > capacity {
            let chosen = sampled(&resident, now, trace, &mut dice);
            let (victim, _) = resident.swap_remove(chosen);
            used -= trace.objects[victim as usize].bytes;
            place[victim as usize] = ABSENT;
            if let Some((moved, _)) = resident.get(chosen) {
                place[*moved as usize] = chosen as u32;
            }
        }
        place[*at as usize] = resident.len() as u32;
        resident.push((*at, *next));
        used += bytes;
    }
    savings
}

/// The place of the worst of a sample; of all when there are few.
fn sampled(resident: &[(u32, u32)], now: u32, trace: &Trace, dice: &mut Dice) -> usize {
    let count = resident.len() as u64;
    let worth = |place: usize| {
        let (at, next) = resident[place];
        let wait = if next == NEVER { f64::INFINITY } else { f64::from(next - now) };
        wait * trace.objects[at as usize].bytes as f64
    };
    let places: Box<dyn Iterator<Item = u64>> =
        if count <= SAMPLE { Box::new(0..count) } else { Box::new((0..SAMPLE).map(|_| dice.below(count))) };
    let (mut worst, mut most) = (0, f64::NEG_INFINITY);
    for place in places.map(|place| place as usize) {
        if worth(place) > most {
            (worst, most) = (place, worth(place));
        }
    }
    worst
}
