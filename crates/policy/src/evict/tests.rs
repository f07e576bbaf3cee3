//! What every policy promises, and the simple ones against naive models of themselves.

use super::Kind;
use headgate_model::dice::Dice;
use std::collections::BTreeMap;

/// What a caller of a policy knows: who is resident, from the answers alone.
#[derive(Default)]
struct Ledger {
    resident: BTreeMap<u64, u64>,
}

impl Ledger {
    fn used(&self) -> u64 {
        self.resident.values().sum()
    }
}

/// A third of the requests go to few ids, a third in a loop, a third anywhere; sizes depend on the id.
fn draw(dice: &mut Dice, step: u64, ids: u64, largest: u64) -> (u64, u64) {
    let id = match dice.below(3) {
        0 => dice.below(ids / 10 + 1),
        1 => step % (ids / 2 + 1),
        _ => dice.below(ids),
    };
    (id, if largest == 1 { 1 } else { 1 + id.wrapping_mul(2_654_435_761) % largest })
}

#[test]
fn capacity_holds_and_no_object_is_lost_or_there_twice() {
    for kind in Kind::ALL {
        for seed in 0..60 {
            let mut dice = Dice::new(seed);
            let capacity = [0, 1, 2, 7, 100, 1_000][dice.below(6) as usize];
            let largest = [1, 10, 120][dice.below(3) as usize];
            let mut policy = kind.build(capacity);
            let mut ledger = Ledger::default();
            let mut evicted = Vec::new();
            for step in 0..2_000 {
                let place = format!("{}, seed {seed}, step {step}", kind.name());
                let (id, size) = draw(&mut dice, step, 300, largest);
                let known = ledger.resident.contains_key(&id);
                assert_eq!(policy.contains(id), known, "{place}");
                if dice.below(20) == 0 {
                    assert_eq!(policy.remove(id), known, "{place}");
                    ledger.resident.remove(&id);
                } else if dice.below(20) == 0 || !policy.hit(id) {
                    evicted.clear();
                    ledger.resident.remove(&id);
                    if policy.admit(id, size, 1.0 + id as f64, &mut evicted) {
                        ledger.resident.insert(id, size);
                    }
                    for gone in &evicted {
                        assert_ne!(*gone, id, "{place}");
                        assert!(
                            ledger.resident.remove(gone).is_some(),
                            "{place}: {gone} left without being there"
                        );
                    }
                } else {
                    assert!(known, "{place}");
                }
                assert_eq!(
                    (policy.used(), policy.count()),
                    (ledger.used(), ledger.resident.len()),
                    "{place}"
                );
                assert!(policy.used() <= capacity, "{place}");
            }
        }
    }
}

#[test]
fn the_same_calls_give_the_same_evictions() {
    for kind in Kind::ALL {
        let run = || {
            let (mut dice, mut policy, mut evicted) = (Dice::new(9), kind.build(500), Vec::new());
            for step in 0..5_000 {
                let (id, size) = draw(&mut dice, step, 400, 20);
                if !policy.hit(id) {
                    policy.admit(id, size, 1.0, &mut evicted);
                }
            }
            evicted
        };
        let first = run();
        assert!(!first.is_empty());
        assert_eq!(first, run(), "{}", kind.name());
    }
}

#[test]
fn odd_costs_and_sizes_do_no_harm() {
    for kind in Kind::ALL {
        let (mut policy, mut evicted) = (kind.build(u64::MAX), Vec::new());
        for (id, (size, cost)) in
            [(0, f64::NAN), (u64::MAX, 1.0), (u64::MAX / 2, f64::INFINITY), (7, -3.0), (1, 0.0)]
                .into_iter()
                .enumerate()
        {
            policy.admit(id as u64, size, cost, &mut evicted);
            policy.hit(id as u64);
        }
        assert!(policy.contains(4), "{}", kind.name());
    }
}

/// The order in which a naive cache would let its objects go; the first leaves.
type Order = fn(&BTreeMap<u64, Fact>) -> Option<u64>;

struct Fact {
    size: u64,
    admitted: u64,
    last: u64,
    requests: u64,
}

fn least<K: Ord>(facts: &BTreeMap<u64, Fact>, key: impl Fn(&Fact) -> K) -> Option<u64> {
    facts.iter().min_by_key(|(_, fact)| key(fact)).map(|(id, _)| *id)
}

