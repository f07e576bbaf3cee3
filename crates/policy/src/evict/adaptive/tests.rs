//! What the tuned cache keeps in traffic that is made to fool one policy or another, by goal, and when hits come late.

use super::{Adaptive, Goal, Reason, Setting};
use crate::evict::{Evict, Kind};
use headgate_model::dice::Dice;
use std::collections::VecDeque;

/// Objects, bytes and cost that were saved, as shares.
#[derive(Clone, Copy, Debug)]
struct Saved {
    objects: f64,
    bytes: f64,
    cost: f64,
}

/// Plays requests of id, size and cost; a hit is told only `delay` requests later.
fn play(policy: &mut dyn Evict, requests: &[(u64, u64, f64)], delay: usize) -> Saved {
    let (mut saved, mut all, mut gone) = ([0.0; 3], [0.0; 3], Vec::new());
    let mut late = VecDeque::new();
    for (id, size, cost) in requests {
        let worth = [1.0, *size as f64, *cost];
        let is_hit = if delay == 0 { policy.hit(*id) } else { policy.contains(*id) };
        if is_hit {
            late.push_back(*id);
        } else {
            policy.admit(*id, *size, *cost, &mut gone);
            late.push_back(u64::MAX);
            gone.clear();
        }
        if late.len() > delay {
            let id = late.pop_front().unwrap();
            if delay > 0 {
                policy.hit(id);
            }
        }
        for place in 0..3 {
            all[place] += worth[place];
            saved[place] += if is_hit { worth[place] } else { 0.0 };
        }
    }
    Saved { objects: saved[0] / all[0], bytes: saved[1] / all[1], cost: saved[2] / all[2] }
}

fn units(ids: impl IntoIterator<Item = u64>) -> Vec<(u64, u64, f64)> {
    ids.into_iter().map(|id| (id, 1, 1.0)).collect()
}

fn objects(kind: Kind, capacity: u64, requests: &[(u64, u64, f64)]) -> f64 {
    play(&mut *kind.build(capacity), requests, 0).objects
}

fn adaptive(capacity: u64, requests: &[(u64, u64, f64)]) -> f64 {
    play(&mut Adaptive::new(capacity, Goal::Objects), requests, 0).objects
}

/// Popular ids more often: about Zipf of exponent one.
fn skewed(dice: &mut Dice, ids: u64) -> u64 {
    ((ids as f64).powf(dice.unit()) as u64).min(ids - 1)
}

/// Everything twice, `apart` requests between, then never again.
fn pairs(count: u64, apart: u64) -> impl Iterator<Item = u64> {
    (0..count).flat_map(move |step| [Some(step), step.checked_sub(apart)]).flatten()
}

#[test]
fn a_loop_slightly_larger_than_the_cache() {
    let requests = units((0..100_000u64).map(|step| step % 1_100));
    let kept = adaptive(1_000, &requests);
    let (first, lirs) = (objects(Kind::S3Fifo, 1_000, &requests), objects(Kind::Lirs, 1_000, &requests));
    assert_eq!(objects(Kind::Lru, 1_000, &requests), 0.0);
    assert!(kept > first + 0.05 && kept > lirs - 0.005, "{kept}; s3fifo {first}, lirs {lirs}");
}

/// In a loop some settings keep one part of it and some another, and each wins while its part is asked for: who runs after the
/// winner of the hour has always just let go what comes next.
#[test]
fn settings_that_win_by_turns_do_not_make_it_run_after_them() {
    let requests = units((0..60_000u64).map(|step| step % 1_400));
    let mut policy = Adaptive::new(350, Goal::Objects);
    let kept = play(&mut policy, &requests, 0).objects;
    let s3fifo = objects(Kind::S3Fifo, 350, &requests);
    let turns = policy.take_verdicts().0.len();
    assert!(turns <= 2 && kept > s3fifo, "{turns} turns, {kept} of {s3fifo}");
}

