//! The network as its users see it: it learns what follows what, deterministically, in bounded memory.

use super::{Lstm, Shape, WAITING};
use headgate_model::dice::Dice;

const SMALL: Shape = Shape { keys: 64, embedding: 8, hidden: 16, negatives: 12, rate: 1e-2, seed: 3 };

/// Sessions in which the key after 9 depends on how they began, ten steps before.
fn taught(sessions: u64) -> Lstm {
    let mut lstm = Lstm::new(SMALL);
    let mut dice = Dice::new(7);
    for _ in 0..sessions {
        let mut memory = lstm.begin();
        let first = dice.below(2);
        for key in session(first) {
            lstm.advance(&mut memory, key);
        }
        lstm.end(memory);
        lstm.train(4);
    }
    lstm
}

fn session(first: u64) -> Vec<u64> {
    let mut keys = vec![first, 5, 6, 9];
    keys.push(20 + first);
    keys
}

#[test]
fn remembers_what_a_table_of_two_steps_cannot() {
    let mut lstm = taught(3_000);
    for first in [0, 1] {
        let mut memory = lstm.begin();
        session(first)[..4].iter().for_each(|key| lstm.advance(&mut memory, *key));
        let mut scores = Vec::new();
        lstm.score(&memory, &[20, 21, 5, 777], &mut scores);
        assert!(scores[first as usize] > 0.9, "after {first}: {scores:?}");
        assert_eq!(scores[3], 0.0, "a key that it never saw");
    }
}

#[test]
fn the_same_lessons_give_the_same_network() {
    let scores = || {
        let mut lstm = taught(50);
        let mut memory = lstm.begin();
        lstm.advance(&mut memory, 5);
        let mut scores = Vec::new();
        lstm.score(&memory, &[6, 9, 20, 21], &mut scores);
        scores
    };
    assert_eq!(scores(), scores());
}

#[test]
fn lessons_beyond_the_limit_are_dropped_and_counted_and_keys_give_way() {
    let mut lstm = Lstm::new(SMALL);
    let mut memory = lstm.begin();
    for key in 0..20_000 {
        lstm.advance(&mut memory, key);
    }
    assert_eq!(lstm.waiting(), WAITING);
    assert_eq!(lstm.dropped(), 1_249 - WAITING as u64);
    while lstm.waiting() > 0 {
        assert!(lstm.train(1).is_none_or(f32::is_finite));
    }
    assert_eq!(lstm.train(1), None);
}

#[test]
fn the_loss_falls_on_a_cycle() {
    let mut lstm = Lstm::new(SMALL);
    let mut memory = lstm.begin();
    let mut losses = Vec::new();
    for step in 0..8_000u64 {
        lstm.advance(&mut memory, step % 12);
        losses.extend(lstm.train(1));
    }
    assert!(
        losses[0] > 1.5 && losses[losses.len() - 1] < 0.1,
        "{} to {}",
        losses[0],
        losses[losses.len() - 1]
    );
}
