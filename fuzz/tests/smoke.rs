//! Every target over its seeds, all their prefixes, and random changes of them, on any Rust. Repeatable: a failure
//! prints the input. `ROUNDS=1000000 cargo test --release` looks longer.

use headgate_fuzz::{TARGETS, Target};
use headgate_model::dice::Dice;
use std::panic::catch_unwind;

/// Changed inputs for each target.
fn rounds() -> u64 {
    std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000)
}

fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).expect("a target of that name")
}

fn check(target: &Target, input: &[u8]) {
    let run = target.run;
    if catch_unwind(|| run(input)).is_err() {
        panic!("{} broke on: {}", target.name, input.escape_ascii());
    }
}

fn smoke(name: &str) {
    let target = target(name);
    for seed in target.seeds {
        for end in 0..=seed.len().min(2_000) {
            check(target, &seed[..end]);
        }
        check(target, seed);
    }
    for round in 0..rounds() {
        let dice = &mut Dice::new(round);
        let seed = target.seeds[dice.below(target.seeds.len() as u64) as usize];
        let mut input = seed.to_vec();
        for _ in 0..1 + dice.below(6) {
            change(dice, &mut input, target.seeds);
        }
        check(target, &input);
    }
}

/// Changes one place: a byte, a bit, a gap, a repetition, a piece of another seed, or a suspicious byte.
fn change(dice: &mut Dice, input: &mut Vec<u8>, seeds: &[&[u8]]) {
    const BITES: &[u8] = b"\r\n \t\0:,;\"\\{}[]()=#%@/\x7f\xff019";
    let at = dice.below(input.len() as u64 + 1) as usize;
    let piece = |dice: &mut Dice, from: &[u8]| {
        let start = dice.below(from.len() as u64 + 1) as usize;
        let end = (start + dice.below(40) as usize).min(from.len());
        from[start..end].to_vec()
    };
    match dice.below(6) {
        0 if at < input.len() => input[at] = dice.bits() as u8,
        1 if at < input.len() => input[at] ^= 1 << dice.below(8),
        2 => {
            let end = (at + 1 + dice.below(8) as usize).min(input.len());
            input.drain(at..end);
        }
        3 => {
            let again = piece(dice, input);
            input.splice(at..at, again);
        }
        4 => {
            let other = seeds[dice.below(seeds.len() as u64) as usize];
            let other = piece(dice, other);
            input.splice(at..at, other);
        }
        _ => input.insert(at, BITES[dice.below(BITES.len() as u64) as usize]),
    }
}

macro_rules! smokes {
    ($($name:ident,)*) => {
        $(#[test]
        fn $name() {
            smoke(stringify!($name));
        })*

        #[test]
        fn no_target_is_left_out() {
            let tested = [$(stringify!($name)),*];
            assert!(TARGETS.iter().map(|target| target.name).eq(tested));
        }
    };
}

smokes! {
    request_head,
    response_head,
    chunked,
    proxy_protocol,
    forwarded,
    traceparent,
    config,
    imports,
    log_format,
    cache_fields,
    replay_log,
}