#[test]
fn the_trap_of_recency_and_floods_of_one_hit_wonders() {
    let trap = units(pairs(20_000, 300));
    let (kept, best) = (adaptive(900, &trap), objects(Kind::Lru, 900, &trap));
    let lost = (best - kept) * trap.len() as f64;
    assert!(lost < 450.0, "trap: {lost} hits until it knew, more than half of what it holds");
    for seed in 0..3 {
        let mut dice = Dice::new(seed);
        let flood = units(
            (0..60_000u64)
                .map(|step| if dice.below(3) == 0 { skewed(&mut dice, 5_000) } else { 1_000_000 + step }),
        );
        let kept = adaptive(500, &flood);
        let best =
            [Kind::Lru, Kind::S3Fifo, Kind::TinyLfu, Kind::Sieve].map(|kind| objects(kind, 500, &flood));
        let best = best.into_iter().fold(0.0, f64::max);
        assert!(kept > best - 0.003, "flood, seed {seed}: {kept} of {best}");
    }
}

#[test]
fn a_scan_without_any_return_changes_nothing() {
    let mut policy = Adaptive::new(1_000, Goal::Objects);
    let kept = play(&mut policy, &units(0..20_000), 0);
    assert_eq!(kept.objects, 0.0);
    assert!(policy.take_verdicts().0.is_empty(), "no request tells one setting from another");
    assert_eq!(policy.used(), 1_000);
}

#[test]
fn phases_are_followed_and_each_change_explains_itself() {
    let far = |requests: Vec<u64>, phase: u64| requests.into_iter().map(move |id| phase << 40 | id);
    let recent: Vec<u64> = pairs(20_000, 700).collect();
    let cycle: Vec<u64> = (0..20_000u64).map(|step| step % 2_000).collect();
    let phases = units(far(recent.clone(), 1).chain(far(cycle, 2)).chain(far(recent, 3)).collect::<Vec<_>>());
    let mut policy = Adaptive::new(900, Goal::Objects);
    let kept = play(&mut policy, &phases, 0).objects;
    let lru = objects(Kind::Lru, 900, &phases);
    assert!(kept > lru - 0.005, "{kept}, lru {lru}");
    let (verdicts, lost) = policy.take_verdicts();
    assert_eq!(lost, 0);
    for verdict in &verdicts {
        let Reason::Lead { gain, error, .. } = verdict.reason else { panic!("{verdict}") };
        assert!(gain > 2.0 * error && verdict.from != verdict.to && verdict.sample == 1.0, "{verdict}");
    }
    assert!(policy.take_verdicts().0.is_empty(), "taken once");
}

/// Most objects are small, some are large; who is asked for does not depend on it.
fn sized(seed: u64, ids: u64, requests: u64) -> Vec<(u64, u64, f64)> {
    let mut dice = Dice::new(seed);
    let mut one = || {
        let id = skewed(&mut dice, ids);
        let mixed = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let size = if mixed.is_multiple_of(10) { 50_000 } else { 500 + mixed % 1_000 };
        (id, size, 1.0 + (mixed % 97) as f64)
    };
    (0..requests).map(|_| one()).collect()
}

#[test]
fn each_goal_is_served_where_sizes_are_bimodal() {
    let requests = sized(3, 20_000, 60_000);
    let saved = |goal| play(&mut Adaptive::new(4_000_000, goal), &requests, 0);
    let (objects, bytes, cost) = (saved(Goal::Objects), saved(Goal::Bytes), saved(Goal::Cost));
    let of = |kind: Kind| play(&mut *kind.build(4_000_000), &requests, 0);
    let (lru, s3fifo) = (of(Kind::Lru), of(Kind::S3Fifo));
    assert!(objects.objects > s3fifo.objects + 0.05, "{objects:?}, {s3fifo:?}");
    assert!(bytes.bytes > lru.bytes, "{bytes:?}, {lru:?}");
    assert!(cost.cost > lru.cost + 0.05 && cost.cost > objects.cost, "{cost:?}, {lru:?}, {objects:?}");
    let mut policy = Adaptive::new(4_000_000, Goal::Objects);
    play(&mut policy, &requests[..1_000], 0);
    assert!(matches!(policy.setting(), Setting::Gdsf { .. }));
    assert_eq!(policy.take_verdicts().0[0].reason, Reason::SizesDiffer);
}

