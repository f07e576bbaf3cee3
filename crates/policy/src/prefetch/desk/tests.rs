//! A small world around a desk: sessions, a cache without bound, an origin that takes its time, and a guard.

use super::*;
use crate::guard::{Guard, Settings as GuardSettings};
use crate::prefetch::budget::Shares;
use crate::prefetch::foresight::{Event, Limits};
use crate::prefetch::trust::Floor;
use std::collections::BTreeSet;

const MS: u64 = 1_000_000;

struct World {
    desk: Desk,
    guard: Guard,
    dice: Dice,
    now: Tick,
    stored: BTreeSet<String>,
    /// Fetches ahead under way, by when they are there.
    arriving: BTreeMap<Tick, Candidate>,
    /// Fetched ahead and not used yet.
    ahead: BTreeMap<String, u64>,
    latency_ms: u64,
    fails: bool,
    personal: bool,
    load: f64,
    asked: u64,
    hits: u64,
    demanded: u64,
    sent: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let limits = Limits { sessions: 500, paths: 4_096, ..Limits::default() };
        let settings = Settings {
            limits,
            shares: Shares::default(),
            floor: Floor::default(),
            under_way_max: 64,
            cache_bytes: 1 << 30,
            seed,
        };
        let window = Duration::from_secs(5);
        let guard = GuardSettings { window, window_units: 10.0, ..GuardSettings::new(goal()) };
        Self {
            desk: Desk::new(settings),
            guard: Guard::new(guard).unwrap(),
            dice: Dice::new(seed),
            now: Tick(1),
            stored: BTreeSet::new(),
            arriving: BTreeMap::new(),
            ahead: BTreeMap::new(),
            latency_ms: 20,
            fails: false,
            personal: false,
            load: 0.1,
            asked: 0,
            hits: 0,
            demanded: 0,
            sent: 0,
        }
    }

    fn wait(&mut self, ms: u64) {
        self.now = Tick(self.now.0 + ms * MS);
        while let Some((at, candidate)) = self.arriving.first_key_value().map(|(at, one)| (*at, one.clone()))
        {
            if at > self.now {
                break;
            }
            self.arriving.remove(&at);
            self.desk.fate(candidate.key, if self.fails { Fate::Lost } else { Fate::Stored }, at);
            if !self.fails {
                self.ahead.insert(candidate.path.clone(), candidate.key);
                self.stored.insert(candidate.path);
            }
        }
        self.desk.tick(self.now);
        for evidence in self.desk.take_evidence() {
            match evidence {
                Evidence::Pair(pair) => self.guard.observe_pair(0, pair),
                Evidence::One(arm, value) => self.guard.observe(0, arm, value, 1.0),
            }
        }
        if self.guard.tick(self.now).is_some() {
            self.desk.follow(self.guard.stage(), self.guard.split());
        }
    }

    fn ask(&mut self, session: u64, path: &str) {
        self.asked += 1;
        let under_way =
            self.arriving.iter().find(|(_, one)| one.path == path).map(|(at, one)| (*at, one.key));
        let answer = if let Some((at, key)) = under_way {
            self.arriving.remove(&at);
            self.desk.fate(key, Fate::Late, self.now);
            Answer::Joined
        } else if self.stored.contains(path) {
            self.hits += 1;
            if let Some(key) = self.ahead.remove(path) {
                self.desk.fate(key, Fate::Used, self.now);
            }
            Answer::Cache
        } else {
            self.demanded += 1;
            if self.fails { Answer::Failed } else { Answer::Origin }
        };
        if !self.fails {
            self.stored.insert(path.to_owned());
        }
        let from_origin = matches!(answer, Answer::Origin | Answer::Failed);
        let latency_us = if from_origin { self.latency_ms as f64 * 1e3 } else { 0.0 };
        let seen = Seen {
            event: Event {
                at: self.now,
                session,
                path,
                is_safe: true,
                is_stored: !self.fails,
                is_personal: self.personal,
                bytes: 1_000,
                latency_us,
                fields: &[],
            },
            unix_s: self.now.0 / 1_000_000_000,
            service: 0,
            answer,
            load: self.load,
            waited_us: 100.0,
        };
        self.desk.observe(&seen);
        let stored = &self.stored;
        let may_fetch = |candidate: &Candidate| {
            if stored.contains(&candidate.path) { Err(Refusal::Present) } else { Ok(()) }
        };
        let orders = self.desk.consider(&seen, may_fetch);
        self.send(orders);
    }

    fn send(&mut self, orders: Vec<Candidate>) {
        for order in orders {
            self.sent += 1;
            let jitter = self.dice.below(1_000);
            self.arriving.insert(Tick(self.now.0 + self.latency_ms * MS + jitter), order);
        }
    }

    fn warm(&mut self) {
        let stored = &self.stored;
        let may_fetch = |candidate: &Candidate| {
            if stored.contains(&candidate.path) { Err(Refusal::Present) } else { Ok(()) }
        };
        let orders = self.desk.warm(self.now, self.now.0 / 1_000_000_000, may_fetch);
        self.send(orders);
    }

    /// A day on which nothing of the day before is stored: 40 pages are asked for in the first minutes after nine,
    /// and other things, each of them once, all day. Gives the hits of the rush.
    fn day(&mut self, day: u64, with_rush: bool) -> u64 {
        const NINE: u64 = 9 * 3_600;
        self.stored.clear();
        self.ahead.clear();
        let mut hits = 0;
        for minute in 0..1_440 {
            let at = Tick((day * 86_400 + minute * 60) * 1_000 * MS);
            self.wait(at.0.saturating_sub(self.now.0) / MS);
            if (NINE / 60..NINE / 60 + 2).contains(&minute) && with_rush {
                let before = self.hits;
                for page in 0..40 {
                    self.ask(1_000_000 + day * 100 + page, &format!("/reports/{page}"));
                    self.wait(200);
                }
                hits += self.hits - before;
            }
            if minute % 3 == 0 {
                self.ask(day * 10_000 + minute, &format!("/items/{}", day * 10_000 + minute));
            }
            self.wait(50_000);
            self.warm();
        }
        hits
    }

    /// A user who was never seen: a profile and, by that chance, the orders.
    fn journey(&mut self, user: u64, chance: f64) {
        self.ask(user, &format!("/users/{user}"));
        self.wait(100);
        if self.dice.unit() < chance {
            self.ask(user, &format!("/users/{user}/orders"));
        }
        self.wait(400);
    }
}

