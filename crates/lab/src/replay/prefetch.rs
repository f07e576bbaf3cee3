//! Fetching ahead, played over calls with times: one eviction policy at one size, with whoever names what comes next.
//! What is fetched takes the origin's time, so it can be late. Freshness is left out, as in the rest of replay.

use super::play::Savings;
use super::trace::Trace;
use crate::workload::api::{Call, Prospect, Shows};
use headgate_model::units::Tick;
use headgate_policy::balance::hash::hash;
use headgate_policy::evict::Kind;
use headgate_policy::evict::prefetched::{Found, Prefetched};
use headgate_policy::prefetch::budget::{Budget, Shares};
use headgate_policy::prefetch::eligible::{self, Identity};
use headgate_policy::prefetch::foresight::{Candidate, Event, Foresight, Limits};
use headgate_policy::prefetch::trust::{Floor, Trust};
use headgate_policy::prefetch::worth::{Offer, Prices, gain_us, origin_price};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Of the cache, for what was fetched ahead and not used yet.
const QUEUE_SHARE: f64 = 0.08;
/// Time of a hit.
const HIT_US: f64 = 500.0;
/// A miss, where the log has no durations.
const UNTIMED_US: f64 = 50_000.0;
/// Fetches under way at once.
const IN_FLIGHT_MAX: usize = 64;
/// The most popular paths that the control by popularity keeps fetched.
const FAVOURITES: usize = 200;
/// Paths that the control by popularity counts.
const POPULAR_MAX: usize = 1 << 17;

/// Who names candidates.
#[derive(Clone, Debug)]
pub enum Namer {
    /// Nobody: the baseline.
    Nobody,
    /// What is asked for most, whoever asks.
    Popularity,
    /// The learners.
    Learned(Box<Limits>),
    /// Who knows the law by which sessions draw what they ask for, but not the dice: after each call, what may come.
    Law(Arc<[Vec<Prospect>]>),
    /// What the session asks for next, known from the future.
    Oracle,
}

/// What is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    pub kind: Kind,
    pub capacity_bytes: u64,
    /// Of the capacity, for what was fetched ahead and not used yet.
    pub queue_share: f64,
    pub shares: Shares,
    pub floor: Floor,
    /// Load of the origin, 0 to 1.
    pub load: f64,
}

impl Rules {
    /// The defaults, for an idle origin.
    #[must_use]
    pub fn new(kind: Kind, capacity_bytes: u64) -> Self {
        let (shares, floor) = (Shares::default(), Floor::default());
        Self { kind, capacity_bytes, queue_share: QUEUE_SHARE, shares, floor, load: 0.0 }
    }
}

/// What came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// Requests that a cache may answer.
    pub requests: u64,
    pub hits: u64,
    /// Requests that the origin was sent because somebody asked.
    pub demanded: u64,
    pub fetched: u64,
    /// Fetched ahead and asked for later, in time or not.
    pub used: u64,
    /// Of these, asked for before the answer was there.
    pub late: u64,
    pub unused_bytes: u64,
    /// Time that users waited.
    pub waited_us: f64,
    /// How often fetching ahead was switched off for lack of use.
    pub switched_off: u64,
}

/// Plays all calls. What is neither used nor gone at the end counts as fetched only.
#[must_use]
pub fn play(calls: &[Call], namer: &Namer, rules: &Rules) -> Outcome {
    let mut player = Player::new(namer, rules);
    let next = matches!(namer, Namer::Oracle).then(|| next_of_session(calls));
    for (number, call) in calls.iter().enumerate() {
        player.arrive(call.at_ns);
        player.request(call);
        match namer {
            Namer::Nobody => {}
            Namer::Popularity => player.popular(number, call),
            Namer::Learned(_) => player.learned(call),
            Namer::Law(prospects) => player.lawful(call, prospects.get(number).map_or(&[], Vec::as_slice)),
            Namer::Oracle => {
                let next = next.as_ref().and_then(|next| next[number]).map(|at| &calls[at]);
                next.into_iter().for_each(|next| player.known(call, next));
            }
        }
    }
    player.outcome.switched_off = player.trust.switched_off();
    player.outcome
}

