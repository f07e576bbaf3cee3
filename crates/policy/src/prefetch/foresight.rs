//! What a session may ask for next: events of all sessions in, a short list of paths with honest probabilities out. Fed
//! off the request path, in the order of the requests; it decides nothing and fetches nothing.

use super::eligible::Record;
use crate::balance::hash::{hash, mix};
use headgate_learn::calibrate::Calibration;
use headgate_learn::directory::Directory;
pub use headgate_learn::routes::graph::{FIELDS_MAX, Field};
use headgate_learn::routes::graph::{Graph, Named, Recent};
use headgate_learn::routes::template::{Template, Templates};
use headgate_learn::sequence::predictor::{Predictor, Session, Settings};
use headgate_learn::sequence::slate::Guess;
use headgate_model::units::Tick;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Candidates for one session.
pub const CANDIDATES_MAX: usize = 16;
/// What is less likely than this is no candidate.
const LEAST: f32 = 0.03;
/// Claims of a session that wait for their outcome.
const CLAIMS_MAX: usize = 32;

/// Limits, and what takes part.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Sessions that are remembered; who was silent longest gives way.
    pub sessions: usize,
    /// Paths whose text, size and latency are remembered.
    pub paths: usize,
    pub templates: usize,
    /// Pairs of templates.
    pub pairs: usize,
    /// Paths whose times of day are remembered.
    pub seasons: usize,
    /// Requests of a session within which a candidate must be asked for to count as right.
    pub horizon_steps: usize,
    pub horizon: Duration,
    /// Whether paths are folded into templates.
    pub has_routes: bool,
    /// Whether the tables, and the network if it is among the experts, are asked.
    pub has_keys: bool,
    pub keys: Settings,
    /// Keys the hashes of paths, which peers choose.
    pub seed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 10_000,
            paths: 1 << 16,
            templates: 4_096,
            pairs: 16_384,
            seasons: 8_192,
            horizon_steps: 4,
            horizon: Duration::from_secs(30),
            has_routes: true,
            has_keys: true,
            keys: Settings::default(),
            seed: 0,
        }
    }
}

impl Limits {
    /// For traffic whose sessions are not known: all requests are one stream, in which what belongs together may lie far
    /// apart.
    #[must_use]
    pub fn of_one_stream() -> Self {
        Self { horizon_steps: 200, horizon: Duration::from_secs(600), ..Self::default() }
    }
}

/// One request with its answer.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    pub at: Tick,
    pub session: u64,
    /// With the query.
    pub path: &'a str,
    /// It cannot change anything: GET.
    pub is_safe: bool,
    /// The answer may be kept by the cache.
    pub is_stored: bool,
    /// The request said who asks, by a cookie or `Authorization`.
    pub is_personal: bool,
    pub bytes: u64,
    /// Time that the origin took; zero where it was not asked.
    pub latency_us: f64,
    /// Values that the answer shows; may be empty.
    pub fields: &'a [Field],
}

/// A path that a session may ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub key: u64,
    pub path: String,
    /// That the session asks for it within the horizon.
    pub probability: f32,
    pub record: Record,
    /// As expected from the path's or its template's past.
    pub bytes: u64,
    pub latency_us: f64,
}

/// Where a probability comes from; each has its own calibration.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Routes,
    Keys,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    key: u64,
    source: Source,
    probability: f32,
    /// Requests of the session until it is wrong.
    left: usize,
    until: Tick,
}

#[derive(Clone, Debug)]
struct Tracked {
    turn: u64,
    session: Session,
    recent: Recent,
    hints: Vec<Guess>,
    named: Vec<Named>,
    claims: VecDeque<Claim>,
}

/// What is known of a path or of a template.
#[derive(Clone, Debug, Default)]
struct Facts {
    record: Record,
    bytes: f64,
    latency_us: f64,
}

/// The learners together with what they must remember.
#[derive(Clone, Debug)]
pub struct Foresight {
    limits: Limits,
    predictor: Predictor,
    templates: Templates,
    graph: Graph,
    sessions: BTreeMap<u64, Tracked>,
    /// Sessions by their last turn.
    turns: BTreeMap<u64, u64>,
    turn: u64,
    directory: Directory,
    paths: Vec<(String, Facts)>,
    facts: BTreeMap<Template, Facts>,
    honest: [Calibration; 2],
}