#[test]
fn a_large_cache_is_steered_by_a_sample() {
    let mut dice = Dice::new(4);
    let requests = units((0..200_000u64).map(|step| match dice.below(2) {
        0 => skewed(&mut dice, 100_000),
        _ => 1_000_000 + step % 30_000,
    }));
    let mut policy = Adaptive::new(20_000, Goal::Objects);
    let kept = play(&mut policy, &requests, 0).objects;
    assert!(policy.bank.shift() == 2, "20,000 objects, at most 8,192 in a shadow");
    let all = [Kind::Lru, Kind::S3Fifo, Kind::TinyLfu, Kind::Sieve, Kind::Gdsf];
    let worst = all.map(|kind| objects(kind, 20_000, &requests)).into_iter().fold(1.0, f64::min);
    let first = objects(Kind::S3Fifo, 20_000, &requests);
    assert!(kept > worst && kept > first - 0.005, "{kept}; s3fifo {first}, worst {worst}");
    let shadows: usize = (0..7).map(|place| policy.bank.shadow(place).count()).sum();
    assert!(shadows < 7 * 8_192, "{shadows}");
}

/// A concurrent cache tells its hits in batches.
#[test]
fn hits_that_come_late_cost_little() {
    for (seed, capacity) in [(1, 1_000), (2, 3_000)] {
        let mut dice = Dice::new(seed);
        let requests = units((0..60_000).map(|_| skewed(&mut dice, 50_000)));
        for kind in [Kind::Adaptive, Kind::S3Fifo] {
            let at = |delay| play(&mut *kind.build(capacity), &requests, delay).objects;
            let (now, late) = (at(0), at(256));
            assert!(late > now - 0.003, "{}: {now} at once, {late} late", kind.name());
        }
    }
}

/// A policy that is split, turned and purged keeps its promises; see also the tests of all policies.
#[test]
fn contents_survive_every_change_of_the_setting() {
    for seed in 0..8 {
        let mut dice = Dice::new(seed);
        let capacity = [300, 20_000][dice.below(2) as usize];
        let mut policy = Adaptive::new(capacity, Goal::Objects);
        let (mut resident, mut gone) = (std::collections::BTreeSet::new(), Vec::new());
        for step in 0..30_000u64 {
            let phase = step / 6_000;
            let id = match phase % 3 {
                0 => step / 2 % 400 + (phase << 32),
                1 => skewed(&mut dice, 3_000),
                _ => step.saturating_sub(dice.below(2) * 60),
            };
            if dice.below(200) == 0 {
                assert_eq!(policy.remove(id), resident.remove(&id), "seed {seed}, step {step}");
            } else if dice.below(500) == 0 {
                if let Some((victim, _)) = policy.evict() {
                    assert!(resident.remove(&victim), "seed {seed}, step {step}");
                }
            } else if !policy.hit(id) {
                assert!(!resident.contains(&id), "seed {seed}, step {step}");
                if policy.admit(id, 1, 1.0, &mut gone) {
                    resident.insert(id);
                }
                gone.drain(..).for_each(|id| assert!(resident.remove(&id), "seed {seed}, step {step}"));
            }
            assert_eq!(policy.count(), resident.len(), "seed {seed}, step {step}");
        }
        let mut listed = Vec::new();
        policy.each(&mut |id| listed.push(id));
        listed.sort_unstable();
        assert_eq!(listed, resident.into_iter().collect::<Vec<_>>());
    }
}