/// Plays a trace without sessions and times as one stream, with tables of keys alone: as if each request came a second
/// after the one before, so that every answer is there in time.
#[must_use]
pub fn play_trace(trace: &Trace, rules: &Rules) -> (Savings, Outcome) {
    let limits = Limits { has_routes: false, ..Limits::of_one_stream() };
    let mut player = Player::new(&Namer::Learned(Box::new(limits)), rules);
    let mut savings = Savings::default();
    let mut call = Call {
        at_ns: 0,
        session: 0,
        path: String::new(),
        is_safe: true,
        is_stored: true,
        bytes: 0,
        latency_us: UNTIMED_US,
        shows: Shows::Nothing,
    };
    for at in &trace.requests {
        let object = &trace.objects[*at as usize];
        call.at_ns += 1_000_000_000;
        call.path = format!("/{at}");
        call.bytes = object.bytes;
        if object.mean_us() > 0.0 {
            call.latency_us = object.mean_us();
        }
        let hits = player.outcome.hits;
        player.arrive(call.at_ns);
        player.request(&call);
        if player.outcome.hits > hits {
            savings.count(trace, *at);
        }
        player.learned(&call);
    }
    player.outcome.switched_off = player.trust.switched_off();
    (savings, player.outcome)
}

/// For each call the next one of its session.
fn next_of_session(calls: &[Call]) -> Vec<Option<usize>> {
    let mut later: BTreeMap<u64, usize> = BTreeMap::new();
    let mut next: Vec<Option<usize>> =
        calls.iter().enumerate().rev().map(|(at, call)| later.insert(call.session, at)).collect();
    next.reverse();
    next
}

/// The state of one run.
struct Player<'a> {
    rules: &'a Rules,
    foresight: Option<Foresight>,
    cache: Prefetched,
    budget: Budget,
    trust: Trust,
    /// Fetches whose answer is to come: when, and its bytes.
    under_way: BTreeMap<u64, (u64, u64)>,
    /// The same by time.
    arrivals: BTreeSet<(u64, u64)>,
    /// Bytes of what is in the queue, for those that leave it unused.
    waiting: BTreeMap<u64, u64>,
    counts: BTreeMap<&'a str, (u32, &'a Call)>,
    favourites: Vec<&'a Call>,
    gone: Vec<u64>,
    saved_us: f64,
    outcome: Outcome,
}

impl<'a> Player<'a> {
    fn new(namer: &Namer, rules: &'a Rules) -> Self {
        let foresight =
            if let Namer::Learned(limits) = namer { Some(Foresight::new((**limits).clone())) } else { None };
        // Without a namer the whole cache is for what was asked for.
        let share = if matches!(namer, Namer::Nobody) { 0.0 } else { rules.queue_share };
        Self {
            rules,
            foresight,
            cache: Prefetched::new(rules.capacity_bytes, share, rules.kind.build(rules.capacity_bytes)),
            budget: Budget::new(rules.shares),
            trust: Trust::new(rules.floor),
            under_way: BTreeMap::new(),
            arrivals: BTreeSet::new(),
            waiting: BTreeMap::new(),
            counts: BTreeMap::new(),
            favourites: Vec::new(),
            gone: Vec::new(),
            saved_us: 0.0,
            outcome: Outcome::default(),
        }
    }

    /// Answers that came meanwhile enter the cache.
    fn arrive(&mut self, now_ns: u64) {
        while let Some((at_ns, key)) = self.arrivals.first().copied().filter(|(at_ns, _)| *at_ns <= now_ns) {
            self.arrivals.remove(&(at_ns, key));
            let Some((_, bytes)) = self.under_way.remove(&key) else { continue };
            self.waiting.insert(key, bytes);
            if !self.cache.admit_ahead(key, bytes, 1.0, &mut self.gone) {
                self.gone.push(key);
            }
            for gone in std::mem::take(&mut self.gone) {
                // Others may have left too.
                if let Some(bytes) = self.waiting.remove(&gone) {
                    self.outcome.unused_bytes += bytes;
                    self.trust.outcome(Tick(at_ns), false);
                }
            }
        }
    }

