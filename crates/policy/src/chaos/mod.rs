//! What chaos rules have in store for one attempt. A verdict is only words: acting on it lies with the
//! gateway.

mod delay;

use crate::balance::hash::{hash, mix};
use delay::DelayDraw;
use headgate_model::dice::Dice;
use headgate_model::spec::{ChaosFault, ChaosRule, Partition};
use headgate_model::toxic::Toxic;
use headgate_model::units::Tick;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Rules in the order in which they are asked.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
}

/// One rule, ready to be asked.
#[derive(Clone, Debug)]
pub struct Rule {
    route: Option<Box<str>>,
    service: Option<Box<str>>,
    /// The endpoint's name, as in logs and metrics.
    endpoint: Option<Box<str>>,
    percent: f64,
    effect: Effect,
    /// From this point on it hits nothing.
    until: Option<Tick>,
    probes: bool,
    seeded: Option<Seeded>,
}

/// Dice of a rule's own: what befalls the n-th attempt that it is about depends on the seed and n alone.
#[derive(Clone, Debug)]
struct Seeded {
    seed: u64,
    /// Attempts so far, of all workers.
    asked: Arc<AtomicU64>,
}

impl Seeded {
    fn new(seed: u64, asked: &Arc<AtomicU64>) -> Self {
        // Neighbouring seeds would otherwise share throws.
        Self { seed: hash(&seed.to_le_bytes()), asked: Arc::clone(asked) }
    }

    fn next(&self) -> Dice {
        Dice::new(mix(self.seed, self.asked.fetch_add(1, Ordering::Relaxed)))
    }
}

#[derive(Clone, Debug)]
enum Effect {
    Delay(DelayDraw),
    Instead(Instead),
    Toxic(Toxic),
}

/// What an attempt is about.
#[derive(Clone, Copy, Debug)]
pub struct Aim<'a> {
    pub route: &'a str,
    pub service: &'a str,
    pub endpoint: &'a str,
}

/// What befalls one attempt, in this order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// To wait before anything else; of several rules, the sum.
    pub delay: Duration,
    /// What happens in place of the attempt.
    pub instead: Option<Instead>,
    /// Byte faults on the connection, in the order of their rules.
    pub toxics: Vec<Toxic>,
    /// Indices of the rules that hit.
    pub hits: Vec<usize>,
}

/// What happens in place of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instead {
    /// The endpoint seems to answer with this status and text.
    Abort { status: u16, body: Box<str> },
    /// The client is cut off.
    Reset,
    /// Nothing comes.
    Stall,
    /// Nobody accepts the connection.
    Refuse,
    /// Nobody answers when the connection is opened.
    ConnectTimeout,
}

impl Rule {
    /// `endpoint` is the name of the endpoint that the rule's address stands for; `asked` counts the attempts
    /// that a rule with a seed was about, and goes on where it stands.
    #[must_use]
    pub fn new(
        spec: &ChaosRule,
        endpoint: Option<&str>,
        until: Option<Tick>,
        asked: &Arc<AtomicU64>,
    ) -> Self {
        let text = |text: &String| text.as_str().into();
        Self {
            route: spec.route.as_ref().map(text),
            service: spec.service.as_ref().map(text),
            endpoint: endpoint.map(Box::from),
            percent: spec.percent,
            effect: Effect::of(&spec.fault),
            until,
            probes: spec.probes,
            seeded: spec.seed.map(|seed| Seeded::new(seed, asked)),
        }
    }

    /// Whether it is about this attempt, whatever the dice say.
    #[must_use]
    pub fn is_about(&self, aim: &Aim<'_>) -> bool {
        let fits = |wanted: &Option<Box<str>>, is: &str| wanted.as_ref().is_none_or(|wanted| **wanted == *is);
        fits(&self.route, aim.route) && fits(&self.service, aim.service) && fits(&self.endpoint, aim.endpoint)
    }

    /// Whether a health probe of this endpoint can be hit.
    fn is_about_probe(&self, service: &str, endpoint: &str) -> bool {
        self.probes && self.route.is_none() && self.is_about(&Aim { route: "", service, endpoint })
    }

    fn is_over(&self, now: Tick) -> bool {
        self.until.is_some_and(|until| now >= until)
    }

    fn hits(&self, dice: &mut Dice) -> bool {
        // `unit` is below one, so that 100 is always and 0 never.
        dice.unit() * 100.0 < self.percent
    }
}

impl Effect {
    fn of(fault: &ChaosFault) -> Self {
        Self::Instead(match fault {
            ChaosFault::Delay(delay) => return Self::Delay(DelayDraw::new(delay)),
            ChaosFault::Abort(abort) => {
                Instead::Abort { status: abort.status, body: abort.body.as_str().into() }
            }
            ChaosFault::Reset => Instead::Reset,
            ChaosFault::Stall => Instead::Stall,
            ChaosFault::Down | ChaosFault::Partition(Partition::Refuse) => Instead::Refuse,
            ChaosFault::Partition(Partition::Timeout) => Instead::ConnectTimeout,
            fault => match Toxic::of(fault) {
                Some(toxic) => return Self::Toxic(toxic),
                None => unreachable!("`Toxic::of` is `None` only for the faults above"),
            },
        })
    }
}

impl Rules {
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules }
    }

    /// What befalls this attempt; `None` when no rule hits. Every rule that is about it throws for itself;
    /// after one that takes the attempt's place no other is asked.
    #[must_use]
    pub fn verdict(&self, aim: &Aim<'_>, now: Tick, dice: &mut Dice) -> Option<Verdict> {
        self.verdict_of(|rule| rule.is_about(aim), now, dice)
    }

    /// What befalls a health probe of this endpoint: as for an attempt, by the rules that are about probes.
    #[must_use]
    pub fn verdict_on_probe(
        &self,
        service: &str,
        endpoint: &str,
        now: Tick,
        dice: &mut Dice,
    ) -> Option<Verdict> {
        self.verdict_of(|rule| rule.is_about_probe(service, endpoint), now, dice)
    }

    fn verdict_of(&self, is_about: impl Fn(&Rule) -> bool, now: Tick, dice: &mut Dice) -> Option<Verdict> {
        let mut verdict = Verdict::default();
        for (index, rule) in self.rules.iter().enumerate() {
            if rule.is_over(now) || !is_about(rule) {
                continue;
            }
            let mut own = rule.seeded.as_ref().map(Seeded::next);
            let dice = own.as_mut().unwrap_or(dice);
            if !rule.hits(dice) {
                continue;
            }
            verdict.hits.push(index);
            match &rule.effect {
                Effect::Delay(delay) => verdict.delay = verdict.delay.saturating_add(delay.draw(dice)),
                Effect::Toxic(toxic) => verdict.toxics.push(*toxic),
                Effect::Instead(instead) => {
                    verdict.instead = Some(instead.clone());
                    break;
                }
            }
        }
        (!verdict.hits.is_empty()).then_some(verdict)
    }
}

#[cfg(test)]
mod tests;
