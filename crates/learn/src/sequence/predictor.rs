//! One prediction out of many opinions: tables, the network and whoever else has one are weighed by what they were
//! worth lately, and keys of the recent past by how often sessions come back to such. Strictly online: predict, then
//! learn.

use super::slate::{EXPERTS, Expert, Guess, Slate};
use super::tables::{TableShapes, Tables};
use super::trail::Trail;
use crate::calibrate::Calibration;
use crate::lstm::{self, Lstm};
use crate::mixture::{Mixture, Pace};
use crate::pool::Pool;

/// Steps of evidence that are told apart, for each of three orders.
const EVIDENCE: [f32; 3] = [0.5, 2.5, 12.0];
const SITUATIONS: usize = 64;
/// When a session was last at a key: never, or by powers of two of the steps.
const AGES: usize = 8;
const AGE_RATE: f32 = 0.02;
const POOL_RATE: f32 = 1e-3;
/// What an expert is taken to have said about what it did not name.
const LEAST: f32 = 1e-4;

/// What takes part.
#[derive(Clone, Debug)]
pub struct Settings {
    pub tables: TableShapes,
    pub pace: Pace,
    /// Experts that count; the others are not asked. Candidates still come from all tables.
    pub experts: [bool; EXPERTS],
    /// Whether to learn how often sessions come back to where they have been.
    pub revisits: bool,
    /// Whether opinions are also multiplied.
    pub pooled: bool,
    /// The network's shape; it exists only where it is one of the experts.
    pub lstm: lstm::Shape,
}

impl Default for Settings {
    /// All experts but the network, which has to be named: it does not pay for what it costs.
    fn default() -> Self {
        Self {
            tables: TableShapes::default(),
            pace: Pace::default(),
            experts: Expert::ALL.map(|expert| expert != Expert::Lstm),
            revisits: true,
            pooled: true,
            lstm: lstm::Shape::default(),
        }
    }
}

/// One session, as the predictor remembers it.
#[derive(Clone, Debug)]
pub struct Session {
    pub trail: Trail,
    memory: Option<lstm::Memory>,
}

/// The predictor.
#[derive(Clone, Debug)]
pub struct Predictor {
    experts: [bool; EXPERTS],
    revisits: bool,
    tables: Tables,
    lstm: Option<Lstm>,
    mixture: Mixture,
    pool: Option<Pool<{ EXPERTS + 1 }>>,
    /// Logarithm of how much likelier a key is by its age than the experts say.
    ages: [f32; AGES],
    calibration: Calibration,
    slate: Slate,
    situation: usize,
    scores: Vec<f32>,
    mixed: Vec<f32>,
}