    fn request(&mut self, call: &Call) {
        if !(call.is_safe && call.is_stored) {
            return;
        }
        let key = key(&call.path);
        self.outcome.requests += 1;
        match self.cache.request(key, &mut self.gone) {
            Found::Resident => self.hit(call),
            Found::Ahead => {
                self.hit(call);
                self.waiting.remove(&key);
                self.used(call);
            }
            Found::Nothing => {
                if let Some((at_ns, _)) = self.under_way.remove(&key) {
                    // It joins the fetch that is under way.
                    self.arrivals.remove(&(at_ns, key));
                    self.outcome.late += 1;
                    self.outcome.waited_us += at_ns.saturating_sub(call.at_ns) as f64 / 1e3;
                    self.used(call);
                } else {
                    self.outcome.demanded += 1;
                    self.outcome.waited_us += call.latency_us;
                    self.budget.demanded();
                }
                self.cache.admit(key, call.bytes, 1.0, &mut self.gone);
            }
        }
        self.gone.clear();
    }

    fn hit(&mut self, call: &Call) {
        self.outcome.hits += 1;
        self.outcome.waited_us += HIT_US;
        self.saved_us += call.latency_us - HIT_US;
    }

    fn used(&mut self, call: &Call) {
        self.outcome.used += 1;
        self.budget.used();
        self.trust.outcome(Tick(call.at_ns), true);
    }

    fn learned(&mut self, call: &Call) {
        let now = Tick(call.at_ns);
        let Some(foresight) = &mut self.foresight else { return };
        foresight.observe(&Event {
            at: now,
            session: call.session,
            path: &call.path,
            is_safe: call.is_safe,
            is_stored: call.is_stored,
            is_personal: false,
            bytes: call.bytes,
            latency_us: call.latency_us,
            fields: &call.shows.fields(),
        });
        foresight.train(1);
        for candidate in foresight.candidates(call.session, now) {
            // Replay has no users to tell apart: a path is the same for everybody.
            let allowed = eligible::check(&candidate.record, Identity::Nobody).is_ok();
            let Candidate { path, probability, bytes, latency_us, .. } = candidate;
            if allowed {
                self.consider(call, &path, probability, bytes, latency_us);
            }
        }
    }

    fn lawful(&mut self, call: &Call, prospects: &[Prospect]) {
        for prospect in prospects {
            let Prospect { path, probability, bytes, latency_us } = prospect;
            self.consider(call, path, *probability, *bytes, *latency_us);
        }
    }

    /// Fetches what is likely enough.
    fn consider(&mut self, call: &Call, path: &str, probability: f32, bytes: u64, latency_us: f64) {
        if self.pays(probability, bytes, latency_us) {
            self.fetch(call, key(path), bytes, latency_us);
        }
    }

    fn pays(&self, probability: f32, bytes: u64, miss_us: f64) -> bool {
        let offer = Offer { probability: f64::from(probability), bytes, miss_us, hit_us: HIT_US, value: 1.0 };
        // What the whole cache saves with each request is saved by its bytes together.
        let byte_us =
            self.saved_us / self.outcome.requests.max(1) as f64 / self.rules.capacity_bytes.max(1) as f64;
        gain_us(&offer, &Prices { origin: origin_price(self.rules.load, self.budget.scarcity()), byte_us })
            > 0.0
    }

    fn popular(&mut self, number: usize, call: &'a Call) {
        if call.is_safe
            && call.is_stored
            && (self.counts.len() < POPULAR_MAX || self.counts.contains_key(&*call.path))
        {
            self.counts.entry(&call.path).or_insert((0, call)).0 += 1;
        }
        if number % 1_000 == 999 {
            let mut all: Vec<(u32, &Call)> = self.counts.values().copied().collect();
            all.sort_by_key(|(count, call)| (std::cmp::Reverse(*count), &call.path));
            self.favourites = all.into_iter().take(FAVOURITES).map(|(_, call)| call).collect();
        }
        for favourite in self.favourites.clone() {
            self.fetch(call, key(&favourite.path), favourite.bytes, favourite.latency_us);
        }
    }

    fn known(&mut self, call: &Call, next: &Call) {
        if next.is_safe && next.is_stored {
            self.fetch(call, key(&next.path), next.bytes, next.latency_us);
        }
    }

    fn fetch(&mut self, call: &Call, key: u64, bytes: u64, latency_us: f64) {
        let now = Tick(call.at_ns);
        let is_there = self.cache.contains(key) || self.under_way.contains_key(&key);
        if is_there || self.under_way.len() >= IN_FLIGHT_MAX || !self.trust.is_on(now) || !self.budget.take()
        {
            return;
        }
        self.outcome.fetched += 1;
        let at_ns = call.at_ns + (1e3 * (call.latency_us + latency_us)) as u64;
        self.under_way.insert(key, (at_ns, bytes));
        self.arrivals.insert((at_ns, key));
    }
}