impl Foresight {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let directory = Directory::new(limits.paths);
        Self {
            predictor: Predictor::new(&limits.keys),
            templates: Templates::new(limits.templates),
            graph: Graph::new(limits.pairs),
            sessions: BTreeMap::new(),
            turns: BTreeMap::new(),
            turn: 0,
            paths: vec![(String::new(), Facts::default()); directory.rows()],
            directory,
            facts: BTreeMap::new(),
            honest: [Calibration::default(), Calibration::default()],
            limits,
        }
    }

    /// The number of a path in candidates and caches.
    #[must_use]
    pub fn key(&self, path: &str) -> u64 {
        mix(hash(path.as_bytes()), self.limits.seed)
    }

    /// A path by its number, that is claimed to be asked for with this probability.
    #[must_use]
    pub fn known(&self, key: u64, probability: f32) -> Option<Candidate> {
        let (path, facts) = &self.paths[self.directory.find(key)?];
        Some(Candidate {
            key,
            path: path.clone(),
            probability,
            record: facts.record,
            bytes: facts.bytes as u64,
            latency_us: facts.latency_us,
        })
    }

    /// How long the origin takes for a path, as expected from its past; zero where that is not known.
    #[must_use]
    pub fn latency_us(&self, key: u64) -> f64 {
        self.directory.find(key).map_or(0.0, |row| self.paths[row].1.latency_us)
    }

    /// Learns from one request. Events of one session come in their order.
    pub fn observe(&mut self, event: &Event<'_>) {
        let key = self.key(event.path);
        self.touch(event.session);
        let Some(mut tracked) = self.sessions.remove(&event.session) else { return };
        self.settle(&mut tracked, key, event);
        // A change is a step of the session too, but another one than looking.
        let step = if event.is_safe { key } else { mix(key, 1) };
        if self.limits.has_keys {
            self.predictor.observe(&mut tracked.session, &tracked.hints, step);
        }
        let changing = format!("/!{}", event.path);
        let placed = self.templates.place(if event.is_safe { event.path } else { &changing });
        self.remember(event, key, placed.as_ref().map(|placed| placed.template));
        if let Some(placed) = placed.filter(|_| self.limits.has_routes) {
            self.graph.observe(&mut tracked.recent, placed, event.at.0, event.fields.to_vec());
            let horizon_ns = self.limits.horizon.as_nanos() as u64; // far below centuries
            tracked.named =
                self.graph.name(&self.templates, &tracked.recent, LEAST, horizon_ns, CANDIDATES_MAX);
            let hint = |named: &Named| Guess { key: self.key(&named.path), probability: named.next };
            tracked.hints = tracked.named.iter().map(hint).collect();
        }
        self.sessions.insert(event.session, tracked);
    }

    /// What the session may ask for within the horizon, likeliest first. Each candidate is a claim whose outcome
    /// corrects later ones.
    pub fn candidates(&mut self, session: u64, now: Tick) -> Vec<Candidate> {
        let Some(mut tracked) = self.sessions.remove(&session) else { return Vec::new() };
        let mut found: Vec<(Source, f32, Candidate)> = Vec::new();
        for (named, hint) in tracked.named.iter().zip(&tracked.hints) {
            let claimed = named.soon * named.in_time;
            let facts = self.facts.get(&named.template).cloned().unwrap_or_default();
            found.push((
                Source::Routes,
                claimed,
                self.candidate(Source::Routes, claimed, hint.key, &named.path, facts),
            ));
        }
        if self.limits.has_keys {
            let mut guesses = Vec::new();
            self.predictor.predict(&tracked.session, &tracked.hints, CANDIDATES_MAX, &mut guesses);
            for guess in guesses.into_iter().filter(|guess| guess.probability >= LEAST) {
                let Some(row) = self.directory.find(guess.key) else { continue };
                let (path, facts) = self.paths[row].clone();
                let claimed = guess.probability;
                found.push((
                    Source::Keys,
                    claimed,
                    self.candidate(Source::Keys, claimed, guess.key, &path, facts),
                ));
            }
        }
        for (source, claimed, candidate) in &found {
            if tracked.claims.len() < CLAIMS_MAX
                && !tracked.claims.iter().any(|claim| claim.key == candidate.key)
            {
                let (left, until) = (self.limits.horizon_steps, now + self.limits.horizon);
                tracked.claims.push_back(Claim {
                    key: candidate.key,
                    source: *source,
                    probability: *claimed,
                    left,
                    until,
                });
            }
        }
        self.sessions.insert(session, tracked);
        let mut candidates: Vec<Candidate> = found.into_iter().map(|(_, _, candidate)| candidate).collect();
        candidates.sort_by(|one, other| {
            other.probability.total_cmp(&one.probability).then_with(|| one.path.cmp(&other.path))
        });
        let mut seen = Vec::new();
        candidates.retain(|candidate| {
            let is_first = !seen.contains(&candidate.key);
            seen.push(candidate.key);
            is_first
        });
        candidates.truncate(CANDIDATES_MAX);
        candidates
    }

    /// Lets the network learn, a bounded step at a time.
    pub fn train(&mut self, lessons: usize) {
        self.predictor.train(lessons);
    }

    fn candidate(&self, source: Source, claimed: f32, key: u64, path: &str, facts: Facts) -> Candidate {
        let probability = self.honest[source as usize].honest(claimed);
        let (bytes, latency_us) = (facts.bytes as u64, facts.latency_us);
        Candidate { key, path: path.to_owned(), probability, record: facts.record, bytes, latency_us }
    }

    /// Claims that came true or ran out teach how far to believe the next ones.
    fn settle(&mut self, tracked: &mut Tracked, key: u64, event: &Event<'_>) {
        let honest = &mut self.honest;
        tracked.claims.retain_mut(|claim| {
            claim.left = claim.left.saturating_sub(1);
            let came_true = claim.key == key && event.is_safe && event.at <= claim.until;
            let is_over = came_true || claim.left == 0 || event.at > claim.until;
            if is_over {
                honest[claim.source as usize].learn(claim.probability, came_true);
            }
            !is_over
        });
    }

    fn remember(&mut self, event: &Event<'_>, key: u64, template: Option<Template>) {
        let claim = self.directory.claim(key);
        let (path, facts) = &mut self.paths[claim.row];
        if claim.is_new {
            event.path.clone_into(path);
            *facts = Facts::default();
        }
        facts.note(event);
        let known = template
            .filter(|template| self.facts.len() < self.limits.templates || self.facts.contains_key(template));
        if let Some(template) = known {
            self.facts.entry(template).or_default().note(event);
        }
        if !event.is_safe {
            // The change is about what is read at the same place.
            let read = self.templates.place(event.path).map(|placed| placed.template);
            if let Some(facts) = read.and_then(|read| self.facts.get_mut(&read)) {
                facts.record.writes = facts.record.writes.saturating_add(1);
            }
            return;
        }
        // A path that was asked for seldom is as good as its template.
        if let Some(whole) = template.and_then(|template| self.facts.get(&template)) {
            let facts = &mut self.paths[claim.row].1;
            facts.record = whole.record;
        }
    }

    /// Makes the session the newest; the one that was silent longest gives way.
    fn touch(&mut self, session: u64) {
        self.turn += 1;
        match self.sessions.get_mut(&session) {
            Some(tracked) => {
                self.turns.remove(&tracked.turn);
                tracked.turn = self.turn;
            }
            None => {
                if self.sessions.len() >= self.limits.sessions.max(1)
                    && let Some((_, oldest)) = self.turns.pop_first()
                    && let Some(tracked) = self.sessions.remove(&oldest)
                {
                    self.predictor.end(tracked.session);
                }
                let tracked = Tracked {
                    turn: self.turn,
                    session: self.predictor.begin(),
                    recent: Recent::default(),
                    hints: Vec::new(),
                    named: Vec::new(),
                    claims: VecDeque::new(),
                };
                self.sessions.insert(session, tracked);
            }
        }
        self.turns.insert(self.turn, session);
    }
}

