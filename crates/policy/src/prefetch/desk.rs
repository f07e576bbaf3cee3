//! Decides what is fetched ahead and keeps account of what came of it, under the stage of a guard: learners, prices,
//! budget and trust together. It fetches nothing; whoever does tells it the fate of each order.

mod notes;

pub use notes::{Answer, Counts, Evidence, Fate, Seen, Settings, goal};

use super::account::{Account, Kind, Open, Outcome};
use super::budget::Budget;
use super::eligible::{self, Identity, Refusal};
use super::foresight::{Candidate, Foresight};
use super::pressure::Pressure;
use super::trust::Trust;
use super::worth::{FULL, Offer, Prices, gain_us, origin_price};
use crate::guard::{Arm, Paired, Split, Stage};
use headgate_learn::season::{SLOT_S, Seasons};
use headgate_model::dice::Dice;
use headgate_model::units::Tick;
use std::collections::BTreeMap;
use std::time::Duration;

/// Services whose load is remembered; those beyond share one place.
const SERVICES_MAX: u32 = 1_024;
/// What an unused fetch costs, in hits: at one used of four it is even.
const WASTE: f64 = 1.0 / 3.0;
/// Share of the last days on which something was asked for at this time, to be fetched for it.
const USUAL: f32 = 0.5;
/// Paths that are looked at before a part of the day begins.
const WARMED_MAX: usize = 256;
/// Time of a hit before the first one was measured, in microseconds.
const HIT_US: f64 = 200.0;
const PACE: f64 = 0.01;

/// The desk.
#[derive(Clone, Debug)]
pub struct Desk {
    settings: Settings,
    foresight: Foresight,
    seasons: Seasons,
    budget: Budget,
    trust: Trust,
    pressures: BTreeMap<u32, Pressure>,
    account: Account,
    dice: Dice,
    stage: Stage,
    split: Option<Split>,
    evidence: Vec<Evidence>,
    hit_us: f64,
    /// Time that hits saved, and requests, so far.
    saved_us: f64,
    requests: u64,
    counts: Counts,
}