#[test]
fn proves_itself_in_the_shadow_then_makes_hits_of_what_was_never_asked_for() {
    for seed in 0..5 {
        let mut world = World::new(seed);
        let mut user = 0;
        while world.desk.stage == Stage::Shadow {
            assert!(world.sent == 0 && user < 40_000, "seed {seed}: {:?}", world.desk.counts());
            world.journey(user, 0.9);
            user += 1;
        }
        assert_eq!(world.hits, 0, "seed {seed}: nothing comes twice");
        while world.desk.stage != Stage::On {
            assert!(user < 80_000, "seed {seed}: {:?} {:?}", world.desk.stage, world.guard.evidence());
            world.journey(user, 0.9);
            user += 1;
        }
        let (hits, demanded) = (world.hits, world.demanded);
        (user..user + 1_000).for_each(|user| world.journey(user, 0.9));
        let (hits, demanded) = (world.hits - hits, world.demanded - demanded);
        assert!(hits > 700, "seed {seed}: {hits} hits, {:?}", world.desk.counts());
        assert!(demanded < 1_300, "seed {seed}");
        assert!(world.desk.hits_gained() > 700.0 && world.desk.counts().withheld > 0, "seed {seed}");
        assert!(world.sent + world.demanded <= 11 * world.asked / 10, "seed {seed}");
    }
}

#[test]
fn useless_fetches_stay_in_the_shadow_and_in_the_budget() {
    for seed in 0..5 {
        let mut world = World::new(seed);
        // Half of the time it is worth trying, and then nobody comes.
        (0..3_000).for_each(|user| world.journey(user, if user < 500 { 0.9 } else { 0.02 }));
        let counts = world.desk.counts();
        assert!(world.desk.extra_share() <= 0.10, "seed {seed}: {counts:?}");
        let sent = world.sent;
        (3_000..4_000).for_each(|user| world.journey(user, 0.02));
        assert!(world.sent - sent < 100, "seed {seed}: {counts:?}");
    }
}

#[test]
fn a_failing_or_full_origin_and_personal_requests_are_left_alone() {
    let changes: [fn(&mut World); 3] =
        [|world| world.fails = true, |world| world.load = 0.9, |world| world.personal = true];
    for (seed, change) in (0..).zip(changes) {
        let mut world = World::new(seed);
        let mut user = 0;
        while !world.desk.stage.acts() {
            world.journey(user, 0.95);
            user += 1;
        }
        change(&mut world);
        (user..user + 50).for_each(|user| world.journey(user, 0.95));
        let sent = world.sent;
        (user + 50..user + 500).for_each(|user| world.journey(user, 0.95));
        assert_eq!(world.sent, sent, "case {seed}: {:?}", world.desk.counts());
        assert!(world.demanded > 0);
    }
}

#[test]
fn one_seed_is_one_history() {
    let history = || {
        let mut world = World::new(7);
        (0..800).for_each(|user| world.journey(user, 0.8));
        (world.desk.counts(), world.sent, world.hits)
    };
    assert_eq!(history(), history());
}

#[test]
fn an_order_that_was_not_carried_out_costs_nothing() {
    let mut world = World::new(1);
    let mut user = 0;
    while world.sent == 0 {
        world.journey(user, 0.95);
        user += 1;
    }
    world.wait(1_000_000);
    let before = world.desk.counts();
    while world.desk.counts().ordered == before.ordered {
        world.ask(user, &format!("/users/{user}"));
        if let Some((_, order)) = world.arriving.pop_first() {
            world.desk.fate(order.key, Fate::Skipped, world.now);
            world.desk.fate(order.key, Fate::Used, world.now);
            break;
        }
        world.wait(500);
        user += 1;
    }
    let after = world.desk.counts();
    assert_eq!((after.ordered, after.skipped), (before.ordered + 1, before.skipped + 1));
    assert_eq!(after.used, before.used);
}

#[test]
fn what_usually_comes_at_nine_is_there_before_nine() {
    for seed in 0..3 {
        let mut world = World::new(seed);
        world.guard.set(crate::guard::Mode::On, world.now).unwrap();
        world.desk.follow(world.guard.stage(), world.guard.split());
        let hits: Vec<u64> = (0..6).map(|day| world.day(day, true)).collect();
        // Each page is asked for twice, and the second time it is stored anyway.
        assert_eq!(hits[..2], [40, 40], "seed {seed}: two days are no habit");
        assert!(hits[5] >= 70, "seed {seed}: {hits:?} {:?}", world.desk.counts());
        let wasted = world.desk.counts().wasted;
        for day in 6..10 {
            world.day(day, false);
        }
        assert!(world.desk.counts().wasted > wasted, "seed {seed}: the first day without was not foreseen");
        let sent = world.sent;
        world.day(10, false);
        assert_eq!(world.sent, sent, "seed {seed}: the habit is forgotten");
    }
}