#[test]
fn fifo_lru_and_lfu_are_what_their_names_say() {
    let models: [(Kind, Order); 3] = [
        (Kind::Fifo, |facts| least(facts, |fact| fact.admitted)),
        (Kind::Lru, |facts| least(facts, |fact| fact.last)),
        (Kind::Lfu, |facts| least(facts, |fact| (fact.requests, fact.last))),
    ];
    for (kind, victim) in models {
        for seed in 0..40 {
            let mut dice = Dice::new(seed);
            let largest = 1 + 9 * (seed % 2);
            let (capacity, mut policy) = (60, kind.build(60));
            let mut facts: BTreeMap<u64, Fact> = BTreeMap::new();
            for step in 0..1_500 {
                let (id, size) = draw(&mut dice, step, 120, largest);
                let hit = facts.get_mut(&id).map(|fact| {
                    (fact.last, fact.requests) = (step, fact.requests + 1);
                });
                assert_eq!(policy.hit(id), hit.is_some(), "{}, seed {seed}, step {step}", kind.name());
                if hit.is_none() {
                    let mut expected = Vec::new();
                    while facts.values().map(|fact| fact.size).sum::<u64>() + size > capacity {
                        let gone = victim(&facts).unwrap();
                        facts.remove(&gone);
                        expected.push(gone);
                    }
                    facts.insert(id, Fact { size, admitted: step, last: step, requests: 1 });
                    let mut evicted = Vec::new();
                    assert!(policy.admit(id, size, 1.0, &mut evicted));
                    assert_eq!(evicted, expected, "{}, seed {seed}, step {step}", kind.name());
                }
            }
        }
    }
}

#[test]
fn gdsf_is_greedy_by_worth() {
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let mut policy = Kind::Gdsf.build(80);
        // Worth, last change, size, requests.
        let mut facts: BTreeMap<u64, (f64, u64, u64, u32)> = BTreeMap::new();
        let mut inflation = 0.0;
        for step in 0..1_500 {
            let (id, size) = draw(&mut dice, step, 120, 10);
            let cost = 1.0 + (id % 5) as f64;
            if let Some(fact) = facts.get_mut(&id) {
                fact.3 += 1;
                (fact.0, fact.1) = (inflation + f64::from(fact.3) * cost / size as f64, step);
                assert!(policy.hit(id));
                continue;
            }
            let mut expected = Vec::new();
            while facts.values().map(|fact| fact.2).sum::<u64>() + size > 80 {
                let order = |one: &(f64, u64, u64, u32), other: &(f64, u64, u64, u32)| {
                    one.0.total_cmp(&other.0).then(one.1.cmp(&other.1))
                };
                let gone = *facts.iter().min_by(|one, other| order(one.1, other.1)).unwrap().0;
                inflation = facts.remove(&gone).unwrap().0;
                expected.push(gone);
            }
            facts.insert(id, (inflation + cost / size as f64, step, size, 1));
            let mut evicted = Vec::new();
            assert!(policy.admit(id, size, cost, &mut evicted));
            assert_eq!(evicted, expected, "seed {seed}, step {step}");
        }
    }
}

/// Hits of unit-size requests.
fn hits(kind: Kind, capacity: u64, requests: impl Iterator<Item = u64>) -> u64 {
    let (mut policy, mut evicted) = (kind.build(capacity), Vec::new());
    let mut hits = 0;
    for id in requests {
        if policy.hit(id) {
            hits += 1;
        } else {
            policy.admit(id, 1, 1.0, &mut evicted);
            evicted.clear();
        }
    }
    hits
}

/// Ten popular objects are asked for three times in turn, then come a hundred that never return.
#[test]
fn a_scan_does_not_empty_the_policies_that_resist_it() {
    const ROUNDS: u64 = 300;
    let requests = || {
        let scan = |round: u64| (0..100).map(move |step| 1_000 + round * 100 + step);
        (0..ROUNDS).flat_map(move |round| (0..30).map(|step| step % 10).chain(scan(round)))
    };
    let all = ROUNDS * 30;
    assert_eq!(hits(Kind::Lru, 50, requests()), ROUNDS * 20, "the first of three turns always misses");
    for kind in [Kind::Sieve, Kind::S3Fifo, Kind::TinyLfu, Kind::Lfu, Kind::Lirs] {
        let kept = hits(kind, 50, requests());
        assert!(kept > all * 95 / 100, "{}: {kept} of {all}", kind.name());
    }
}

/// Everything is asked for twice, thirty requests apart, and never again: the trap of recency.
#[test]
fn pairs_are_kept_by_fifo_lru_and_s3fifo() {
    let requests = || (0..30_000u64).flat_map(|step| [Some(step), step.checked_sub(30)]).flatten();
    for kind in [Kind::Fifo, Kind::Lru, Kind::S3Fifo] {
        let kept = hits(kind, 900, requests());
        assert_eq!(kept, 30_000 - 30, "{}", kind.name());
    }
    assert!(hits(Kind::Sieve, 900, requests()) < 3_000, "what SIEVE is known for");
}