impl Desk {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            foresight: Foresight::new(settings.limits.clone()),
            seasons: Seasons::new(settings.limits.seasons),
            budget: Budget::new(settings.shares),
            trust: Trust::new(settings.floor),
            pressures: BTreeMap::new(),
            account: Account::default(),
            dice: Dice::new(settings.seed),
            stage: Stage::Shadow,
            split: None,
            evidence: Vec::new(),
            hit_us: HIT_US,
            saved_us: 0.0,
            requests: 0,
            counts: Counts::default(),
            settings,
        }
    }

    /// Where the guard stands from now on, and who is whose.
    pub fn follow(&mut self, stage: Stage, split: Split) {
        if (stage == Stage::Shadow) != (self.stage == Stage::Shadow) {
            // What was only imagined is no evidence for what acts, and cost nobody anything.
            self.account.forget_imagined();
            self.budget.begin_again();
        }
        (self.stage, self.split) = (stage, Some(split));
    }

    /// Learns from one request. Requests of one session come in their order.
    pub fn observe(&mut self, seen: &Seen<'_>) {
        let Seen { event, answer, .. } = seen;
        self.requests += 1;
        let service = seen.service.min(SERVICES_MAX);
        let pressure = self.pressures.entry(service).or_default();
        match answer {
            Answer::Origin | Answer::Failed => {
                pressure.answered(event.latency_us, *answer == Answer::Failed, seen.load);
            }
            Answer::Cache | Answer::Joined => {}
        }
        if *answer == Answer::Cache && seen.waited_us.is_finite() {
            self.hit_us += PACE * (seen.waited_us - self.hit_us);
        }
        let key = self.foresight.key(event.path);
        let would_be_hit = event.is_safe && self.asked_for(key, event.at, *answer);
        if matches!(answer, Answer::Origin | Answer::Failed) {
            self.counts.demanded += 1;
            if !would_be_hit {
                self.budget.demanded();
            }
        }
        if event.is_safe && event.is_stored && !event.is_personal {
            self.seasons.observe(key, seen.unix_s);
        }
        self.foresight.observe(event);
        self.foresight.train(1);
    }

    /// What to fetch ahead for the session that has just asked, and was observed. `may_fetch` says what the caller
    /// has against one: that it is stored already, or is nothing for a cache.
    pub fn consider(
        &mut self,
        seen: &Seen<'_>,
        mut may_fetch: impl FnMut(&Candidate) -> Result<(), Refusal>,
    ) -> Vec<Candidate> {
        let (now, service) = (seen.event.at, seen.service.min(SERVICES_MAX));
        if !seen.event.is_safe || !(self.stage == Stage::Shadow || self.stage.acts()) {
            return Vec::new();
        }
        let identity = if seen.event.is_personal { Identity::Shared } else { Identity::Nobody };
        let load = self.pressures.get(&service).map_or(0.0, Pressure::load);
        let mut orders = Vec::new();
        for candidate in self.foresight.candidates(seen.event.session, now) {
            self.counts.predicted += 1;
            match self.admit(&candidate, identity, load, now, &mut may_fetch) {
                Err(refusal) => self.counts.refused[refusal as usize] += 1,
                Ok(()) => {
                    self.counts.admitted += 1;
                    if self.open(&candidate, now, now + self.settings.limits.horizon) {
                        orders.push(candidate);
                    }
                }
            }
        }
        orders
    }

    /// What to fetch because the part of the day that is about to begin usually asks for it; to be called now and
    /// then. `may_fetch` as in [`Self::consider`].
    pub fn warm(
        &mut self,
        now: Tick,
        unix_s: u64,
        mut may_fetch: impl FnMut(&Candidate) -> Result<(), Refusal>,
    ) -> Vec<Candidate> {
        let left_s = SLOT_S - unix_s % SLOT_S;
        let is_near = left_s <= self.settings.limits.horizon.as_secs().clamp(1, SLOT_S);
        if !is_near || !(self.stage == Stage::Shadow || self.stage.acts()) {
            return Vec::new();
        }
        let load = self.pressures.values().map(Pressure::load).fold(0.0, f64::max);
        let until = now + Duration::from_secs(left_s + SLOT_S);
        let mut orders = Vec::new();
        for (key, share) in self.seasons.usual(unix_s + left_s, USUAL, WARMED_MAX) {
            let Some(candidate) = self.foresight.known(key, share) else { continue };
            // It is tried again until the slot begins, so refusals are not counted.
            if self.admit(&candidate, Identity::Nobody, load, now, &mut may_fetch).is_ok() {
                self.counts.predicted += 1;
                self.counts.admitted += 1;
                if self.open(&candidate, now, until) {
                    orders.push(candidate);
                }
            }
        }
        orders
    }

    /// What became of an order.
    pub fn fate(&mut self, key: u64, fate: Fate, now: Tick) {
        let Some(open) = self.account.get(key).filter(|open| open.kind == Kind::Sent) else { return };
        self.account.arrived(key);
        let outcome = match fate {
            Fate::Stored => return,
            Fate::Skipped => {
                self.counts.skipped += 1;
                self.budget.give_back();
                self.account.remove(key);
                return;
            }
            Fate::Used => Outcome::InTime,
            Fate::Late => Outcome::Late,
            Fate::Lost => Outcome::Unused,
        };
        self.account.remove(key);
        match outcome {
            Outcome::InTime => self.counts.used += 1,
            Outcome::Late => self.counts.late += 1,
            Outcome::Unused => self.counts.wasted += 1,
        }
        if outcome != Outcome::Unused {
            self.budget.used();
        }
        if !open.is_judged {
            self.judge(open, outcome, false, now);
        }
    }

    /// Whether the outcome of `key` is still to come.
    #[must_use]
    pub fn is_open(&self, key: u64) -> bool {
        self.account.has(key)
    }

    /// Closes what was not asked for in time; to be called now and then.
    pub fn tick(&mut self, now: Tick) {
        while let Some((_, open)) = self.account.next_due(now, self.settings.limits.horizon) {
            if open.is_judged {
                self.counts.wasted += 1;
            } else {
                self.judge(open, Outcome::Unused, false, now);
            }
        }
    }

    /// What was learned about the policy since the last call.
    pub fn take_evidence(&mut self) -> Vec<Evidence> {
        std::mem::take(&mut self.evidence)
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { distrusted: self.trust.switched_off(), ..self.counts }
    }

    /// What the origin was sent beyond what it would have been sent, as a share.
    #[must_use]
    pub fn extra_share(&self) -> f64 {
        let Counts { ordered, skipped, used, late, demanded, .. } = self.counts;
        let useful = used + late;
        ordered.saturating_sub(skipped + useful) as f64 / (demanded + useful).max(1) as f64
    }

    /// Hits that there would not have been, by the control.
    #[must_use]
    pub fn hits_gained(&self) -> f64 {
        let Counts { used, late, wasted, withheld_hits, withheld_known, .. } = self.counts;
        let anyway = if withheld_known == 0 { 0.0 } else { withheld_hits as f64 / withheld_known as f64 };
        used as f64 - anyway * (used + late + wasted) as f64
    }

    fn admit(
        &mut self,
        candidate: &Candidate,
        identity: Identity,
        load: f64,
        now: Tick,
        may_fetch: &mut impl FnMut(&Candidate) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        eligible::check(&candidate.record, identity)?;
        if self.account.has(candidate.key) {
            return Err(Refusal::Present);
        }
        if load >= FULL {
            return Err(Refusal::Busy);
        }
        if !self.pays(candidate, load) {
            return Err(Refusal::NotWorth);
        }
        may_fetch(candidate)?;
        if !self.trust.is_on(now) {
            return Err(Refusal::Distrusted);
        }
        if self.account.is_full() || self.account.under_way() >= self.settings.under_way_max {
            return Err(Refusal::Full);
        }
        if !self.budget.take() {
            return Err(Refusal::Budget);
        }
        Ok(())
    }

    fn pays(&self, candidate: &Candidate, load: f64) -> bool {
        let offer = Offer {
            probability: f64::from(candidate.probability),
            bytes: candidate.bytes,
            miss_us: candidate.latency_us,
            hit_us: self.hit_us,
            value: 1.0,
        };
        // What the whole cache saves with each request is saved by its bytes together.
        let byte_us = self.saved_us / self.requests.max(1) as f64 / self.settings.cache_bytes.max(1) as f64;
        gain_us(&offer, &Prices { origin: origin_price(load, self.budget.scarcity()), byte_us }) > 0.0
    }

    /// Takes up what was admitted; whether it is to be fetched.
    fn open(&mut self, candidate: &Candidate, now: Tick, until: Tick) -> bool {
        let kind = match self.split {
            Some(split) if self.stage.acts() => match split.assign(self.dice.bits()).acts {
                Arm::Learned => Kind::Sent,
                Arm::Baseline => Kind::Withheld,
            },
            _ => Kind::Imagined,
        };
        match kind {
            Kind::Sent => self.counts.ordered += 1,
            Kind::Withheld => {
                self.counts.withheld += 1;
                self.budget.give_back();
            }
            Kind::Imagined => {}
        }
        let latency = Duration::from_micros(candidate.latency_us.max(0.0) as u64);
        self.account.enter(
            candidate.key,
            Open { kind, ready_at: now + latency, until, is_judged: false, is_under_way: kind == Kind::Sent },
        );
        kind == Kind::Sent
    }

    /// Somebody asked for `key`; whether a fetch that was only imagined would have spared the origin this.
    fn asked_for(&mut self, key: u64, now: Tick, answer: Answer) -> bool {
        if answer == Answer::Cache {
            self.saved_us += (self.foresight.latency_us(key) - self.hit_us).max(0.0);
        }
        let Some(open) = self.account.get(key).filter(|open| open.kind != Kind::Sent) else { return false };
        self.account.remove(key);
        let outcome = match now {
            now if now > open.until => Outcome::Unused,
            now if now < open.ready_at => Outcome::Late,
            _ => Outcome::InTime,
        };
        self.judge(open, outcome, answer == Answer::Cache, now);
        if open.kind == Kind::Withheld || outcome == Outcome::Unused {
            return false;
        }
        self.budget.used();
        true
    }

    /// Tells guard and trust how something turned out. `is_hit`: a hit without having been fetched ahead.
    fn judge(&mut self, open: Open, outcome: Outcome, is_hit: bool, now: Tick) {
        let learned = match outcome {
            Outcome::InTime => 1.0,
            Outcome::Late => 0.0,
            Outcome::Unused => -WASTE,
        };
        let baseline = f64::from(u8::from(is_hit));
        let evidence = match open.kind {
            Kind::Imagined => {
                match outcome {
                    Outcome::InTime => self.counts.imagined_hits += 1,
                    Outcome::Late => self.counts.imagined_late += 1,
                    Outcome::Unused => self.counts.imagined_wasted += 1,
                }
                Evidence::Pair(Paired { learned, baseline, units: 1.0 })
            }
            Kind::Withheld => {
                self.counts.withheld_known += 1;
                self.counts.withheld_hits += u64::from(is_hit);
                Evidence::One(Arm::Baseline, baseline)
            }
            Kind::Sent => Evidence::One(Arm::Learned, learned),
        };
        if open.kind != Kind::Withheld {
            self.trust.outcome(now, outcome != Outcome::Unused);
        }
        self.evidence.push(evidence);
    }
}

#[cfg(test)]
mod tests;