impl Predictor {
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            experts: settings.experts,
            revisits: settings.revisits,
            tables: Tables::new(&settings.tables),
            lstm: settings.experts[Expert::Lstm as usize].then(|| Lstm::new(settings.lstm)),
            mixture: Mixture::new(EXPERTS, SITUATIONS, settings.pace),
            pool: settings.pooled.then(|| Pool::new(EXPERTS, POOL_RATE)),
            ages: [0.0; AGES],
            calibration: Calibration::default(),
            slate: Slate::default(),
            situation: 0,
            scores: Vec::new(),
            mixed: Vec::new(),
        }
    }

    /// A session that has asked for nothing yet.
    #[must_use]
    pub fn begin(&self) -> Session {
        Session { trail: Trail::default(), memory: self.lstm.as_ref().map(Lstm::begin) }
    }

    /// The likeliest keys to come next, likeliest first, at most `most`; `hints` are what the caller knows.
    pub fn predict(&mut self, session: &Session, hints: &[Guess], most: usize, out: &mut Vec<Guess>) {
        self.weigh(session, hints);
        out.clear();
        let guesses = self.slate.keys.iter().zip(&self.mixed);
        out.extend(guesses.map(|(key, mixed)| Guess { key: *key, probability: *mixed }));
        let order = |a: &Guess, b: &Guess| b.probability.total_cmp(&a.probability).then(a.key.cmp(&b.key));
        if out.len() > most {
            out.select_nth_unstable_by(most, order);
            out.truncate(most);
        }
        out.sort_unstable_by(order);
        out.iter_mut().for_each(|guess| guess.probability = self.calibration.honest(guess.probability));
    }

    /// The next key of a session, with the hints that the caller had before it.
    pub fn observe(&mut self, session: &mut Session, hints: &[Guess], key: u64) {
        if !session.trail.is_empty() {
            self.weigh(session, hints);
            self.settle(key);
        }
        self.tables.learn(&session.trail, key);
        session.trail.push(key);
        if let (Some(lstm), Some(memory)) = (&mut self.lstm, &mut session.memory) {
            lstm.advance(memory, key);
        }
    }

    /// The session is over.
    pub fn end(&mut self, session: Session) {
        if let (Some(lstm), Some(memory)) = (&mut self.lstm, session.memory) {
            lstm.end(memory);
        }
    }

    /// Lets the network learn from at most `lessons` stretches that wait.
    pub fn train(&mut self, lessons: usize) {
        if let Some(lstm) = &mut self.lstm {
            lstm.train(lessons);
        }
    }

    /// The weights of the experts where all orders have much evidence, and the exponents of the pool.
    #[must_use]
    pub fn trust(&self) -> (&[f32], Option<&[f32]>) {
        (self.mixture.weights(SITUATIONS - 1), self.pool.as_ref().map(|pool| pool.exponents().as_slice()))
    }

    fn weigh(&mut self, session: &Session, hints: &[Guess]) {
        self.gather(session, hints);
        self.age(&session.trail);
        let weights = self.mixture.weights(self.situation);
        let mix = |opinions: &[f32; EXPERTS]| {
            opinions.iter().zip(weights).map(|(p, weight)| p * weight).sum::<f32>()
        };
        self.mixed.clear();
        self.mixed.extend(self.slate.opinions.iter().map(mix));
        let total: f32 = self.mixed.iter().sum();
        if total > 0.0 {
            self.mixed.iter_mut().for_each(|mixed| *mixed /= total);
        }
        if let Some(pool) = &mut self.pool {
            let all = self.slate.opinions.iter().zip(&self.mixed).map(|(opinions, mixed)| {
                std::array::from_fn(|at| opinions.get(at).copied().unwrap_or(*mixed))
            });
            pool.weigh(all, &mut self.scores);
            std::mem::swap(&mut self.mixed, &mut self.scores);
        }
    }

    fn gather(&mut self, session: &Session, hints: &[Guess]) {
        self.slate.clear();
        hints.iter().for_each(|hint| self.slate.add(Expert::Caller, hint.key, hint.probability));
        let evidence = self.tables.fill(&session.trail, &mut self.slate);
        let level = |total: f32| EVIDENCE.iter().filter(|step| total > **step).count();
        self.situation = evidence.iter().fold(0, |situation, total| situation * 4 + level(*total));
        if let (Some(lstm), Some(memory)) = (&self.lstm, &session.memory) {
            lstm.score(memory, &self.slate.keys, &mut self.scores);
            let opinions = self.slate.opinions.iter_mut().zip(&self.scores);
            opinions.for_each(|(opinions, score)| opinions[Expert::Lstm as usize] = *score);
        }
    }

    /// Moves each expert's opinions between keys of different age; their sum stays.
    fn age(&mut self, trail: &Trail) {
        self.slate.mark(trail);
        let factors = if self.revisits { self.ages.map(libm::expf) } else { [1.0; AGES] };
        let mut sums = [(0.0f32, 0.0f32); EXPERTS];
        for (opinions, age) in self.slate.opinions.iter_mut().zip(&self.slate.ages) {
            for (at, opinion) in opinions.iter_mut().enumerate() {
                *opinion *= f32::from(u8::from(self.experts[at]));
                sums[at].0 += *opinion;
                *opinion *= factors[usize::from(*age)];
                sums[at].1 += *opinion;
            }
        }
        let scales = sums.map(|(before, after)| if after > 0.0 { before / after } else { 0.0 });
        for opinions in &mut self.slate.opinions {
            opinions.iter_mut().zip(scales).for_each(|(opinion, scale)| *opinion *= scale);
        }
    }

    /// Learns from what came, after [`Self::weigh`].
    fn settle(&mut self, key: u64) {
        for (other, mixed) in self.slate.keys.iter().zip(&self.mixed) {
            if *mixed > 1e-3 {
                self.calibration.learn(*mixed, *other == key);
            }
        }
        let Some(place) = self.slate.find(key) else { return };
        self.mixture.learn(self.situation, &self.slate.opinions[place].map(|opinion| opinion + LEAST));
        if let Some(pool) = &mut self.pool {
            pool.learn(&self.mixed, place);
        }
        let mut claimed = [0.0f32; AGES];
        for (age, mixed) in self.slate.ages.iter().zip(&self.mixed) {
            claimed[usize::from(*age)] += mixed;
        }
        for (at, bias) in self.ages.iter_mut().enumerate() {
            let came = f32::from(u8::from(at == usize::from(self.slate.ages[place])));
            *bias = (*bias + AGE_RATE * (came - claimed[at])).clamp(-8.0, 8.0);
        }
    }
}
