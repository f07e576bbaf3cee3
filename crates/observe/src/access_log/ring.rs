//! A bounded ring of byte messages between one writing and one reading thread, without locks and without
//! `unsafe`: its memory is words that are atomic themselves.
//!
//! Why it is sound: the producer writes words only in the free part and then publishes them by a release
//! store of `tail`; the consumer, having acquired `tail`, reads them and gives them back by a release store
//! of `head`, which the producer acquires before it writes there again. So relaxed accesses to one word
//! are always ordered by one of the two indices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const WORD: usize = size_of::<u64>();

/// Makes a ring of at least `bytes` bytes, rounded up to a power of two. A message takes its length
/// rounded up to whole words of eight bytes, and one word more.
#[must_use]
pub(super) fn ring(bytes: usize) -> (Producer, Consumer) {
    let words = bytes.div_ceil(WORD).max(2).next_power_of_two();
    let ring = Arc::new(Ring {
        words: (0..words).map(|_| AtomicU64::new(0)).collect(),
        tail: Index::default(),
        head: Index::default(),
        closed: AtomicBool::new(false),
    });
    (Producer { ring: Arc::clone(&ring), tail: 0, head_seen: 0 }, Consumer { ring, head: 0 })
}

#[derive(Debug)]
struct Ring {
    words: Box<[AtomicU64]>,
    /// Words ever written and published.
    tail: Index,
    /// Words ever read and given back.
    head: Index,
    /// The producer is gone.
    closed: AtomicBool,
}

/// On a cache line pair of its own, so that the two threads do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Index(AtomicU64);

impl Ring {
    fn word(&self, index: u64) -> &AtomicU64 {
        &self.words[index as usize & (self.words.len() - 1)]
    }
}

/// The writing end.
#[derive(Debug)]
pub(super) struct Producer {
    ring: Arc<Ring>,
    tail: u64,
    /// `head` when it was last looked at; looking again costs a shared cache line.
    head_seen: u64,
}

impl Producer {
    /// Appends a message. `false`, and no change, when there is no room for it.
    #[must_use]
    pub(super) fn push(&mut self, message: &[u8]) -> bool {
        let needed = 1 + message.len().div_ceil(WORD) as u64;
        if needed > self.free() {
            self.head_seen = self.ring.head.0.load(Ordering::Acquire);
            if needed > self.free() {
                return false;
            }
        }
        self.ring.word(self.tail).store(message.len() as u64, Ordering::Relaxed);
        let (whole, rest) = message.as_chunks::<WORD>();
        let mut index = self.tail + 1;
        for bytes in whole {
            self.ring.word(index).store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
            index += 1;
        }
        if !rest.is_empty() {
            let mut bytes = [0; WORD];
            bytes[..rest.len()].copy_from_slice(rest);
            self.ring.word(index).store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
        self.tail += needed;
        self.ring.tail.0.store(self.tail, Ordering::Release);
        true
    }

    fn free(&self) -> u64 {
        self.ring.words.len() as u64 - (self.tail - self.head_seen)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.ring.closed.store(true, Ordering::Release);
    }
}

/// The reading end of a worker's ring, for the writer thread.
#[derive(Debug)]
pub struct Consumer {
    ring: Arc<Ring>,
    head: u64,
}

impl Consumer {
    /// Whether nothing will come any more but what is in the ring now.
    pub(super) fn is_closed(&self) -> bool {
        self.ring.closed.load(Ordering::Acquire)
    }

    /// Replaces the content of `message` by the oldest message. `false` when there is none.
    #[must_use]
    pub(super) fn pop(&mut self, message: &mut Vec<u8>) -> bool {
        if self.ring.tail.0.load(Ordering::Acquire) == self.head {
            return false;
        }
        let len = self.ring.word(self.head).load(Ordering::Relaxed) as usize;
        let words = len.div_ceil(WORD) as u64;
        message.clear();
        for index in self.head + 1..=self.head + words {
            message.extend(self.ring.word(index).load(Ordering::Relaxed).to_le_bytes());
        }
        message.truncate(len);
        self.head += 1 + words;
        self.ring.head.0.store(self.head, Ordering::Release);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// The `n`th message: its bytes follow from its number, so that any mix-up shows.
    fn message(n: u64, dice: &mut Dice) -> Vec<u8> {
        let len = dice.below(90) as usize;
        n.to_le_bytes().into_iter().chain((0..len).map(|i| (n as usize * 7 + i) as u8)).collect()
    }

    #[test]
    fn two_threads_never_see_a_corrupt_or_reordered_message() {
        const MESSAGES: u64 = 100_000;
        for (seed, bytes) in [(1, 128), (2, 1 << 10), (3, 1 << 16)] {
            let (mut producer, mut consumer) = ring(bytes);
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    let mut dice = Dice::new(seed);
                    for n in 0..MESSAGES {
                        let message = message(n, &mut dice);
                        while !producer.push(&message) {
                            std::thread::yield_now();
                        }
                    }
                });
                let mut dice = Dice::new(seed);
                let mut got = Vec::new();
                for n in 0..MESSAGES {
                    while !consumer.pop(&mut got) {
                        std::thread::yield_now();
                    }
                    assert_eq!(got, message(n, &mut dice), "seed {seed}, ring of {bytes} bytes");
                }
            });
        }
    }

    #[test]
    fn with_drops_each_message_that_was_taken_arrives_once() {
        let (mut producer, mut consumer) = ring(512);
        let (taken, arrived) = std::thread::scope(|scope| {
            let producing = scope.spawn(move || {
                let mut dice = Dice::new(9);
                (0..200_000u64).filter(|&n| producer.push(&message(n, &mut dice))).collect::<Vec<_>>()
            });
            let (mut arrived, mut got) = (Vec::new(), Vec::new());
            loop {
                let finished = producing.is_finished();
                if consumer.pop(&mut got) {
                    arrived.push(u64::from_le_bytes(got[..8].try_into().unwrap()));
                } else if finished {
                    break;
                }
            }
            (producing.join().unwrap(), arrived)
        });
        assert_eq!(arrived, taken);
    }

    #[test]
    fn a_message_larger_than_the_ring_is_refused() {
        let (mut producer, mut consumer) = ring(64);
        assert!(!producer.push(&[1; 57]));
        assert!(producer.push(&[2; 56]), "seven words and the length fill eight");
        assert!(!producer.push(&[]));
        let mut got = Vec::new();
        assert!(consumer.pop(&mut got));
        assert_eq!(got, [2; 56]);
        assert!(!consumer.pop(&mut got));
    }

    proptest! {
        #[test]
        fn behaves_like_a_queue_of_limited_words(steps in proptest::collection::vec(proptest::option::of(0usize..70), 0..400)) {
            let (mut producer, mut consumer) = ring(256);
            let mut model = VecDeque::new();
            let mut free = 256 / WORD;
            let mut got = Vec::new();
            for (n, step) in steps.into_iter().enumerate() {
                match step {
                    Some(len) => {
                        let message = vec![n as u8; len];
                        let words = 1 + len.div_ceil(WORD);
                        prop_assert_eq!(producer.push(&message), words <= free);
                        if words <= free {
                            free -= words;
                            model.push_back(message);
                        }
                    }
                    None => {
                        let expected = model.pop_front();
                        prop_assert_eq!(consumer.pop(&mut got), expected.is_some());
                        if let Some(expected) = expected {
                            free += 1 + expected.len().div_ceil(WORD);
                            prop_assert_eq!(&got, &expected);
                        }
                    }
                }
            }
        }
    }
}