fn key(path: &str) -> u64 {
    hash(path.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_policy::evict::adaptive::Goal;

    fn rules() -> Rules {
        Rules { queue_share: 0.1, ..Rules::new(Kind::S3Fifo, 200) }
    }

    /// Each session asks for an object of its own, and a second later for that object's details.
    fn calls(sessions: u64, gap_ns: u64) -> Vec<Call> {
        let call = |session: u64, at_ns, path| Call {
            at_ns,
            session,
            path,
            is_safe: true,
            is_stored: true,
            bytes: 1,
            latency_us: 10_000.0,
            shows: Shows::Nothing,
        };
        let both = |session: u64| {
            let at_ns = session * 10_000_000_000;
            [
                call(session, at_ns, format!("/things/{session}")),
                call(session, at_ns + gap_ns, format!("/things/{session}/details")),
            ]
        };
        (0..sessions).flat_map(both).collect()
    }

    fn learned() -> Namer {
        let mut limits = Limits::default();
        limits.keys.experts = [false; headgate_learn::sequence::slate::EXPERTS];
        Namer::Learned(Box::new(Limits { has_keys: false, ..limits }))
    }

    #[test]
    fn what_was_never_asked_for_is_there_in_time() {
        let calls = calls(1_000, 1_000_000_000);
        let without = play(&calls, &Namer::Nobody, &rules());
        let with = play(&calls, &learned(), &rules());
        assert_eq!((without.hits, without.demanded), (0, 2_000));
        assert!(with.hits > 900 && with.late == 0, "{with:?}");
        assert!(with.demanded + with.fetched <= 2_200, "{with:?}");
        assert!(with.waited_us < 0.6 * without.waited_us);
    }

    #[test]
    fn an_answer_that_is_not_there_yet_is_waited_for_and_not_asked_for_twice() {
        let calls = calls(1_000, 15_000_000);
        let with = play(&calls, &learned(), &rules());
        assert!(with.late > 900 && with.hits == 0, "{with:?}");
        assert_eq!(with.demanded + with.used, 2_000);
    }

    #[test]
    fn a_trace_with_pairs_is_fetched_ahead_and_one_without_order_is_left_alone() {
        let saved = |request: &dyn Fn(u32, &mut headgate_model::dice::Dice) -> u32| {
            let mut dice = headgate_model::dice::Dice::new(1);
            let requests: Vec<u32> = (0..20_000).map(|number| request(number, &mut dice)).collect();
            #[allow(clippy::field_reassign_with_default, reason = "its other fields are its own")]
            let mut object = crate::replay::trace::Object::default();
            object.bytes = 1;
            let trace = Trace { requests, objects: vec![object; 2_000], is_timed: false };
            let alone = crate::replay::play::play(Kind::S3Fifo, 200, Goal::Objects, &trace).savings.hits;
            let (savings, outcome) = play_trace(&trace, &rules());
            assert_eq!((savings.hits, outcome.requests), (outcome.hits, 20_000));
            (alone, savings.hits, outcome)
        };
        // A key below 1,000 is followed by the one 1,000 above it.
        let (alone, with, _) =
            saved(&|number, _| (number / 2).wrapping_mul(389) % 1_000 + 1_000 * (number % 2));
        assert!(alone < 2_000 && with > 7_000, "{alone}, {with}");
        let (alone, with, outcome) = saved(&|_, dice| dice.below(2_000) as u32);
        assert!(outcome.fetched < 400 && with + 400 > alone, "{alone}, {with}, {outcome:?}");
    }

    #[test]
    fn a_full_origin_is_sent_nothing_ahead() {
        let calls = calls(500, 1_000_000_000);
        assert_eq!(play(&calls, &learned(), &Rules { load: 0.9, ..rules() }).fetched, 0);
    }

    #[test]
    fn knowing_the_future_is_the_limit_and_useless_guesses_are_switched_off() {
        let calls = calls(1_000, 1_000_000_000);
        let oracle = play(&calls, &Namer::Oracle, &rules());
        assert!(oracle.fetched == oracle.used && oracle.hits > 900, "{oracle:?}");
        let popular = play(&calls, &Namer::Popularity, &rules());
        assert!(popular.used == 0 && popular.fetched <= 200, "{popular:?}");
    }
}
