//! The event queue: a four-ary heap of times, order of pushing, and what happens. It holds what happens once;
//! what is moved about before it happens is in [`super::timers`].

/// A heap of events. Equal times come out in the order in which they were pushed.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// Time in the upper 64 bits, then 32 bits of order, then 32 bits of payload: one comparison orders all.
    heap: Vec<u128>,
    pushed: u32,
}

/// Children of a node; four of them share a cache line.
const ARITY: usize = 4;

impl Queue {
    /// Payload `what` at `at_ns`. Order among equal times holds within any 2^32 pushes.
    #[inline]
    pub fn push(&mut self, at_ns: u64, what: u32) {
        let event = u128::from(at_ns) << 64 | u128::from(self.pushed) << 32 | u128::from(what);
        self.pushed = self.pushed.wrapping_add(1);
        let mut hole = self.heap.len();
        self.heap.push(event);
        while hole > 0 {
            let parent = (hole - 1) / ARITY;
            if self.heap[parent] <= event {
                break;
            }
            self.heap[hole] = self.heap[parent];
            hole = parent;
        }
        self.heap[hole] = event;
    }

    /// Time of the first event; the end of time without one.
    #[inline]
    #[must_use]
    pub fn first_ns(&self) -> u64 {
        self.heap.first().map_or(u64::MAX, |event| (event >> 64) as u64)
    }

    /// Takes the first event: its time and payload.
    #[inline]
    pub fn pop(&mut self) -> Option<(u64, u32)> {
        let last = self.heap.pop()?;
        let Some(&first) = self.heap.first() else { return Some(((last >> 64) as u64, last as u32)) };
        self.sink(last);
        Some(((first >> 64) as u64, first as u32))
    }

    /// Puts `event` at the root's hole and moves it down to its place.
    #[inline]
    fn sink(&mut self, event: u128) {
        let heap = self.heap.as_mut_slice();
        let mut hole = 0;
        loop {
            let first = hole * ARITY + 1;
            let (least, at) = match heap.get(first..first + ARITY) {
                // Pairs first, so that the comparisons do not wait for each other.
                Some(&[a, b, c, d]) => {
                    let left = if b < a { (b, first + 1) } else { (a, first) };
                    let right = if d < c { (d, first + 3) } else { (c, first + 2) };
                    if right.0 < left.0 { right } else { left }
                }
                _ => {
                    let rest = heap.get(first..).unwrap_or_default().iter().zip(first..);
                    rest.map(|(&child, at)| (child, at)).min().unwrap_or((event, hole))
                }
            };
            if event <= least {
                heap[hole] = event;
                return;
            }
            heap[hole] = least;
            hole = at;
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    /// Against a sorted list, with pushes and pops mixed; ties keep their order.
    #[test]
    fn comes_out_in_order_of_time_then_of_pushing() {
        for seed in 0..50 {
            let (mut dice, mut queue, mut expected) = (Dice::new(seed), Queue::default(), Vec::new());
            let (mut now, mut number) = (0, 0u32);
            for _ in 0..2_000 {
                if dice.below(5) < 3 {
                    let at = now + dice.below(20);
                    queue.push(at, number);
                    expected.push((at, number));
                    number += 1;
                } else if let Some(popped) = queue.pop() {
                    expected.sort_unstable();
                    assert_eq!(popped, expected.remove(0), "seed {seed}");
                    assert!(popped.0 >= now);
                    now = popped.0;
                }
                assert_eq!(queue.first_ns(), expected.iter().min().map_or(u64::MAX, |first| first.0));
            }
            assert_eq!(queue.len(), expected.len());
        }
    }
}