impl Facts {
    fn note(&mut self, event: &Event<'_>) {
        const PACE: f64 = 0.1;
        if !event.is_safe {
            self.record.writes = self.record.writes.saturating_add(1);
            return;
        }
        let pace = if self.record.stored + self.record.refused == 0 { 1.0 } else { PACE };
        self.bytes += pace * (event.bytes as f64 - self.bytes);
        if event.latency_us.is_finite() && event.latency_us > 0.0 {
            let pace = if self.latency_us == 0.0 { 1.0 } else { PACE };
            self.latency_us += pace * (event.latency_us - self.latency_us);
        }
        self.record.personal = self.record.personal.saturating_add(u32::from(event.is_personal));
        let counter = if event.is_stored { &mut self.record.stored } else { &mut self.record.refused };
        *counter = counter.saturating_add(1);
        if *counter > 1 << 16 {
            self.record.stored /= 2;
            self.record.refused /= 2;
            self.record.personal /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::eligible::{self, Identity, Refusal};
    use super::*;

    fn small() -> Limits {
        Limits { sessions: 50, paths: 512, templates: 100, pairs: 100, ..Limits::default() }
    }

    fn ask(foresight: &mut Foresight, session: u64, at_ms: u64, path: &str, is_safe: bool) {
        let at = Tick(at_ms * 1_000_000);
        let (bytes, latency_us) = (1_000, 20_000.0);
        foresight.observe(&Event {
            at,
            session,
            path,
            is_safe,
            is_stored: is_safe,
            is_personal: false,
            bytes,
            latency_us,
            fields: &[],
        });
    }

    /// Each user looks at the profile, then the orders, and now and then changes the cart.
    fn taught(users: u64) -> Foresight {
        let mut foresight = Foresight::new(small());
        for user in 0..users {
            let at = user * 1_000;
            ask(&mut foresight, user, at, &format!("/users/{user}"), true);
            foresight.candidates(user, Tick(at * 1_000_000));
            ask(&mut foresight, user, at + 50, &format!("/users/{user}/orders"), true);
            ask(&mut foresight, user, at + 70, &format!("/users/{user}/cart"), true);
            if user % 3 == 0 {
                ask(&mut foresight, user, at + 90, &format!("/users/{user}/cart"), false);
            }
        }
        foresight
    }

    #[test]
    fn names_what_nobody_asked_for_with_what_it_will_cost() {
        let mut foresight = taught(300);
        ask(&mut foresight, 9_999, 400_000, "/users/9999", true);
        let candidates = foresight.candidates(9_999, Tick(400_000_000_000));
        let orders = candidates.iter().find(|one| one.path == "/users/9999/orders").unwrap();
        assert!(orders.probability > 0.8, "{candidates:?}");
        assert_eq!((orders.bytes, orders.latency_us), (1_000, 20_000.0));
        assert_eq!(orders.key, foresight.key("/users/9999/orders"));
        assert_eq!(eligible::check(&orders.record, Identity::Nobody), Ok(()));
        let cart = candidates.iter().find(|one| one.path == "/users/9999/cart").unwrap();
        assert_eq!(eligible::check(&cart.record, Identity::Nobody), Err(Refusal::SideEffects));
    }

    #[test]
    fn sessions_give_way_and_an_unknown_one_has_no_candidates() {
        let mut foresight = taught(300);
        assert_eq!(foresight.sessions.len(), 50);
        assert_eq!(foresight.turns.len(), 50);
        assert!(foresight.candidates(3, Tick(0)).is_empty(), "it was silent longest");
        assert!(!foresight.candidates(299, Tick(0)).is_empty());
    }

    #[test]
    fn the_same_events_give_the_same_candidates() {
        let candidates = || taught(100).candidates(99, Tick(0));
        assert_eq!(candidates(), candidates());
    }

    #[test]
    fn hostile_events_break_nothing() {
        let mut foresight = Foresight::new(small());
        for (number, path) in
            ["", "x", "/", "//", "/?&&==", "/%", "/\u{0}", &"/a".repeat(4_000)].iter().enumerate()
        {
            for session in [0, u64::MAX, number as u64] {
                let event = Event {
                    at: Tick(u64::MAX - number as u64),
                    session,
                    path,
                    is_safe: number % 2 == 0,
                    is_stored: true,
                    is_personal: false,
                    bytes: u64::MAX,
                    latency_us: f64::NAN,
                    fields: &[Field { name: 0, value: String::new() }],
                };
                foresight.observe(&event);
                assert!(foresight.candidates(session, Tick(0)).len() <= CANDIDATES_MAX);
            }
        }
    }
}
